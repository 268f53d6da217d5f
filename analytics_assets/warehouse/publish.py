"""The published copy: the marts as people and BI tools read them, while a run writes the warehouse.

DuckDB lets nobody read a file that another process writes. So what is public is copied into a file of its own, day by
day, and the new file takes the old one's name at once: whoever reads meanwhile goes on reading the old one.
"""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetDep,
    AssetExecutionContext,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    DailyPartitionsDefinition,
    MaterializeResult,
    MetadataValue,
    asset,
)
from duckdb import DuckDBPyConnection

from analytics_assets.automation import Automation
from analytics_assets.files import only_one, replacing, sweep
from analytics_assets.partitions import Window
from analytics_assets.plain_text import logger_of
from analytics_assets.settings import Settings
from analytics_assets.steps import made_days
from analytics_assets.versions import PUBLISHED_PREFIX
from analytics_assets.warehouse.dbt import load_manifest
from analytics_assets.warehouse.manifest import HOLDS_NO_ROWS
from analytics_assets.warehouse.on_duckdb import IF_DAMAGED as IF_WAREHOUSE_IS_DAMAGED
from analytics_assets.warehouse.on_duckdb import ONE_WRITER, naming

logger = logger_of(__name__)

CODE_VERSION = "1"
PUBLIC_LAYERS = ("marts", "reporting")

IF_DAMAGED = "delete it; it is made again from the warehouse"

COPY = "analytics"
"""The copy's name as a database: that of the warehouse, since the SQL of views holds it."""


def build_published_asset(
    domain: str, owner: str, settings: Settings, partitions: DailyPartitionsDefinition, automation: Automation
) -> AssetsDefinition:
    """The public models of a domain, as a part of the published copy."""
    name = PUBLISHED_PREFIX + domain
    models = public_models(load_manifest(settings), domain)
    tables = [node for node in models if _is_table(node)]
    deps = [AssetDep(node["name"]) for node in tables]

    @asset(
        name=name,
        group_name=domain,
        owners=[owner],
        kinds={"duckdb"},
        description=f"The marts of {domain} in the published copy, which can be read while a run writes.",
        deps=deps,
        partitions_def=partitions,
        backfill_policy=BackfillPolicy.single_run(),
        code_version=CODE_VERSION,
        automation_condition=automation.model(),
        pool=ONE_WRITER,
        check_specs=[
            AssetCheckSpec(
                "same_rows_as_warehouse",
                asset=name,
                description="Each day holds as many rows as in the warehouse.",
                automation_condition=automation.with_its_asset(),
            )
        ],
    )
    def published(context: AssetExecutionContext) -> MaterializeResult:
        spec = AssetSpec(name, deps=deps, code_version=CODE_VERSION)
        with made_days(context, spec, settings) as window:
            rows, differing = publish(settings, models, window)
        for day in window.days():
            context.add_asset_metadata(
                asset_key=context.asset_key,
                partition_key=day.isoformat(),
                metadata={"dagster/partition_row_count": rows[day]},
            )
        return MaterializeResult(
            metadata={"path": MetadataValue.path(str(settings.published_file))},
            check_results=[
                AssetCheckResult(
                    check_name="same_rows_as_warehouse", passed=not differing, metadata={"differing": differing}
                )
            ],
        )

    return published


def public_models(manifest: Mapping[str, Any], domain: str) -> list[Mapping[str, Any]]:
    """What a domain publishes, every model after those that it reads: its tables, and the views over them alone.

    Table functions go as views.
    """
    models = {
        unique_id: node
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["fqn"][1] in PUBLIC_LAYERS and node["fqn"][2] == domain
    }
    found = {unique_id: node for unique_id, node in models.items() if _is_table(node)}
    views = {unique_id: node for unique_id, node in models.items() if unique_id not in found}
    while ready := [name for name, node in views.items() if set(node["depends_on"]["nodes"]) <= set(found)]:
        found |= {name: views.pop(name) for name in ready}
    return list(found.values())


def _is_table(node: Mapping[str, Any]) -> bool:
    return node["config"]["materialized"] not in HOLDS_NO_ROWS


def publish(settings: Settings, models: Sequence[Mapping[str, Any]], window: Window) -> tuple[Counter[date], list[str]]:
    """Copies the days of a window of some models.

    Returns:
        The rows of each day in all tables, and a sentence for each table and day of which the copy and the warehouse
        hold different numbers of rows.
    """
    with _next_copy(settings) as connection:
        partitions = settings.start_date, settings.end_date or date.max
        copied = {node["name"]: _copy_days(connection, node, window, partitions) for node in models if _is_table(node)}
        for node in models:
            if not _is_table(node):
                _copy_view(connection, node)
    rows: Counter[date] = Counter()
    differing = []
    for name, (here, there) in copied.items():
        rows.update(here)
        differing += [
            f"{name} {day}: {here[day]} rows, but {there[day]} in the warehouse"
            for day in window.days()
            if here[day] != there[day]
        ]
    return rows, differing


