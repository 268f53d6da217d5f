"""What a source is: one declarative spec, from which landing, the raw asset and its checks are made.

Only the spec and what can be said of it without opening a file belong here.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from polars.datatypes import DataType, DataTypeClass

PolarsType = DataType | DataTypeClass

UNDATED = date.min
"""Day under which a snapshot without a date is kept: it holds from the first partition on."""

LINEAGE_COLUMNS: Mapping[str, PolarsType] = {
    "_extra": pl.String,  # columns that the spec does not know, as a JSON object
    "_source_file": pl.String,  # path below the source's inbox folder
    "_source_row": pl.Int64,  # 1 for the first record that could be read as one
    "_landed_at": pl.Datetime("us"),  # UTC
}
"""What landing adds to every row. `_day`, the partition's day, is the name of the folder that holds it."""

_DATE_IN_NAME = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})(?!\d)")
_FORMATS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "json lines", ".ndjson": "json lines"}


class Kind(StrEnum):
    """What a day of a source means."""

    FACTS = "facts"
    """Rows stand on the UTC day of their own time."""
    SNAPSHOT = "snapshot"
    """A file is the whole truth from its day on, until the next one."""


@dataclass(frozen=True)
class Winner:
    """One step of the rule that picks one row among those with the same key: the largest, or smallest, value."""

    column: str
    largest: bool

    @classmethod
    def parse(cls, rule: str) -> "Winner":
        """`"updated_at desc"` or `"updated_at asc"`; without a direction, `desc`."""
        column, _, direction = rule.partition(" ")
        if direction.lower() not in {"", "asc", "desc"}:
            raise ValueError(f"winner rule {rule!r} ends in {direction!r}; it can end in 'asc' or 'desc'")
        return cls(column, direction.lower() != "asc")


@dataclass(frozen=True)
class Source:
    """A kind of file that lands: where it is found, what its rows are, and which row wins.

    Attributes:
        name: lower_snake_case; names the inbox folder and the assets `landed_<name>` and `raw_<name>`.
        patterns: file names, as globs (`events-*.csv`); `.gz` may follow `.csv` and `.jsonl`.
        columns: the columns of a file, with their Polars types. A value that does not parse rejects its row.
        key: columns that identify a row within its day. A row without them is rejected.
        description: one sentence for people who read the asset graph.
        kind: facts (rows with a time of their own) or snapshot (a file that holds until the next).
        time: the column whose UTC day is the row's day. A row without it is rejected. A snapshot may do
            without: then the file's name holds its date (`companies-2025-09-10.csv`), or it holds from the start.
        timezone: the zone of times that carry none.
        winner: among rows of one day with one key, the order that picks the one that stays (`"updated_at desc"`).
            Rows that tie are told apart by a hash of the row.
        whole: columns that identify what is delivered as a whole: within a day only the rows of its newest version
            stay, by the winner rule, so that a row which that version lacks disappears.
        optional: columns that a file may lack; they are null then.
        rules: what else a row must satisfy, as a sentence and an expression that is true for good rows.
        explode: turns one JSON record into rows; it must depend on nothing but the record.
        delimiter: what separates the fields of a CSV file.
        version: raise it when the spec reads old files differently; files still in the inbox are then read again.
    """

    name: str
    patterns: tuple[str, ...]
    columns: Mapping[str, PolarsType]
    key: tuple[str, ...]
    description: str = ""
    kind: Kind = Kind.FACTS
    time: str | None = None
    timezone: str = "UTC"
    winner: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()
    rules: Mapping[str, pl.Expr] = field(default_factory=dict)
    explode: Callable[[dict[str, Any]], Iterable[dict[str, Any]]] | None = None
    delimiter: str = ","
    version: int = 1

    def __post_init__(self) -> None:
        ZoneInfo(self.timezone)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"source name {self.name!r} must be lower_snake_case")
        if self.kind is Kind.FACTS and self.time is None:
            raise ValueError(f"source {self.name}: facts need the column that holds their time")
        named = [*self.key, *(w.column for w in self.winners), *self.whole, *self.optional]
        named += [self.time] if self.time else []
        if unknown := sorted(set(named) - set(self.columns)):
            raise ValueError(f"source {self.name}: {', '.join(unknown)} is not among its columns")
        if reserved := sorted(c for c in self.columns if c.startswith("_")):
            raise ValueError(f"source {self.name}: {', '.join(reserved)}: names that begin with _ are landing's own")
        if not self.key:
            raise ValueError(f"source {self.name}: a source needs a key")
        if self.whole and not self.winner:
            raise ValueError(f"source {self.name}: what is delivered as a whole needs a winner rule")

    @property
    def winners(self) -> tuple[Winner, ...]:
        """The steps of the winner rule, first to last."""
        return tuple(Winner.parse(rule) for rule in self.winner)

    @property
    def schema(self) -> dict[str, PolarsType]:
        """Columns and types of a landed row."""
        return {**self.columns, **LINEAGE_COLUMNS}

    @property
    def required(self) -> frozenset[str]:
        """Columns that no row may leave empty."""
        return frozenset(self.key) | ({self.time} if self.time else set())

    def matches(self, path: str) -> bool:
        """Whether a path in the inbox folder is a file of this source."""
        name = PurePosixPath(path).name
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)

    def snapshot_day(self, path: str) -> date:
        """The day from which a snapshot file holds, by its name; UNDATED without one.

        Raises:
            ValueError: the name holds eight digits that are no date.
        """
        found = _DATE_IN_NAME.search(PurePosixPath(path).name)
        if not found:
            return UNDATED
        try:
            return date(*(int(part) for part in found.groups()))
        except ValueError:
            raise ValueError(f"the name holds {found.group()!r}, which is no date") from None


def file_format(path: str) -> str:
    """`csv`, `parquet` or `json lines`, by the file's ending.

    Raises:
        ValueError: none of the endings that can be read.
    """
    suffix = PurePosixPath(path.removesuffix(".gz")).suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"its ending is none of {', '.join(sorted(_FORMATS))} (.gz may follow)")
    return _FORMATS[suffix]
