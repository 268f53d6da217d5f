"""Turns the declarations of all domains into one Dagster code location."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dagster import Definitions, in_process_executor

from analytics_assets.automation.out_of_date_sensor import build_out_of_date_sensor
from analytics_assets.dagster_internals import BaseAssetGraph, BetaWarning
from analytics_assets.dbt.assets import build_model_assets
from analytics_assets.dbt.manifest import usable_manifest
from analytics_assets.dbt.project import load_manifest, project_faults
from analytics_assets.dbt.published import build_published_assets
from analytics_assets.extract.assets import build_extract_asset, build_pull_schedule
from analytics_assets.ingest.assets import build_source_assets
from analytics_assets.ingest.new_files_sensor import build_new_files_sensor
from analytics_assets.operations.alerts import Problem, build_notifiers, tell_owner
from analytics_assets.operations.daily import build_daily_schedules, build_health_asset
from analytics_assets.operations.health import DBT_PROJECT
from analytics_assets.operations.reload import Reload
from analytics_assets.project import Project
from analytics_assets.reports.analyses import build_analysis_asset
from analytics_assets.reports.assets import build_report_assets
from analytics_assets.reports.index_asset import build_index_asset
from analytics_assets.settings import Settings
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.model_node import Manifest
from analytics_assets.warehouse.choice import warehouse_of
from analytics_assets.warehouse.interface import Warehouse

warnings.filterwarnings("ignore", category=BetaWarning)


def open_project(settings: Settings, domains: Sequence[Domain]) -> Project:
    """The project of those of some domains that are not switched off, under some settings.

    Raises:
        ValueError: the settings name an API that has no extract, or switch off a domain that does not exist.
    """
    names = {domain.name for domain in domains}
    if unknown := sorted(settings.switched_off - names):
        raise ValueError(
            f"ANALYTICS_DOMAINS_OFF: there is no domain {unknown[0]!r}; there is {', '.join(sorted(names))}"
        )
    on = tuple(domain for domain in domains if domain.name not in settings.switched_off)
    off = tuple(domain for domain in domains if domain.name in settings.switched_off)
    project = Project(settings, on, warehouse_of(settings), load_manifest(settings), off=off)
    manifest, unfit = _fitting(project)
    project = replace(project, manifest=manifest)
    if unknown := sorted(set(settings.api) - {extract.source.name for extract in project.extracts}):
        there_is = ", ".join(sorted(extract.source.name for extract in project.extracts)) or "none"
        raise ValueError(f"ANALYTICS_API__{unknown[0].upper()}__…: there is no such API; there is {there_is}")
    return replace(project, faults=[*faults_of(project), *unfit])


def _fitting(project: Project) -> tuple[Manifest, list[str]]:
    """The manifest without the models of domains that are switched off, and those that mix days of several time zones.

    Returns:
        It, and a sentence for each model of the other domains that is left out.
    """
    off = {domain.name for domain in project.off}
    nodes, zones = project.manifest.nodes, {name: days.timezone for name, days in project.calendars.items()}
    faults = {name: f"{node.file}: {node.domain} is switched off" for name, node in nodes.items() if node.domain in off}
    told = {f"{fault}; it is left out" for fault in faults.values()}
    for name, node in nodes.items():
        read = [nodes[one] for one in node.reads if one in nodes and nodes[one].has_days]
        others = [one for one in read if one.domain in zones and one.domain != node.domain]
        others = [one for one in others if node.domain in zones and zones[one.domain] != zones[node.domain]]
        if node.is_model and node.has_days and others:
            faults[name] = (
                f"{node.file} has days of {zones[node.domain]}, but reads {others[0].name}, "
                f"which has days of {zones[others[0].domain]}"
            )
    if not faults:
        return project.manifest, []
    manifest, said = usable_manifest(project.manifest, faults)
    return manifest, [sentence for sentence in said if sentence not in told]


def on_warehouse(project: Project, warehouse: Warehouse) -> Project:
    """The project on another warehouse: with its settings, and a manifest that names tables as it does."""
    moved = replace(
        project, settings=warehouse.settings, warehouse=warehouse, manifest=load_manifest(warehouse.settings)
    )
    return replace(moved, manifest=_fitting(moved)[0])


def faults_of(project: Project) -> list[str]:
    """One sentence per fault: a broken or left-out file of the dbt project; a report or analysis that lacks a model."""
    names = {domain.name for domain in project.domains}
    unexpected = [
        f"{node.file} is left out: there is no domain {node.domain!r}; there is {', '.join(sorted(names))}"
        for node in project.manifest.made.values()
        if node.domain not in names
    ]
    lacking = [
        f"the {what} {reader.name} is left out: it reads {', '.join(lacks)}"
        for domain in project.domains
        for what, readers in (("analysis", domain.analyses), ("report", domain.reports))
        for reader in readers
        if (lacks := project.lacking(reader))
    ]
    return [*project_faults(project.settings), *unexpected, *lacking]


def build_definitions(project: Project, resource_overrides: Mapping[str, Any] | None = None) -> Definitions:
    """The code location of a project.

    Args:
        resource_overrides: resources by name, in place of the project's own. Another `warehouse` serves all assets,
            their pools, dbt and the lake, with its own settings.
    """
    overrides = dict(resource_overrides or {})
    if "warehouse" in overrides:
        project = on_warehouse(project, overrides["warehouse"])

    def all_assets() -> BaseAssetGraph:
        return definitions.resolve_asset_graph()

    def tell(reasons: Sequence[str]) -> None:
        owner = ", ".join(sorted({domain.owner for domain in project.domains}))
        problems = [Problem(DBT_PROJECT, "", reason, owner=owner) for reason in reasons]
        tell_owner(problems, all_assets(), project.settings)

    reports = [
        *(
            build_analysis_asset(project, domain, analysis, all_assets)
            for domain in project.domains
            for analysis in domain.analyses
            if not project.lacking(analysis)
        ),
        *(
            asset
            for domain in project.domains
            for report in domain.reports
            if not project.lacking(report)
            for asset in build_report_assets(project, domain, report, all_assets)
        ),
    ]
    own = [domain.definitions(project) for domain in project.domains if domain.definitions]
    shared = Definitions(
        assets=[
            *(
                asset
                for domain in project.domains
                for source in domain.sources
                for asset in build_source_assets(project, domain, source)
            ),
            *(
                build_extract_asset(project, domain, extract)
                for domain in project.domains
                for extract in domain.extracts
            ),
            *build_model_assets(project),
            *build_published_assets(project),
            *reports,
            *([build_index_asset(project, [asset.key for asset in reports])] if reports else []),
            build_health_asset(project, all_assets),
        ],
        sensors=[
            build_new_files_sensor(project),
            build_out_of_date_sensor(
                Reload(project.settings, project.faults, tell),
                project.automation.recorded,
                project.settings.sensor_watch_seconds,
            ),
            *build_notifiers(project.settings),
        ],
        schedules=[
            *build_daily_schedules(project),
            *([build_pull_schedule(project)] if project.extracts else []),
        ],
        resources={
            "lake": project.warehouse.lake(),
            "warehouse": project.warehouse,
            **project.warehouse.resources(),
            **overrides,
        },
        executor=in_process_executor,  # one process per step would cost more than most steps
    )
    definitions = Definitions.merge(shared, *own) if own else shared
    return definitions
