"""The tables of a report as tabs: headings above rows of cells. The workbook and the Google Sheet write the same tabs.

Rows or texts that do not fit are left out, and the tab *About* says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import inf

from analytics_assets.partitions import Window
from analytics_assets.reports.dashboard import Concern
from analytics_assets.reports.datasets import Frames, days_with_rows, largest, left_out_of
from analytics_assets.reports.figures import Figure, figures, newest_values, of_choice
from analytics_assets.spec.report import DAY, Chart, Dimension, Format, Measure, Report, Table

ABOUT = "About"
"""The title of the first tab."""

_NUMBER_FORMATS = {
    Format.COUNT: "#,##0",
    Format.SHARE: "0.0%",
    Format.SECONDS: "#,##0.0",
    Format.MEAN: "#,##0.0",
    Format.MONEY: "#,##0.00",
    Format.PLAIN: "#,##0.####",
}

_NARROWEST = 13  # characters

Cell = str | float | date | None


@dataclass(frozen=True)
class NumberFormat:
    """How spreadsheets show the numbers of a column: the pattern has the currency or the unit of their measure."""

    format: Format
    pattern: str


def _number_format(report: Report, measure: Measure, form: Format, values: Iterable[Cell]) -> NumberFormat:
    """The format of a measure, or of the share of it that stands beside it, in a column of values."""
    unit = report.unit(measure) if form is Format.MONEY else measure.unit if form is measure.format else ""
    symbol, pattern = unit.replace('"', ""), _NUMBER_FORMATS[form]
    if form is Format.MEAN:
        smallest = min((abs(value) for value in values if isinstance(value, float) and value), default=1.0)
        pattern = "#,##0" if smallest >= 1_000 else f"{pattern}###" if smallest < 1 else pattern
    return NumberFormat(form, f'{pattern} "{symbol}"' if symbol else pattern)


@dataclass(frozen=True)
class Room:
    """What fits into a spreadsheet: the most rows of a tab, headings included, and the most characters of a cell."""

    rows: int
    characters: int


@dataclass(frozen=True)
class TabChart:
    """A chart over the first rows of a tab.

    Attributes:
        rows: how many rows it draws, from the first one below the headings.
        is_by_day: whether it is a line over days; if not, it is bars.
        names: the column with the day or the name of each row.
        values: the columns that are drawn, the chart's own measure first.
        is_interval: whether the other columns are the ends of its interval.
        value_title: what the numbers are, with their unit.
        note: what the chart's declaration says below its title.
    """

    title: str
    rows: int
    is_by_day: bool
    names: int
    values: Sequence[int]
    is_interval: bool
    value_title: str
    note: str = ""


@dataclass(frozen=True)
class Tab:
    """A table.

    Attributes:
        formats: of the numbers in each column; None for texts and days.
        named_by: how many columns name a row; they stay in view.
        missing: one sentence for each kind of thing that did not fit.
        below: a sentence below the last row; empty if all rows fit.
        widest: the most characters of a column's width.
        charts: those that a spreadsheet can draw from the rows; a Google Sheet has none.
        is_prose: whether its texts are sentences, which take several lines of a cell.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    formats: Sequence[NumberFormat | None]
    named_by: int
    missing: Sequence[str] = ()
    below: str = ""
    widest: int = 42
    charts: Sequence[TabChart] = ()
    is_prose: bool = False

    @property
    def widths(self) -> list[int]:
        """The width of each column, in characters."""
        texts = [
            [len(cell) for row in self.rows if isinstance(cell := row[at], str)] for at in range(len(self.headings))
        ]
        return [min(max([_NARROWEST, *(length + 2 for length in lengths)]), self.widest) for lengths in texts]


def tabs_of(report: Report, frames: Frames, room: Room) -> list[Tab]:
    """The tables of a report and of those that it is written with, as far as they fit."""
    tabs = []
    for part in report.parts:
        shown, left_out = largest(part, frames, lambda wanted: min(wanted.tabs, room.rows - 2))
        tabs += [_tab(part, table, shown, left_out, room) for table in part.tables]
    return tabs


