"""The dashboard, the workbook and the Google Sheet of a report as assets: one file per as-of day, one sheet for all."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
from dagster import AssetExecutionContext, AssetKey, AssetsDefinition, MetadataValue

from analytics_assets.dagster_internals import BaseAssetGraph
from analytics_assets.foundation.hashes import digest
from analytics_assets.foundation.words import plural
from analytics_assets.ingest.rows_without_partition import waiting_rows
from analytics_assets.partitions import Window
from analytics_assets.project import Project
from analytics_assets.reports import dashboard, workbook
from analytics_assets.reports.as_of import (
    Declared,
    Made,
    Span,
    build_as_of,
    checksums,
    link_to,
    own_code,
    upstream_of,
    with_days,
    write_export,
)
from analytics_assets.reports.dashboard import Concern
from analytics_assets.reports.datasets import Frames, days_with_rows, read_datasets
from analytics_assets.reports.how_made import how_made
from analytics_assets.reports.index_asset import leave_link
from analytics_assets.reports.index_page import Facts, facts_of
from analytics_assets.reports.tabs import ABOUT, Tab, about, tabs_of
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import Asset, name_of
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.model_node import Manifest
from analytics_assets.spec.report import Report, ReportFile
from analytics_assets.state.builds import builds_of
from analytics_assets.state.check_results import CheckResults
from analytics_assets.warehouse.published import days_behind


@dataclass(frozen=True)
class AsOf:
    """What a report shows as of the last day of a span.

    Attributes:
        described: what is said of its models and analyses, by name.
    """

    report: Report
    frames: Frames
    span: Span
    concerns: Sequence[Concern]
    described: Mapping[str, str]


Metadata = Mapping[str, Any]
Write = Callable[[AsOf, Settings], Metadata]
"""Writes a report, and returns the metadata of what it wrote."""


def build_report_assets(
    project: Project, domain: Domain, report: Report, graph: Callable[[], BaseAssetGraph]
) -> list[AssetsDefinition]:
    """Builds `<name>_dashboard`, `<name>_workbook` and `<name>_sheet`, as far as the report declares them.

    Args:
        graph: returns the asset graph, once all assets are built.
    """
    return [_build(project, domain, report, file, graph) for file in report.files]


def _build(
    project: Project, domain: Domain, report: Report, file: ReportFile, graph: Callable[[], BaseAssetGraph]
) -> AssetsDefinition:
    settings, (what, write) = project.settings, _WRITE[file]
    name, is_sheet = file.asset(report.name), file is ReportFile.SHEET
    parts = report.parts_of(file)
    for part in parts:
        _require_days(part, project.manifest)
    # Another account, folder or reader is a reason to write the sheet again.
    place = [settings.sheets.model_dump_json()] if is_sheet and settings.sheets else []
    shown = [dataset.model for part in parts for dataset in part.datasets]
    declaration = json.dumps(asdict(report))
    described = {name: _description(project, name) for name in shown}
    said = described.values() if file is not ReportFile.DASHBOARD else ()
    dated = with_days(project.models_behind(shown), project.manifest)

    def make(context: AssetExecutionContext, span: Span) -> Made:
        frames: dict[str, pl.DataFrame] = {}
        for part in parts:
            frames |= read_datasets(project.warehouse, part, project.manifest, span.days)
        concerns = _failed_checks(graph(), settings, context.asset_key, span.days)
        concerns += _behind(dated, project, span.days)
        concerns += [
            Concern(model, f"not made yet as of {span.day}; shown is what was made last, if anything was", True)
            for model in shown
            if model in project.analyses and not _is_made(project.catalog[model], settings, span.day)
        ]
        concerns += [
            Concern(source.landed_asset, sentence, False)
            for source in project.automation.sources_of(graph(), name)
            for sentence in waiting_rows(source, settings, datetime.now(UTC))
        ]
        written = write(AsOf(report, frames, span, concerns, described), settings)
        if SENT_NOTHING in written:
            context.log.info(f"{name} for {span.day}: {written[SENT_NOTHING]}")
        rows = sum(frame.height for frame in frames.values())
        return Made(rows, bool(days_with_rows(report, frames)), written)

    declared = Declared(
        name,
        kind=file.value,
        description=f"{report.title}: {what.lower()}, as of a day, looking back {plural(report.days, 'day')}.",
        days=report.days,
        ending=file.ending,
        upstream=upstream_of(project, f"report {report.name}", shown, report.days),
        code=digest([file.name, declaration, *own_code(), *checksums(shown, project.manifest), *said, *place]),
        pool=name if is_sheet else project.warehouse.pool(domain.name),  # no model should wait for Google
    )
    return build_as_of(project, domain, declared, graph, make)


def _description(project: Project, name: str) -> str:
    if name in project.analyses:
        return project.analyses[name].description
    node = project.manifest.made.get(name)
    return node.description if node else ""


def _is_made(asset: Asset, settings: Settings, day: date) -> bool:
    return day in builds_of(asset, settings).read_what_is_there(asset.name, Window.of_days(day, day))


def _require_days(report: Report, manifest: Manifest) -> None:
    """Sees that each dataset says where its days are.

    Raises:
        ValueError: a model has no days and the dataset does not name the column that holds them, or it does in vain.
    """
    for dataset in report.datasets:
        node = manifest.made.get(dataset.model)
        if node and node.has_days == bool(dataset.day):
            raise ValueError(
                f"report {report.name}: {node.name} has days of its own; leave `day` out of its dataset"
                if dataset.day
                else f"report {report.name}: {node.name} has no days; name the column with a row's day in its dataset"
            )


# ------------------------------------------------------------------------------------------------------- the files


def _write_dashboard(shown: AsOf, settings: Settings) -> Metadata:
    page = dashboard.render(shown.report, shown.frames, shown.span.days, shown.concerns)
    facts = facts_of(shown.report, shown.frames, shown.span.day, shown.concerns)
    return _write_file(shown, settings, ReportFile.DASHBOARD, page.encode(), facts)


def _write_workbook(shown: AsOf, settings: Settings) -> Metadata:
    content = workbook.render(shown.report, shown.frames, shown.span.days, shown.concerns, shown.described)
    return _write_file(shown, settings, ReportFile.WORKBOOK, content)


def _write_file(
    shown: AsOf, settings: Settings, file: ReportFile, content: bytes, facts: Facts | None = None
) -> Metadata:
    name = file.asset(shown.report.name)
    path = write_export(
        settings, name, shown.span.day, file.ending, content, is_newest=shown.span.is_newest, facts=facts
    )
    return {"open": link_to(path, settings), "file": MetadataValue.path(str(path)), "bytes": len(content)}


# ------------------------------------------------------------------------------------------------------- the sheet

SENT_NOTHING = "sent_nothing"
"""The metadata that says why a sheet was not written."""

NO_KEY = (
    "no account for Google Sheets is known, so nothing was sent; set ANALYTICS_SHEETS__KEY_FILE to the file of a "
    "service account's key (docs/reports.md says how)"
)


def _write_sheet(shown: AsOf, settings: Settings) -> Metadata:
    """Replaces the tabs of the sheet. It shows one day, so older ones are not sent; nor is any without an account."""
    if settings.sheets is None:
        return {SENT_NOTHING: NO_KEY}
    if not shown.span.is_newest:
        return {SENT_NOTHING: f"the sheet shows the newest day alone; {shown.span.day} is an older one"}
    from analytics_assets.reports import google_sheet  # not needed to load the definitions

    report = shown.report
    tabs = tabs_of(report, shown.frames, google_sheet.ROOM)
    lines = about(report, shown.frames, shown.span.days, shown.concerns, tabs)
    first = Tab(ABOUT, (report.title, ""), lines, (None, None), named_by=1, widest=100)
    title = f"{report.title} ({settings.of_developer})" if settings.of_developer else report.title
    tabs = [first, *tabs, how_made(report, shown.described)]
    link = google_sheet.send(settings.sheets, title, tabs, settings.retry_wait_seconds)
    leave_link(settings, ReportFile.SHEET.asset(report.name), link)
    return {"sheet": MetadataValue.url(link), "tabs": len(tabs)}


_WRITE: Mapping[ReportFile, tuple[str, Write]] = {
    ReportFile.DASHBOARD: ("One HTML file that needs no network", _write_dashboard),
    ReportFile.WORKBOOK: ("The tables of the dashboard as a workbook", _write_workbook),
    ReportFile.SHEET: ("The tables of the dashboard as a Google Sheet", _write_sheet),
}
"""The description of each kind of file, and the function that writes it."""


# ------------------------------------------------------------------------------------------------------- concerns


def _failed_checks(graph: BaseAssetGraph, settings: Settings, report: AssetKey, window: Window) -> list[Concern]:
    """The failed checks of a report's upstream assets, on the days that it shows."""
    above: set[AssetKey] = set()
    waiting = [report]
    while waiting:
        parents = graph.get(waiting.pop()).parent_keys - above
        above |= parents
        waiting += parents
    said = {
        (name_of(key.asset_key), key.name): graph.get(key).description
        for key in graph.asset_check_keys
        if key.asset_key in above
    }
    return [
        Concern(
            check.asset,
            f"{said[names] or f'check {check.name} failed'} ({check.name}{_days(check.days)}{check.finding})",
            check.is_error,
        )
        for names, check in sorted(CheckResults(settings.lake_dir).read(window).items())
        if check and names in said
    ]


def _days(days: Sequence[date]) -> str:
    if len(days) <= 1:
        return f" for {days[0]}" if days else ""
    return f" for {len(days)} days, the newest is {max(days)}"


def _behind(models: Iterable[str], project: Project, window: Window) -> list[Concern]:
    """A concern for each model that is behind: days that failed or are not made yet, or whose upstream days are so."""
    behind = days_behind(project.manifest, models, project.settings, project.calendars, window)
    shown = "shown is what passed last, if anything did"
    return [Concern(model, f"not made yet{_days(days)}; {shown}", True) for model, days in behind.items()]
