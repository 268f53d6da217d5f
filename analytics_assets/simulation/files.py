"""Writes rows of text as the kinds of files that people drop. The same rows give the same bytes."""

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from analytics_assets.foundation.files import replacing
from analytics_assets.simulation.defects import Row
from analytics_assets.spec.source import PolarsType, file_format


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


def _csv(rows: Sequence[Row], columns: Mapping[str, PolarsType]) -> str:
    text = io.StringIO()
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    writer = csv.DictWriter(text, list(names), restval="", lineterminator="\n")
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