def about(
    report: Report, frames: Frames, window: Window, concerns: Sequence[Concern], tabs: Sequence[Tab]
) -> list[tuple[str, str]]:
    """What a reader of the tabs must know, as lines of a name and a text."""
    days = days_with_rows(report, frames)
    return [
        ("As of", str(max(window.days()))),
        ("Days", f"{window}; days are {report.timezone} days"),
        ("Data until", str(days[-1]) if days else "no day at all"),
        *(("Failed" if concern.is_error else "Warning", concern.text) for concern in concerns),
        *(("Not whole", sentence) for tab in tabs for sentence in tab.missing),
        *(
            ("Unfinished", f"{measure.title}: what comes of the days from {day} on is still to come.")
            for part in report.parts
            for measure in part.measures
            if (day := measure.unfinished_from(max(window.days())))
        ),
        *dict.fromkeys((measure.title, measure.note) for part in report.parts for measure in part.measures),
        *dict.fromkeys(("Note", note) for part in report.parts for note in part.notes),
    ]


def table_rows(report: Report, table: Table, frames: Frames) -> tuple[list[str], list[list[Cell]]]:
    """Headings and rows of a table; a day is a date.

    They are sorted by day if the table is by day, or in the order of its dimensions if it says so, else the largest
    first. Where one value of a dimension would be chosen, there are rows for each, named in the first column.
    """
    names, by_switch = [*table.by, *table.details], _switch_of(report, table)
    headings = [f"Day ({report.timezone})" if column == DAY else report.dimension(column).title for column in names]
    for place, name in enumerate(table.measures):
        headings += [heading for heading, _ in _columns(table, place, report.measure(name))]
    listed = [() if name == DAY else report.dimension(name).values or report.dimension(name).one_of for name in names]
    rows: list[list[Cell]] = []
    for choice in by_switch.one_of if by_switch else (None,):
        of_this = _rows(report, table, frames, choice)
        rows += [[choice, *row] for row in of_this] if choice else of_this
    first = len(names) if not by_switch else len(names) + 1
    rows.sort(
        key=lambda row: [_place(cell, values) for cell, values in zip(row[first - len(names) :], listed, strict=False)]
    )
    if table.by[0] != DAY and not table.in_order:
        rows.sort(key=lambda row: _size(row[first]), reverse=True)
    return [by_switch.title, *headings] if by_switch else headings, rows


def _switch_of(report: Report, table: Table) -> Dimension | None:
    """The dimension of which one value would be chosen for a table on the page."""
    if report.switch is None or report.switch.column in table.by:
        return None
    return report.switch if any(report.is_switched(report.measure(name)) for name in table.measures) else None


def _rows(report: Report, table: Table, frames: Frames, choice: str | None) -> list[list[Cell]]:
    """The rows of a table, unsorted.

    Args:
        choice: the value that is chosen for the report's switch.
    """
    switch, measures = report.switch, [report.measure(name) for name in table.measures]
    chosen = of_choice(frames, switch, choice) if switch and choice else frames
    by_measure = [
        figures(chosen if report.is_switched(measure) else frames, measure, table.by, switch) for measure in measures
    ]
    details = newest_values(frames, measures[0], table.by, table.details)
    whole = sum(figure.value or 0 for figure in by_measure[0].values())
    rows: list[list[Cell]] = []
    for group in set().union(*by_measure):
        row: list[Cell] = [*group, *details.get(group, (None,) * len(table.details))]  # type: ignore[list-item]
        for place, (measure, found) in enumerate(zip(measures, by_measure, strict=True)):
            figure = found.get(group, Figure(None if measure.is_null_of_nothing else 0))
            row.append(figure.value)
            if place == 0 and table.shares:
                row.append(figure.value / whole if figure.value is not None and whole else None)
            if measure.has_interval:
                row += [figure.low, figure.high]
        rows.append(row)
    return rows


def _place(cell: Cell, values: Sequence[str]) -> tuple[int, str]:
    """The sort key of a value: its place among the listed ones, then the text."""
    text = str(cell)
    return (values.index(text) if text in values else len(values)), text


def _size(cell: Cell) -> float:
    """The sort key of a cell; an empty cell sorts below every number."""
    return cell if isinstance(cell, int | float) else -inf


