"""What a source is: one declarative spec, from which landing, the raw asset and its checks are made.

Only the spec, and what follows from it without opening a file, belongs here.
"""

import fnmatch
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import date
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Literal, get_args
from zlib import crc32
from zoneinfo import ZoneInfo

import polars as pl
from polars.datatypes import DataType, DataTypeClass

from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import UTC_DAYS, Calendar
from analytics_assets.settings import PLAUSIBLE_YEARS

PolarsType = DataType | DataTypeClass

EpochUnit = Literal["s", "ms", "us", "ns"]

UNDATED = date.min
"""The day in a path without a date.

A snapshot then holds from the first partition on; a delivery is of the day on which it landed.
"""

REPEAT = "_repeat"
"""The last name of a primary key whose columns do not tell all rows of a file apart.

Landing numbers the rows that are equal in those columns, from 1 in the order of the file.
"""

LINEAGE_COLUMNS: Mapping[str, PolarsType] = {
    "_extra": pl.String,  # columns that the spec does not know, as a JSON object
    "_source_file": pl.String,  # path below the source's inbox folder
    "_source_row": pl.Int64,  # 1 for the first record; for JSON Lines, 1 for the first row
    "_landed_at": pl.Datetime("us"),  # UTC
}
"""The columns that landing adds to every row. `_day`, the partition's day, is the name of the row's folder."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CLOCK = r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d(?:\d{3}){0,3})?)?"
_DATE_IN_NAME = re.compile(rf"(?<!\d)(\d{{4}})([-_.]?)(\d{{2}})\2(\d{{2}})(?:{_CLOCK})?(?!\d)")
_MONTH, _DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_BETWEEN = r"(/(?:\w+=)?|[-_.]?)"
_DATE_IN_FOLDERS = re.compile(rf"(?<!\d)(\d{{4}}){_BETWEEN}(\d{{2}}){_BETWEEN}(\d{{2}})(?:{_CLOCK})?(?!\d)")
_LIKE_A_DATE = re.compile(
    r"(?<!\d)(?:"
    r"\d{4}([-_.])\d{2}\1\d{2}"  # 2026-02-30, 9999-12-31
    r"|\d{1,2}[-_.]\d{1,2}[-_.]\d{4}"  # 5-1-2026
    r"|\d{2}[-_.]\d{2}[-_.]\d{2}"  # 05-01-26
    r"|(?:19|20|21)\d{2}(?:[-_.][wW]?\d{1,3}){0,2}"  # 2026, 2026-01, 2026-1-5, 2026-W02
    r"|(?:19|20|21)\d{2}(?:0[1-9]|1[0-2])(?:\d{6,8})?"  # 202601
    r"|(?:19|20|21)\d{2}(?:[0-2]\d\d|3[0-6]\d)"  # 2026005
    rf"|[23]\d{_MONTH}{_DAY}|{_DAY}{_MONTH}[23]\d|{_MONTH}{_DAY}[23]\d"  # 260105, 050126, 010526
    r"|\d{8}"  # 05012026
    r")(?!\d)"
)
_PART_NUMBER = re.compile(rf"{_UUID.pattern}|(?<!\d)\d{{1,6}}(?!\d)", re.IGNORECASE)
_FORMATS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "json lines", ".ndjson": "json lines"}


def any_format(*starts: str) -> tuple[str, ...]:
    """The patterns of files whose names begin so, in each format that lands."""
    return tuple(
        f"{start}*.{ending}" for start in starts for ending in ("csv", "csv.gz", "parquet", "jsonl", "jsonl.gz")
    )


def raw_asset(source: str) -> str:
    """The name of the asset of a source's raw days."""
    return f"raw_{source}"


class Kind(StrEnum):
    """What a day of a source means."""

    FACTS = "facts"
    """Rows stand on the day of their own time, in the time zone of the domain's days."""
    SNAPSHOT = "snapshot"
    """A file holds everything that is true from its day on, until the next file."""
    DELIVERY = "delivery"
    """Rows have no time of their own and stand on the day of their delivery; a day without one is empty."""


