"""Readers: a file of any supported format becomes batches of records, as they stand in the file.

A reader decides only what a record is; whether its values are good is `parse`'s business. Each file is read to its end,
and every record of it comes out, as a row of a frame or as a broken record. Memory is bounded by the batch, whatever
the size of the file.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from analytics_assets.ingest import csv_files, json_lines
from analytics_assets.ingest.records import (
    ROWS_PER_BATCH,
    Batch,
    UnreadableFile,
    blaming_the_file,
    numbered,
    require_columns,
)
from analytics_assets.ingest.source import Source, file_format


def read_batches(path: Path, source: Source) -> Iterator[Batch]:
    """The records of a file, in its order, read ahead by a thread: reading keeps one core busy, parsing another.

    Args:
        path: a path that holds no character with a meaning to a globbing reader.

    Raises:
        UnreadableFile: the file is not of its format, lacks a required column, or makes its reader fail.
    """
    readers: dict[str, tuple[str, Callable[[Path, Source], Iterator[Batch]]]] = {
        "csv": ("CSV", csv_files.read),
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
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _read_parquet(path: Path, source: Source) -> Iterator[Batch]:
    if source.explode is not None:
        raise UnreadableFile("records to explode are read from JSON Lines only")
    row = 1
    scan = pl.scan_parquet(path, glob=False)
    require_columns(scan.collect_schema().names(), source)
    for frame in scan.collect_batches(chunk_size=ROWS_PER_BATCH, maintain_order=True):
        yield numbered(frame, row)
        row += frame.height
