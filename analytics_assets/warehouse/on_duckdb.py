"""The warehouse on a laptop: one DuckDB file, which one process at a time may write."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import duckdb
import polars as pl
from dagster import ConfigurableIOManager
from dagster_duckdb import DuckDBResource

from analytics_assets.warehouse.lake import ParquetByDay
from analytics_assets.warehouse.warehouse import NotMade, Reader, Rows, Warehouse

ONE_WRITER = "warehouse"
"""The pool of all steps that write or read the file: no two of them run at a time."""


class DuckDBReader(Reader):
    """A connection that cannot write."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def rows(self, sql: str) -> Rows:
        found = self._execute(sql)
        return Rows([column[0] for column in found.description or []], found.fetchall())

    def frame(self, sql: str) -> pl.DataFrame:
        return self._execute(sql).pl()

    def bytes_read(self, sql: str) -> int:
        return 0  # nobody bills them

    def _execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql)
        except duckdb.CatalogException as error:
            raise NotMade(str(error)) from error


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
        with duckdb.connect(str(file), read_only=True, config={"memory_limit": limit}) as connection:
            yield DuckDBReader(connection)

    def see_that_it_can_be_written(self) -> None:
        if self.settings.warehouse_file.exists():
            duckdb.connect(str(self.settings.warehouse_file)).close()

    def lacking(self, names: Iterable[str]) -> set[str]:
        return set()  # a deleted file is noticed by the records themselves

    def pool(self, domain: str) -> str:
        return ONE_WRITER

    def lake(self) -> ConfigurableIOManager:
        return ParquetByDay(folder=str(self.settings.raw_dir), retry_wait_seconds=self.settings.retry_wait_seconds)

    def resources(self) -> Mapping[str, Any]:
        return {"duckdb": DuckDBResource(database=str(self.settings.warehouse_file))}

    def naming(self) -> Mapping[str, Any]:
        return {"warehouse_file": self.settings.warehouse_file.name}

    def variables(self) -> Mapping[str, Any]:
        return {"warehouse_file": str(self.settings.warehouse_file), "memory_limit": self.settings.duckdb_memory_limit}

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def text(self, value: str) -> str:
        return "'" + value.replace("'", "''") + "'"
