"""From records as they stand in a file to typed rows, and rows that are rejected with a reason.

Pure functions of a batch and a spec: no file is opened here, and no clock is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from analytics_assets.ingest.formats import Batch
from analytics_assets.ingest.source import PolarsType, Source

REJECT_SCHEMA = {
    "source": pl.String,
    "file": pl.String,
    "row": pl.Int64,
    "day": pl.Date,  # null when the time could not be read
    "column": pl.String,
    "reason": pl.String,
    "text": pl.String,  # the row as it stood in the file; a JSON object where the file was no text
}

_TIME_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M")
_TIME_FORMATS_WITH_OFFSET = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z")
_TRUE, _FALSE = ["true", "t", "yes", "y", "1"], ["false", "f", "no", "n", "0"]


@dataclass(frozen=True)
class Parsed:
    """What became of a batch: `accepted` with a row's `_day` beside the landed columns, `rejected` by REJECT_SCHEMA."""

    accepted: pl.DataFrame
    rejected: pl.DataFrame


def parse_batch(batch: Batch, source: Source, file: str, landed_at: datetime) -> Parsed:
    """Types each row by the spec; every row of the batch comes out either accepted or rejected.

    Args:
        file: the path below the source's inbox folder.
        landed_at: when the file landed, as naive UTC.
    """
    records = batch.frame.with_row_index("_source_row", offset=batch.first_row)
    known = [c for c in source.columns if c in records.columns]
    unknown = [c for c in batch.frame.columns if c not in source.columns]

    typed = records.select(
        pl.col("_source_row").cast(pl.Int64),
        *(_typed(records[c], source) for c in known),
        *(pl.lit(None, dtype).alias(c) for c, dtype in source.columns.items() if c not in records.columns),
        _extra(unknown),
        pl.lit(file).alias("_source_file"),
        pl.lit(landed_at, pl.Datetime("us")).alias("_landed_at"),
    ).with_columns((pl.col(source.time).cast(pl.Date) if source.time else pl.lit(None, pl.Date)).alias("_day"))

    faults = _faults(source, known, records.schema)
    judged = typed.with_columns(records.select(pl.struct(batch.frame.columns).alias("_record")).to_series())
    is_bad = judged.select(pl.any_horizontal(fault.found for fault in faults).alias("bad")).to_series()
    accepted = typed.filter(~is_bad) if is_bad.any() else typed
    rejected = [_broken_of(batch, source, file)]
    if is_bad.any():
        rejected.append(_rejects_of(judged.filter(is_bad), faults, source, file))
    return Parsed(accepted.select(*source.schema, "_day"), pl.concat(rejected))


def empty_landed(source: Source) -> pl.DataFrame:
    """No rows, with the schema of a source's landed rows."""
    return pl.DataFrame(schema=dict(source.schema))


# ------------------------------------------------------------------------------------------------------- typing


def _typed(held: pl.Series, source: Source) -> pl.Series:
    """The column in its spec's type; null where it does not parse."""
    wanted = source.columns[held.name]
    if wanted == pl.String:
        return held.cast(pl.String)
    if held.dtype == pl.String:
        text = held.str.strip_chars()
        if isinstance(wanted, pl.Datetime) or wanted is pl.Datetime:
            return _parsed_time(text, source.timezone)
        return text.to_frame().select(_parsed_text(pl.col(held.name), wanted)).to_series()
    if isinstance(wanted, pl.Datetime) or wanted is pl.Datetime:
        if isinstance(held.dtype, pl.Datetime) and held.dtype.time_zone:
            return held.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.Datetime("us"))
        return _in_utc(held.cast(pl.Datetime("us"), strict=False), source.timezone)
    converted = held.cast(wanted, strict=False)
    if wanted.is_integer() and held.dtype.is_float():  # 2.5 is no integer, however willing the cast
        return converted.set(converted.cast(held.dtype) != held, None)
    return converted


def _parsed_text(text: pl.Expr, wanted: PolarsType) -> pl.Expr:
    if wanted == pl.Date:
        return text.str.to_date("%Y-%m-%d", strict=False)
    if wanted == pl.Boolean:
        low = text.str.to_lowercase()
        return pl.when(low.is_in(_TRUE)).then(True).when(low.is_in(_FALSE)).then(False)
    if wanted.is_integer():  # 12.0 is one, as some exports write them
        text = text.str.replace(r"\.0+$", "")
    number = text.cast(wanted, strict=False)
    if wanted in (pl.Float32, pl.Float64):  # a column of amounts holds no infinity and no NaN
        return pl.when(number.is_finite()).then(number)
    return number


