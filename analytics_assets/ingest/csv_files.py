"""Reads CSV as Python's csv module does, at the speed of Arrow.

A file is cut into pieces at the ends of records, from its start, so that each piece begins outside quotes. Arrow reads
a piece. If a piece holds something odd, such as a record with a field too few, Python's csv module reads it instead,
and tells where each record stands. Both agree on quotes: a quote opens a field only as its first character; inside an
unquoted field it is text.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from analytics_assets.foundation.words import plural
from analytics_assets.ingest.records import (
    BYTES_PER_BATCH,
    LONGEST_RECORD,
    Batch,
    BrokenRecord,
    UnreadableFile,
    columns_of,
    numbered,
    opened,
)
from analytics_assets.spec.source import Source

_BYTE_ORDER_MARK = "\ufeff".encode()
_BYTES_OF_ODD_PIECE = 500_000  # Python reads no more at a time: a broken record of one byte takes hundreds in memory
_BYTES_LOOKED_INTO = 50_000  # for a header that stands further down
_Fault = tuple[str | None, str]  # a column, and what is wrong
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_LINE_OF_BYTES = re.compile(_LINE.pattern.encode())
_LINE_END = re.compile(rb"\r\n|\r|\n")
_NO_UTF8 = re.compile("[\ud800-\udfff]")

csv.field_size_limit(LONGEST_RECORD)


def read(path: Path, source: Source, piece_bytes: int | None = None) -> Iterator[Batch]:
    """The records of a CSV file.

    Args:
        piece_bytes: about how many bytes to read at a time; `BYTES_PER_BATCH` by default.

    Raises:
        UnreadableFile: it has no valid header, or a record longer than `LONGEST_RECORD`.
    """
    with opened(path, source.encoding) as file:
        start = _after_lines(file, source.skip_lines)
        pieces = cut(file, source.delimiter, piece_bytes or BYTES_PER_BATCH, start)
        first = next(pieces, Piece(b"", True, True))
        names, length, line_end = _header(first.held, source)
        reader = _Reader(names, source.delimiter, line_end)
        row = 1
        for piece in chain([replace(first, held=first.held[length:])], pieces):
            for batch in reader.batches(piece, row):
                yield batch
                row += batch.frame.height + len(batch.broken)


def _after_lines(file: IO[bytes], lines: int) -> bytes:
    """What was read of a file behind a byte order mark and its first lines; their quotes mean nothing.

    Raises:
        UnreadableFile: it has no more lines than that.
    """
    held = file.read(len(_BYTE_ORDER_MARK)).removeprefix(_BYTE_ORDER_MARK)
    while lines:
        block = file.read(_BYTES_OF_ODD_PIECE)
        held += block
        ends = [end.end() for end in islice(_LINE_END.finditer(held), lines)]
        if len(ends) == lines and (ends[-1] < len(held) or not block):  # the last \r read may be half of \r\n
            return held[ends[-1] :]
        if not block or len(held) > LONGEST_RECORD:
            raise UnreadableFile(f"nothing follows the {plural(lines, 'line')} that its spec skips (`skip_lines`)")
    return held


# ------------------------------------------------------------------------------------------------------- pieces


@dataclass(frozen=True)
class Piece:
    """Bytes of a file that begin at the start of a record.

    Attributes:
        is_whole: whether they also end at the end of a record: the last piece may end within an unclosed quote.
        is_strict: whether each closing quote stands at the end of its field, so that none is misplaced.
    """

    held: bytes
    is_whole: bool
    is_strict: bool


def cut(file: IO[bytes], delimiter: str, piece_bytes: int, start: bytes = b"") -> Iterator[Piece]:
    """Cuts `start` and the rest of a file into pieces that end where a record ends.

    Raises:
        UnreadableFile: a record does not end within `LONGEST_RECORD` bytes.
    """
    rest, done = start, 0
    while block := file.read(piece_bytes):
        piece = rest + block
        quotes = _quotes(piece, delimiter)
        end = _end_of_records(piece, quotes)
        if end:
            yield Piece(piece[:end], True, _close_fields(piece, quotes, delimiter))
        rest = piece[end:]
        done += end
        if len(rest) > LONGEST_RECORD:
            raise UnreadableFile(
                f"the record that begins after {done:,} bytes has more than {LONGEST_RECORD:,}; is a quote not closed?"
                f" It begins with {rest[:60].decode(errors='replace')!r}"
            )
    if rest:
        quotes = _quotes(rest, delimiter)
        yield Piece(rest, len(quotes) % 2 == 0, _close_fields(rest, quotes, delimiter))


def _end_of_records(piece: bytes, quotes: np.ndarray) -> int:
    """Where the last whole record of a piece ends; 0 if no record ends in it."""
    # A lone \r ends a record, too; it is looked for if no \n ends one. A \r as the last byte may be half of \r\n.
    for line_end, within in ((b"\n", len(piece)), (b"\r", len(piece) - 1)):
        at = piece.rfind(line_end, 0, within)
        while at >= 0:
            number = int(np.searchsorted(quotes, at))
            if number % 2 == 0:
                return at + 1
            at = piece.rfind(line_end, 0, int(quotes[number - 1]))
    return 0


def _quotes(piece: bytes, delimiter: str) -> np.ndarray:
    """The positions of the quotes that open and close fields, in turn; a doubled quote closes and reopens its field."""
    held = np.frombuffer(piece, dtype=np.uint8)
    quotes = np.flatnonzero(held == ord('"'))
    begins_field = np.zeros(256, dtype=bool)
    begins_field[[ord(delimiter), ord("\n"), ord("\r")]] = True
    begins_again = begins_field.copy()
    begins_again[ord('"')] = True
    opening = quotes[::2]
    if begins_again[held[opening[opening > 0] - 1]].all():
        return quotes  # no quote is text
    found: list[int] = []
    can_open = begins_field[held[quotes - 1]].tolist()  # meaningless for a quote at position 0
    for at, opens in zip(quotes.tolist(), can_open, strict=True):
        is_open = len(found) % 2 == 1
        if is_open or opens or at == 0 or (found and at == found[-1] + 1):
            found.append(at)
    return np.array(found, dtype=np.int64)


def _close_fields(piece: bytes, quotes: np.ndarray, delimiter: str) -> bool:
    """Whether each closing quote is followed by the end of its field, or is the first of a doubled quote."""
    ends_field = np.zeros(256, dtype=bool)
    ends_field[[ord(delimiter), ord("\n"), ord("\r"), ord('"')]] = True
    closing = quotes[1::2]
    if len(closing) and closing[-1] == len(piece) - 1:
        closing = closing[:-1]
    return bool(ends_field[np.frombuffer(piece, dtype=np.uint8)[closing + 1]].all())


def _header(piece: bytes, source: Source) -> tuple[list[str | None], int, bytes]:
    """The column names (None for a column without one), the length of the header in bytes, and its line end."""
    line, taken = b"", 0

    def lines() -> Iterator[str]:
        nonlocal line, taken
        for found in _LINE_OF_BYTES.finditer(piece):
            line, taken = found.group(), found.end()
            yield line.decode()

    try:
        header = next((fields for fields in csv.reader(lines(), delimiter=source.delimiter) if fields), None)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableFile(f"its header cannot be read as UTF-8 CSV ({error})") from error
    line_end = line[len(line.rstrip(b"\r\n")) :]
    if not source.header:
        return [*_columns_without_header(header or (), source)], 0, line_end
    if header is None:
        raise UnreadableFile("it is empty: not even a header")
    names = [name.strip() for name in header]
    for name in names:
        if source.delimiter in name and len(name.splitlines()) > 1:
            raise UnreadableFile(f"its header opens a quote that it does not close, before {name[:60]!r}")
    try:
        return [name or None for name in columns_of(names, source)], taken, line_end
    except UnreadableFile as error:
        raise UnreadableFile(f"{error}{_lines_above(piece, source)}") from error


def _lines_above(piece: bytes, source: Source) -> str:
    """What to do if the header stands further down, below a title or the like; empty if it does not."""
    lines = (line.decode(errors="replace") for line in _LINE_OF_BYTES.findall(piece[:_BYTES_LOOKED_INTO]))
    reader, above = csv.reader(lines, delimiter=source.delimiter), 0
    with suppress(csv.Error):
        for fields in reader:
            with suppress(UnreadableFile):
                columns_of([field.strip() for field in fields], source)
                return (
                    f"; the header stands below {plural(source.skip_lines + above, 'line')}: say "
                    f"`skip_lines={source.skip_lines + above}` in the spec"
                )
            above = reader.line_num
    return (
        f"; {plural(source.skip_lines, 'line')} above it were skipped, as the spec says (`skip_lines`)"
        if source.skip_lines
        else ""
    )


def _columns_without_header(first: Sequence[str], source: Source) -> list[str]:
    """The columns of a file whose first record stands for all: the last ones may be lacking if they are optional.

    Raises:
        UnreadableFile: it lacks others.
    """
    columns = list(source.columns)
    held = columns[: len(first)] if first else columns
    if missing := [column for column in columns[len(held) :] if column not in source.optional]:
        raise UnreadableFile(
            f"its first record has {len(first)} of {len(columns)} fields: it lacks {', '.join(missing)}; "
            "a file of this source has no header, and its columns come in the order of the spec"
        )
    return held


# ------------------------------------------------------------------------------------------------------ records


@dataclass
class _Record:
    fields: list[str]
    lines: list[str]
    fault: _Fault | None


class _Reader:
    """Reads the pieces of one file."""

    def __init__(self, names: list[str | None], delimiter: str, line_end: bytes) -> None:
        self._names, self._delimiter, self._line_end = names, delimiter, line_end.decode()
        self._numbers = [str(number) for number in range(len(names))]  # names may be empty
        self._parse = arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        self._convert = arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(self._numbers, pa.string()), strings_can_be_null=True, null_values=[""]
        )

    def batches(self, piece: Piece, row: int) -> Iterator[Batch]:
        """The records of a piece; `row` is the number of the first."""
        if (batch := self._by_arrow(piece, row)) is not None:
            yield batch
            return
        for part in cut(io.BytesIO(piece.held), self._delimiter, _BYTES_OF_ODD_PIECE):
            batch = self._by_arrow(part, row) or self._by_python(part, row)
            yield batch
            row += batch.frame.height + len(batch.broken)

    def _by_arrow(self, whole: Piece, row: int) -> Batch | None:
        """The records of a piece as Arrow reads them; None if it may hold anything but good records."""
        piece = whole.held
        if not whole.is_whole or not whole.is_strict:
            return None
        if piece.startswith(_BYTE_ORDER_MARK):  # Arrow would drop it, in any piece
            return None
        # One byte more: Arrow cannot tell that a block that fills the piece is the last one.
        options = arrow_csv.ReadOptions(column_names=self._numbers, use_threads=False, block_size=len(piece) + 1)
        try:
            table = arrow_csv.read_csv(pa.BufferReader(piece + b"\n"), options, self._parse, self._convert)
        except pa.ArrowInvalid:
            return None
        return numbered(self._named(pl.DataFrame(pl.from_arrow(table))), row)

    def _by_python(self, piece: Piece, row: int) -> Batch:
        lines = _LINE.findall(piece.held.decode(errors="surrogateescape"))
        records, done = [], 0
        reader = csv.reader(lines, delimiter=self._delimiter)
        for fields in reader:
            held, done = lines[done : reader.line_num], reader.line_num
            if fields:  # an empty line is no record
                records.append(_Record(fields, held, self._fault_of(fields) or self._stray_quote(held)))
        if not piece.is_whole:
            records[-1].fault = (None, "open quote: it opens a quote that is closed nowhere in the rest of the file")
        rows: list[list[str]] = []
        numbers: list[int] = []
        broken: list[BrokenRecord] = []
        for record in self._joined(records):
            number = row + len(rows) + len(broken)
            if record.fault is None:
                rows.append(record.fields[: len(self._names)])
                numbers.append(number)
            else:
                text = "".join(record.lines).rstrip("\r\n").encode(errors="surrogateescape").decode(errors="replace")
                broken.append(BrokenRecord(number, *record.fault, text, len(record.lines)))
        columns = zip(*rows, strict=True) if rows else [()] * len(self._names)
        frame = pl.DataFrame(
            {
                name: pl.Series([value or None for value in values], dtype=pl.String)
                for name, values in zip(self._numbers, columns, strict=True)
            }
        )
        return Batch(self._named(frame), pl.Series(numbers, dtype=pl.Int64), broken)

    def _fault_of(self, fields: list[str]) -> _Fault | None:
        """What is wrong with a record; extra fields are ignored if they are empty, as after a trailing comma."""
        expected = len(self._names)
        if len(fields) < expected:
            return self._names[len(fields)], f"missing columns: {len(fields)} of {expected} fields"
        if any(fields[expected:]):
            return None, f"too many columns: {len(fields)} fields for {expected} columns"
        for name, value in zip(self._names, fields, strict=False):
            if _NO_UTF8.search(value):
                return name, "invalid encoding: not UTF-8"
        return None

    def _stray_quote(self, lines: list[str]) -> _Fault | None:
        """The fault of a record of several lines with a quote inside a field: its first line may leave a quote open."""
        if len(lines) > 1:
            try:
                list(csv.reader(lines, delimiter=self._delimiter, strict=True))
            except csv.Error:
                return None, "stray quote: it spans lines, and a quote stands amid a field; was one not closed?"
        return None

    def _joined(self, records: list[_Record]) -> Iterator[_Record]:
        """Joins the parts of a record that a carriage return cut into one broken record, if no part is a record."""
        if self._line_end == "\r":
            yield from records
            return
        cut_at: list[int] = [
            number for number, record in enumerate(records, start=1) if not record.lines[-1].endswith("\r")
        ]
        for begin, end in pairwise([0, *cut_at, len(records)]):
            line = records[begin:end]
            if len(line) > 1 and all(record.fault for record in line):
                text = "".join(chain.from_iterable(record.lines for record in line))
                yield _Record([], [text], (None, "carriage return: one stands amid the record, outside of quotes"))
            else:
                yield from line

    def _named(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Names the columns of a frame, and drops those with neither name nor value."""
        held = {}
        for number, name in zip(self._numbers, self._names, strict=True):
            if name is None and frame[number].null_count() < frame.height:
                name = f"column {int(number) + 1}"
            if name is not None:
                held[name] = frame[number]
        return pl.DataFrame(held)
