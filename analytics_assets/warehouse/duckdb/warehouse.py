"""The warehouse on a laptop: one DuckDB file, which one process at a time may write."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from dagster import ConfigurableIOManager
from dagster_duckdb import DuckDBResource

from analytics_assets.foundation.failures import is_transient
from analytics_assets.foundation.files import Damaged
from analytics_assets.partitions import Window
from analytics_assets.spec.asset import Asset
from analytics_assets.spec.model_node import Manifest, ModelNode
from analytics_assets.warehouse.interface import CannotRead, NotMade, Reader, Rows, Warehouse
from analytics_assets.warehouse.raw_day_writer import ParquetByDay

ONE_WRITER = "warehouse"
"""The pool of all steps that write or read the file: only one of them runs at a time."""


IF_DAMAGED = "delete it, with its .wal; everything in it is made again from the lake"
IF_COPY_IS_DAMAGED = "delete it; it is made again from the warehouse"


class DuckDBReader(Reader):
    """A read-only connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, file: Path, if_damaged: str) -> None:
        self._connection, self._file, self._if_damaged = connection, file, if_damaged

    def rows(self, sql: str) -> Rows:
        found = self._execute(sql)
        return Rows([column[0] for column in found.description or []], found.fetchall())

    def frame(self, sql: str) -> pl.DataFrame:
        return self._execute(sql).pl()

    def bytes_read(self, sql: str) -> int:
        return 0  # reading costs nothing

    def _execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql)
        except duckdb.CatalogException as error:
            raise NotMade(str(error)) from error
        except _DAMAGE as error:
            raise Damaged(f"{self._file} is damaged ({_first_line(error)}): {self._if_damaged}") from error


@contextmanager
def opened(file: Path, if_damaged: str, **options: Any) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a database, open for the block.

    Args:
        if_damaged: what to do about a file that is no database, as the end of a sentence.
        options: the options of `duckdb.connect`.

    Raises:
        CannotRead: another program holds the file, or it may not be opened.
        Damaged: the file is no DuckDB database, or is incomplete.
    """
    with translated_errors(file, if_damaged):
        connection = duckdb.connect(str(file), **options)
    with connection:
        connection.execute("set TimeZone = 'UTC'")  # current_date follows it, too
        yield connection


@contextmanager
def translated_errors(file: Path, if_damaged: str) -> Iterator[None]:
    """Translates the errors of opening a database: the message names the file and says what to do.

    Raises:
        CannotRead, Damaged: as `opened`.
    """
    try:
        yield
    except duckdb.Error as error:
        if is_transient(error) or _NOT_NOW.search(str(error)):
            raise CannotRead(str(error)) from error
        raise Damaged(f"{file} is damaged ({_first_line(error)}): {if_damaged}") from error


_DAMAGE = (duckdb.SerializationException, duckdb.InternalException, duckdb.FatalException)
"""What DuckDB raises when the content of a file makes no sense."""

_NOT_NOW = re.compile(
    r"permission denied|read-only file system|different configuration|older version|newer version", re.I
)
"""What DuckDB says about a file that it cannot open now, although it is not damaged."""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def drop(connection: duckdb.DuckDBPyConnection, models: Iterable[ModelNode], database: str = "") -> None:
    """Drops the tables, views and table functions of some models, as far as they are there.

    Args:
        database: the prefix that names the database; empty for the connection's own.
    """
    for model in models:
        kind = {"view": "view", "table_function": "macro table"}.get(model.materialized, "table")
        name = '"' + model.alias.replace('"', '""') + '"'
        connection.execute(f"drop {kind} if exists {database}{model.schema}.{name}")


class DuckDBWarehouse(Warehouse):
    """The file `data/warehouse/analytics.duckdb`."""

    kind = profile = "duckdb"
    bills_bytes = False
    blocks_readers = True
    text_type, ratio_type = "varchar", "double"

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        file = self.settings.warehouse_file
        if not file.exists():
            raise NotMade(f"there is no {file.name} yet")
        limit = self.settings.duckdb_memory_limit
        with opened(file, IF_DAMAGED, read_only=True, config={"memory_limit": limit}) as connection:
            connection.execute(f"set file_search_path = {self.text(str(self.settings.raw_dir))}")
            yield DuckDBReader(connection, file, IF_DAMAGED)

    @contextmanager
    def reading_published(self) -> Iterator[Reader]:
        file = self.settings.published_file
        if not file.exists():
            raise NotMade(f"there is no published copy yet, {file}")
        limit = self.settings.duckdb_memory_limit
        with opened(file, IF_COPY_IS_DAMAGED, read_only=True, config={"memory_limit": limit}) as connection:
            yield DuckDBReader(connection, file, IF_COPY_IS_DAMAGED)

    def published_days(self, name: str, window: Window) -> list[Window]:
        return [window]

    def require_writable(self) -> None:
        if self.settings.warehouse_file.exists():
            with opened(self.settings.warehouse_file, IF_DAMAGED):
                pass

    def lacking(self, assets: Iterable[Asset], manifest: Manifest) -> set[str]:
        """Finds tables that somebody dropped. The records themselves notice a deleted file."""
        nodes = [manifest.made[asset.name] for asset in assets if asset.name in manifest.made]
        wanted = {(node.schema, node.alias): node.name for node in nodes}
        try:
            with self.reading() as reader:
                sql = "select table_schema, table_name from information_schema.tables"
                held = {(schema, table) for schema, table in reader.rows(sql).rows}
                sql = "select schema_name, function_name from duckdb_functions() where function_type = 'table_macro'"
                held |= {(schema, function) for schema, function in reader.rows(sql).rows}
        except NotMade:
            return set()
        return {name for table, name in wanted.items() if table not in held}

    def delete_rows(self, table: str, condition: str) -> None:
        with opened(self.settings.warehouse_file, IF_DAMAGED) as connection:
            connection.execute(f"delete from {table} where {condition}")

    def pool(self, domain: str) -> str:
        return ONE_WRITER

    def lake(self) -> ConfigurableIOManager:
        return ParquetByDay(folder=str(self.settings.raw_dir), retry_wait_seconds=self.settings.retry_wait_seconds)

    def resources(self) -> Mapping[str, Any]:
        config = {"file_search_path": str(self.settings.raw_dir)}
        return {"duckdb": DuckDBResource(database=str(self.settings.warehouse_file), connection_config=config)}

    def naming(self) -> Mapping[str, Any]:
        return {"warehouse_file": self.settings.warehouse_file.name}

    def variables(self) -> Mapping[str, Any]:
        return {"warehouse_file": str(self.settings.warehouse_file), "memory_limit": self.settings.duckdb_memory_limit}

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def text(self, value: str) -> str:
        return "'" + value.replace("'", "''") + "'"
