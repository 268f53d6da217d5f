"""Which columns tell the rows of a file apart, and which of two versions of a row is the newer one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from analytics_assets.scaffold.columns import AMOUNT, ColumnLook
from analytics_assets.spec.source import REPEAT

_LARGEST_KEY = 3
_MOST_CANDIDATES = 12
_MOST_IN_REPEAT = 12
_FEW_ROWS = 1_000  # of which a key of several columns may tell all apart by chance
_ROWS_OF_SAMPLE = 20_000
_LONGEST_VALUE = 80  # characters; what is longer on average is a text that people wrote

_OF_ID = re.compile(r"(^|_)(id|ids|key|no|nr|num|number|code|uuid|guid|hash|ref|reference|identifier|isbn|sku)(_|$)")
_OF_VERSION = re.compile(r"(^|_)(updated|modified|changed|lastmodified|last_update|version|revision|edited)(_|$)")
_OF_WORDS = re.compile(r"(^|_)(name|title|address|street|comment|comments|note|notes|description|text|message)(_|$)")
_OF_SUM = re.compile(
    r"(^|_)(amount|amounts|amt|revenue|sales|cost|costs|quantity|qty|count|counts|cnt|total|subtotal|sum|units|fee|fees|"
    r"tax|vat|tip|tips|spend|clicks|impressions|views|visits|orders|users|conversions|passengers|items|volume|"
    r"precip|precipitation|rain|rainfall|snow|snowfall|distance|deaths|cases|sold|payment|payments|"
    r"discount|profit|fare|kwh|mwh|bytes)(_|$)|^(n|num|number_of|no_of)_"
)
_OF_CALENDAR = re.compile(r"^(year|month|day|week|weekday|dow|quarter|hour|minute|second|yr|mon)(_.*)?$")


@dataclass(frozen=True)
class Key:
    """A primary key, the order by which one of several rows with it is kept, and why."""

    columns: tuple[str, ...]
    dedup_order: tuple[str, ...]
    may_be_empty: frozenset[str]
    why: str


def is_of_id(name: str) -> bool:
    """Whether a name says that its values identify something."""
    return bool(_OF_ID.search(name))


def is_sum(name: str) -> bool:
    """Whether a name says that people ask for the sum of a column, and not for its mean."""
    return bool(_OF_SUM.search(name))


def is_of_calendar(name: str) -> bool:
    """Whether a name says that its numbers are parts of a date."""
    return bool(_OF_CALENDAR.match(name))


def mean_length(texts: pl.Series) -> float:
    """The mean length of texts in characters; 0 if there is none."""
    known = texts.drop_nulls()
    return int(known.str.len_chars().sum()) / len(known) if len(known) else 0.0


def find_key(rows: pl.DataFrame, columns: Mapping[str, ColumnLook], time: str | None, within: Sequence[str]) -> Key:
    """The smallest set of up to three columns that tells all rows apart; else all that identify, and `_repeat`.

    Args:
        rows: all typed rows, with `_source_file`.
        time: the column of the rows' own time.
        within: the columns within which a key must be unique besides: the file, for what is delivered as a whole.
    """
    own = [name for name in columns if name in rows.columns]
    distinct = rows.unique([*within, *own]) if own else rows
    said = ""
    if copies := rows.height - distinct.height:
        said = f"; {copies:,} rows are there twice, word for word, and count once"
    candidates = _candidates(distinct, columns, time)
    version = next((name for name in own if _OF_VERSION.search(name) and name != time), None)
    if distinct.height > 1 or (distinct.height == 1 and candidates):
        for key in _sets(candidates, columns, time):
            if _is_unique(distinct, [*within, *key]):
                order = (f"{version} desc",) if version and version not in key else ()
                few = distinct.height < _FEW_ROWS and len(key) > 1 and not any(map(is_of_id, key))
                sure = f"; they are only {distinct.height:,}: --key names another" if few else ""
                return Key(key, order, frozenset(), f"no two rows are equal in {_and(key)}{sure}{said}")
            if len(key) == 1 and is_of_id(key[0]) and version and _is_unique(distinct, [*within, *key, version]):
                why = f"{key[0]} comes again with another {version}: the newest one is kept{said}"
                return Key(key, (f"{version} desc",), frozenset(), why)
    return _with_repeat(distinct, columns, time, said)


def given_key(rows: pl.DataFrame, key: Sequence[str], within: Sequence[str]) -> Key:
    """A key that somebody names, and whether it holds."""
    named = [name for name in key if name != REPEAT]
    twice = rows.height - rows.select([*within, *named]).n_unique() if rows.height else 0
    may = frozenset(name for name in named[1:] if rows[name].null_count())
    told = f"; {twice:,} rows are equal in it to another one, and count once" if twice and REPEAT not in key else ""
    return Key(tuple(key), (), may, f"as you say{told}")


def _is_measure(name: str, column: ColumnLook) -> bool:
    """Whether a column holds quantities, which a correction changes: they are no part of a key."""
    return column.dtype in (pl.Float64, AMOUNT) or (column.dtype == pl.Int64 and is_sum(name) and not is_of_id(name))


def _candidates(rows: pl.DataFrame, columns: Mapping[str, ColumnLook], time: str | None) -> list[str]:
    """Columns that may be part of a key, the likeliest first: complete, and neither a measure nor a written text."""
    found = []
    for position, (name, column) in enumerate(columns.items()):
        if name not in rows.columns or rows[name].null_count() or column.dtype == pl.Boolean:
            continue
        if _is_measure(name, column):
            continue
        held = rows[name]
        if column.dtype == pl.String and mean_length(held.head(_ROWS_OF_SAMPLE)) > _LONGEST_VALUE:
            continue
        if held.n_unique() == 1 or (is_of_calendar(name) and column.dtype == pl.Int64):
            continue
        if is_of_id(name):
            rank = 0
        elif name == time:
            rank = 1
        elif column.dtype == pl.String:
            rank = 5 if _OF_WORDS.search(name) else 2
        else:
            rank = 3 if column.is_time else 4
        found.append((rank, position, name))
    return [name for *_, name in sorted(found)][:_MOST_CANDIDATES]


def _sets(candidates: Sequence[str], columns: Mapping[str, ColumnLook], time: str | None) -> Iterator[tuple[str, ...]]:
    """The sets to try: small ones first, and of one size those of likelier columns."""
    for size in range(1, _LARGEST_KEY + 1):
        ranked = sorted(combinations(range(len(candidates)), size), key=lambda places: (sum(places), places))
        for places in ranked:
            names = [candidates[place] for place in places]
            if (
                size == 1
                and not is_of_id(names[0])
                and (columns[names[0]].dtype == pl.Int64 or _OF_WORDS.search(names[0]))
            ):
                continue  # a number or a name that happens to differ in each row is no key
            yield tuple(name for name in columns if name in names)


def _is_unique(rows: pl.DataFrame, key: Sequence[str]) -> bool:
    sample = rows.head(_ROWS_OF_SAMPLE).select(key)
    if sample.n_unique() < sample.height:
        return False
    return rows.height <= _ROWS_OF_SAMPLE or rows.select(key).n_unique() == rows.height


def _with_repeat(rows: pl.DataFrame, columns: Mapping[str, ColumnLook], time: str | None, said: str) -> Key:
    identifying = [
        name
        for name, column in columns.items()
        if name in rows.columns
        and column.dtype != pl.Boolean
        and not _is_measure(name, column)
        and not (column.dtype == pl.String and mean_length(rows[name]) > _LONGEST_VALUE)
    ]
    in_order = sorted(
        identifying or list(columns),
        key=lambda name: (name != time, rows[name].null_count() > 0, not is_of_id(name), list(columns).index(name)),
    )[:_MOST_IN_REPEAT]
    may = frozenset(name for name in in_order if rows[name].null_count() and name != time)
    if may == set(in_order):  # a row may not leave all of its key empty
        may -= {in_order[0]}
    why = f"no one, two or three columns tell all rows apart: rows that are equal in these are numbered by {REPEAT}"
    return Key((*in_order, REPEAT), (), may, f"{why}{said}")


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
