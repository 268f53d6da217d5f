"""The dashboard, the workbook and the Google Sheet of a report as assets: one file per as-of day, one sheet for all."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    MaterializeResult,
    MetadataValue,
    TimeWindowPartitionMapping,
    asset,
)

from analytics_assets.automation.steps import made_days
from analytics_assets.dagster_internals import BaseAssetGraph
from analytics_assets.foundation.files import only_one, replacing, sweep
from analytics_assets.foundation.hashes import digest
from analytics_assets.ingest.rows_without_partition import waiting_rows
from analytics_assets.partitions import Window
from analytics_assets.project import Project, published_asset
from analytics_assets.reports import dashboard, workbook
from analytics_assets.reports.dashboard import Concern
from analytics_assets.reports.datasets import Frames, days_with_rows, read_datasets
from analytics_assets.reports.tabs import ABOUT, Tab, about, tabs_of
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import name_of
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.model_node import Manifest, name_in
from analytics_assets.spec.report import Report, ReportFile
from analytics_assets.state.builds import export_of, newest_export
from analytics_assets.state.check_results import CheckResults
from analytics_assets.warehouse.published import days_behind


@dataclass(frozen=True)
class AsOf:
    """What a report shows as of the last day of a window."""

    report: Report
    frames: Frames
    window: Window
    concerns: Sequence[Concern]
    is_newest: bool

    @property
    def day(self) -> date:
        """The day that it is as of."""
        return max(self.window.days())


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
    settings, automation, (what, write) = project.settings, project.automation, _WRITE[file]
    name, is_sheet = file.asset(report.name), file is ReportFile.SHEET
    # Another account, folder or reader is a reason to write the sheet again.
    place = [settings.sheets.model_dump_json()] if is_sheet and settings.sheets else []
    views = [dataset.model for dataset in report.datasets if dataset.day]
    shown = [project.manifest.made[view].checksum for view in views if view in project.manifest.made]
    code = digest([file.name, json.dumps(asdict(report)), *_own_code(), *shown, *place])
    back = TimeWindowPartitionMapping(start_offset=1 - report.days, allow_nonexistent_upstream_partitions=True)
    models = _with_days(report, project.manifest)
    deps = [AssetDep(read, partition_mapping=back) for read in (*models, *_published_with(report, project))]
    deps += [AssetDep(view) for view in views]

    @asset(
        name=name,
        group_name=domain.name,
        owners=[domain.owner],
        kinds={file.value},
        tags=project.catalog[name].tags,
        description=f"{report.title}: {what.lower()}, as of a day, looking back {report.days} days.",
        deps=deps,
        partitions_def=project.partitions,
        backfill_policy=BackfillPolicy.single_run(),
        code_version=code,
        automation_condition=automation.report(),
        pool=name if is_sheet else project.warehouse.pool(domain.name),  # no model should wait for Google
        check_specs=[
            AssetCheckSpec(
                "has_data",
                asset=name,
                description="The days that it looks back on hold data.",
                automation_condition=automation.with_its_asset(),
            )
        ],
    )
    def file_of_report(context: AssetExecutionContext) -> MaterializeResult:
        spec = AssetSpec(name, deps=deps, code_version=code)
        empty = []
        with made_days(context, [spec], project.catalog, settings) as (window, _):
            newest_day = automation.newest_day(graph(), name, datetime.now(UTC))
            for day in window.days():
                span = Window.of_days(max(day - timedelta(report.days - 1), settings.start_date), day)
                frames = read_datasets(project.warehouse, report, project.manifest, span)
                concerns = _failed_checks(graph(), settings, context.asset_key, span)
                concerns += _behind(models, project, span)
                concerns += [
                    Concern(source.landed_asset, sentence, False)
                    for source in automation.sources_of(graph(), name)
                    for sentence in waiting_rows(source, settings, datetime.now(UTC))
                ]
                written = write(AsOf(report, frames, span, concerns, day >= newest_day), settings)
                if not days_with_rows(frames):
                    empty.append(day)
                context.add_asset_metadata(
                    asset_key=context.asset_key,
                    partition_key=day.isoformat(),
                    metadata={
                        **written,
                        "dagster/partition_row_count": sum(frame.height for frame in frames.values()),
                    },
                )
                if SENT_NOTHING in written:
                    context.log.info(f"{name} for {day}: {written[SENT_NOTHING]}")
        newest = None if is_sheet else MetadataValue.path(str(newest_export(settings, name, file.ending)))
        return MaterializeResult(
            metadata={"newest": newest} if newest else {},
            check_results=[
                AssetCheckResult(
                    check_name="has_data",
                    passed=not empty,
                    severity=AssetCheckSeverity.WARN,
                    metadata={"reports without data": [str(day) for day in empty]},
                )
            ],
        )

    return file_of_report


def _with_days(report: Report, manifest: Manifest) -> list[str]:
    """The models with days that a report shows: its own, and those that its views are made of, however far up.

    Raises:
        ValueError: a model has no days, and the dataset does not say which column holds them.
    """
    for dataset in report.datasets:
        node = manifest.made.get(dataset.model)
        if node and node.has_days == bool(dataset.day):
            raise ValueError(
                f"report {report.name}: {node.name} has days of its own; leave `day` out of its dataset"
                if dataset.day
                else f"report {report.name}: {node.name} has no days; name the column with a row's day in its dataset"
            )
    found: dict[str, None] = {}
    waiting = [dataset.model for dataset in report.datasets]
    while waiting:
        name = waiting.pop(0)
        node = manifest.made.get(name)
        if node is None or node.has_days:
            found[name] = None
        else:
            waiting += [name_in(one) for one in node.reads if one.startswith("model.")]
    return list(found)


def _published_with(report: Report, project: Project) -> list[str]:
    """The published assets that hold a report's models; empty if there is no published copy.

    A broken model that is left out is in none of them.

    Raises:
        ValueError: a model is not public.
    """
    nodes = project.manifest.made
    read = [nodes[dataset.model] for dataset in report.datasets if dataset.model in nodes]
    for node in read:
        if not node.is_public:
            raise ValueError(
                f"report {report.name} reads {node.name}, which is no public model: give it `access: public`"
            )
    return sorted({published_asset(node.domain) for node in read}) if project.warehouse.blocks_readers else []


def _own_code() -> list[str]:
    """The texts of this folder's files: a report depends on them as well as on its spec and rows."""
    return [
        file.read_text(encoding="utf-8") for file in sorted(Path(__file__).parent.rglob("*.*")) if file.suffix != ".pyc"
    ]


