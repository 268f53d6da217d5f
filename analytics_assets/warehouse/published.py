"""The published copy: the marts that people and BI tools read while a run writes the warehouse.

DuckDB lets nobody read a file that another process writes. So the public models are copied into a file of their own,
day by day, and the new file replaces the old one atomically: open readers go on reading the old one.

A day of a table is copied once it is recorded as made, that is, once its blocking checks have passed. For a day that
failed, the copy keeps the rows with which it last passed; if it never passed, the copy has no rows for it.
"""

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
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
from analytics_assets.partitions import (
    EVER,
    UTC_DAYS,
    WHOLE,
    Calendar,
    Read,
    Window,
    assets_of,
    by_day,
    downstream_days,
    partitioned_days,
)
from analytics_assets.settings import Settings
from analytics_assets.spec.model_node import Manifest, ModelNode, name_in
from analytics_assets.spec.source import raw_asset
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import builds_of_model
from analytics_assets.warehouse.duckdb.warehouse import IF_COPY_IS_DAMAGED, drop, translated_errors
from analytics_assets.warehouse.duckdb.warehouse import IF_DAMAGED as IF_WAREHOUSE_IS_DAMAGED

logger = logger_of(__name__)

COPY = "analytics"
"""The copy's database name: the same as the warehouse's, since the SQL of views contains it."""


def days_behind(
    manifest: Manifest,
    names: Iterable[str],
    settings: Settings,
    calendars: Mapping[str, Calendar],
    window: Window | None = None,
) -> dict[str, list[date]]:
    """By model, the days of a window on which its published copy is out of date or empty; only models with such days.

    Such a day, or one of its upstream days, however far up, was not made yet, or has an attempt that did not succeed.
    Days that are read by key do not count.

    Args:
        calendars: the days of each domain.
        window: None for all days that have a partition.
    """
    nodes = {node.name: node for node in manifest.models}
    attempts = Attempts(settings.lake_dir)
    now = datetime.now(UTC)
    elapsed = {domain: partitioned_days(settings, now, calendar) for domain, calendar in calendars.items()}

    @cache
    def behind(unique_id: str) -> frozenset[date]:
        kind, name = unique_id.partition(".")[0], name_in(unique_id)
        if kind == "source":
            return frozenset(attempts.read(raw_asset(name), EVER))
        if kind != "model":
            return frozenset()
        if name not in nodes:  # the model is broken and left out
            return frozenset(day for one in elapsed.values() for day in one.days())
        node = nodes[name]
        within = elapsed[node.domain]
        partitions = set(within.days())
        found = set(attempts.read(name, EVER)) & partitions
        if node.has_days:
            found |= partitions - set(builds_of_model(name, settings).read(name, EVER))
        parents = {name_in(parent): parent for parent in node.reads}
        reads = [*node.mappings, *(Read(parent) for parent in parents.keys() - assets_of(node.mappings))]
        return frozenset(found | downstream_days(by_day(reads), lambda parent: behind(parents[parent]), within))

    unique_ids = {name: nodes[name].unique_id if name in nodes else f"model.{name}" for name in names}
    found = {
        name: sorted(day for day in behind(unique_id) if window is None or window.holds(day))
        for name, unique_id in unique_ids.items()
    }
    return {name: days for name, days in found.items() if days}


def public_models(manifest: Manifest, domain: str) -> list[ModelNode]:
    """The models that a domain publishes, upstream models first: its tables, and the views that read only those.

    Table functions count as views.
    """
    models = {node.unique_id: node for node in manifest.models if node.is_published and node.domain == domain}
    found = {unique_id: node for unique_id, node in models.items() if node.holds_rows}
    views = {unique_id: node for unique_id, node in models.items() if unique_id not in found}
    while ready := [name for name, node in views.items() if set(node.reads) <= set(found)]:
        found |= {name: views.pop(name) for name in ready}
    return list(found.values())


@dataclass(frozen=True)
class Published:
    """What was copied for some models.

    Attributes:
        rows: how many rows each day has, over all tables.
        differing: for each copied day on which the row counts of the copy and the warehouse differ, one sentence per
            such table.
    """

    rows: Counter[date]
    differing: Mapping[date, list[str]]


def publish(
    settings: Settings, models: Mapping[str, Sequence[ModelNode]], window: Window, calendar: Calendar = UTC_DAYS
) -> dict[str, Published | Exception]:
    """Copies the days of a window that are recorded as made, for groups of models, and writes the copy once.

    Returns:
        By group, what was copied, or the error that prevented it; the other groups are copied all the same.
    """
    failed: dict[str, Exception] = {}
    while waiting := {group: nodes for group, nodes in models.items() if group not in failed}:
        try:
            with _next_copy(settings) as connection:
                copied = {
                    name: _copy(connection, settings, name, nodes, window, calendar) for name, nodes in waiting.items()
                }
            return {**copied, **failed}
        except _GroupFailed as error:  # what it wrote is thrown away with the next copy; the others are written anew
            failed[error.group] = error.why
    return {**failed}


class _GroupFailed(Exception):
    """A group of models could not be copied, for a reason of its own."""

    def __init__(self, group: str, why: Exception) -> None:
        super().__init__(str(why))
        self.group, self.why = group, why


def _copy(
    connection: DuckDBPyConnection,
    settings: Settings,
    group: str,
    nodes: Sequence[ModelNode],
    window: Window,
    calendar: Calendar,
) -> Published:
    try:
        return _copied(connection, settings, nodes, window, calendar)
    except duckdb.Error as error:
        if is_transient(error):  # the file or the disk has the fault, so all groups do
            raise
        raise _GroupFailed(group, error) from error


