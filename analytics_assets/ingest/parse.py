"""Turns records as they stand in a file into typed rows, and into rejected rows with a reason.

Pure functions of a batch and a spec: nothing here opens a file or reads a clock.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

import polars as pl

from analytics_assets.ingest.json_lines import as_text
from analytics_assets.ingest.records import Batch, blaming_the_file
from analytics_assets.spec.source import LINEAGE_COLUMNS, EpochUnit, PolarsType, Source

REJECT_SCHEMA = {
    "source": pl.String,
    "file": pl.String,
    "row": pl.Int64,
    "day": pl.Date,  # null when the time could not be read
    "column": pl.String,
    "reason": pl.String,
    "lines": pl.Int64,  # how many lines of the file a broken record spans; 1 for a record
    "text": pl.String,  # a broken record as it stood in the file; any other row as a JSON object
}

_TIME_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_TIME_FORMATS_WITH_OFFSET = (
    "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M%#z",
)  # fmt: skip
_OFFSET_OF_ZERO = r" ?(UTC|[zZ])$"
_DATE_AT_MIDNIGHT = r"^(\d{4}-\d{1,2}-\d{1,2})[T ]0?0:00(?::00(?:\.0+)?)?(?: ?UTC| ?[zZ]| ?[+-]\d\d(?::?\d\d)?)?$"
_YEAR_OF_FOUR_DIGITS = r"^\d{4}-"
_TRUE, _FALSE = ["true", "t", "yes", "y", "1"], ["false", "f", "no", "n", "0"]
_EPOCH = datetime(1970, 1, 1)
_MICROSECONDS = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}
_EXACT = 2.0**53  # up to here, a float can hold every whole number


@dataclass(frozen=True)
class Parsed:
    """A parsed batch: `accepted` has the landed columns and each row's `_day`; `rejected` has the REJECT_SCHEMA.

    `accepted` lacks `_repeat`, since a batch does not know the rows of its file that came before it.
    """

    accepted: pl.DataFrame
    rejected: pl.DataFrame


def parse_batch(batch: Batch, source: Source, file: str | pl.Series, landed_at: datetime | pl.Series) -> Parsed:
    """Types each row by the spec; every row of the batch comes out as either accepted or rejected.

    Args:
        file: the path below the source's inbox folder; or one per row, for a batch that joins files, which has no
            broken records.
        landed_at: when the file landed, as naive UTC; or one per row.
    """
    with blaming_the_file("its rows cannot be read"):
        return _parse(batch, source, file, landed_at)


def _parse(batch: Batch, source: Source, file: str | pl.Series, landed_at: datetime | pl.Series) -> Parsed:
    records = batch.frame.select(_plain(held, source.columns.get(held.name)) for held in batch.frame)
    known = [c for c in source.columns if c in records.columns]

    typed = pl.DataFrame(
        [
            batch.rows.alias("_source_row"),
            *(_typed(records[c], source) for c in known),
            _extra(batch, records, source).alias("_extra"),
        ]
    ).with_columns(
        *(pl.lit(None, dtype).alias(c) for c, dtype in source.columns.items() if c not in known),
        pl.lit(file).alias("_source_file"),
        pl.lit(landed_at, pl.Datetime("us")).alias("_landed_at"),
        (_day_of(source) if source.time in known else pl.lit(None, pl.Date)).alias("_day"),
    )

    faults = _faults(source, known, records.schema)
    judged = typed.with_columns(records.to_struct("_record"))
    is_bad = judged.select(pl.any_horizontal(fault.found for fault in faults).alias("bad")).to_series()
    accepted = (typed.filter(~is_bad) if is_bad.any() else typed).with_columns(**source.derived)
    rejected = [_broken_of(batch, source, file)]
    if is_bad.any():
        gathered = batch.extra["shown"].filter(is_bad) if batch.extra is not None else None
        rejected.append(_rejects_of(judged.filter(is_bad), gathered, faults, source))
    return Parsed(accepted.select(*source.columns, *source.derived, *LINEAGE_COLUMNS, "_day"), pl.concat(rejected))


def _day_of(source: Source) -> pl.Expr:
    """The day of a row's time, which is naive UTC; a date is a day in any zone."""
    time, zone = pl.col(source.time or ""), source.calendar.timezone
    if zone == "UTC" or source.columns[source.time or ""] == pl.Date:
        return time.cast(pl.Date)
    return time.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).dt.date()


def empty_landed(source: Source) -> pl.DataFrame:
    """No rows, with the schema of a source's landed rows."""
    return pl.DataFrame(schema=dict(source.schema))


# ------------------------------------------------------------------------------------------------------- typing


