"""The charts of a workbook, read back by openpyxl, with the cells that they draw."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openpyxl.utils.cell import range_boundaries
from openpyxl.worksheet.worksheet import Worksheet


@dataclass
class DrawnChart:
    """A chart.

    Attributes:
        names: the cells of its axis of names.
        series: the cells that are drawn, by the cell that names them.
        drawn_in_cache: the same as they are kept within the chart itself.
        axis_titles: of the names, then of the values.
        row, column: of its upper left corner, from 0.
    """

    kind: str
    title: str
    names: list[Any]
    series: Mapping[str, list[Any]]
    drawn_in_cache: Mapping[str, list[Any]]
    axis_titles: list[str]
    number_format: str
    row: int
    column: int


def charts_of(sheet: Worksheet) -> list[DrawnChart]:
    """The charts on a sheet, from above."""
    found = [_read(sheet, chart) for chart in sheet._charts]  # type: ignore[attr-defined]
    return sorted(found, key=lambda one: (one.row, one.column))


def _read(sheet: Worksheet, chart: Any) -> DrawnChart:
    corner = chart.anchor._from
    named = {_cells(sheet, one.tx.strRef.f)[0]: one for one in chart.series}
    first = chart.series[0]
    names = first.cat.numRef or first.cat.strRef
    return DrawnChart(
        kind=chart.tagname,
        title=_text(chart.title),
        names=_cells(sheet, names.f),
        series={name: _cells(sheet, one.val.numRef.f) for name, one in named.items()},
        drawn_in_cache={name: [float(point.v) for point in one.val.numRef.numCache.pt] for name, one in named.items()},
        axis_titles=[_text(chart.x_axis.title), _text(chart.y_axis.title)],
        number_format=chart.y_axis.numFmt.formatCode,
        row=corner.row,
        column=corner.col,
    )


def _cells(sheet: Worksheet, reference: str) -> list[Any]:
    """The values of a column of cells; a day is a date."""
    title, _, cells = reference.rpartition("!")
    assert title.strip("'").replace("''", "'") == sheet.title, "it draws rows of its own sheet"
    left, top, right, bottom = range_boundaries(cells)
    assert left == right
    values = [sheet.cell(row, left).value for row in range(top, bottom + 1)]  # type: ignore[arg-type]
    return [value.date() if isinstance(value, datetime) else value for value in values]


def _text(title: Any) -> str:
    return "".join(run.t for paragraph in title.tx.rich.p for run in paragraph.r or ())
