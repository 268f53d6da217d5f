"""The interface to the warehouse for everything except dbt: rows, SQL dialect, and who may write at the same time.

DuckDB and BigQuery implement it in folders of their own. Elsewhere, only the settings, the place of the records and the
parse of the dbt project depend on the kind of warehouse.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
from dagster import ConfigurableIOManager

from analytics_assets.partitions import Window
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import Asset
from analytics_assets.spec.model_node import Manifest


class NotMade(Exception):
    """A query reads a table or view that was never made."""


class CannotRead(Exception):
    """The warehouse cannot be reached, or refuses the query; the message says why."""


@dataclass(frozen=True)
class Rows:
    """The result of a query.

    Attributes:
        names: the column names.
        rows: in the order in which the warehouse returned them.
    """

    names: Sequence[str]
    rows: Sequence[tuple[Any, ...]]

    @cached_property
    def sorted(self) -> list[dict[str, Any]]:
        """The rows as dicts, sorted by their values, nulls last: the order is the same in every run."""
        in_order = sorted(self.rows, key=lambda row: [(value is None, value) for value in row])
        return [dict(zip(self.names, row, strict=True)) for row in in_order]


class Reader(ABC):
    """An open read-only connection.

    Its methods raise NotMade if a table does not exist, and CannotRead if it may not be read, or not now.
    """

    @abstractmethod
    def rows(self, sql: str) -> Rows:
        """The rows of a query as Python's values."""

    @abstractmethod
    def frame(self, sql: str) -> pl.DataFrame:
        """The rows of a query as a frame."""

    @abstractmethod
    def bytes_read(self, sql: str) -> int:
        """The bytes that a statement would read and be billed for, without running it."""


class Warehouse(ABC):
    """The database that holds the models.

    Attributes:
        kind: its name, as in dbt and in the setting.
        profile: dbt's profile, in dbt_project/profiles.yml.
        bills_bytes: whether reading costs money.
        blocks_readers: whether nobody can read while a run writes, so that people need a copy.
        text_type, ratio_type: its types for texts of any length and for 64-bit floats.
    """

    kind: str
    profile: str
    bills_bytes: bool
    blocks_readers: bool
    text_type: str
    ratio_type: str

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @abstractmethod
    def reading(self) -> AbstractContextManager[Reader]:
        """A connection to the warehouse, open for the block.

        Raises:
            NotMade: there is no warehouse yet.
            CannotRead: the warehouse does not accept the caller's credentials.
        """

    @abstractmethod
    def reading_published(self) -> AbstractContextManager[Reader]:
        """A connection to what people read, open for the block: the published copy if there is one.

        Raises:
            NotMade: nothing was published yet.
            CannotRead: the warehouse does not accept the caller's credentials.
        """

    @abstractmethod
    def published_days(self, name: str, window: Window) -> list[Window]:
        """The days of a table that people may see through `reading_published`.

        A copy keeps a failed day as it last passed. Without a copy, the table may hold the rows that failed.
        """

    @abstractmethod
    def require_writable(self) -> None:
        """Fails at once with a clear error if dbt would retry for minutes or say less: a lock, an invalid key."""

    @abstractmethod
    def lacking(self, assets: Iterable[Asset], manifest: Manifest) -> set[str]:
        """The names of the assets whose table is gone; their records no longer hold."""

    @abstractmethod
    def delete_rows(self, table: str, condition: str) -> None:
        """Deletes rows of a table of the project's own; only a step in the pool of the table's domain may."""

    @abstractmethod
    def pool(self, domain: str) -> str:
        """The pool of the steps that write a domain's tables, or must not read during the writes."""

    @abstractmethod
    def lake(self) -> ConfigurableIOManager:
        """The IO manager that writes raw days to where models read them."""

    @abstractmethod
    def resources(self) -> Mapping[str, Any]:
        """Dagster's own resource for the warehouse, for hand-written assets beside the models."""

    @abstractmethod
    def naming(self) -> Mapping[str, Any]:
        """The dbt variables that the full names of tables depend on."""

    @abstractmethod
    def variables(self) -> Mapping[str, Any]:
        """The variables that dbt's profile and macros need in a run; no secrets."""

    @abstractmethod
    def quoted(self, name: str) -> str:
        """A column's name, quoted and escaped."""

    @abstractmethod
    def text(self, value: str) -> str:
        """A text as an SQL literal."""


def between(day: str, window: Window) -> str:
    """The days of a window as a condition on the day column."""
    return f"{day} >= date '{window.start}' and {day} < date '{window.end}'"


def on_days(day: str, windows: Sequence[Window]) -> str:
    """The days of some windows as a condition; without windows it matches no day."""
    return " or ".join(f"({between(day, window)})" for window in windows) or "false"