def _plain(held: pl.Series, wanted: PolarsType | None) -> pl.Series:
    """A column without types that only a file format knows; as text if the spec wants text or does not know the column.

    Bytes that are not UTF-8 stay bytes in a column that the spec knows, so their rows are rejected.
    """
    dtype = held.dtype
    if dtype == pl.String:
        return held
    if dtype == pl.Null or dtype in (pl.Categorical, pl.Enum):
        return held.cast(pl.String)
    if dtype in (pl.Float16, pl.Float32):  # via text: 0.1 stays 0.1, not 0.10000000149
        held = held.cast(pl.String).cast(pl.Float64)
    if dtype == pl.Binary:
        try:
            return held.cast(pl.String)
        except pl.exceptions.PolarsError:  # some are not UTF-8
            return held if wanted is not None else _text_of_each(held)
    if dtype.is_nested() or dtype == pl.Object:
        return _text_of_each(held)
    if wanted is None or wanted == pl.String:
        return _text(held)
    return held


def _text_of_each(held: pl.Series) -> pl.Series:
    values = (v.decode(errors="replace") if isinstance(v, bytes) else as_text(v) for v in _values_of(held))
    return pl.Series(held.name, list(values), dtype=pl.String)


def _values_of(held: pl.Series) -> list[object]:
    """A column as Python values; a value that holds an impossible time has its times as numbers."""
    try:
        return held.to_list()
    except (ValueError, OverflowError, pl.exceptions.PanicException):
        if len(held) == 1:
            return held.to_physical().to_list()
        return [value for number in range(len(held)) for value in _values_of(held.slice(number, 1))]


def _text(held: pl.Series) -> pl.Series:
    """Simple values as the text that a CSV file would hold: 1000 for the float 1000.0, null for NaN."""
    dtype, name = held.dtype, held.name
    if dtype.is_float():
        is_whole = (held.round() == held) & (held.abs() < _EXACT)
        whole = held.set(~is_whole.fill_null(False), None).cast(pl.Int64, strict=False).cast(pl.String)
        text = whole.fill_null(held.fill_nan(None).cast(pl.String))
        odd = text.str.contains("e|inf").fill_null(False).arg_true()  # each library spells these differently
        return text.scatter(odd, [as_text(value) for value in held[odd]]).alias(name)
    if dtype.is_decimal():
        return held.cast(pl.String).str.replace(r"\.0+$", "")
    if isinstance(dtype, pl.Datetime):
        form = "%Y-%m-%d %H:%M:%S%.f" + ("%:z" if dtype.time_zone else "")
        return _possible(held).dt.to_string(form)
    if dtype == pl.Date:
        return _possible(held).dt.to_string("%Y-%m-%d")
    if dtype == pl.Time:
        return held.dt.to_string("%H:%M:%S%.f")
    if dtype == pl.Duration:
        return held.dt.to_string("iso")
    return held.cast(pl.String)


def _typed(held: pl.Series, source: Source) -> pl.Series:
    """A plain column in the spec's type; null where a value does not parse."""
    wanted, dtype = source.columns[held.name], held.dtype
    if dtype == pl.Binary:
        held, dtype = _strictly_text(held), pl.String()
    if dtype == pl.String:
        held = _without_markers(held, source)
    if wanted == pl.String:
        return held
    if dtype == pl.String:
        held = held.str.strip_chars()
    form = source.time_formats.get(held.name) if dtype == pl.String else None
    if isinstance(wanted, pl.Datetime) or wanted is pl.Datetime:
        if form is not None:
            return _time_by_format(held, form, source.timezone)
        return _time_of(held, source.timezone, source.epoch.get(held.name))
    if wanted == pl.Date:
        return _date_of(held) if form is None else _possible(held.str.to_date(form, strict=False))
    if dtype == pl.String and wanted.is_numeric():
        held = _with_points(held, source)
    if wanted.is_integer() and dtype.is_integer():
        return held.cast(wanted, strict=False)
    if wanted.is_integer() and dtype.is_float():  # the cast would truncate 2.5, which is no integer
        converted = held.cast(wanted, strict=False)
        return converted.set(converted.cast(dtype) != held, None)
    if wanted.is_float() and (dtype.is_integer() or dtype.is_float()):
        return _finite(held.cast(wanted))
    return _parsed(held if dtype == pl.String else _text(held), wanted)


def _without_markers(text: pl.Series, source: Source) -> pl.Series:
    """Texts with null for those that stand for no value."""
    markers = source.nulls_of(text.name)
    return text.set(text.str.strip_chars().is_in(markers).fill_null(False), None) if markers else text


