"""What somebody's files are, before anything is known of them: format, encoding, delimiter, header, and their texts.

Reads with the readers of landing, so that a value looks here as it will when it lands.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from analytics_assets.ingest.formats import read_batches
from analytics_assets.ingest.records import UnreadableFile, opened
from analytics_assets.scaffold.names import column_names, said_plainly
from analytics_assets.scaffold.questions import Ask, Question
from analytics_assets.spec.source import Kind, Source, file_format

ROWS_LOOKED_AT = 200_000  # of a file, for the types
_DELIMITERS = (",", ";", "\t", "|")
_LINES_FOR_DELIMITER = 200
_MOST_LINES_ABOVE = 30  # the header of a file
_BYTES_AT_ONCE = 1_000_000
_LIKE_A_VALUE = re.compile(
    r"[+-]?[\d.,' ]*\d[\d.,' ]*%?"  # a number
    r"|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ].*)?"  # a date
    r"|true|false",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Form:
    """How files are written.

    Attributes:
        kind: `csv`, `parquet` or `json lines`.
        skip_lines: how many lines stand above the header.
        spelled: the columns of each file, in its order; without a header, the names that they were given.
    """

    kind: str
    encoding: str = "utf-8"
    delimiter: str = ","
    header: bool = True
    skip_lines: int = 0
    spelled: tuple[tuple[str, ...], ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """The project's name of each spelling; spellings of several files that differ in form alone are one column."""
        found: dict[str, str] = {}
        for columns in self.spelled:
            for text, name in column_names(columns).items():
                found.setdefault(text, name)
        return found


def require_files(files: Sequence[Path]) -> None:
    """Checks that files can be looked at.

    Raises:
        ValueError: one is none, is empty, or is of no format that lands.
    """
    if not files:
        raise ValueError("name a file, or the address of a page of an API")
    for file in files:
        if not file.is_file():
            raise ValueError(f"{file}: there is no such file")
        try:
            file_format(file.name)
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from error
        if not file.stat().st_size:
            raise ValueError(f"{file.name} is empty; what its columns are cannot be told")
    if len({file.name for file in files}) < len(files):
        raise ValueError("two files have the same name, and one would replace the other in the inbox")


def form_of(files: Sequence[Path], ask: Ask, columns: Sequence[str] = ()) -> tuple[Form, list[tuple[str, str, str]]]:
    """How files are written, and what was guessed: what, the guess, why.

    Args:
        columns: the names of the columns of CSV files without a header.

    Raises:
        ValueError: the files are written in several ways, or one cannot be read.
    """
    kinds = {file_format(file.name) for file in files}
    if len(kinds) > 1:
        raise ValueError(f"the files are {' and '.join(sorted(kinds))}; give those of one format, as one source has")
    (kind,) = kinds
    if kind == "parquet":
        return Form(
            kind, spelled=tuple(tuple(pl.scan_parquet(file, glob=False).collect_schema()) for file in files)
        ), []
    encodings = {file: _encoding(file) for file in files}
    if len(named := {name for name, _ in encodings.values()}) > 1:
        raise ValueError(f"the files are {' and '.join(sorted(named))}; save them in one encoding, best UTF-8")
    encoding, why = encodings[files[0]]
    said = [("encoding", encoding, why)] if encoding != "utf-8" else []
    if kind == "json lines":
        return Form(kind, encoding, spelled=tuple(_fields(file, encoding) for file in files)), said
    delimiters = {file: _delimiter(file, encoding) for file in files}
    if len(set(delimiters.values())) > 1:
        shown = ", ".join(f"{file.name}: {delimiter!r}" for file, delimiter in delimiters.items())
        raise ValueError(f"the files separate their fields in several ways ({shown}); one source has one")
    delimiter = delimiters[files[0]]
    if delimiter != ",":
        said.append(("delimiter", repr(delimiter), "its lines have the same number of fields by it"))
    above = {file: _lines_above(_text(file, encoding), delimiter) for file in files}
    if len(set(above.values())) > 1:
        shown = ", ".join(f"{file.name}: {lines}" for file, lines in above.items())
        raise ValueError(f"the files have several numbers of lines above their header ({shown}); one source has one")
    skip_lines = above[files[0]]
    if skip_lines:
        first = said_plainly(_text(files[0], encoding).splitlines()[0], 40)
        said.append(("lines above", f"{skip_lines} skipped", f"“{first}” is no record: the header comes after it"))
    heads = [_first_rows(file, encoding, delimiter, skip_lines) for file in files]
    header = not columns and all([_has_header(rows, ask) for rows in heads[:1]])
    if header:
        spelled = tuple(tuple(rows[0]) for rows in heads)
        for file, names in zip(files, spelled, strict=True):
            if twice := [name for name, times in Counter(names).items() if name and times > 1]:
                raise ValueError(
                    f"{file.name}: its header names {', '.join(said_plainly(one) for one in twice)} more than once; "
                    "which is which, nobody could tell: rename one of them"
                )
        spelled = tuple(tuple(filter(None, one)) for one in spelled)
        return Form(kind, encoding, delimiter, True, skip_lines, spelled), said
    width = len(heads[0][0])
    if columns and len(columns) != width:
        raise ValueError(f"{files[0].name} has {width} columns, and --columns names {len(columns)}")
    given = tuple(columns) or tuple(f"column_{number}" for number in range(1, width + 1))
    said.append(("header", "none", "its first line holds values; name the columns with --columns a,b,c"))
    return Form(kind, encoding, delimiter, False, skip_lines, (given,) * len(files)), said


