"""Readers: a file of any supported format becomes batches of records, as they stand in the file.

A reader decides only what a record is; whether its values are good is `parse`'s business. Memory is bounded by the
batch, whatever the size of the file.
"""

import csv
import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import duckdb
import polars as pl

from analytics_assets.ingest.source import Source, file_format

ROWS_PER_BATCH = 100_000
CSV_MEMORY_LIMIT = "400MB"  # DuckDB needs about 40 MB a thread for its CSV buffers; the rest is slack for long lines


class UnreadableFile(Exception):
    """A file that cannot be read at all; the message says why, for the person who dropped it."""


@dataclass(frozen=True)
class BrokenRecord:
    """A piece of a file that is not a record."""

    row: int
    column: str | None
    reason: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Consecutive records of one file.

    Attributes:
        frame: the records, one column a field of the file, text or the file's own types.
        first_row: number of the first record, counted from 1 over the records of the file.
        broken: what could not be read as a record.
    """

    frame: pl.DataFrame
    first_row: int
    broken: list[BrokenRecord] = field(default_factory=list)


def read_batches(path: Path, source: Source) -> Iterator[Batch]:
    """The records of a file, in its order, read ahead by a thread: reading keeps one core busy, parsing another.

    Args:
        path: a path that holds no character with a meaning to a globbing reader.

    Raises:
        UnreadableFile: the file is not of its format, or lacks a required column.
    """
    readers = {"csv": _read_csv, "parquet": _read_parquet, "json lines": _read_json_lines}
    yield from _read_ahead(readers[file_format(path.name)](path, source))


def _read_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="reader") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


def _require_columns(names: list[str], source: Source) -> None:
    missing = [c for c in source.columns if c not in names and c not in source.optional]
    if missing:
        raise UnreadableFile(f"it lacks the column {', '.join(missing)}; it has {', '.join(names) or 'no columns'}")
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UnreadableFile(f"its header names {', '.join(doubled)} more than once")


def _open_text(path: Path) -> IO[str]:
    """The file as text; bytes that are no UTF-8 become lone surrogates, since they may stand in any row below."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


# ---------------------------------------------------------------------------------------------------------- CSV


def _csv_header(path: Path, source: Source) -> list[str]:
    try:
        with _open_text(path) as file:
            header = next(csv.reader(file, delimiter=source.delimiter), None)
            "".join(header or []).encode()
    except (UnicodeEncodeError, OSError, EOFError, csv.Error) as error:
        raise UnreadableFile(f"its header cannot be read as UTF-8 CSV ({error})") from error
    if header is None:
        raise UnreadableFile("it is empty: not even a header")
    names = [name.strip() for name in header]
    _require_columns(names, source)
    return names


def _read_csv(path: Path, source: Source) -> Iterator[Batch]:
    """DuckDB splits the file into records: in parallel, and what is no record it puts into a table of its own."""
    names = _csv_header(path, source)
    connection = duckdb.connect(config={"memory_limit": CSV_MEMORY_LIMIT})
    row = 1
    try:
        relation = connection.execute(
            """
            select * from read_csv(
                $path, auto_detect = false, header = true, columns = $columns, delim = $delimiter, quote = '"',
                escape = '"', compression = $compression, store_rejects = true, rejects_limit = 0
            )
            """,
            {
                "path": str(path),
                "columns": dict.fromkeys(names, "VARCHAR"),
                "delimiter": source.delimiter,
                "compression": "gzip" if path.suffix == ".gz" else "none",
            },
        )
        for record_batch in relation.to_arrow_reader(ROWS_PER_BATCH):
            frame = pl.DataFrame(pl.from_arrow(record_batch))
            yield Batch(frame, row)
            row += frame.height
        broken = [
            # The header is the first line of DuckDB's count, and a record over several lines counts as one.
            BrokenRecord(line - 1, column, f"{kind.lower()}: {message}", text.strip("\r\n"))
            for line, column, kind, message, text in connection.execute(
                """
                select
                    line, any_value(column_name), min(error_type), min(error_message),
                    coalesce(any_value(csv_line), '')
                from reject_errors
                group by line
                order by line
                """
            ).fetchall()
        ]
    except duckdb.Error as error:
        raise UnreadableFile(f"it cannot be read as CSV ({str(error).splitlines()[0]})") from error
    finally:
        connection.close()
    if broken:
        yield Batch(pl.DataFrame(schema=dict.fromkeys(names, pl.String)), row, broken)


# ------------------------------------------------------------------------------------------------------ Parquet


def _read_parquet(path: Path, source: Source) -> Iterator[Batch]:
    if source.explode is not None:
        raise UnreadableFile("records to explode are read from JSON Lines only")
    row = 1
    try:
        scan = pl.scan_parquet(path, glob=False)
        names = scan.collect_schema().names()
        _require_columns(names, source)
        for frame in scan.collect_batches(chunk_size=ROWS_PER_BATCH, maintain_order=True):
            yield Batch(frame, row)
            row += frame.height
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnreadableFile(f"it cannot be read as Parquet ({str(error).splitlines()[0]})") from error


# --------------------------------------------------------------------------------------------------- JSON Lines


def _as_text(value: Any) -> str | None:
    """A JSON value as the text that a CSV file would hold, so that both are parsed alike."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(value)
    return json.dumps(value, default=str, ensure_ascii=False)


def _records_of(line: str, source: Source) -> list[dict[str, str | None]]:
    record = json.loads(line, parse_float=Decimal)
    if not isinstance(record, dict):
        raise ValueError(f"a line must hold an object, this one holds {type(record).__name__}")
    rows = [record] if source.explode is None else list(source.explode(record))
    texts = [{name: _as_text(value) for name, value in row.items()} for row in rows]
    if "\\u" in line:  # only so JSON can hold half a character, which no text of Polars can
        json.dumps(texts, ensure_ascii=False).encode()
    return texts


def _read_json_lines(path: Path, source: Source) -> Iterator[Batch]:
    row, rows, broken = 1, [], []
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for number, raw_line in enumerate(file, start=1):
                try:
                    line = raw_line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                    if line:
                        rows.extend(_records_of(line, source))
                except Exception as error:  # `explode` is a stranger's code: whatever it raises costs one record
                    text = raw_line.decode("utf-8", errors="replace").rstrip("\r\n")
                    broken.append(BrokenRecord(number, None, f"not a record: {type(error).__name__}: {error}", text))
                if len(rows) >= ROWS_PER_BATCH:
                    yield Batch(_text_frame(rows, source), row, broken)
                    row, rows, broken = row + len(rows), [], []
    except (OSError, EOFError) as error:
        raise UnreadableFile(f"it cannot be read as JSON Lines ({error})") from error
    if rows or broken:
        yield Batch(_text_frame(rows, source), row, broken)


def _text_frame(rows: list[dict[str, str | None]], source: Source) -> pl.DataFrame:
    names = dict.fromkeys([*source.columns, *(name for row in rows for name in row)])
    return pl.DataFrame({name: pl.Series([row.get(name) for row in rows], dtype=pl.String) for name in names})