def _with_points(text: pl.Series, source: Source) -> pl.Series:
    """Numbers as the spec writes them, written with a decimal point and without groups; null for other texts."""
    if source.decimal == "." and not source.thousands:
        return text
    decimal, group = (
        re.escape(source.decimal),
        "[ \u00a0\u202f]" if source.thousands == " " else re.escape(source.thousands),
    )
    whole = rf"\d{{1,3}}(?:{group}\d{{3}})+" if group else r"\d+"
    is_number = text.str.contains(rf"^[+-]?(?:{whole}|\d*)(?:{decimal}\d*)?(?:[eE][+-]?\d+)?$").fill_null(False)
    plain = text.str.replace_all(group, "") if group else text
    return plain.str.replace(source.decimal, ".", literal=True).set(~is_number, None)


def _strictly_text(held: pl.Series) -> pl.Series:
    def read(value: bytes | None) -> str | None:
        try:
            return value if value is None else value.decode()
        except UnicodeDecodeError:
            return None

    return pl.Series(held.name, [read(value) for value in held.to_list()], dtype=pl.String)


def _parsed(text: pl.Series, wanted: PolarsType) -> pl.Series:
    if wanted == pl.Boolean:
        low = pl.col(text.name).str.to_lowercase().str.replace(r"^([01])\.0+$", "$1")
        is_true = pl.when(low.is_in(_TRUE)).then(True).when(low.is_in(_FALSE)).then(False)
        return text.to_frame().select(is_true.alias(text.name)).to_series()
    found = text.cast(wanted, strict=False)
    if wanted.is_integer():  # some exports write integers as 12.0 or 1e+05
        found = _with_rest(found, text, lambda rest: rest.str.replace(r"\.0*$", "").cast(wanted, strict=False))
        return _with_rest(found, text, lambda rest: _whole(rest).cast(wanted, strict=False))
    return _finite(found) if wanted.is_float() else found


