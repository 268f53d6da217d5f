"""The published copy: the marts as people and BI tools read them, while a run writes the warehouse.

DuckDB lets nobody read a file that another process writes. So what is public is copied into a file of its own, day by
day, and the new file takes the old one's name at once: whoever reads meanwhile goes on reading the old one.

A day of a table is copied once it is recorded as made, which it is when its blocking checks passed. A day that failed
stays in the copy as it last passed; where it never did, the copy has no rows of it.
"""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection

from analytics_assets.foundation.failures import is_transient
from analytics_assets.foundation.files import only_one, replacing, sweep
from analytics_assets.foundation.plain_text import logger_of
from analytics_assets.partitions import EVER, WHOLE, PartitionOffsets, Window, partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.spec.model_node import Manifest, ModelNode, name_in
from analytics_assets.spec.source import raw_asset
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import builds_of_model
from analytics_assets.warehouse.duckdb.warehouse import IF_COPY_IS_DAMAGED, naming
from analytics_assets.warehouse.duckdb.warehouse import IF_DAMAGED as IF_WAREHOUSE_IS_DAMAGED

logger = logger_of(__name__)

COPY = "analytics"
"""The copy's name as a database: that of the warehouse, since the SQL of views holds it."""


def days_behind(manifest: Manifest, name: str, settings: Settings, window: Window) -> set[date]:
    """The days of a window on which people are shown less than there is of a model.

    They are not made, or were tried without success since they were; or a day that they are made from, however far up.
    """
    nodes = {node.name: node for node in manifest.models}
    attempts = Attempts(settings.lake_dir)
    partitions = set(partitioned_days(settings, datetime.now(UTC)).days())

    @cache
    def behind(unique_id: str) -> frozenset[date]:
        kind, name = unique_id.partition(".")[0], name_in(unique_id)
        if kind == "source":
            return frozenset(attempts.read(raw_asset(name), EVER))
        if kind != "model":
            return frozenset()
        if name not in nodes:
            return frozenset(partitions)  # it is left out, since it is broken
        node = nodes[name]
        found = set(attempts.read(name, EVER)) & partitions
        if node.has_days:
            found |= partitions - set(builds_of_model(name, settings).read(name, EVER))
        for parent in node.reads:
            offsets = node.window.get(name_in(parent), PartitionOffsets())
            for day in behind(parent):
                found.update(offsets.downstream_of(Window.of_days(day, day)).days())
        return frozenset(found & partitions)

    unique_id = nodes[name].unique_id if name in nodes else f"model.{name}"
    return set(behind(unique_id)) & set(window.days())


def public_models(manifest: Manifest, domain: str) -> list[ModelNode]:
    """What a domain publishes, every model after those that it reads: its tables, and the views over them alone.

    Table functions go as views.
    """
    models = {node.unique_id: node for node in manifest.models if node.is_public and node.domain == domain}
    found = {unique_id: node for unique_id, node in models.items() if node.holds_rows}
    views = {unique_id: node for unique_id, node in models.items() if unique_id not in found}
    while ready := [name for name, node in views.items() if set(node.reads) <= set(found)]:
        found |= {name: views.pop(name) for name in ready}
    return list(found.values())


@dataclass(frozen=True)
class Published:
    """What was copied of some models.

    Attributes:
        rows: of each day, in all tables.
        differing: for each copied day of which the copy and the warehouse hold different numbers of rows, a sentence
            for each such table.
    """

    rows: Counter[date]
    differing: Mapping[date, list[str]]


def publish(
    settings: Settings, models: Mapping[str, Sequence[ModelNode]], window: Window
) -> dict[str, Published | Exception]:
    """Copies those days of a window that are recorded as made, of some groups of models, and writes the copy once.

    Returns:
        By group, what was copied, or why nothing of it was: the others are copied all the same.
    """
    found: dict[str, Published | Exception] = {}
    with _next_copy(settings) as connection:
        for group, nodes in models.items():
            try:
                found[group] = _copy(connection, settings, nodes, window)
            except duckdb.Error as error:
                connection.execute("use memory")
                if is_transient(error):  # of the file or the disk, and so of all
                    raise
                found[group] = error
    return found


def _copy(connection: DuckDBPyConnection, settings: Settings, nodes: Sequence[ModelNode], window: Window) -> Published:
    first, last = settings.start_date, settings.end_date or date.max
    made = {
        node.name: {
            day
            for day in builds_of_model(node.name, settings).read(node.name, EVER)
            if first <= day <= last or day == WHOLE.start
        }
        for node in nodes
    }
    rows: Counter[date] = Counter()
    differing = defaultdict(list)
    for node in nodes:
        if node.holds_rows and made[node.name]:
            here, there = _copy_days(connection, node, window, made[node.name], (first, last))
            rows.update(here)
            for day in window.days():
                if day in made[node.name] and here[day] != there[day]:
                    differing[day].append(f"{node.name}: {here[day]} rows, but {there[day]} in the warehouse")
    for node in nodes:
        if not node.holds_rows and WHOLE.start in made[node.name]:
            _copy_view(connection, node)
    return Published(rows, differing)


