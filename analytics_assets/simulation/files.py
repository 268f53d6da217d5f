"""Writes rows of text as the kinds of files that people drop. The same rows give the same bytes."""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from analytics_assets.foundation.files import replacing
from analytics_assets.simulation.defects import Row
from analytics_assets.spec.source import PolarsType, Source, file_format


def write_rows(
    file: Path, rows: Sequence[Row], columns: Mapping[str, PolarsType], *, byte_order_mark: bool = False
) -> None:
    """Writes a file in the format that its ending names.

    Args:
        columns: the types of a Parquet file's numeric columns, in which every value must parse. Other formats take the
            text unchanged.
    """
    match file_format(file.name):
        case "csv":
            content = _csv(rows, columns).encode("utf-8-sig" if byte_order_mark else "utf-8")
        case "json lines":
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        case _:
            content = _parquet(rows, columns)
    if file.suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    with replacing(file) as temporary:
        temporary.write_bytes(content)


def write_as(file: Path, rows: Sequence[Row], source: Source) -> None:
    """Writes a file as those of a source are written: its delimiter, its numbers, its times.

    Args:
        rows: with times in ISO 8601 and in UTC, and with decimal points.
    """
    written = [{name: _written(value, name, source) if value else value for name, value in row.items()} for row in rows]
    if file_format(file.name) != "csv":
        write_rows(file, written, source.columns)
        return
    above = "Sample data\n" * source.skip_lines
    content = (above + _csv(written, source.columns, source.delimiter, header=source.header)).encode(source.encoding)
    with replacing(file) as temporary:
        temporary.write_bytes(gzip.compress(content, mtime=0) if file.suffix == ".gz" else content)


def _written(value: str, name: str, source: Source) -> str:
    dtype = source.columns.get(name, pl.String)
    if dtype.is_numeric():
        return value.replace(".", source.decimal)
    if dtype not in (pl.Date, pl.Datetime):
        return value
    form = source.time_formats.get(name, "").replace("%.f", ".%f")
    if dtype == pl.Date:
        return f"{datetime.fromisoformat(value):{form}}" if form else value
    if not form:
        return value if value.endswith("Z") else f"{value}Z"
    at = datetime.fromisoformat(value).replace(tzinfo=UTC)
    return f"{at if '%z' in form else at.astimezone(ZoneInfo(source.timezone)):{form}}"


def _csv(rows: Sequence[Row], columns: Mapping[str, PolarsType], delimiter: str = ",", *, header: bool = True) -> str:
    text = io.StringIO()
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n", delimiter=delimiter)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _parquet(rows: Sequence[Row], columns: Mapping[str, PolarsType]) -> bytes:
    held = io.BytesIO()
    text = pl.DataFrame({name: pl.Series([row.get(name) for row in rows], dtype=pl.String) for name in columns})
    # Times stay text, as in the exports of many tools.
    numbers = [name for name, dtype in columns.items() if dtype.is_numeric()]
    text.with_columns(pl.col(name).cast(columns[name]) for name in numbers).write_parquet(held)
    return held.getvalue()
