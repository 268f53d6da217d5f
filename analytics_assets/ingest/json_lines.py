"""JSON Lines: one record per line; and what other programs write under that name.

Firehose writes objects one after the other; `json.dump` of a list writes an array, pretty-printed or on one line. Their
records are read, too. Values become the text that a CSV file would hold, so that both are parsed alike.
"""

import codecs
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, Any

import polars as pl

from analytics_assets.ingest.records import (
    BYTES_PER_BATCH,
    LONGEST_RECORD,
    ROWS_PER_BATCH,
    Batch,
    BrokenRecord,
    UnreadableFile,
    numbered,
    opened,
)
from analytics_assets.spec.source import PolarsType, Source


def _number(text: str) -> Decimal | str:
    """A number with a fraction or an exponent; its text if the exponent is too large for a decimal."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


_DECODER = json.JSONDecoder(parse_float=_number)
_BETWEEN_VALUES = re.compile(r"[\s,]*")
_AROUND_RECORDS = re.compile(r"[\s,\[\]]*")
_MOST_DIGITS = 19  # maximum digits of a whole number that is written without an exponent, however the file spells it
_BYTES_AT_ONCE = 1_000_000
_LONGEST_REASON = 500  # characters
_ADVICE = "write one object a line, as `jq -c '.[]'` does"


@dataclass(frozen=True, slots=True)
class _Value:
    """What a file holds in place of a record; `value` is an exception if it is not JSON."""

    number: int
    value: Any
    text: str | None  # as it stood in the file, None for an element of a list
    size: int  # in characters
    may_be_odd: bool  # may hold NaN, or half a character, which JSON can write as \ud83d but Polars cannot hold


def read(path: Path, source: Source) -> Iterator[Batch]:
    """The records of a file of JSON Lines.

    Raises:
        UnreadableFile: it holds a line or a record longer than `LONGEST_RECORD`, or is one broken JSON document.
    """
    with opened(path, source.encoding) as file:
        number, first = 1, file.readline(LONGEST_RECORD)
        while first and not first.strip():
            number, first = number + 1, file.readline(LONGEST_RECORD)
        first = first.removeprefix(codecs.BOM_UTF8)
        values = _document(file, first) if _begins_document(first) else _lines(file, first, number)
        yield from _batches(values, source)


def _begins_document(line: bytes) -> bool:
    """Whether a first line leaves a list or an object open, or is so long that it may be the only one."""
    held = line.strip()
    return (
        held in (b"[", b"{")
        or (held.startswith(b"[") and not held.endswith(b"]"))
        or (len(line) == LONGEST_RECORD and not line.endswith(b"\n"))
    )


def _lines(file: IO[bytes], line: bytes, number: int) -> Iterator[_Value]:
    while line:
        if len(line) > LONGEST_RECORD:
            raise UnreadableFile(f"its line {number} has more than {LONGEST_RECORD:,} bytes; {_ADVICE}")
        yield from _values_of_line(line, number)
        number, line = number + 1, file.readline(LONGEST_RECORD + 1)


def _values_of_line(line: bytes, number: int) -> Iterator[_Value]:
    try:
        text = line.decode().strip()
    except UnicodeDecodeError as error:
        yield _Value(number, error, line.decode(errors="replace").rstrip("\r\n"), len(line), False)
        return
    at, is_odd = 0, "\\u" in text or "NaN" in text
    while at < len(text):
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield _Value(number, error, text[at:], len(text) - at, False)
            return
        if isinstance(value, list):
            yield from (_Value(number, one, None, (end - at) // len(value), is_odd) for one in value)
        else:
            yield _Value(number, value, text[at:end], end - at, is_odd)
        at = _BETWEEN_VALUES.match(text, end).end()  # type: ignore[union-attr]


def _document(file: IO[bytes], start: bytes) -> Iterator[_Value]:
    """The values of a list, or values in a row, regardless of lines. Nothing can be read after a broken one."""
    utf8 = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text, number, lists, is_all = utf8.decode(start), 1, 0, False
    while True:
        at = 0
        while True:
            around = _AROUND_RECORDS.match(text, at)
            lists += around.group().count("[") - around.group().count("]")  # type: ignore[union-attr]
            at = around.end()  # type: ignore[union-attr]
            try:
                value, end = _DECODER.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                fault = error
                break
            if end == len(text) and not is_all:  # a number may go on
                break
            yield _Value(number, value, text[at:end], end - at, True)
            number, at = number + 1, end
        text = text[at:]
        if is_all:
            break
        if len(text) > LONGEST_RECORD:
            raise UnreadableFile(f"its record {number} is broken, or longer than {LONGEST_RECORD:,} bytes; {_ADVICE}")
        more = file.read(max(_BYTES_AT_ONCE, len(text)))
        is_all = not more
        text += utf8.decode(more, final=is_all)
    if text:
        raise UnreadableFile(f"its record {number} is no JSON, or cut off ({fault}); {_ADVICE}")
    if lists:
        raise UnreadableFile("it ends in the middle: its list is not closed. Drop it again, whole")


# ------------------------------------------------------------------------------------------------------ records


def _batches(values: Iterator[_Value], source: Source) -> Iterator[Batch]:
    first_row, size = 1, 0
    rows: list[dict[str, str | None]] = []
    broken: list[BrokenRecord] = []
    for one in values:
        try:
            rows.extend(_rows_of(one, source))
        except Exception as error:  # `explode` is a domain's code: whatever it raises rejects one record only
            said = f"not a record: {type(error).__name__}: {error}"
            text = one.text if one.text is not None else as_text(one.value)
            broken.append(BrokenRecord(one.number, None, said[:_LONGEST_REASON], text or ""))
        size += one.size
        if len(rows) + len(broken) >= ROWS_PER_BATCH or size > BYTES_PER_BATCH:
            yield _batch(rows, first_row, broken, source)
            first_row, size, rows, broken = first_row + len(rows), 0, [], []
    if rows or broken:
        yield _batch(rows, first_row, broken, source)


def _rows_of(one: _Value, source: Source) -> list[dict[str, str | None]]:
    if isinstance(one.value, Exception):
        raise one.value
    if not isinstance(one.value, dict):
        raise TypeError(f"a record is a JSON object, this is {type(one.value).__name__}; {_ADVICE}")
    records = [one.value] if source.explode is None else list(source.explode(one.value))
    if source.aliases:
        records = [_by_column(record, source) for record in records]
    texts = [{name: as_text(value) for name, value in record.items()} for record in records]
    if one.may_be_odd:
        for record, text in zip(records, texts, strict=True):
            text.update((name, None) for name, value in record.items() if _is_no_text(value, source.columns.get(name)))
        json.dumps(texts, ensure_ascii=False).encode()
    return texts


def _by_column(record: dict[str, Any], source: Source) -> dict[str, Any]:
    of_alias = source.column_of_alias
    columns = [of_alias.get(name, name) for name in record]
    if len(set(columns)) < len(columns):
        raise ValueError(f"it holds {max(columns, key=columns.count)} under more than one name")
    return dict(zip(columns, record.values(), strict=True))


def _is_no_text(value: Any, wanted: PolarsType | None) -> bool:
    """Whether a value is NaN in a text column: Python programs write NaN for an empty cell."""
    return isinstance(value, float) and math.isnan(value) and wanted in (None, pl.String)


def _batch(rows: list[dict[str, str | None]], first_row: int, broken: list[BrokenRecord], source: Source) -> Batch:
    """A batch of rows; `extra` gathers columns that the spec does not know, since each row may bring new ones."""
    unknown: set[str] = set()
    shown: list[str | None] = []
    landed: list[str | None] = []
    for row in rows:
        held = {name: text for name, text in row.items() if name not in source.columns}
        unknown.update(held)
        shown.append(_compact(held) if held else None)
        landed.append(shown[-1] if any(text is not None for text in held.values()) else None)
    frame = pl.DataFrame({name: pl.Series([row.get(name) for row in rows], dtype=pl.String) for name in source.columns})
    batch = numbered(frame, first_row)
    extra = pl.DataFrame({"shown": shown, "landed": landed}, schema=dict.fromkeys(("shown", "landed"), pl.String))
    return replace(batch, broken=broken, extra=extra, unknown=frozenset(unknown))


# ------------------------------------------------------------------------------------------------------- values


def as_text(value: Any) -> str | None:
    """A value as the text that a CSV file would hold: a whole number without a fraction, an object as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        is_whole = value.is_finite() and value.adjusted() < _MOST_DIGITS and value == value.to_integral_value()
        return str(int(value)) if is_whole else str(value)
    if isinstance(value, int):
        return str(value)
    try:
        return json.dumps(value, default=_number_or_text, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_without_nan(value), default=_number_or_text, ensure_ascii=False)


def _without_nan(value: Any) -> Any:
    """A value with null for NaN and infinities, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _without_nan(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_without_nan(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _compact(value: Any) -> str:
    """A value as JSON without blanks, as Polars writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _number_or_text(value: Any) -> float | str:
    """Encodes what JSON cannot: a decimal as a number if it equals a float, everything else as text."""
    if isinstance(value, Decimal) and Decimal(repr(float(value))) == value:
        return float(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
