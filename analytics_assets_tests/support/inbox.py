"""The landing of one source, without Dagster."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from analytics_assets.ingest.landing import Landing, LandingReport
from analytics_assets.project import Project
from analytics_assets.settings import Settings
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.model_node import Manifest
from analytics_assets.spec.source import Source
from analytics_assets.warehouse.choice import warehouse_of


@dataclass
class Inbox:
    """The landing of one source, without Dagster."""

    settings: Settings
    source: Source

    def drop(self, name: str, content: bytes | str) -> Path:
        file = self.settings.inbox_dir / self.source.name / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def land(self) -> LandingReport:
        return Landing(self.settings, self.source).run()

    def rejects(self) -> pl.DataFrame:
        files = sorted((self.settings.rejects_dir / self.source.name).glob("*.parquet"))
        return pl.concat([pl.read_parquet(file) for file in files]) if files else pl.DataFrame()


def declared(*inboxes: Inbox) -> Project:
    """A project of nothing but their sources, without a model."""
    settings = inboxes[0].settings
    domain = Domain("small", "team:test", sources=[one.source for one in inboxes])
    nothing = Manifest({"nodes": {}, "sources": {}, "metadata": {}})
    return Project(settings, (domain,), warehouse_of(settings), nothing)