def _copied(
    connection: DuckDBPyConnection, settings: Settings, nodes: Sequence[ModelNode], window: Window, calendar: Calendar
) -> Published:
    first, last = calendar.first_day(settings), calendar.last_day(settings) or date.max
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
    _comment(connection, nodes)
    return Published(rows, differing)


def publish_views(settings: Settings, views: Sequence[ModelNode]) -> None:
    """Copies views that have just been made; a view whose tables are not in the copy yet comes with its next days."""
    if views and settings.published_file.exists():
        with _next_copy(settings) as connection:
            for node in views:
                _copy_view(connection, node)
            _comment(connection, views)


def unpublish(settings: Settings, models: Sequence[ModelNode]) -> None:
    """Drops some models from the copy, readers first."""
    if settings.published_file.exists() and settings.warehouse_file.exists():
        with _next_copy(settings) as connection:
            drop(connection, models, f"{COPY}.")


@contextmanager
def _next_copy(settings: Settings) -> Iterator[DuckDBPyConnection]:
    """A connection to the warehouse and to a duplicate of the copy, which replaces the copy if the block succeeds."""
    target = settings.published_file
    with only_one(target.parent / ".publish.lock"):
        sweep(target.parent)
        with replacing(target) as temporary:
            if target.exists():
                shutil.copyfile(target, temporary)
            with duckdb.connect() as connection:
                connection.execute(f"set memory_limit = '{settings.duckdb_memory_limit}'")
                connection.execute("set TimeZone = 'UTC'")
                with translated_errors(settings.warehouse_file, IF_WAREHOUSE_IS_DAMAGED):
                    connection.execute(f"attach {_quoted(settings.warehouse_file)} as warehouse (read_only)")
                with translated_errors(target, IF_COPY_IS_DAMAGED):
                    connection.execute(f"attach {_quoted(temporary)} as {COPY}")
                yield connection
                connection.execute(f"checkpoint {COPY}")
                connection.execute(f"detach {COPY}")
            # Somebody may have opened the copy to write and left a log; DuckDB would apply it to the next copy.
            target.with_name(f"{target.name}.wal").unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    return f"'{_in_quotes(str(path))}'"


def _copy_days(
    connection: DuckDBPyConnection,
    node: ModelNode,
    window: Window,
    made: Set[date],
    partitions: tuple[date, date],
) -> tuple[Counter[date], Counter[date]]:
    """Replaces, in a table of the copy, the days of a window that are made.

    Days before the first or after the last partition are deleted.

    Returns:
        How many rows the copy then holds on each day of the window, and how many the warehouse holds.
    """
    table, day = _table(node), node.day
    connection.execute(f"create schema if not exists {COPY}.{node.schema}")
    if not _columns(connection, COPY, node):
        connection.execute(f"create table {COPY}.{table} as select * from warehouse.{table} where false")
    elif _columns(connection, COPY, node) != _columns(connection, "warehouse", node):
        _make_anew(connection, node, made)
    where, days = f"where {day} >= ? and {day} < ?", [window.start, window.end]
    replaced, those = f"{where} and {_is_one_of(day)}", [*days, [one for one in window.days() if one in made]]
    connection.execute("begin")
    connection.execute(f"delete from {COPY}.{table} {replaced}", those)
    connection.execute(f"delete from {COPY}.{table} where {day} < ? or {day} > ?", [*partitions])
    connection.execute(f"insert into {COPY}.{table} select * from warehouse.{table} {replaced}", those)
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
    """Recreates a table of the copy with the warehouse's current columns and all days that are made.

    The other days keep their rows in the columns that still exist; they lose them if a value no longer fits its column.
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
    """The condition that a column holds one of some days; the days are bound as one list."""
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
    """Copies a view or a table function, unless the copy lacks the tables or columns that it reads."""
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


_KINDS = {"view": "view", "table_function": "macro table"}
"""What DuckDB calls a model in `comment on`, by its materialization, if it is no table."""


def _comment(connection: DuckDBPyConnection, nodes: Iterable[ModelNode]) -> None:
    """Gives the copy the descriptions of models and columns from their yml, as comments.

    The warehouse has none: they would cost a statement a column in every run. Here only those that differ are written.
    """
    where = f"where database_name = '{COPY}' and not internal"
    held: dict[tuple[str, ...], str | None] = {
        tuple(names): comment
        for *names, comment in connection.execute(
            f"select schema_name, table_name, '', comment from duckdb_tables() {where} union all "
            f"select schema_name, view_name, '', comment from duckdb_views() {where} union all "
            f"select schema_name, function_name, '', comment from duckdb_functions() {where} union all "
            f"select schema_name, table_name, column_name, comment from duckdb_columns() {where}"
        ).fetchall()
    }
    for node in nodes:
        place = f"{COPY}.{_table(node)}"
        said = {"": node.description, **{name: one.get("description") or "" for name, one in node.columns.items()}}
        for name, text in said.items():
            key = (node.schema, node.alias, name)
            if key not in held or (held[key] or "") == text:
                continue
            column = '"' + name.replace('"', '""') + '"'
            what = f"column {place}.{column}" if name else f"{_KINDS.get(node.materialized, 'table')} {place}"
            connection.execute(f"comment on {what} is " + (f"'{_in_quotes(text)}'" if text else "null"))


def _in_quotes(text: str) -> str:
    return text.replace("'", "''")


def _view_sql(connection: DuckDBPyConnection, node: ModelNode) -> str | None:
    """The SQL that recreates a view or a table function of the warehouse; None if it does not exist."""
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
