"""The tables of a report as tabs: headings above rows of cells. The workbook and the Google Sheet write the same tabs.

Rows or texts that do not fit are left out, and the tab *About* says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import inf

from analytics_assets.partitions import Window
from analytics_assets.reports.dashboard import Concern
from analytics_assets.reports.datasets import Frames, days_with_rows, largest, left_out_of
from analytics_assets.reports.figures import Figure, figures, newest_values
from analytics_assets.spec.report import DAY, Format, Measure, Ratio, Report, Table

ABOUT = "About"
"""The title of the first tab."""

_NUMBER_FORMATS = {
    Format.COUNT: "#,##0",
    Format.SHARE: "0.0%",
    Format.SECONDS: "#,##0.0",
    Format.MEAN: "#,##0.0",
}

_NARROWEST = 13  # characters

Cell = str | float | date | None


def number_formats(currency: str) -> dict[Format, str]:
    """How spreadsheets show a number."""
    symbol = currency.replace('"', "")
    return {**_NUMBER_FORMATS, Format.MONEY: f'#,##0.00 "{symbol}"'}


@dataclass(frozen=True)
class Room:
    """What fits into a spreadsheet: the most rows of a tab, headings included, and the most characters of a cell."""

    rows: int
    characters: int


@dataclass(frozen=True)
class Tab:
    """A table.

    Attributes:
        formats: of the numbers in each column; None for texts and days.
        named_by: how many columns name a row; they stay in view.
        missing: one sentence for each kind of thing that did not fit.
        below: a sentence below the last row; empty if all rows fit.
        widest: the most characters of a column's width.
        currency: the symbol of amounts of money.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    formats: Sequence[Format | None]
    named_by: int
    missing: Sequence[str] = ()
    below: str = ""
    widest: int = 42
    currency: str = "€"

    @property
    def widths(self) -> list[int]:
        """The width of each column, in characters."""
        texts = [
            [len(cell) for row in self.rows if isinstance(cell := row[at], str)] for at in range(len(self.headings))
        ]
        return [min(max([_NARROWEST, *(length + 2 for length in lengths)]), self.widest) for lengths in texts]


def tabs_of(report: Report, frames: Frames, room: Room) -> list[Tab]:
    """The tables of a report, as far as they fit."""
    shown, left_out = largest(report, frames, lambda wanted: min(wanted.tabs, room.rows - 2))
    return [_tab(report, table, shown, left_out, room) for table in report.tables]


def about(
    report: Report, frames: Frames, window: Window, concerns: Sequence[Concern], tabs: Sequence[Tab]
) -> list[tuple[str, str]]:
    """What a reader of the tabs must know, as lines of a name and a text."""
    days = days_with_rows(report, frames)
    return [
        ("As of", str(max(window.days()))),
        ("Days", f"{window}; days are UTC days"),
        ("Data until", str(days[-1]) if days else "no day at all"),
        *(("Failed" if concern.is_error else "Warning", concern.text) for concern in concerns),
        *(("Not whole", sentence) for tab in tabs for sentence in tab.missing),
        *((measure.title, measure.note) for measure in report.measures),
        *(("Note", note) for note in report.notes),
    ]


def table_rows(report: Report, table: Table, frames: Frames) -> tuple[list[str], list[list[Cell]]]:
    """Headings and rows of a table; a day is a date.

    They are sorted by day if the table is by day, or in the order of its dimensions if it says so, else the largest
    first.
    """
    measures = [report.measure(name) for name in table.measures]
    by_measure = [figures(frames, measure, table.by) for measure in measures]
    details = newest_values(frames, measures[0], table.by, table.details)
    names = [*table.by, *table.details]
    headings = ["Day (UTC)" if column == DAY else report.dimension(column).title for column in names]
    for place, measure in enumerate(measures):
        headings += [heading for heading, _ in _columns(table, place, measure)]
    whole = sum(figure.value or 0 for figure in by_measure[0].values())
    rows: list[list[Cell]] = []
    for group in set().union(*by_measure):
        row: list[Cell] = [*group, *details.get(group, (None,) * len(table.details))]  # type: ignore[list-item]
        for place, (measure, found) in enumerate(zip(measures, by_measure, strict=True)):
            figure = found.get(group, Figure(None if isinstance(measure.value, Ratio) else 0))
            row.append(figure.value)
            if place == 0 and table.shares:
                row.append(figure.value / whole if figure.value is not None and whole else None)
            if measure.has_interval:
                row += [figure.low, figure.high]
        rows.append(row)
    listed = [() if name == DAY else report.dimension(name).values or () for name in names]
    rows.sort(key=lambda row: [_place(cell, values) for cell, values in zip(row, listed, strict=False)])
    if table.by[0] != DAY and not table.in_order:
        rows.sort(key=lambda row: _size(row[len(names)]), reverse=True)
    return headings, rows


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
    forms: list[Format | None] = [None] * (len(table.by) + len(table.details))
    for place, name in enumerate(table.measures):
        forms += [form for _, form in _columns(table, place, report.measure(name))]
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
    return Tab(table.title, headings, rows, forms, len(table.by), missing, below, currency=report.currency)


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
