"""What a domain declares, and how the declarations of all domains become one Dagster code location."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from dagster import Definitions, in_process_executor
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._utils.warnings import BetaWarning

from analytics_assets.automation import Automation, build_out_of_date_sensor
from analytics_assets.ingest.extract import Extract
from analytics_assets.ingest.extract_asset import build_extract_asset, build_pull_schedule
from analytics_assets.ingest.raw import build_source_assets
from analytics_assets.ingest.sensor import build_new_files_sensor
from analytics_assets.ingest.source import Source
from analytics_assets.operate.daily import build_daily_schedules, build_inventory_asset
from analytics_assets.operate.inventory import DBT_PROJECT
from analytics_assets.operate.notify import Problem, build_notifiers, tell_owner
from analytics_assets.operate.reload import Reload
from analytics_assets.partitions import Window, daily_partitions
from analytics_assets.reports.assets import build_report_assets
from analytics_assets.reports.report import Report
from analytics_assets.settings import Settings
from analytics_assets.warehouse.dbt import load_manifest, project_faults
from analytics_assets.warehouse.manifest import MADE
from analytics_assets.warehouse.models import build_model_assets
from analytics_assets.warehouse.publish import build_published_asset, public_models
from analytics_assets.warehouse.warehouse import warehouse_of

# Backfill policies and user-code sensors are marked beta; the lock file pins the version they were tried on.
warnings.filterwarnings("ignore", category=BetaWarning)


@dataclass(frozen=True)
class Domain:
    """One kind of work.

    Attributes:
        name: also the folder of its dbt models, and the group of its assets.
        owner: who answers for its assets, as `team:<name>` or a mail address.
        sources: what lands for it.
        extracts: the APIs that are pulled for it; each drops files of one of the sources.
        reports: what people look at.
        simulate: writes sample files of its sources into the inbox; a domain can do without.
    """

    name: str
    owner: str
    sources: Sequence[Source]
    extracts: Sequence[Extract] = ()
    reports: Sequence[Report] = ()
    simulate: Callable[[Path, Window, float, Random], None] = lambda inbox_dir, window, scale, random: None


def faults_of(settings: Settings, domains: Iterable[Domain]) -> list[str]:
    """A sentence for each file of the dbt project that is not used as it is, all others being."""
    domains = list(domains)
    names = {domain.name for domain in domains}
    there_is = ", ".join(sorted(names))
    strangers = [
        f"{node['original_file_path']} is left out: there is no domain {_domain_of(node)!r}; there is {there_is}"
        for node in load_manifest(settings)["nodes"].values()
        if node["resource_type"] in MADE and _domain_of(node) not in names
    ]
    lacking = [
        f"the report {report.name} is left out: it reads {', '.join(lacks)}"
        for domain in domains
        for report in domain.reports
        if (lacks := _lacks(report, settings))
    ]
    return [*project_faults(settings), *strangers, *lacking]


def _lacks(report: Report, settings: Settings) -> list[str]:
    """The models that a report reads and that are left out."""
    there_are = {node["name"] for node in load_manifest(settings)["nodes"].values()}
    return [dataset.model for dataset in report.datasets if dataset.model not in there_are]


def _domain_of(node: Mapping[str, Any]) -> str:
    return str(node["fqn"][2 if node["resource_type"] == "model" else 1])


def build_definitions(settings: Settings, domains: Iterable[Domain], faults: Sequence[str] = ()) -> Definitions:
    """The code location of some domains; the inventory lists the `faults` of the dbt project."""
    domains = list(domains)
    sources = [source for domain in domains for source in domain.sources]
    extracts = [extract for domain in domains for extract in domain.extracts]
    if unknown := sorted(set(settings.api) - {extract.source.name for extract in extracts}):
        there_is = ", ".join(sorted(extract.source.name for extract in extracts)) or "none"
        raise ValueError(f"ANALYTICS_API__{unknown[0].upper()}__…: there is no such API; there is {there_is}")
    partitions = daily_partitions(settings)
    automation, warehouse = Automation(settings, sources), warehouse_of(settings)

    def all_assets() -> BaseAssetGraph:
        return definitions.resolve_asset_graph()

    assets = [
        asset
        for domain in domains
        for asset in (
            *(
                a
                for s in domain.sources
                for a in build_source_assets(
                    s,
                    settings,
                    partitions,
                    automation,
                    domain.name,
                    domain.owner,
                    [extract.asset for extract in domain.extracts if extract.source == s],
                )
            ),
            *(build_extract_asset(extract, settings, domain.name, domain.owner) for extract in domain.extracts),
            *build_model_assets(domain.name, domain.owner, settings, sources, partitions, automation),
            *(
                [build_published_asset(domain.name, domain.owner, settings, partitions, automation)]
                if warehouse.blocks_readers and public_models(load_manifest(settings), domain.name)
                else []
            ),
            *(
                a
                for report in domain.reports
                if not _lacks(report, settings)
                for a in build_report_assets(
                    report, settings, partitions, automation, domain.name, domain.owner, all_assets
                )
            ),
        )
    ]

    def tell(reasons: Sequence[str]) -> None:
        owner = ", ".join(sorted({domain.owner for domain in domains}))
        tell_owner([Problem(DBT_PROJECT, "", reason, owner=owner) for reason in reasons], all_assets(), settings)

    definitions = Definitions(
        assets=[*assets, build_inventory_asset(sources, settings, all_assets, faults)],
        sensors=[
            build_new_files_sensor(sources, settings),
            build_out_of_date_sensor(Reload(settings, faults, tell)),
            *build_notifiers(settings),
        ],
        schedules=[
            *build_daily_schedules(sources, settings),
            *([build_pull_schedule(extracts, settings)] if extracts else []),
        ],
        resources={
            "lake": warehouse.lake(),
            "warehouse": warehouse,
            **warehouse.resources(),
        },
        executor=in_process_executor,  # a process a step would cost more than most steps do
    )
    return definitions