def _parsed_time(text: pl.Series, timezone: str) -> pl.Series:
    """Times as `2025-09-05 1:04:00`, with or without fraction, T, seconds and offset; naive ones are of `timezone`.

    One format after the other, each only on what those before it could not read: most files need the first alone.
    """
    found = _in_utc(text.str.to_datetime(_TIME_FORMATS[0], time_unit="us", strict=False), timezone)
    for form in (*_TIME_FORMATS[1:], *_TIME_FORMATS_WITH_OFFSET):
        unread = (found.is_null() & text.is_not_null()).arg_true()
        if unread.is_empty():
            break
        rest = text[unread]
        if form in _TIME_FORMATS:
            read = _in_utc(rest.str.to_datetime(form, time_unit="us", strict=False), timezone)
        else:
            zoned = rest.str.replace(r"[zZ]$", "+00:00")
            read = zoned.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False).dt.replace_time_zone(None)
        found = found.scatter(unread, read)
    return found


def _in_utc(local: pl.Series, timezone: str) -> pl.Series:
    """Naive local times as naive UTC. Of an hour that a clock change repeats, the first; one that it skips is null."""
    if timezone == "UTC":
        return local
    return (
        local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
        .dt.replace_time_zone(None)
    )


def _extra(unknown: list[str]) -> pl.Expr:
    if not unknown:
        return pl.lit(None, pl.String).alias("_extra")
    present = pl.any_horizontal(pl.col(unknown).is_not_null())
    return pl.when(present).then(pl.struct(unknown).struct.json_encode()).alias("_extra")


# ------------------------------------------------------------------------------------------------------- faults


@dataclass(frozen=True)
class _Fault:
    column: str | None
    reason: str
    found: pl.Expr  # true for the rows that have it


def _faults(source: Source, known: list[str], held: pl.Schema) -> list[_Fault]:
    """All that can be wrong with a row, the most telling first: an expression over the typed row and its `_record`."""
    faults: list[_Fault] = []
    for column in known:
        wanted = source.columns[column]
        if wanted == held[column]:
            continue  # nothing was converted
        original = pl.col("_record").struct.field(column)
        written = original.is_not_null()
        if held[column] == pl.String:
            written &= original.str.strip_chars() != ""
        faults.append(_Fault(column, f"not a {_type_name(wanted)}", written & pl.col(column).is_null()))
    for column in sorted(source.required):
        empty = pl.col(column).is_null()
        if source.columns[column] == pl.String:
            empty |= pl.col(column).str.strip_chars() == ""
        faults.append(_Fault(column, "empty, but every row needs one", empty))
    faults.extend(_Fault(None, sentence, ~holds.fill_null(True)) for sentence, holds in source.rules.items())
    return faults


def _type_name(dtype: object) -> str:
    if isinstance(dtype, pl.Datetime) or dtype is pl.Datetime:
        return "time"
    return str(dtype() if isinstance(dtype, type) else dtype)


def _rejects_of(bad: pl.DataFrame, faults: list[_Fault], source: Source, file: str) -> pl.DataFrame:
    def said(name: str, by_number: Sequence[str | None]) -> pl.Expr:
        return pl.col("_fault").replace_strict(dict(enumerate(by_number)), return_dtype=pl.String).alias(name)

    number = pl.coalesce(pl.when(fault.found).then(pl.lit(n)) for n, fault in enumerate(faults)).alias("_fault")
    return bad.with_columns(number).select(
        pl.lit(source.name).alias("source"),
        pl.lit(file).alias("file"),
        pl.col("_source_row").alias("row"),
        pl.col("_day").alias("day"),
        pl.col("_fault")
        .replace_strict(dict(enumerate(f.column for f in faults)), return_dtype=pl.String)
        .alias("column"),
        pl.col("_fault")
        .replace_strict(dict(enumerate(f.reason for f in faults)), return_dtype=pl.String)
        .alias("reason"),
        pl.col("_record").struct.json_encode().alias("text"),
    )


def _broken_of(batch: Batch, source: Source, file: str) -> pl.DataFrame:
    return pl.DataFrame(
        [(source.name, file, b.row, None, b.column, b.reason, b.text) for b in batch.broken],
        schema=REJECT_SCHEMA,
        orient="row",
    )
