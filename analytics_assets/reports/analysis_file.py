"""The table of an analysis as a CSV file: what people open in a spreadsheet, and what reports read back unchanged.

A spreadsheet takes a text that begins with `=`, `+`, `-` or `@` for a formula. Such a text gets an apostrophe in front,
as in the CSV files of the dashboard. So does one in which apostrophes stand before it, since reading takes one away.
"""

from io import BytesIO

import polars as pl

_LIKE_A_FORMULA = r"^'*(?:\s*[=+\-@＝＋－＠]|[\t\r\n])"
_AS_ESCAPED = r"^'('*(?:\s*[=+\-@＝＋－＠]|[\t\r\n]))"


def to_csv(table: pl.DataFrame) -> bytes:
    """The file; numbers have all digits. A missing value is nothing, an empty text `""`."""
    texts = pl.col(pl.String)
    escaped = pl.when(texts.str.contains(_LIKE_A_FORMULA)).then("'" + texts).otherwise(texts)
    return table.with_columns(escaped.name.keep()).write_csv().encode()


def from_csv(content: bytes) -> pl.DataFrame:
    """The table of a file, all its columns as texts."""
    table = pl.read_csv(BytesIO(content), infer_schema=False)
    return table.with_columns(pl.col(pl.String).str.replace(_AS_ESCAPED, "${1}"))