def read_texts(file: Path, form: Form, position: int, rows: int = ROWS_LOOKED_AT) -> pl.DataFrame:
    """The first rows of a file under the project's names: text, or the types of a Parquet file.

    Raises:
        ValueError: it cannot be read.
    """
    spelled, frames, height = form.spelled[position], [], 0
    of = {text: f"c{number}__" for number, text in enumerate(spelled)}
    probe = Source(
        name="probe",
        patterns=("*.csv",) if form.kind == "csv" else ("*",),
        columns=dict.fromkeys(of.values(), pl.String),
        primary_key=(next(iter(of.values())),),
        kind=Kind.DELIVERY,
        optional=frozenset(of.values()) if form.kind == "json lines" else frozenset(),
        aliases={name: (text,) for text, name in of.items()} if form.header else {},
        delimiter=form.delimiter,
        header=form.header,
        skip_lines=form.skip_lines,
        encoding=form.encoding,
    )
    try:
        for batch in read_batches(file, probe):
            known = batch.frame.select(name for name in of.values() if name in batch.frame.columns)
            frames.append(known)
            if (height := height + batch.frame.height) >= rows:
                break
    except UnreadableFile as error:
        raise ValueError(f"{file.name}: {error}") from error
    if not frames:
        return pl.DataFrame(schema={form.names[text]: pl.String for text in spelled})
    names = form.names
    whole = pl.concat(frames, how="diagonal_relaxed").head(rows)
    return whole.rename({name: names[text] for text, name in of.items() if name in whole.columns})


def _blocks(file: Path) -> Iterator[bytes]:
    with opened(file, "latin-1" if file.suffix != ".gz" else "utf-8") as held:
        while block := held.read(_BYTES_AT_ONCE):
            yield block


def _encoding(file: Path) -> tuple[str, str]:
    """The encoding of a text file, and why.

    Raises:
        ValueError: it is no text.
    """
    import codecs
    import gzip

    decoder = codecs.getincrementaldecoder("utf-8")()
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as held:
        start = held.read(4)
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16", "its first bytes say so"
        if start.startswith((b"\x1f\x8b", b"PK\x03\x04")):
            what = "packed by gzip: let its name end in .gz" if start[:1] == b"\x1f" else "a ZIP archive or a workbook"
            raise ValueError(f"{file.name} is {what}; give the CSV or JSON Lines that it holds")
        block, done = start, 0
        try:
            while block:
                decoder.decode(block)
                done += len(block)
                block = held.read(_BYTES_AT_ONCE)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            at = done + error.start
            shown = said_plainly(error.object[max(0, error.start - 12) : error.start + 12].decode("cp1252", "replace"))
            return "cp1252", f"no UTF-8 at byte {at:,}; read as cp1252 it is “{shown}”"
    return "utf-8", "as it reads"