def _columns(table: Table, place: int, measure: Measure) -> list[tuple[str, Format]]:
    found = [(measure.title, measure.format)]
    if place == 0 and table.shares:
        found.append(("Share", Format.SHARE))
    if measure.has_interval:
        found += [(f"{measure.title}, from (95 %)", measure.format), (f"{measure.title}, to (95 %)", measure.format)]
    return found


def _tab(report: Report, table: Table, frames: Frames, left_out: Mapping[str, str], room: Room) -> Tab:
    headings, rows = table_rows(report, table, frames)
    named_by = len(table.by) + bool(_switch_of(report, table))
    forms: list[NumberFormat | None] = [None] * (named_by + len(table.details))
    for place, name in enumerate(table.measures):
        measure = report.measure(name)
        for _, form in _columns(table, place, measure):
            forms.append(_number_format(report, measure, form, (row[len(forms)] for row in rows)))
    if said := left_out_of(report, table, left_out):
        missing = [f"{table.title}: {said}."]
    else:
        rows, missing = _that_fit(table, rows, room.rows - 1)
    below, cut = "".join(missing), 0
    for row in rows:
        for at, cell in enumerate(row):
            if isinstance(cell, str) and len(cell) > room.characters:
                row[at], cut = cell[: room.characters], cut + 1
    if cut:
        missing.append(
            f"{table.title}: {cut:,} texts are longer than a cell, and end after {room.characters:,} characters."
        )
    charts = [_chart(report, table, chart, named_by, len(rows)) for chart in _charts_of(report, table) if rows]
    return Tab(table.title, headings, rows, forms, named_by, missing, below, charts=charts)


def _charts_of(report: Report, table: Table) -> list[Chart]:
    """The charts that are drawn from the rows of a table: each from the first table that holds what it shows."""
    return [
        chart
        for chart in report.charts
        if next((one for one in report.tables if _holds(report, one, chart)), None) is table
    ]


def _holds(report: Report, table: Table, chart: Chart) -> bool:
    """Whether the rows of a table are the points of a chart: days or bars, each in a row of its own.

    Where a table has rows for each choice of the switch, those of one choice do not stand together. Lines over numbers
    need an axis of numbers, and the table has texts; heatmaps, scatters and maps are not drawn.
    """
    shown = {chart.measure, *([chart.against] if chart.against else [])}
    is_plain = not (chart.split or chart.lines or chart.shape or _switch_of(report, table))
    return is_plain and table.by == (chart.by,) and shown <= {*table.measures}


def _chart(report: Report, table: Table, chart: Chart, named_by: int, rows: int) -> TabChart:
    measure, first, at = report.measure(chart.measure), {}, named_by + len(table.details)
    for place, name in enumerate(table.measures):
        first[name] = at
        at += len(_columns(table, place, report.measure(name)))
    own = first[chart.measure]
    after = 2 if table.shares and chart.measure == table.measures[0] else 1
    is_interval = chart.by == DAY and measure.has_interval
    others = [own + after, own + after + 1] if is_interval else [first[chart.against]] if chart.against else []
    drawn, unit = rows if chart.by == DAY else min(rows, chart.top), report.unit(measure)
    return TabChart(
        chart.title if drawn == rows else f"{chart.title}: the first {drawn} of {rows:,} rows",
        drawn,
        chart.by == DAY,
        0,
        [own, *others],
        is_interval,
        f"{measure.title} ({unit})" if unit else measure.title,
        chart.note,
    )


def _that_fit(table: Table, rows: list[list[Cell]], room: int) -> tuple[list[list[Cell]], list[str]]:
    """The rows that fit below the headings, and a sentence if some do not."""
    if len(rows) <= room:
        return rows, []
    kept = room - 1  # the last row holds the sentence
    by_day = table.by[0] == DAY
    which, held = ("oldest", rows[-kept:]) if by_day else ("smallest", rows[:kept])
    sentence = (
        f"the {which} {len(rows) - kept:,} of {len(rows):,} rows are left out, since a sheet has no room for them"
    )
    return held, [f"{table.title}: {sentence}."]
