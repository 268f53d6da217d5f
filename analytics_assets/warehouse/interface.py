"""What Python asks of the warehouse beside what dbt does in it: rows, how its SQL is written, who may write at once.

DuckDB and BigQuery answer in rooms of their own. Outside them, only settings, the place of records and the parse of the
dbt project depend on which it is.
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
    """A table or view that is read was never made."""


class CannotRead(Exception):
    """The warehouse cannot be reached, or refuses what it was asked; the message says why."""


@dataclass(frozen=True)
class Rows:
    """What a query gave.

    Attributes:
        names: of the columns.
        rows: in the order in which the warehouse gave them.
    """

    names: Sequence[str]
    rows: Sequence[tuple[Any, ...]]

    @cached_property
    def sorted(self) -> list[dict[str, Any]]:
        """The rows as dicts, in the order of their values, nulls last: the same again in the next run."""
        in_order = sorted(self.rows, key=lambda row: [(value is None, value) for value in row])
        return [dict(zip(self.names, row, strict=True)) for row in in_order]


class Reader(ABC):
    """An open connection that reads.

    Its methods raise NotMade when a table is not there, and CannotRead when it may not be read, or not now.
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
    """Where the models live.

    Attributes:
        kind: its name, as dbt and the setting say it.
        profile: of dbt, in dbt_project/profiles.yml.
        bills_bytes: whether what is read costs money.
        blocks_readers: whether nobody can read while a run writes, so that people need a copy.
        text_type, ratio_type: its names of texts of any length and of 64-bit floats.
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
        """A connection, for as long as the block lasts.

        Raises:
            NotMade: there is no warehouse yet.
            CannotRead: who asks is not known to it.
        """

    @abstractmethod
    def reading_published(self) -> AbstractContextManager[Reader]:
        """A connection to what people read, for as long as the block lasts: the published copy, where there is one.

        Raises:
            NotMade: nothing was published yet.
            CannotRead: who asks is not known to it.
        """

    @abstractmethod
    def published_days(self, name: str, window: Window) -> list[Window]:
        """Those days of a table that people may see in what `reading_published` reads.

        A copy holds a day that failed as it last passed. Where there is none, the table may hold it as it failed.
        """

    @abstractmethod
    def see_that_it_can_be_written(self) -> None:
        """Fails at once with a clear error where dbt would retry for minutes or say less: a lock, an invalid key."""

    @abstractmethod
    def lacking(self, assets: Iterable[Asset], manifest: Manifest) -> set[str]:
        """The names of those of some assets whose table is gone: nothing that is recorded of them holds."""

    @abstractmethod
    def pool(self, domain: str) -> str:
        """The pool of the steps that write a domain's tables, or that must not read while they are written."""

    @abstractmethod
    def lake(self) -> ConfigurableIOManager:
        """What writes raw days to where models read them."""

    @abstractmethod
    def resources(self) -> Mapping[str, Any]:
        """Dagster's own resource for it, for whoever writes assets beside the models."""

    @abstractmethod
    def naming(self) -> Mapping[str, Any]:
        """What the full names of tables depend on, as variables of dbt."""

    @abstractmethod
    def variables(self) -> Mapping[str, Any]:
        """What dbt's profile and macros need to know in a run, as variables; no secrets."""

    @abstractmethod
    def quoted(self, name: str) -> str:
        """A column's name that means itself, whatever is in it."""

    @abstractmethod
    def text(self, value: str) -> str:
        """A text as a literal."""


def between(day: str, window: Window) -> str:
    """The days of a window as a condition on the column that holds the day."""
    return f"{day} >= date '{window.start}' and {day} < date '{window.end}'"


def on_days(day: str, windows: Sequence[Window]) -> str:
    """The days of some windows as a condition; no day at all where there are none."""
    return " or ".join(f"({between(day, window)})" for window in windows) or "false"
