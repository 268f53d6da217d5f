"""The dbt models of a domain as one Dagster step: run, recorded day by day, checked."""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import date
from graphlib import TopologicalSorter
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSpec,
    AutomationCondition,
    BackfillPolicy,
    DailyPartitionsDefinition,
    Failure,
    MetadataValue,
    TableRecord,
)
from dagster_dbt import dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from analytics_assets.ingest.source import Source
from analytics_assets.partitions import Window
from analytics_assets.settings import Settings
from analytics_assets.versions import (
    Build,
    Offsets,
    ReadBuilds,
    builds_of,
    input_versions,
    offsets_of,
    recorded_builds,
)
from analytics_assets.warehouse.dbt import DbtError, load_manifest, run_dbt
from analytics_assets.warehouse.translator import ModelTranslator

WAREHOUSE_POOL = "warehouse"
"""DuckDB has one writer: no two steps of this pool run at a time."""

SAMPLE_ROWS = 20
"""So many of the rows that fail a test are shown beside its result."""


def build_model_assets(
    domain: str,
    owner: str,
    settings: Settings,
    sources: Sequence[Source],
    partitions: DailyPartitionsDefinition,
    condition: AutomationCondition,
) -> AssetsDefinition:
    """The models below `models/*/<domain>/`, as one step that can make any of them."""
    manifest = load_manifest(settings)
    translator = ModelTranslator(owner, domain, condition)

    @dbt_assets(
        manifest=manifest,
        select=f"fqn:*.*.{domain}.*",
        name=f"dbt_{domain}",
        dagster_dbt_translator=translator,
        partitions_def=partitions,
        backfill_policy=BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
    )
    def models(context: AssetExecutionContext, duckdb: DuckDBResource) -> Iterator[Any]:
        yield from _build(context, duckdb, settings, sources, manifest, translator)

    return models


def _build(
    context: AssetExecutionContext,
    warehouse: DuckDBResource,
    settings: Settings,
    sources: Sequence[Source],
    manifest: Mapping[str, Any],
    translator: ModelTranslator,
) -> Iterator[Any]:
    window = Window.of_run(context)
    nodes = {
        translator.get_asset_key(node): node for node in manifest["nodes"].values() if node["resource_type"] == "model"
    }
    selected = _in_order(context.selected_asset_keys, context.assets_def)
    builds_of(selected[0].key.path[-1], settings).forget_what_is_gone()
    # Before the run: what changes upstream while it works must show as a difference after it.
    plan = planned_builds(
        [(spec.key.path[-1], _upstream(spec), _code_version(nodes[spec.key])) for spec in selected],
        window,
        recorded_builds(settings),
    )

    context.log.info(f"dbt builds {', '.join(plan)} for {window}")
    try:
        run = run_dbt(_build_arguments(list(plan)), settings, sources, window)
    except DbtError as error:
        raise Failure(f"dbt did not run: {error}") from error

    built = [spec.key for spec in selected if nodes[spec.key]["unique_id"] in run.succeeded]
    with warehouse.get_connection() as connection:
        for key in built:
            builds_of(key.path[-1], settings).record(key.path[-1], plan[key.path[-1]])
            for day, rows in _row_counts(connection, nodes[key], window).items():
                context.add_asset_metadata(
                    asset_key=key,
                    partition_key=day.isoformat(),
                    metadata={"dagster/partition_row_count": rows},
                )
        samples = {test: _sample(connection, sql) for test, sql in run.failing_tests.items()}

    for event in run.events:
        message = DbtCoreCliEventMessage(raw_event=event, event_history_metadata={})
        for dagster_event in message.to_default_asset_events(manifest, translator, context):
            yield _with_failing_rows(dagster_event, samples)
    if run.failures:
        raise Failure("; ".join(f"{name}: {message}" for name, message in sorted(run.failures.items())))


def planned_builds(
    assets: Sequence[tuple[str, Mapping[str, Offsets], str]], window: Window, recorded: ReadBuilds
) -> dict[str, dict[date, Build]]:
    """What each asset will have been built from once a run that makes them all has succeeded.

    Args:
        assets: name, upstream assets and code version of each, every one after those that it reads.
        recorded: what is built before the run.
    """
    plan: dict[str, dict[date, Build]] = {}

    def read(asset: str, days: Window) -> Mapping[date, Build]:
        return {**recorded(asset, days), **plan.get(asset, {})}

    for name, upstream, code in assets:
        inputs = input_versions(upstream, window, read)
        plan[name] = {day: Build(inputs[day], code) for day in window.days()}
    return plan


def _upstream(spec: AssetSpec) -> dict[str, Offsets]:
    return {dep.asset_key.path[-1]: offsets_of(dep.partition_mapping) for dep in spec.deps}


def _in_order(keys: Set[AssetKey], assets: AssetsDefinition) -> list[AssetSpec]:
    """The specs of some assets of a step, every one after those that it reads."""
    sorter = TopologicalSorter({key: {dep.asset_key for dep in assets.specs_by_key[key].deps} for key in keys})
    return [assets.specs_by_key[key] for key in sorter.static_order() if key in keys]


def _build_arguments(models: Sequence[str]) -> list[str]:
    """`dbt build` of some models with the tests that need nothing else; unit tests are for development."""
    return ["build", "--select", *models, "--indirect-selection", "buildable", "--exclude-resource-type", "unit_test"]


def _code_version(node: Mapping[str, Any]) -> str:
    return str(node["checksum"]["checksum"])[:16]


def _row_counts(connection: DuckDBPyConnection, node: Mapping[str, Any], window: Window) -> dict[date, int]:
    day = node["config"]["meta"]["day"]
    rows = connection.execute(
        f"select {day}, count(*) from {node['schema']}.{node['alias']} where {day} >= ? and {day} < ? group by {day}",
        [window.start, window.end],
    ).fetchall()
    return {**dict.fromkeys(window.days(), 0), **dict(rows)}


def _sample(connection: DuckDBPyConnection, sql: str) -> MetadataValue:
    """The first rows that a test objects to, as a table."""
    found = connection.execute(f"select * from ({sql}) order by all limit {SAMPLE_ROWS}")
    names = [column[0] for column in found.description or []]
    return MetadataValue.table([TableRecord(dict(zip(names, map(str, row), strict=True))) for row in found.fetchall()])


def _with_failing_rows(event: Any, samples: Mapping[str, MetadataValue]) -> Any:
    if not isinstance(event, AssetCheckResult) or event.check_name is None or event.check_name not in samples:
        return event
    return AssetCheckResult(
        passed=event.passed,
        asset_key=event.asset_key,
        check_name=event.check_name,
        severity=event.severity,
        metadata={**event.metadata, "failing_rows": samples[event.check_name]},
    )