def publish_views(settings: Settings, views: Sequence[ModelNode]) -> None:
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
                with naming(target, IF_COPY_IS_DAMAGED):
                    connection.execute(f"attach {_quoted(temporary)} as {COPY}")
                yield connection
                connection.execute(f"checkpoint {COPY}")
                connection.execute(f"detach {COPY}")
            # Whoever opened the copy to write may have left a log, which DuckDB would take for one of the next copy.
            target.with_name(f"{target.name}.wal").unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _copy_days(
    connection: DuckDBPyConnection,
    node: ModelNode,
    window: Window,
    made: Set[date],
    partitions: tuple[date, date],
) -> tuple[Counter[date], Counter[date]]:
    """Replaces the days of a table in the copy that are in a window and made.

    Days before the first or after the last one that has a partition are taken out.

    Returns:
        The rows that the copy then holds on each day of the window, and those of the warehouse.
    """
    table, day = _table(node), node.day
    connection.execute(f"create schema if not exists {COPY}.{node.schema}")
    if not _columns(connection, COPY, node):
        connection.execute(f"create table {COPY}.{table} as select * from warehouse.{table} where false")
    elif _columns(connection, COPY, node) != _columns(connection, "warehouse", node):
        _make_anew(connection, node, made)
    where, days = f"where {day} >= ? and {day} < ?", [window.start, window.end]
    replaced, those = f"{where} and {_is_one_of(day)}", [*days, list(made)]
    connection.execute("begin")
    try:
        connection.execute(f"delete from {COPY}.{table} {replaced}", those)
        connection.execute(f"delete from {COPY}.{table} where {day} < ? or {day} > ?", [*partitions])
        connection.execute(f"insert into {COPY}.{table} select * from warehouse.{table} {replaced}", those)
    except duckdb.Error:
        connection.execute("rollback")
        raise
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


def _make_anew(connection: DuckDBPyConnection, node: ModelNode, made: Set[date]) -> None:
    """Makes a table of the copy as its columns are now, with all of its days that are made.

    The others keep their rows in the columns that are still there, or lose them where values no longer fit a column.
    """
    table, day = _table(node), _is_one_of(node.day)
    before = dict(_columns(connection, COPY, node))
    connection.execute(f"create temp table before as select * from {COPY}.{table} where not {day}", [list(made)])
    connection.execute(f"drop table {COPY}.{table}")
    connection.execute(f"create table {COPY}.{table} as select * from warehouse.{table} where {day}", [list(made)])
    common = [name for name, _ in _columns(connection, COPY, node) if name in before]
    columns = ", ".join('"' + name.replace('"', '""') + '"' for name in common)
    try:
        connection.execute(f"insert into {COPY}.{table} ({columns}) select {columns} from before")
    except duckdb.ConversionException as error:
        logger.warning(f"{node.name}: days that failed are no longer in the published copy: {error}")
    connection.execute("drop table before")


def _is_one_of(day: str) -> str:
    """Whether a column holds one of some days, which are bound as a list."""
    return f"{day} in (select unnest(cast(? as date[])))"


def _table(node: ModelNode) -> str:
    return f'{node.schema}."{node.alias}"'


def _columns(connection: DuckDBPyConnection, database: str, node: ModelNode) -> list[tuple[str, str]]:
    return connection.execute(
        "select column_name, data_type from duckdb_columns()"
        " where database_name = ? and schema_name = ? and table_name = ? order by column_index",
        [database, node.schema, node.alias],
    ).fetchall()


def _copy_view(connection: DuckDBPyConnection, node: ModelNode) -> None:
    """Copies a view or a table function, unless the copy does not hold the tables and columns that it reads."""
    sql = _view_sql(connection, node)
    if sql is None:
        return  # it has not been made yet; it is copied when it is
    connection.execute(f"create schema if not exists {COPY}.{node.schema}")
    connection.execute(f"use {COPY}")
    try:
        connection.execute(sql)
    except (duckdb.BinderException, duckdb.CatalogException) as error:
        logger.warning(f"{node.name} is not in the published copy yet: {error}")
    connection.execute("use memory")


def _view_sql(connection: DuckDBPyConnection, node: ModelNode) -> str | None:
    """What makes a view or a table function of the warehouse anew; None when it is not there."""
    where, names = "where database_name = 'warehouse' and schema_name = ?", [node.schema, node.alias]
    if node.materialized == "view":
        found = connection.execute(f"select sql from duckdb_views() {where} and view_name = ?", names).fetchone()
        return found[0].replace("CREATE VIEW", "create or replace view", 1) if found else None
    found = connection.execute(
        "select array_to_string(parameters, ', '), macro_definition from duckdb_functions()"
        f" {where} and function_name = ? and function_type = 'table_macro'",
        names,
    ).fetchone()
    if found is None:
        return None
    return f'create or replace macro {node.schema}."{node.alias}"({found[0]}) as table {found[1]}'
