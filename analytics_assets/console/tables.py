"""Rows as people read them: a table that fits the terminal, or a row as lines; numbers as people write them."""

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from numbers import Number
from typing import Any

from rich.console import Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from analytics_assets.console.terminal import Terminal, line
from analytics_assets.foundation.plain_text import plain

NAMES_SOMETHING = re.compile(r"(^|_)(id|year|key|code|number)$", re.IGNORECASE)
"""The names of columns whose whole numbers are names: 2026 is a year, and 2,026 is none."""

DECIMALS = 6
"""The most decimals of a float that are shown; a decimal has all that its column needs."""

NARROWEST = 12
"""The fewest characters that a text is cut to."""


def texts_of(name: str, values: Sequence[object]) -> tuple[list[str], bool]:
    """The values of a column as texts, and whether they are numbers: these have the same number of decimals."""
    numbers = [value for value in values if isinstance(value, int | float | Decimal) and math.isfinite(value)]
    is_number = all(isinstance(value, Number | None) and not isinstance(value, bool) for value in values)
    if not is_number:
        return ["" if value is None else str(value) for value in values], False
    decimals = max((_decimals(value) for value in numbers), default=0)
    mark = "" if NAMES_SOMETHING.search(name) and decimals == 0 else ","

    def text(value: Any) -> str:
        if value is None:
            return ""
        if not math.isfinite(value):
            return str(value)
        shown = f"{value:{mark}.{decimals}f}" if not isinstance(value, int) or decimals else f"{value:{mark}}"
        is_lost = isinstance(value, float) and value and not float(shown.replace(",", ""))
        return f"{value:.3g}" if is_lost else shown

    return [text(value) for value in values], True


def _decimals(value: int | float | Decimal) -> int:
    if isinstance(value, int):
        return 0
    exponent = (value if isinstance(value, Decimal) else Decimal(repr(value))).normalize().as_tuple().exponent
    needed = max(0, -exponent) if isinstance(exponent, int) else 0
    return needed if isinstance(value, Decimal) else min(needed, DECIMALS)


def columns_of(names: Sequence[str], rows: Sequence[Sequence[object]]) -> list[tuple[list[str], bool]]:
    """The texts of each column of some rows, and whether it holds numbers."""
    values = zip(*rows, strict=True) if rows else [()] * len(names)
    return [texts_of(name, held) for name, held in zip(names, values, strict=True)]


def as_table(names: Sequence[str], rows: Sequence[Sequence[object]], width: int | None) -> Table | None:
    """Rows as a table with a line each; None if it does not fit, even with its texts cut.

    Args:
        width: of the terminal; None leaves the table as wide as its values are.
    """
    table, columns = Table(header_style="bold"), columns_of(names, rows)
    for name, (texts, is_number) in zip(names, columns, strict=True):
        longest = max(map(len, map(plain, [name, *texts])))
        narrowest = longest if is_number or width is None else min(longest, NARROWEST)
        is_cut = None if width is None or name != "comment" else "fold"
        table.add_column(
            name,
            justify="right" if is_number else "left",
            no_wrap=is_cut is None,
            overflow=is_cut or "ellipsis",
            min_width=narrowest,
        )
    for row in zip(*(texts for texts, _ in columns), strict=True):
        table.add_row(*row)
    if width is None:
        return table
    terminal = Terminal(width=10_000)
    return table if Measurement.get(terminal, terminal.options, table).minimum <= width else None


def is_cut(names: Sequence[str], rows: Sequence[Sequence[object]], width: int) -> bool:
    """Whether a table of a width cuts a value."""
    longest = [
        max(map(len, map(plain, [name, *texts])))
        for name, (texts, _) in zip(names, columns_of(names, rows), strict=True)
        if name != "comment"
    ]
    return sum(longest) + 3 * len(names) + 1 > width


def as_lines(names: Sequence[str], rows: Sequence[Sequence[object]]) -> RenderableType:
    """Rows one after the other, each value on a line of its own, whole."""
    texts = [held for held, _ in columns_of(names, rows)]
    shown: list[RenderableType] = []
    for number, row in enumerate(zip(*texts, strict=True), 1):
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in zip(names, row, strict=True):
            grid.add_row(name, value)
        shown += [line((f"row {number:,}", "dim")), grid]
    return Group(*shown) if shown else Text("")