def publish_views(settings: Settings, views: Sequence[Mapping[str, Any]]) -> None:
    """Copies views that have just been made; those that the copy has no tables for come with its next days."""
    if views and settings.published_file.exists():
        with _next_copy(settings) as connection:
            for node in views:
                _copy_view(connection, node)


@contextmanager
def _next_copy(settings: Settings) -> Iterator[DuckDBPyConnection]:
    """The warehouse, and a copy of the published copy that takes its place when the block ends well."""
    target = settings.published_file
    with only_one(target.parent / ".publish.lock"):
        sweep(target.parent)
        with replacing(target) as temporary:
            if target.exists():
                shutil.copyfile(target, temporary)
            with duckdb.connect() as connection:
                connection.execute(f"set memory_limit = '{settings.duckdb_memory_limit}'")
                connection.execute("set TimeZone = 'UTC'")
                with naming(settings.warehouse_file, IF_WAREHOUSE_IS_DAMAGED):
                    connection.execute(f"attach {_quoted(settings.warehouse_file)} as warehouse (read_only)")
                with naming(target, IF_DAMAGED):
                    connection.execute(f"attach {_quoted(temporary)} as {COPY}")
                yield connection
                connection.execute(f"checkpoint {COPY}")
                connection.execute(f"detach {COPY}")
            # Whoever opened the copy to write may have left a log, which DuckDB would take for one of the next copy.
            target.with_name(f"{target.name}.wal").unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _copy_days(
    connection: DuckDBPyConnection, node: Mapping[str, Any], window: Window, partitions: tuple[date, date]
) -> tuple[Counter[date], Counter[date]]:
    """Replaces the days of a table in the copy; gives the rows a day that it then holds, and those of the warehouse.

    Days before the first or after the last one that has a partition are taken out.
    """
    table, day = f'{node["schema"]}."{node["alias"]}"', node["config"]["meta"]["day"]
    connection.execute(f"create schema if not exists {COPY}.{node['schema']}")
    if _columns(connection, COPY, node) != _columns(connection, "warehouse", node):
        connection.execute("begin")
        is_new = not _columns(connection, COPY, node)
        connection.execute(f"drop table if exists {COPY}.{table}")
        rows = "where false" if is_new else ""
        connection.execute(f"create table {COPY}.{table} as select * from warehouse.{table} {rows}")
        connection.execute("commit")
    where = f"where {day} >= ? and {day} < ?"
    days = [window.start, window.end]
    connection.execute("begin")
    connection.execute(f"delete from {COPY}.{table} {where} or {day} < ? or {day} > ?", [*days, *partitions])
    connection.execute(f"insert into {COPY}.{table} select * from warehouse.{table} {where}", days)
    connection.execute("commit")
    copied, there = (
        Counter(
            dict(
                connection.execute(
                    f"select {day}, count(*) from {database}.{table} {where} group by {day}", days
                ).fetchall()
            )
        )
        for database in (COPY, "warehouse")
    )
    return copied, there


def _columns(connection: DuckDBPyConnection, database: str, node: Mapping[str, Any]) -> list[tuple[str, str]]:
    return connection.execute(
        "select column_name, data_type from duckdb_columns()"
        " where database_name = ? and schema_name = ? and table_name = ? order by column_index",
        [database, node["schema"], node["alias"]],
    ).fetchall()


def _copy_view(connection: DuckDBPyConnection, node: Mapping[str, Any]) -> None:
    """Copies a view or a table function, unless the copy does not hold the tables and columns that it reads."""
    sql = _view_sql(connection, node)
    if sql is None:
        return  # it has not been made yet; it is copied when it is
    connection.execute(f"create schema if not exists {COPY}.{node['schema']}")
    connection.execute(f"use {COPY}")
    try:
        connection.execute(sql)
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        logger.warning(f"{node['name']} is not in the published copy yet: {error}")
    connection.execute("use memory")


def _view_sql(connection: DuckDBPyConnection, node: Mapping[str, Any]) -> str | None:
    """What makes a view or a table function of the warehouse anew; None when it is not there."""
    where, names = "where database_name = 'warehouse' and schema_name = ?", [node["schema"], node["alias"]]
    if node["config"]["materialized"] == "view":
        found = connection.execute(f"select sql from duckdb_views() {where} and view_name = ?", names).fetchone()
        return found[0].replace("CREATE VIEW", "create or replace view", 1) if found else None
    found = connection.execute(
        "select array_to_string(parameters, ', '), macro_definition from duckdb_functions()"
        f" {where} and function_name = ? and function_type = 'table_macro'",
        names,
    ).fetchone()
    if found is None:
        return None
    return f'create or replace macro {node["schema"]}."{node["alias"]}"({found[0]}) as table {found[1]}'
