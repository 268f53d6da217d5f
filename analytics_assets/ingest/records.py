"""What all readers of files share: batches of records, broken records, and unreadable files.

The readers are in `formats`, `csv_files` and `json_lines`.
"""

import codecs
import gzip
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import polars as pl

from analytics_assets.foundation.failures import is_transient
from analytics_assets.spec.source import Source

ROWS_PER_BATCH = 100_000
BYTES_PER_BATCH = 8_000_000
LONGEST_RECORD = 16_000_000  # bytes; no sane file has longer ones, and one must fit into memory several times
MOST_COLUMNS = 10_000
_CHARACTERS_AT_ONCE = 1_000_000


class UnreadableFile(Exception):
    """A file that cannot be read at all; the message says why, for the person who dropped it."""


@dataclass(frozen=True)
class BrokenRecord:
    """A piece of a file that is not a record.

    Attributes:
        row: its number among the records of the file; for JSON Lines, its line number.
        lines: how many lines of the file it spans. More than one hints at swallowed records.
    """

    row: int
    column: str | None
    reason: str
    text: str
    lines: int = 1


@dataclass(frozen=True)
class Batch:
    """Consecutive records of one file, or of several that have the same columns.

    Attributes:
        frame: the records, one column per field of the file, as text or in the file's own types.
        rows: the number of each record, counted from 1 over the records of its file.
        broken: what stood among them but could not be read as a record.
        extra: each row's columns that the spec does not know, as a JSON object, if the reader gathers them: `shown`
            holds all of them, `landed` only if one of them has a value.
        unknown: the names in `extra`.
    """

    frame: pl.DataFrame
    rows: pl.Series
    broken: list[BrokenRecord] = field(default_factory=list)
    extra: pl.DataFrame | None = None
    unknown: frozenset[str] = frozenset()


def numbered(frame: pl.DataFrame, first_row: int) -> Batch:
    """A batch whose records are numbered without gaps."""
    return Batch(frame, pl.int_range(first_row, first_row + frame.height, dtype=pl.Int64, eager=True))


@contextmanager
def blaming_the_file(what: str) -> Iterator[None]:
    """Turns an error that the content of a file causes into UnreadableFile, so that it stops nothing else.

    Transient errors, such as a full disk, and a missing file are raised unchanged.

    Args:
        what: the beginning of the message, such as `it cannot be read as CSV`.

    Raises:
        UnreadableFile: with the first line of the error's message.
    """
    try:
        yield
    except (UnreadableFile, FileNotFoundError, MemoryError):
        raise
    except EOFError as error:
        raise UnreadableFile("it ends in the middle: was it cut off on its way? Drop it again, whole") from error
    except (Exception, pl.exceptions.PanicException) as error:  # a Rust panic is no Exception
        if isinstance(error, OSError) and is_transient(error):
            raise
        said = next(iter(str(error).splitlines()), "")
        raise UnreadableFile(f"{what} ({said or type(error).__name__})") from error


_NO_UTF8_TEXT = {
    codecs.BOM_UTF16_LE: "UTF-16 or UTF-32: save it as UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16: save it as UTF-8",
    b"\x1f\x8b": "packed by gzip: let its name end in .gz, or unpack it once more if it does",
    b"PK\x03\x04": "a ZIP archive or a workbook: drop the CSV or JSON Lines that it holds",
}

_NO_TEXT = (b"\x1f\x8b", b"PK\x03\x04")


@contextmanager
def opened(path: Path, encoding: str = "utf-8") -> Iterator[IO[bytes]]:
    """The text of a file as UTF-8, unpacked: all members of a gzip file, checksums checked, trailing zeros ignored.

    Reading raises EOFError if the file was cut off, zlib.error or OSError if it is damaged, and UnreadableFile if it is
    not of an encoding other than UTF-8.

    Raises:
        UnreadableFile: it begins like a file that is not UTF-8 text, or is an empty gzip file.
    """
    if path.suffix == ".gz" and not path.stat().st_size:
        raise UnreadableFile("it is empty, as no gzip is: was it cut off on its way? Drop it again, whole")
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        start = cast(io.BufferedReader, file).peek(4)
        is_utf8 = codecs.lookup(encoding).name == "utf-8"
        for begins, sentence in _NO_UTF8_TEXT.items():
            if start.startswith(begins) and (is_utf8 or begins in _NO_TEXT):
                raise UnreadableFile(f"it is {sentence}")
        yield cast(IO[bytes], file) if is_utf8 else io.BufferedReader(_InUtf8(cast(IO[bytes], file), encoding))


class _InUtf8(io.RawIOBase):
    """A text file of another encoding, as UTF-8."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._text = io.TextIOWrapper(file, encoding, newline="")
        self._encoding, self._rest = encoding, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            try:
                self._rest = self._text.read(_CHARACTERS_AT_ONCE).encode()
            except UnicodeError as error:
                raise UnreadableFile(f"it is not of the encoding {self._encoding}: {error}") from error
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def columns_of(names: Sequence[str], source: Source) -> list[str]:
    """The columns that a header names, in its order: those of the spec by their own names, the others as they are.

    Raises:
        UnreadableFile: it lacks a required column, or names one twice; with the header and the expected columns.
    """
    if len(names) > MOST_COLUMNS:
        raise UnreadableFile(f"its header has {len(names):,} columns, more than {MOST_COLUMNS:,}: {_shown(names)}")
    of_alias = source.column_of_alias
    columns = [of_alias.get(name, name) for name in names]
    faults = []
    if missing := [c for c in source.columns if c not in columns and c not in source.optional]:
        faults.append(f"lacks the column {', '.join(missing)}")
    if doubled := sorted(name for name, times in Counter(columns).items() if name and times > 1) if not faults else []:
        faults.append(f"names {_shown(doubled)} more than once")
    if faults:
        expected = [" or ".join([column, *source.aliases.get(column, ())]) for column in source.columns]
        raise UnreadableFile(
            f"it {' and '.join(faults)}; its header is: {_shown(names)}; expected is: {', '.join(expected)}"
        )
    return columns


def _shown(names: Sequence[str]) -> str:
    """Column names of a file, fit for a sentence: without unprintable characters, and not too long."""
    plain = ["".join(c if c.isprintable() else "�" for c in name[:50]) for name in names[:50]]
    more = [f"and {len(names) - 50} more"] if len(names) > 50 else []
    return ", ".join([*plain, *more]) or "nothing"