def _text(file: Path, encoding: str, most: int = _BYTES_AT_ONCE) -> str:
    try:
        with opened(file, encoding) as held:
            return held.read(most).decode("utf-8-sig", errors="replace")
    except UnreadableFile as error:
        raise ValueError(f"{file.name}: {error}") from error


def _delimiter(file: Path, encoding: str) -> str:
    """What separates its fields: by it, most lines have as many fields as the header, and more than one."""
    text = _text(file, encoding, 200_000)
    best, most = ",", (False, 0, 0.0, 0)
    for delimiter in _DELIMITERS:
        above = _lines_above(text, delimiter)
        rows = _rows(_below(text, above), delimiter, _LINES_FOR_DELIMITER)
        if rows and len(rows[0]) > 1:
            alike = round(sum(len(row) == len(rows[0]) for row in rows) / len(rows), 1)
            if (score := (alike > 0.5, -above, alike, len(rows[0]))) > most:
                best, most = delimiter, score
    return best


def _lines_above(text: str, delimiter: str) -> int:
    """How many lines stand above the header, such as a title: lines with few fields before a full one of names."""
    rows = _rows(text, delimiter, _LINES_FOR_DELIMITER)
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    for at, row in enumerate(rows[: _MOST_LINES_ABOVE + 1] if width > 1 else ()):
        if len(row) == width and _is_full(row):
            if at == 0 or _values(row):
                return 0
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            return next(reader.line_num for number, _ in enumerate(filter(None, reader), 1) if number == at)
    return 0


def _is_full(row: Sequence[str]) -> bool:
    return 2 * sum(bool(field.strip()) for field in row) > len(row)


def _values(row: Sequence[str]) -> list[str]:
    """The fields that are numbers, dates, or true or false."""
    return [field for field in map(str.strip, row) if field and _LIKE_A_VALUE.fullmatch(field)]


def _below(text: str, lines: int) -> str:
    return "".join(islice(io.StringIO(text, newline=""), lines, None)) if lines else text


def _rows(text: str, delimiter: str, most: int) -> list[list[str]]:
    found = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            if row:
                found.append(row)
            if len(found) > most:
                return found[:most]
    except csv.Error:
        pass
    return found[:-1] if len(found) > 1 and len(text) > 190_000 else found  # the last one may be cut


def _first_rows(file: Path, encoding: str, delimiter: str, skip_lines: int) -> list[list[str]]:
    rows = _rows(_below(_text(file, encoding), skip_lines), delimiter, 50)
    if not rows:
        raise ValueError(f"{file.name} holds no line with anything in it")
    return [[field.strip() if number else field for field in row] for number, row in enumerate(rows)]


def _has_header(rows: list[list[str]], ask: Ask) -> bool:
    """Whether the first row names the columns: none of it is a number, a date or true or false."""
    first, rest = [field.strip() for field in rows[0]], rows[1:]
    if not _values(first):
        in_columns = [
            field and any(len(row) > at and row[at] == field for row in rest) for at, field in enumerate(first)
        ]
        return not (len(rest) > 2 and all(in_columns))
    if not any(field and not _LIKE_A_VALUE.fullmatch(field) for field in first):
        return False
    shown = said_plainly(", ".join(first), 80)
    question = Question("header", f"The first line is {shown}: does it name the columns?", ("yes", "no"), "no")
    return ask(question) == "yes"


def _fields(file: Path, encoding: str) -> tuple[str, ...]:
    """The fields of the first records of a file of JSON Lines, in the order in which they come."""
    probe = Source(
        name="probe",
        patterns=("*",),
        columns={"c__": pl.String},
        primary_key=("c__",),
        kind=Kind.DELIVERY,
        optional=frozenset({"c__"}),
        encoding=encoding,
    )
    found: dict[str, None] = {}
    try:
        for batch in read_batches(file, probe):
            if batch.extra is not None:
                for text in batch.extra["shown"].drop_nulls().head(20_000).to_list():
                    found |= dict.fromkeys(json.loads(text))
            found |= dict.fromkeys(name for name in batch.frame.columns if name != "c__")
            break
    except UnreadableFile as error:
        raise ValueError(f"{file.name}: {error}") from error
    if not found:
        raise ValueError(f"{file.name}: it holds no record, an object with fields, in its first lines")
    return tuple(name for name in found if name)