# ------------------------------------------------------------------------------------------------------- the files


def _write_dashboard(shown: AsOf, settings: Settings) -> Metadata:
    page = dashboard.render(shown.report, shown.frames, shown.window, shown.concerns)
    return _write_file(shown, settings, ReportFile.DASHBOARD, page.encode())


def _write_workbook(shown: AsOf, settings: Settings) -> Metadata:
    content = workbook.render(shown.report, shown.frames, shown.window, shown.concerns)
    return _write_file(shown, settings, ReportFile.WORKBOOK, content)


def _write_file(shown: AsOf, settings: Settings, file: ReportFile, content: bytes) -> Metadata:
    name = file.asset(shown.report.name)
    path = write_export(settings, name, shown.day, file.ending, content, is_newest=shown.is_newest)
    return {"file": MetadataValue.path(str(path)), "bytes": len(content)}


def write_export(settings: Settings, name: str, day: date, ending: str, content: bytes, *, is_newest: bool) -> Path:
    """Writes the file of a day and, for the newest day, its copy; each write is atomic."""
    file = export_of(settings, name, day, ending)
    targets = [file, *([newest_export(settings, name, ending)] if is_newest else [])]
    with only_one(settings.exports_dir / ".write.lock"):
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
            sweep(target.parent)
            with replacing(target) as temporary:
                temporary.write_bytes(content)
    return file


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
    if not shown.is_newest:
        return {SENT_NOTHING: f"the sheet shows the newest day alone; {shown.day} is an older one"}
    from analytics_assets.reports import google_sheet  # not needed to load the definitions

    report = shown.report
    tabs = tabs_of(report, shown.frames, google_sheet.ROOM)
    lines = about(report, shown.frames, shown.window, shown.concerns, tabs)
    first = Tab(ABOUT, (report.title, ""), lines, (None, None), named_by=1, widest=100)
    title = f"{report.title} ({settings.of_developer})" if settings.of_developer else report.title
    link = google_sheet.send(settings.sheets, title, [first, *tabs], settings.retry_wait_seconds)
    return {"sheet": MetadataValue.url(link), "tabs": len(tabs) + 1}


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
    behind = days_behind(project.manifest, models, project.settings, window)
    shown = "shown is what passed last, if anything did"
    return [Concern(model, f"not made yet{_days(days)}; {shown}", True) for model, days in behind.items()]
