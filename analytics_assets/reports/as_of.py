"""What all assets that are as of a day have in common: dashboards, workbooks and sheets, and the tables of analyses.

A day of such an asset is made from published rows of the days that it looks back on, as a file of its own. The newest
one also lies under a name that stays.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    MaterializeResult,
    MetadataValue,
    TimeWindowPartitionMapping,
    UrlMetadataValue,
    asset,
)

from analytics_assets.automation.steps import made_days
from analytics_assets.dagster_internals import BACKFILL_ID_TAG, BaseAssetGraph, add_partition_metadata
from analytics_assets.foundation.files import only_one, replacing, sweep
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.project import Project, published_asset
from analytics_assets.reports.index_asset import as_json, facts_file, write_index_in
from analytics_assets.reports.index_page import Facts
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import AssetKind, Catalog, name_of
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.model_node import Manifest, name_in
from analytics_assets.state.builds import export_of, exports_lock, newest_export


@dataclass(frozen=True)
class Span:
    """The days that an asset looks back on.

    Attributes:
        is_newest: whether no newer one is kept.
    """

    days: Window
    is_newest: bool

    @property
    def day(self) -> date:
        """The day that it is as of."""
        return max(self.days.days())


@dataclass(frozen=True)
class Made:
    """What was made as of a day.

    Attributes:
        rows: how many rows it shows.
        has_data: whether the days that it looks back on hold any.
    """

    rows: int
    has_data: bool
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Declared:
    """An asset that is as of a day.

    Attributes:
        days: how many days it looks back, including its own.
        ending: the ending of its file; empty if it is no file on this machine.
        upstream: what it reads.
        code: changes when its declaration or its code does.
        pool: of its steps.
    """

    name: str
    kind: str
    description: str
    days: int
    ending: str
    upstream: Sequence[AssetDep]
    code: str
    pool: str


def build_as_of(
    project: Project,
    domain: Domain,
    declared: Declared,
    graph: Callable[[], BaseAssetGraph],
    make: Callable[[AssetExecutionContext, Span], Made],
) -> AssetsDefinition:
    """Builds the asset.

    Args:
        graph: returns the asset graph, once all assets are built.
        make: makes one day.
    """
    settings, automation, name = project.settings, project.automation, declared.name

    @asset(
        name=name,
        group_name=domain.name,
        owners=[domain.owner],
        kinds={declared.kind},
        tags=project.catalog[name].tags,
        description=declared.description,
        deps=declared.upstream,
        partitions_def=project.partitions(domain.calendar),
        backfill_policy=BackfillPolicy.single_run(),
        code_version=declared.code,
        automation_condition=automation.report(),
        pool=declared.pool,
        check_specs=[
            AssetCheckSpec(
                "has_data",
                asset=name,
                description="The days that it looks back on hold data.",
                automation_condition=automation.with_its_asset(),
            )
        ],
    )
    def as_of(context: AssetExecutionContext) -> MaterializeResult:
        spec = AssetSpec(name, deps=declared.upstream, code_version=declared.code)
        empty, window = [], _days_to_make(context, project.catalog)
        with made_days(context, [spec], project.catalog, settings, window):
            newest_day = automation.newest_day(graph(), name, datetime.now(UTC))
            for day in window.days():
                first = domain.calendar.first_day(settings)
                days = Window.of_days(max(day - timedelta(declared.days - 1), first), day)
                made = make(context, Span(days, day >= newest_day))
                if not made.has_data:
                    empty.append(day)
                context.add_asset_metadata(
                    asset_key=context.asset_key,
                    partition_key=day.isoformat(),
                    metadata={**made.metadata, "dagster/partition_row_count": made.rows},
                )
            write_index_in(context, project)
        others = [day for day in Window.of_run(context).days() if not window.holds(day)]
        add_partition_metadata(
            context, context.asset_key, {day.isoformat(): {MADE_NOTHING: ONE_OF_A_RANGE} for day in others}
        )
        newest = {}
        if declared.ending:
            file = newest_export(settings, name, declared.ending)
            newest = {"newest": MetadataValue.path(str(file)), "open_newest": link_to(file, settings)}
        return MaterializeResult(
            metadata=newest,
            check_results=[
                AssetCheckResult(
                    check_name="has_data",
                    passed=not empty,
                    severity=AssetCheckSeverity.WARN,
                    metadata={"reports without data": [str(day) for day in empty]},
                )
            ],
        )

    return as_of


MADE_NOTHING = "made_nothing"
"""The metadata that says why a day was not made. Dagster holds all days of a run for materialized."""

ONE_OF_A_RANGE = (
    "a range of days was asked for with other assets: one report is made, as of its last day; "
    "materialize the report alone to have the one of this day"
)


def _days_to_make(context: AssetExecutionContext, catalog: Catalog) -> Window:
    """The days of a run of which reports are made.

    Who backfills a month of everything wants the rows of that month, and one report of them. Each report looks back
    over many days, so 30 would take longer than all else. All are made if reports alone are asked for.
    """
    asked, backfill_id = context.run.asset_selection, context.run.tags.get(BACKFILL_ID_TAG)
    if backfill_id and (backfill := context.instance.get_backfill(backfill_id)) and backfill.asset_selection:
        asked = frozenset(backfill.asset_selection)
    names = {name_of(key) for key in asked or ()}
    reports = {name for name in names if name in catalog and catalog[name].kind is AssetKind.REPORT}
    window = Window.of_run(context)
    return window if names and names == reports else Window(window.end - ONE_DAY, window.end)


def upstream_of(project: Project, reader: str, names: Sequence[str], days: int) -> list[AssetDep]:
    """What an asset reads that looks back a number of days.

    These are the models with days, also those that views are made of, and the parts of the published copy that hold
    them; the views, table functions and seeds themselves; and analyses, as of the same day.

    Args:
        reader: the asset in words, for errors.

    Raises:
        ValueError: a model is not public.
    """
    nodes = project.manifest.made
    analyses = [name for name in names if name in project.analyses]
    models = [name for name in names if name not in project.analyses]
    found = [nodes[name] for name in models if name in nodes]
    for node in found:
        if not (node.is_published or node.is_seed):
            raise ValueError(f"{reader} reads {node.name}, which is no public model: give it `access: public`")
    copies = sorted({published_asset(node.domain) for node in found if node.is_model})
    back = TimeWindowPartitionMapping(start_offset=1 - days, allow_nonexistent_upstream_partitions=True)
    dated = [*with_days(models, project.manifest), *(copies if project.warehouse.blocks_readers else ())]
    return [
        *(AssetDep(name, partition_mapping=back) for name in dated),
        *(AssetDep(node.name) for node in found if not node.has_days),
        *(AssetDep(name, partition_mapping=TimeWindowPartitionMapping()) for name in analyses),
    ]


def with_days(names: Iterable[str], manifest: Manifest) -> list[str]:
    """Those of some models that have days, and those that the others are made of, however far up.

    A model that is broken and left out counts as one with days.
    """
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        node = manifest.made.get(name)
        if node is None or node.has_days:
            found[name] = None
        else:
            waiting += [name_in(one) for one in node.reads if one.startswith("model.")]
    return list(found)


def checksums(names: Iterable[str], manifest: Manifest) -> list[str]:
    """What changes when the code of the views, table functions and seeds among some models does.

    They hold no days that would change with it.
    """
    nodes = [manifest.made[name] for name in names if name in manifest.made]
    return [node.checksum for node in nodes if not node.has_days]


def own_code() -> list[str]:
    """The texts of this folder's files: what they make depends on them as well as on its declaration and rows."""
    return texts_in(Path(__file__).parent)


def texts_in(folder: Path) -> list[str]:
    """The texts of the files in a folder and below it."""
    return [file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.*")) if file.suffix != ".pyc"]


def link_to(file: Path, settings: Settings) -> UrlMetadataValue:
    """A link to a file of the exports, which the UI's server shows: relative, so that it holds under each address."""
    return MetadataValue.url(f"{settings.exports_url}/{file.relative_to(settings.exports_dir).as_posix()}")


def write_export(
    settings: Settings,
    name: str,
    day: date,
    ending: str,
    content: bytes,
    *,
    is_newest: bool,
    facts: Facts | None = None,
) -> Path:
    """Writes the file of a day and, for the newest day, its copy and its facts; each write is atomic.

    Two runs that write at once leave the file and the facts of the same one.
    """
    file = export_of(settings, name, day, ending)
    contents = {file: content}
    if is_newest:
        contents[newest_export(settings, name, ending)] = content
        if facts is not None:
            contents[facts_file(settings, name)] = as_json(facts)
    with only_one(exports_lock(settings)):
        for target, its_content in contents.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            sweep(target.parent)
            with replacing(target) as temporary:
                temporary.write_bytes(its_content)
    return file
