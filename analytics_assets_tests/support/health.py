"""What is the matter with a project, and one whose code was changed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analytics_assets.dbt import assets as models
from analytics_assets.operations.health import Finding, State, check_health
from analytics_assets_tests.support.project import Project


def findings(project: Project, later: timedelta = timedelta(0)) -> list[Finding]:
    graph = project.definitions.resolve_asset_graph()
    now = datetime.now(UTC) + later
    found = check_health(graph, project.declared, project.instance, now).findings
    return [finding for finding in found if finding.state not in (State.CHECK_FAILED, State.WARNING)]


def with_changed_code(project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> Project:
    """The same project after somebody has changed the SQL of a model."""
    code_versions = models.code_versions

    def changed(*arguments: object) -> dict[str, str]:
        versions = dict(code_versions(*arguments))  # type: ignore[arg-type]
        return {name: version + "*" * name.endswith(f".{model}") for name, version in versions.items()}

    monkeypatch.setattr(models, "code_versions", changed)
    found = Project(folder, project.domains, project.changes)
    found.instance = project.instance
    return found
