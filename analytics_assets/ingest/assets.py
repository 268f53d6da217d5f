"""The assets of a source: its landed files and its raw days."""

from dagster import AssetsDefinition

from analytics_assets.ingest.landed_files import build_landed_asset
from analytics_assets.ingest.raw_days import build_raw_asset
from analytics_assets.project import Project
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import Source


def build_source_assets(project: Project, domain: Domain, source: Source) -> list[AssetsDefinition]:
    """The landed files of a source and its raw days."""
    return [build_landed_asset(project, domain, source), build_raw_asset(project, domain, source)]
