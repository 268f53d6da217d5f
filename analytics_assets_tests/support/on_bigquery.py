"""A project whose warehouse is BigQuery, as far as its raw days go."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytics_assets.operations.runner import Runner
from analytics_assets.spec.domain import Domain
from analytics_assets_tests.support.project import ONE_DOMAIN, Project


def project_on(
    url: str, folder: Path, domains: tuple[Domain, ...] = ONE_DOMAIN, place: Mapping[str, Any] | None = None
) -> Project:
    """A project whose warehouse is BigQuery at an address."""
    settings = {"project": "a-project", "api_endpoint": url, **(place or {})}
    return Project(folder, domains, {"warehouse": "bigquery", "bigquery": settings})


def raw_assets(project: Project) -> set[str]:
    return {asset for asset in project.assets if asset.startswith("raw_")}


def load(project: Project) -> Runner:
    """Lands what there is, and makes the raw days that are out of date."""
    project.land()
    runner = project.runner()
    runner.settle(raw_assets(project))
    return runner