def _with_rest(found: pl.Series, text: pl.Series, read: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """Fills the nulls of `found` with what another way of reading finds in their texts."""
    unread = (found.is_null() & text.is_not_null()).arg_true()
    return found if unread.is_empty() else found.scatter(unread, read(text[unread]))


def _whole(text: pl.Series) -> pl.Series:
    """Reads whole numbers that are written with an exponent; null for any other text."""

    def read(value: str) -> int | None:
        try:
            number = Decimal(value)
        except InvalidOperation:
            return None
        is_whole = number.is_finite() and number.adjusted() < 19 and number == number.to_integral_value()
        return int(number) if is_whole and abs(number) < 2**63 else None

    with_exponent = text.str.contains(r"^[+-]?\d+(\.\d*)?[eE][+-]?\d{1,3}$").to_list()
    read_ones = [read(v) if may else None for v, may in zip(text.to_list(), with_exponent, strict=True)]
    return pl.Series(read_ones, dtype=pl.Int64)


def _finite(numbers: pl.Series) -> pl.Series:
    """Numbers with null for infinities and NaN: a column of amounts holds neither."""
    return numbers.set(~numbers.is_finite(), None)


# -------------------------------------------------------------------------------------------------------- times


def _time_of(held: pl.Series, timezone: str, epoch: EpochUnit | None) -> pl.Series:
    """Times as naive UTC; times without a zone are in `timezone`, and numbers count in the unit `epoch` since 1970."""
    dtype = held.dtype
    if dtype == pl.String:
        return _parsed_time(held, timezone, epoch)
    if dtype == pl.Date:
        return _in_utc(_possible(held).cast(pl.Datetime("us")), timezone)
    if isinstance(dtype, pl.Datetime):
        if dtype.time_zone:  # the file holds UTC
            in_utc = _possible(held).dt.convert_time_zone("UTC").dt.replace_time_zone(None)
            return in_utc.cast(pl.Datetime("us"))
        return _in_utc(_possible(held).cast(pl.Datetime("us")), timezone)
    if epoch is not None and (dtype.is_integer() or dtype.is_float() or dtype.is_decimal()):
        return _since_1970(held, epoch)
    return pl.Series(held.name, [None] * len(held), dtype=pl.Datetime("us"))


def _time_by_format(text: pl.Series, form: str, timezone: str) -> pl.Series:
    """Times of one format as naive UTC; without an offset (`%z`) they are in `timezone`."""
    if "%z" in form or "%:z" in form or "%#z" in form:
        aware = text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
        return _possible(aware.dt.replace_time_zone(None))
    return _in_utc(_possible(text.str.to_datetime(form, time_unit="us", strict=False)), timezone)


def _parsed_time(text: pl.Series, timezone: str, epoch: EpochUnit | None) -> pl.Series:
    """Parses times such as `2025-09-05 1:04:00`, with or without fraction, T, seconds and offset.

    Each format is tried only on what the formats before it could not read: most files need only the first.
    """

    def local(form: str) -> Callable[[pl.Series], pl.Series]:
        return lambda rest: _in_utc(_possible(rest.str.to_datetime(form, time_unit="us", strict=False)), timezone)

    def with_offset(form: str) -> Callable[[pl.Series], pl.Series]:
        return lambda rest: _possible(
            rest.str.replace(_OFFSET_OF_ZERO, "+00:00")
            .str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
            .dt.replace_time_zone(None)
        )

    found = local(_TIME_FORMATS[0])(text)
    for form in _TIME_FORMATS[1:]:
        found = _with_rest(found, text, local(form))
    for form in _TIME_FORMATS_WITH_OFFSET:
        found = _with_rest(found, text, with_offset(form))
    found = found.set(_is_of_two_digits(found, text), None)
    if epoch is not None:
        found = _with_rest(
            found,
            text,
            lambda rest: _since_1970(_parsed(rest, pl.Int64), epoch).fill_null(
                _since_1970(_parsed(rest, pl.Float64), epoch)
            ),
        )
    return found


def _date_of(held: pl.Series) -> pl.Series:
    """Dates; also read from times at midnight, in any zone."""
    if held.dtype == pl.String:
        found = held.str.to_date("%Y-%m-%d", strict=False)
        at_midnight = _with_rest(
            found, held, lambda rest: rest.str.extract(_DATE_AT_MIDNIGHT, 1).str.to_date("%Y-%m-%d", strict=False)
        )
        return _possible(at_midnight.set(_is_of_two_digits(at_midnight, held), None))
    if held.dtype == pl.Date:
        return _possible(held)
    if isinstance(held.dtype, pl.Datetime):
        local = _possible(held).dt.replace_time_zone(None)
        return local.set(local != local.dt.truncate("1d"), None).cast(pl.Date)
    return pl.Series(held.name, [None] * len(held), dtype=pl.Date)


def _is_of_two_digits(found: pl.Series, text: pl.Series) -> pl.Series:
    """Where a time or date was read from a text such as `26-01-05`, whose year would be 26."""
    early = (found.dt.year() < 1000).fill_null(False)
    return early & ~text.str.contains(_YEAR_OF_FOUR_DIGITS).fill_null(True) if early.any() else early


def _since_1970(numbers: pl.Series, unit: EpochUnit) -> pl.Series:
    """Numbers of a unit since 1970 as times; numbers that would overflow become null."""
    factor = _MICROSECONDS[unit]
    rough = numbers.cast(pl.Float64) * factor
    near = numbers.set(~(rough.abs() < float(2**62)).fill_null(False), None)
    if near.dtype.is_integer():
        counted = near.cast(pl.Int64)
        counted = counted // 1000 if unit == "ns" else counted * int(factor)
    else:
        counted = (near.cast(pl.Float64) * factor).round().cast(pl.Int64)
    return _possible(counted.cast(pl.Datetime("us")))


def _possible(times: pl.Series) -> pl.Series:
    """Times and dates of the years 1 to 9999, all that databases and Python know; others become null."""
    if times.dtype == pl.Date:
        days = times.to_physical()
        return times.set(~days.is_between((date.min - _EPOCH.date()).days, (date.max - _EPOCH.date()).days), None)
    unit = times.dtype.time_unit  # type: ignore[attr-defined]
    if unit == "ns":
        return times  # nanoseconds only reach from 1677 to 2262
    a_day = 86_400 * {"ms": 1_000, "us": 1_000_000}[unit]
    first, last = (datetime.min - _EPOCH).days * a_day, ((datetime.max - _EPOCH).days + 1) * a_day - 1
    return times.set(~times.to_physical().is_between(first, last), None)


def _in_utc(local: pl.Series, timezone: str) -> pl.Series:
    """Naive local times as naive UTC. If a clock change repeats an hour, the first counts; a skipped hour is null."""
    if timezone == "UTC":
        return local
    return _possible(
        local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
        .dt.replace_time_zone(None)
    )


def _extra(batch: Batch, records: pl.DataFrame, source: Source) -> pl.Series:
    """The columns that the spec does not know, as one JSON object per row; null for a row without values in them."""
    unknown = [c for c in records.columns if c not in source.columns]
    if batch.extra is not None:
        return batch.extra["landed"]
    if not unknown:
        return pl.Series([None] * records.height, dtype=pl.String)
    present = pl.any_horizontal(pl.col(unknown).is_not_null())
    extra = pl.when(present).then(pl.struct(unknown).struct.json_encode())
    return records.select(extra.alias("extra")).to_series()


# ------------------------------------------------------------------------------------------------------- faults


@dataclass(frozen=True)
class _Fault:
    column: str | None
    reason: str
    found: pl.Expr  # true for the rows that have it


def _faults(source: Source, known: list[str], held: pl.Schema) -> list[_Fault]:
    """All possible faults of a row, the most telling first; each is an expression over the typed row and `_record`."""
    faults: list[_Fault] = []
    for column in known:
        wanted = source.columns[column]
        if wanted == held[column] and wanted in (pl.String, pl.Boolean):
            continue  # nothing was converted
        original = pl.col("_record").struct.field(column)
        written = original.is_not_null()
        if held[column] == pl.String:
            written &= ~original.str.strip_chars().is_in(["", *source.nulls_of(column)])
        faults.append(_Fault(column, f"not a {_type_name(wanted)}", written & pl.col(column).is_null()))
    if source.time and source.plausible != (date.min, date.max):
        first, last = source.plausible
        out = ~pl.col("_day").is_between(pl.lit(first), pl.lit(last)).fill_null(True)
        faults.append(_Fault(source.time, f"not a plausible time: before {first} or after {last}", out))
    for column in sorted(source.required):
        empty = pl.col(column).is_null()
        if source.columns[column] == pl.String:
            empty |= pl.col(column).str.strip_chars() == ""
        faults.append(_Fault(column, "empty, but every row needs one", empty))
    faults.extend(_Fault(None, sentence, ~holds.fill_null(True)) for sentence, holds in source.rules.items())
    return faults


def _type_name(dtype: PolarsType) -> str:
    if isinstance(dtype, pl.Datetime) or dtype is pl.Datetime:
        return "time"
    if dtype == pl.String:
        return "text"
    if dtype == pl.Date:
        return "date"
    if dtype == pl.Boolean:
        return "truth value"
    return "whole number" if dtype.is_integer() else "number"


def _rejects_of(bad: pl.DataFrame, gathered: pl.Series | None, faults: list[_Fault], source: Source) -> pl.DataFrame:
    """The rejects for faulty rows, each with its first fault; `gathered` holds each row's unknown columns as JSON."""

    def said(by_number: Sequence[str | None]) -> pl.Expr:
        return pl.col("_fault").replace_strict(dict(enumerate(by_number)), return_dtype=pl.String)

    number = pl.coalesce(pl.when(fault.found).then(pl.lit(n)) for n, fault in enumerate(faults)).alias("_fault")
    text = _texts_of(bad["_record"].struct.unnest())
    if gathered is not None:
        more = pl.col("extra").str.slice(1)
        joined = (
            pl.when(more.is_null())
            .then("text")
            .otherwise(pl.concat_str(pl.col("text").str.head(-1), pl.lit(","), more))
        )
        text = pl.DataFrame({"text": text, "extra": gathered}).select(joined.alias("text")).to_series()
    return bad.with_columns(number, text.alias("_text")).select(
        pl.lit(source.name).alias("source"),
        pl.col("_source_file").alias("file"),
        pl.col("_source_row").alias("row"),
        pl.col("_day").alias("day"),
        said([f.column for f in faults]).alias("column"),
        said([f.reason for f in faults]).alias("reason"),
        pl.lit(1, pl.Int64).alias("lines"),
        pl.col("_text").alias("text"),
    )


def _texts_of(records: pl.DataFrame) -> pl.Series:
    """Records as JSON objects. Only values that could not be converted still have a type that JSON cannot hold."""
    plain = records.select(_text_of_each(c) if c.dtype == pl.Binary else _shown(c) for c in records)
    return plain.select(pl.struct(pl.all()).struct.json_encode().alias("text")).to_series()


def _shown(held: pl.Series) -> pl.Series:
    """Times as text that JSON can hold, impossible times as numbers; NaN and infinities by name."""
    if held.dtype.is_float() and not held.is_finite().all():
        return held.cast(pl.String)
    if not held.dtype.is_temporal():
        return held
    return _text(held).fill_null(held.to_physical().cast(pl.String)) if held.dtype != pl.Time else _text(held)


def _broken_of(batch: Batch, source: Source, file: str | pl.Series) -> pl.DataFrame:
    return pl.DataFrame(
        [(source.name, file, b.row, None, b.column, b.reason, b.lines, b.text) for b in batch.broken],
        schema=REJECT_SCHEMA,
        orient="row",
    )