@dataclass(frozen=True)
class DedupStep:
    """One step of the dedup order, which picks one row per key: the row with the largest, or smallest, value."""

    column: str
    largest: bool

    @classmethod
    def parse(cls, rule: str) -> "DedupStep":
        """Parses `"updated_at desc"` or `"updated_at asc"`; the default direction is `desc`."""
        column, _, direction = rule.partition(" ")
        if direction.lower() not in {"", "asc", "desc"}:
            raise ValueError(f"dedup order {rule!r} ends in {direction!r}; it can end in 'asc' or 'desc'")
        return cls(column, direction.lower() != "asc")


@dataclass(frozen=True)
class Source:
    """A kind of file that lands: where it is found, what its rows are, and which row is kept per key.

    Attributes:
        name: lower_snake_case; names the inbox folder and the assets `landed_<name>` and `raw_<name>`.
        patterns: globs of file names (`events-*.csv`); `.gz` may follow `.csv` and `.jsonl`.
        columns: the columns of a file, with their Polars types. A value that does not parse rejects its row.
        primary_key: columns that identify a row within its day. A row without them is rejected. Where rows have no id,
            its last name is `_repeat`, which numbers the rows of one day of one file that are equal in the columns
            before it: 1, 2, 3, in the order of the file. So a file that is delivered again adds nothing, and rows
            that are twice in one file count twice.
        may_be_empty: columns of the primary key that a row may leave empty; rows that do are equal in them.
        description: one sentence for people who read the asset graph.
        kind: facts (rows with a time of their own), snapshot (a file that holds until the next) or delivery (rows that
            stand on the day on which they were delivered).
        time: the column whose day is the row's day. A row without it is rejected. A snapshot may have none:
            then its path holds its date (`companies-2025-09-10.csv`), or it holds from the first partition on. A
            delivery has none: its day is the date in its path, or else the one on which its bytes landed first.
        timezone: the zone of times that carry none.
        epoch: the time columns that may hold a number since 1970, and its unit: `{"at": "ms"}`. A number in any other
            time column is no time.
        plausible: the first and last day that a row's own time may have; rows with others are rejected.
        dedup_order: the order that picks the row to keep among rows with one day and key (`"updated_at desc"`). Ties
            are broken by a hash of the row.
        whole: columns that identify what is delivered as a whole: within a day, only the rows of its newest version
            (by the dedup order) are kept, so a row that this version lacks disappears.
        complete: whether the files of one day of delivery are together the whole table, so that a key that they lack
            is withdrawn. Its staging model says so with the macro `with_withdrawn`.
        optional: columns that a file may lack; they are then null.
        aliases: other names that a column has in files, by the column's own: `{"order_id": ("Order ID", "orderId")}`.
        null_values: texts that stand for no value, such as `NA` or `-`: of all columns, or by column.
        time_formats: the format of a column of times or dates that is not ISO 8601, as `strftime` writes it:
            `{"ordered_at": "%d/%m/%Y %H:%M"}`. Then only texts in this format are read.
        rules: what else a row must satisfy, as a sentence and an expression that is true for good rows.
        derived: columns that landing computes from a row's own columns, as typed; the dedup order may name them:
            `{"last_event_at": pl.max_horizontal("ordered_at", "paid_at")}`. A file's column of that name is unknown.
        explode: turns one JSON record into rows; it must depend only on the record.
        delimiter: what separates the fields of a CSV file.
        header: whether a CSV file begins with the names of its columns. If not, they come in the order of the spec.
        skip_lines: how many lines of a CSV file stand above its header, or its first record: a title, an export stamp.
        encoding: of the text files, by Python's name for it (`cp1252`).
        decimal, thousands: what stands before the fraction of a number of a CSV file, and between its groups of three
            digits (a space is any kind of space).
        version: raise it when the spec reads old files differently; files still in the inbox are then read again.
        calendar: which days have a partition, and in which time zone a day of a row begins: its domain's.
    """

    name: str
    patterns: tuple[str, ...]
    columns: Mapping[str, PolarsType]
    primary_key: tuple[str, ...]
    description: str = ""
    kind: Kind = Kind.FACTS
    time: str | None = None
    timezone: str = "UTC"
    epoch: Mapping[str, EpochUnit] = field(default_factory=dict)
    plausible: tuple[date, date] = (date.min, date.max)
    dedup_order: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    complete: bool = False
    may_be_empty: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    null_values: tuple[str, ...] | Mapping[str, tuple[str, ...]] = ()
    time_formats: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, pl.Expr] = field(default_factory=dict)
    derived: Mapping[str, pl.Expr] = field(default_factory=dict)
    explode: Callable[[dict[str, Any]], Iterable[dict[str, Any]]] | None = None
    delimiter: str = ","
    header: bool = True
    skip_lines: int = 0
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    version: int = 1
    calendar: Calendar = UTC_DAYS

    def __post_init__(self) -> None:
        ZoneInfo(self.timezone)
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            raise ValueError(f"source name {self.name!r} must be lower_snake_case")
        if self.kind is Kind.FACTS and self.time is None:
            raise ValueError(f"source {self.name}: facts need the column that holds their time")
        if self.kind is Kind.DELIVERY and self.time is not None:
            raise ValueError(f"source {self.name}: a delivery's rows stand on its day; they have no time of their own")
        if self.complete and self.kind is not Kind.DELIVERY:
            raise ValueError(f"source {self.name}: only a delivery may be complete")
        of_dedup = [step.column for step in self.dedup_steps if step.column not in self.derived]
        named = [*self.key_columns, *of_dedup, *self.whole, *self.optional, *self.epoch]
        named += [*([self.time] if self.time else []), *self.aliases, *self.time_formats]
        named += self.null_values if isinstance(self.null_values, Mapping) else []
        if unknown := sorted(set(named) - set(self.columns)):
            raise ValueError(f"source {self.name}: {', '.join(unknown)} is not among its columns")
        if reserved := sorted(c for c in [*self.columns, *self.derived] if c.startswith("_")):
            raise ValueError(f"source {self.name}: {', '.join(reserved)}: names that begin with _ are landing's own")
        if unread := sorted(set(self.epoch.values()) - set(get_args(EpochUnit))):
            raise ValueError(f"source {self.name}: an epoch counts in s, ms, us or ns, not in {', '.join(unread)}")
        if len(self.delimiter) != 1 or not self.delimiter.isascii() or self.delimiter in '"\r\n':
            raise ValueError(f"source {self.name}: {self.delimiter!r} cannot delimit the fields of a CSV file")
        if not self.key_columns:
            raise ValueError(f"source {self.name}: a source needs a primary key")
        if beside := sorted(self.may_be_empty - set(self.key_columns)):
            raise ValueError(f"source {self.name}: {', '.join(beside)} may be empty anyway; only its key may not")
        if not self.required:
            raise ValueError(f"source {self.name}: a row may not leave all columns of its key empty")
        if REPEAT in self.primary_key[:-1]:
            raise ValueError(f"source {self.name}: {REPEAT} numbers rows of one key, so it is the last name of the key")
        if self.whole and not self.dedup_order:
            raise ValueError(f"source {self.name}: what is delivered as a whole needs a dedup order")
        self._check_texts()
        self._check_derived()

    def _check_texts(self) -> None:
        names = Counter([*self.columns, *self.derived, *(alias for names in self.aliases.values() for alias in names)])
        if twice := sorted(name for name, times in names.items() if times > 1):
            raise ValueError(f"source {self.name}: {', '.join(twice)} names more than one column, or one twice")
        for column, form in self.time_formats.items():
            if self.columns[column] not in (pl.Date, pl.Datetime):
                raise ValueError(f"source {self.name}: {column} has the format of a time, and is none")
            if column in self.epoch or "%" not in form:
                raise ValueError(f"source {self.name}: {form!r} is no format of the times of {column}")
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ValueError(f"source {self.name}: {self.encoding!r} is no encoding of text") from error
        if self.decimal == self.thousands:
            raise ValueError(f"source {self.name}: {self.decimal!r} cannot stand for two things in one number")
        others = [pattern for pattern in self.patterns if not pattern.removesuffix(".gz").endswith(".csv")]
        if others and (self.decimal != "." or self.thousands or not self.header or self.skip_lines):
            raise ValueError(
                f"source {self.name}: {others[0]}: only CSV files lack a header, have lines above it, or write numbers "
                "otherwise"
            )
        if self.skip_lines < 0:
            raise ValueError(f"source {self.name}: {self.skip_lines} lines cannot be skipped")

    def _check_derived(self) -> None:
        for name, value in self.derived.items():
            meta = value.meta
            if unknown := sorted(set(meta.root_names()) - set(self.columns)):
                raise ValueError(f"source {self.name}: {name} is derived from {', '.join(unknown)}, which is no column")
            if meta.has_multiple_outputs() or not meta.root_names() or not meta.is_row_separable():
                raise ValueError(f"source {self.name}: {name} is not derived from the columns of its own row alone")
        try:
            _ = self.types_of_derived
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"source {self.name}: a derived column cannot be computed: {error}") from error

    @property
    def types_of_derived(self) -> dict[str, PolarsType]:
        """The derived columns and their types."""
        if not self.derived:
            return {}
        no_rows = pl.DataFrame(schema=dict(self.columns))
        return dict(no_rows.select(**self.derived).schema)

    @property
    def column_of_alias(self) -> Mapping[str, str]:
        """The columns by their aliases."""
        return {alias: column for column, aliases in self.aliases.items() for alias in aliases}

    def nulls_of(self, column: str) -> tuple[str, ...]:
        """The texts that stand for no value in a column."""
        return self.null_values.get(column, ()) if isinstance(self.null_values, Mapping) else self.null_values

    @property
    def reading(self) -> int:
        """A number that changes when files are to be read again: by another version, or into days of another zone."""
        zone = self.calendar.timezone
        return self.version if zone == "UTC" else self.version + (crc32(zone.encode()) << 16)

    @property
    def reads_by(self) -> str:
        """A digest of what decides how a file is read, beside `reading`.

        Of the rules it holds their sentences, of derived columns their names and types: an expression is written
        otherwise by each version of Polars.

        What a field says by default is left out, so a field that is new changes no digest.
        """
        deciding = {one.name: one for one in fields(self) if one.name not in _READS_NO_FILE}
        said = {name: value for name, one in deciding.items() if (value := getattr(self, name)) != _default(one)}
        types = [(column, str(dtype)) for column, dtype in self.columns.items()]
        said["columns"] = sorted(types) if self.header else types
        said["rules"], said["explode"] = sorted(self.rules), self.explode is not None
        if self.derived:
            said["derived"] = sorted((column, str(dtype)) for column, dtype in self.types_of_derived.items())
        return digest([json.dumps(said, sort_keys=True, default=_as_json)])

    @property
    def dedup_steps(self) -> tuple[DedupStep, ...]:
        """The steps of the dedup order, first to last."""
        return tuple(DedupStep.parse(rule) for rule in self.dedup_order)

    @property
    def has_repeats(self) -> bool:
        """Whether landing numbers the rows that are equal in the columns of their key."""
        return REPEAT in self.primary_key

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of a file that the primary key names: all of it, but for the number that landing gives."""
        return tuple(name for name in self.primary_key if name != REPEAT)

    @property
    def landed_asset(self) -> str:
        """The name of the asset of its files."""
        return f"landed_{self.name}"

    @property
    def raw_asset(self) -> str:
        """The name of the asset of its raw days."""
        return raw_asset(self.name)

    @property
    def schema(self) -> dict[str, PolarsType]:
        """Columns and types of a landed row."""
        repeat = {REPEAT: pl.Int64} if self.has_repeats else {}
        return {**self.columns, **self.types_of_derived, **repeat, **LINEAGE_COLUMNS}

    @property
    def required(self) -> frozenset[str]:
        """Columns that no row may leave empty."""
        return frozenset(self.key_columns) - self.may_be_empty | ({self.time} if self.time else set())

    def matches(self, path: str) -> bool:
        """Whether a path in the inbox folder is a file of this source."""
        name = PurePosixPath(path).name
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns)

    def day_in_path(self, path: str) -> date:
        """The day of a snapshot or delivery: from the file's name, or else from its innermost folder with a date.

        Without anything like a date, it is UNDATED.

        Raises:
            ValueError: the name holds several days, or digits that look like a date but give no day.
        """
        name, folders = _without_uuids(path)
        in_name, in_folders = _days_in(_DATE_IN_NAME, name), _days_in(_DATE_IN_FOLDERS, folders)
        if len(set(in_name)) > 1:
            several = " and ".join(str(day) for day in sorted(set(in_name)))
            raise ValueError(f"its name holds {several}; {_HOW_TO_NAME_IT}")
        if found := in_name or in_folders:
            return found[-1]
        if like := _LIKE_A_DATE.search(name) or _LIKE_A_DATE.search(folders):
            raise ValueError(f"its name holds {like[0]!r}, which is no date that is understood; {_HOW_TO_NAME_IT}")
        return UNDATED

    def identity(self, path: str, digest: str) -> str:
        """What makes two files the same: the hash of their bytes; also a snapshot's path, or the day of a delivery.

        Raises:
            ValueError: the day in the path of a delivery is not clear.
        """
        prefix = ""
        if self.kind is Kind.SNAPSHOT:
            prefix = f"{path}:"
        elif self.kind is Kind.DELIVERY:
            prefix = f"{self.day_in_path(path)}:"
        return f"{prefix}{digest}:v{self.reading}"

    def snapshot_key(self, path: str) -> str:
        """A key that all files of one snapshot share: within a folder that holds their day, they differ by a number.

        (`date=2026-01-05/part-0.csv` and `date=2026-01-05/part-1.csv`.) Any other file is a snapshot by itself.
        """
        name, folders = _without_uuids(path)
        if _days_in(_DATE_IN_NAME, name) or not _days_in(_DATE_IN_FOLDERS, folders):
            return path
        whole = PurePosixPath(path)
        return f"{whole.parent}/{_PART_NUMBER.sub(lambda found: found[0] if '-' in found[0] else '#', whole.name)}"


_READS_NO_FILE = frozenset(
    {"name", "patterns", "description", "dedup_order", "whole", "complete", "version", "calendar"}
)
"""The fields of a spec that decide nothing of how a file is read, or have a number of their own for it."""


def _default(one: "Field[Any]") -> object:
    return one.default if one.default_factory is MISSING else one.default_factory()


def _as_json(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return sorted(value) if isinstance(value, frozenset | set) else str(value)


_HOW_TO_NAME_IT = "write its day into its name, as 2026-01-05"


def _without_uuids(path: str) -> tuple[str, str]:
    """The name of a file and its folders, both without UUIDs, whose digits could look like a date."""
    whole = PurePosixPath(path)
    return _UUID.sub("", whole.name), _UUID.sub("", str(whole.parent))


def _days_in(pattern: re.Pattern[str], text: str) -> list[date]:
    """The plausible days that a text holds, in their order."""
    days = []
    for year, _, month, *_, day in pattern.findall(text):
        with suppress(ValueError):
            days.append(date(int(year), int(month), int(day)))
    return [day for day in days if day.year in PLAUSIBLE_YEARS]


def at_most(column: str, most: int) -> dict[str, pl.Expr]:
    """A rule of a spec: rejects rows whose count is impossible, such as the largest number of its type.

    One such number would overflow the sums of its day.
    """
    return {f"{column} is above {most:,}, which cannot be": (pl.col(column) <= most).fill_null(True)}


def file_format(path: str) -> str:
    """`csv`, `parquet` or `json lines`, by the file's ending.

    Raises:
        ValueError: the file has no readable ending.
    """
    suffix = PurePosixPath(path.removesuffix(".gz")).suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"its ending is none of {', '.join(sorted(_FORMATS))} (.gz may follow)")
    return _FORMATS[suffix]
