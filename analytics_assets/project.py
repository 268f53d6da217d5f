"""The project: settings, domains, warehouse and manifest as one object, from which all assets are made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from dagster import DailyPartitionsDefinition

from analytics_assets.automation.conditions import Automation
from analytics_assets.partitions import UTC_DAYS, Calendar, Window, daily_partitions, partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.spec.analysis import ENDING, TEXT_ENDING, Analysis
from analytics_assets.spec.asset import Asset, AssetKind, Catalog
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.extract import Extract
from analytics_assets.spec.model_node import Manifest
from analytics_assets.spec.report import Report
from analytics_assets.spec.source import Source
from analytics_assets.warehouse.interface import Warehouse
from analytics_assets.warehouse.published import public_models


@dataclass(frozen=True)
class Project:
    """The argument of the factories of assets, sensors and schedules.

    Attributes:
        manifest: the dbt models that can be used.
        faults: one sentence per broken or left-out file of the dbt project, and per report or analysis that lacks a
            model.
        off: the domains that are switched off.
    """

    settings: Settings
    domains: Sequence[Domain]
    warehouse: Warehouse
    manifest: Manifest = field(repr=False)
    faults: Sequence[str] = ()
    off: Sequence[Domain] = ()

    @cached_property
    def sources(self) -> list[Source]:
        """The sources of all domains."""
        return [source for domain in self.domains for source in domain.sources]

    @property
    def known_sources(self) -> list[Source]:
        """The sources of all domains, also of those that are switched off."""
        return [source for domain in (*self.domains, *self.off) for source in domain.sources]

    @cached_property
    def extracts(self) -> list[Extract]:
        """The extracts of all domains."""
        return [extract for domain in self.domains for extract in domain.extracts]

    @cached_property
    def calendars(self) -> Mapping[str, Calendar]:
        """The days of each domain, by name."""
        return {domain.name: domain.calendar for domain in self.domains}

    def partitions(self, calendar: Calendar = UTC_DAYS) -> DailyPartitionsDefinition:
        """The daily partitions of what has a calendar; those of pulls are their own."""
        return daily_partitions(self.settings, calendar)

    def days(self, now: datetime) -> Window:
        """The days that have a partition in any domain."""
        windows = [partitioned_days(self.settings, now, one) for one in {UTC_DAYS, *self.calendars.values()}]
        return Window(min(one.start for one in windows), max(one.end for one in windows))

    @cached_property
    def automation(self) -> Automation:
        """The conditions under which days are made."""
        return Automation(self.settings, self.sources, self.catalog)

    @cached_property
    def analyses(self) -> Mapping[str, Analysis]:
        """The analyses of all domains, by name."""
        return {analysis.name: analysis for domain in self.domains for analysis in domain.analyses}

    def models_behind(self, names: Iterable[str]) -> list[str]:
        """The models and seeds among some names, and those that the analyses among them read, however far up."""
        found: dict[str, None] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop(0)
            if name in self.analyses:
                waiting += self.analyses[name].reads
            else:
                found[name] = None
        return list(found)

    def lacking(self, reader: Report | Analysis) -> list[str]:
        """The models that a report or an analysis needs and cannot read: broken, unknown, or of another time zone."""
        if isinstance(reader, Analysis):
            reads: Sequence[str] = reader.reads
        else:
            reads = [dataset.model for part in reader.parts for dataset in part.datasets]
        behind, made = self.models_behind(reads), self.manifest.made
        zone = next(one.timezone for one in self.domains if reader in (*one.reports, *one.analyses))
        others = {name for name, calendar in self.calendars.items() if calendar.timezone != zone}
        return [
            *(name for name in behind if name not in made),
            *(
                f"{name}, whose days are of another time zone"
                for name in behind
                if name in made and made[name].domain in others
            ),
        ]

    def has_published(self, domain: Domain) -> bool:
        """Whether a domain has a part in the published copy."""
        return self.warehouse.blocks_readers and bool(public_models(self.manifest, domain.name))

    @cached_property
    def catalog(self) -> Catalog:
        """All assets, by name."""
        found = [node.asset for node in self.manifest.made.values() if not node.has_days]
        for node in self.manifest.made.values():
            if node.has_days:
                found.append(replace(node.asset, calendar=self.calendars.get(node.domain, UTC_DAYS)))
        for domain in self.domains:
            days = domain.calendar
            found += [Asset(extract.asset, AssetKind.EXTRACT) for extract in domain.extracts]
            for source in domain.sources:
                found += [
                    Asset(source.landed_asset, AssetKind.LANDED),
                    Asset(source.raw_asset, AssetKind.RAW, calendar=days),
                ]
            if self.has_published(domain):
                found.append(Asset(published_asset(domain.name), AssetKind.PUBLISHED, calendar=days))
            found += [
                Asset(analysis.name, AssetKind.REPORT, (ENDING, TEXT_ENDING) if analysis.text else (ENDING,), days)
                for analysis in domain.analyses
            ]
            found += [
                Asset(file.asset(report.name), AssetKind.REPORT, (file.ending,) if file.ending else (), days)
                for report in domain.reports
                for file in report.files
            ]
        return {asset.name: asset for asset in found}


def published_asset(domain: str) -> str:
    """The name of the asset that holds a domain's part of the published copy."""
    return f"published_{domain}"
