"""Rows as people read them: a table that fits the terminal, or a row as lines; numbers as people write them."""

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from numbers import Number
from typing import Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from analytics_assets.console.terminal import line
from analytics_assets.foundation.plain_text import plain

NAMES_SOMETHING = re.compile(r"(^|_)(id|year|key|code|number)$", re.IGNORECASE)
"""The names of columns whose whole numbers are names: 2026 is a year, and 2,026 is none."""

DECIMALS = ((1_000, 2), (1, 4), (0, 6))
"""The most decimals that are shown, by the largest number of a column; formats for programs have all digits."""

NARROWEST = 12
"""The fewest characters that a text is cut to."""

BORDERS = 3
"""The characters of a column's border and margins."""


def texts_of(name: str, values: Sequence[object]) -> tuple[list[str], bool]:
    """The values of a column as texts, and whether they are numbers: these have the same number of decimals."""
    numbers = [value for value in values if isinstance(value, int | float | Decimal) and math.isfinite(value)]
    is_number = all(isinstance(value, Number | None) and not isinstance(value, bool) for value in values)
    if not is_number:
        return ["" if value is None else str(value) for value in values], False
    largest = max((abs(float(value)) for value in numbers), default=0)
    most = next(decimals for least, decimals in DECIMALS if largest >= least)
    decimals = min(most, max((_decimals(value) for value in numbers), default=0))
    mark = "" if NAMES_SOMETHING.search(name) and decimals == 0 else ","

    def text(value: Any) -> str:
        if value is None:
            return ""
        if not math.isfinite(value):
            return str(value)
        shown = f"{value:{mark}.{decimals}f}" if not isinstance(value, int) or decimals else f"{value:{mark}}"
        is_lost = value and not float(shown.replace(",", ""))
        return f"{value:.3g}" if is_lost else shown

    return [text(value) for value in values], True


def _decimals(value: int | float | Decimal) -> int:
    if isinstance(value, int):
        return 0
    exponent = (value if isinstance(value, Decimal) else Decimal(repr(value))).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def columns_of(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[tuple[list[str], bool]]:
    """The texts of each column of some rows, and whether it holds numbers."""
    values = zip(*rows, strict=True) if rows else [()] * len(names)
    return [texts_of(name, held) for name, held in zip(names, values, strict=True)]


def as_table(names: Sequence[str], rows: Sequence[Sequence[object]], width: int | None) -> Table | None:
    """Rows as a table with a line each; None if it does not fit, even with its texts cut.

    Args:
        width: of the terminal; None leaves the table as wide as its values are.
    """
    columns = columns_of(names, rows)
    widths = _widths(names, columns) if width is None else _fitted(names, columns, width)
    if widths is None:
        return None
    table = Table(header_style="bold")
    for name, (_, is_number), widest in zip(names, columns, widths, strict=True):
        table.add_column(
            name,
            justify="right" if is_number else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=widest,
        )
    for row in zip(*(texts for texts, _ in columns), strict=True):
        table.add_row(*row)
    return table


def is_cut(names: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> bool:
    """Whether a table of a width cuts a value."""
    columns = columns_of(names, rows)
    fitted = _fitted(names, columns, width) or []
    whole = _widths(names, columns)
    return any(has < needs for has, needs in zip(fitted, whole, strict=False))


def _widths(names: Sequence[str], columns: Sequence[tuple[list[str], bool]]) -> list[int]:
    """The widths of columns in which nothing is cut, in cells of the terminal."""
    return [
        max(cell_len(plain(text)) for text in (name, *texts)) for name, (texts, _) in zip(names, columns, strict=True)
    ]


def _fitted(names: Sequence[str], columns: Sequence[tuple[list[str], bool]], width: int) -> list[int] | None:
    """The widths of columns in a table of a width; None if cuts are not enough.

    Comments are cut first, since the names beside them are what a person copies; then the widest texts.
    """
    widths = _widths(names, columns)
    may_be_cut = [number for number, (_, is_number) in enumerate(columns) if not is_number]
    while sum(widths) + BORDERS * len(widths) + 1 > width:
        longer = [number for number in may_be_cut if names[number] == "comment" and widths[number] > NARROWEST]
        widest = max(longer or may_be_cut, key=widths.__getitem__, default=None)
        if widest is None or widths[widest] <= NARROWEST:
            return None
        widths[widest] -= 1
    return widths


def as_lines(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[Text | Table]:
    """Rows one after the other, each value on a line of its own, whole; to be printed one by one."""
    texts = [held for held, _ in columns_of(names, rows)]
    shown: list[Text | Table] = []
    for number, row in enumerate(zip(*texts, strict=True), 1):
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            grid.add_row(name, value)
        shown += [line((f"row {number:,}", "dim")), grid]
    return shown
