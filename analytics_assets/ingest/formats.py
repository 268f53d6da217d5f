"""Readers: turn a file of any supported format into batches of records, as they stand in the file.

A reader only decides what a record is; `parse` judges its values. Each file is read to its end, and every record comes
out, either as a row of a frame or as a broken record. Memory is bounded by the batch, whatever the size of the file.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from analytics_assets.ingest import json_lines
from analytics_assets.ingest.records import (
    ROWS_PER_BATCH,
    Batch,
    UnreadableFile,
    blaming_the_file,
    columns_of,
    numbered,
)
from analytics_assets.spec.source import Source, file_format

_BYTES_AT_ONCE = 1_000_000
_END_AND_BEGINNING = b"PAR1PAR1"  # where one Parquet file follows another

os.environ.setdefault("POLARS_IGNORE_TIMEZONE_PARSE_ERROR", "1")  # Arrow takes +05:30 for a zone, Polars does not


def read_batches(path: Path, source: Source) -> Iterator[Batch]:
    """The records of a file in their order; those of a large file are read ahead by a thread, while others are parsed.

    Args:
        path: a path without glob characters.

    Raises:
        UnreadableFile: the file is not of its format, lacks a required column, or makes its reader fail.
    """
    readers: dict[str, tuple[str, Callable[[Path, Source], Iterator[Batch]]]] = {
        "csv": ("CSV", _read_csv),
        "parquet": ("Parquet", _read_parquet),
        "json lines": ("JSON Lines", json_lines.read),
    }
    name, read = readers[file_format(path.name)]
    batches = _read_ahead(read(path, source))
    while True:
        with blaming_the_file(f"it cannot be read as {name}"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _read_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    yield from islice(batches, 2)  # most files have no more, and need no thread
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _read_csv(path: Path, source: Source) -> Iterator[Batch]:
    from analytics_assets.ingest import csv_files  # Arrow and NumPy, which nothing else needs

    return csv_files.read(path, source)


def _read_parquet(path: Path, source: Source) -> Iterator[Batch]:
    if source.explode is not None:
        raise UnreadableFile("records to explode are read from JSON Lines only")
    _require_one_parquet(path)
    row = 1
    scan = pl.scan_parquet(path, glob=False)
    names = scan.collect_schema().names()
    scan = scan.rename(dict(zip(names, columns_of(names, source), strict=True)))
    for frame in scan.collect_batches(chunk_size=ROWS_PER_BATCH, maintain_order=True):
        yield numbered(frame.with_columns(_in_known_zone(c) for c in frame if _is_of_unknown_zone(c.dtype)), row)
        row += frame.height


def _require_one_parquet(path: Path) -> None:
    """Refuses several Parquet files that were joined into one: readers use only the last footer.

    A footer's offsets count from the start of the file, where the pages of the first one lie: rows of the first would
    be read instead of the last one's.
    """
    with path.open("rb") as file:
        end = b""
        while block := file.read(_BYTES_AT_ONCE):
            if _END_AND_BEGINNING in block or _END_AND_BEGINNING in end + block[:8]:
                raise UnreadableFile("it is several Parquet files in one: drop each of them by itself")
            end = block[-8:]


def _is_of_unknown_zone(dtype: pl.DataType) -> bool:
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        return False
    try:
        ZoneInfo(dtype.time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return True
    return False


def _in_known_zone(times: pl.Series) -> pl.Series:
    """The same instants in UTC; the file holds UTC whatever its zone."""
    unit = times.dtype.time_unit  # type: ignore[attr-defined]
    return times.to_physical().cast(pl.Datetime(unit, "UTC"))
