"""The tables of a report as an XLSX workbook: one sheet per table, with formats, frozen headings and filters.

Rows or texts that do not fit into a sheet or a cell are left out, and the workbook says so.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from io import BytesIO
from math import inf
from typing import Any

from analytics_assets.partitions import Window
from analytics_assets.reports.dashboard import Concern
from analytics_assets.reports.datasets import Frames, days_with_rows
from analytics_assets.reports.figures import Figure, figures, newest_values
from analytics_assets.spec.report import DAY, Format, Measure, Ratio, Report, Table

_NUMBER_FORMATS = {
    Format.COUNT: "#,##0",
    Format.SHARE: "0.0%",
    Format.SECONDS: "#,##0.0",
    Format.MEAN: "#,##0.0",
    Format.MONEY: '#,##0.00 "€"',
}
_WIDEST = 42
_CUT = -2  # xlsxwriter's return value for a text that it cut, since it is longer than a cell


def render(report: Report, frames: Frames, window: Window, concerns: Sequence[Concern]) -> bytes:
    """The workbook over all days of the window; the same rows give the same bytes.

    Raises:
        ValueError: a cell could not be written.
    """
    import xlsxwriter

    target = BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    last = max(window.days())
    book.set_properties({"title": report.title, "created": datetime.combine(last, time(), UTC).replace(tzinfo=None)})
    formats = {
        name: book.add_format(wanted)
        for name, wanted in {
            "title": {"bold": True, "font_size": 14},
            "heading": {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top", "bg_color": "#E9EEF1"},
            "text": {"text_wrap": True, "valign": "top"},
            "date": {"num_format": "yyyy-mm-dd", "align": "left"},
            "part": {},
            **{form.value: {"num_format": _NUMBER_FORMATS[form]} for form in Format},
        }.items()
    }
    about, missing = book.add_worksheet("About"), []
    for table in report.tables:
        missing += _write_table(book.add_worksheet(table.title[:31]), report, table, frames, formats)
    _write_about(about, report, frames, window, concerns, missing, formats)
    book.close()
    return target.getvalue()


def _write_about(
    sheet: Any,
    report: Report,
    frames: Frames,
    window: Window,
    concerns: Sequence[Concern],
    missing: Sequence[str],
    formats: dict[str, Any],
) -> None:
    days = days_with_rows(frames)
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 100)
    _write(sheet, 0, 0, report.title, formats["title"], formats)
    lines = [
        ("As of", str(max(window.days()))),
        ("Days", f"{window}; days are UTC days"),
        ("Data until", str(days[-1]) if days else "no day at all"),
        *(("Failed" if concern.is_error else "Warning", concern.text) for concern in concerns),
        *(("Not whole", sentence) for sentence in missing),
        *((measure.title, measure.note) for measure in report.measures),
        *(("Note", note) for note in report.notes),
    ]
    for row, (name, text) in enumerate(lines, start=2):
        _write(sheet, row, 0, name, formats["text"], formats)
        _write(sheet, row, 1, text, formats["text"], formats)


Cell = str | float | date | None


def table_rows(report: Report, table: Table, frames: Frames) -> tuple[list[str], list[list[Cell]]]:
    """Headings and rows of a table: sorted by day if it is by day, else the largest first; a day is a date."""
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
    rows.sort(key=lambda row: tuple(map(str, row[: len(names)])))
    if table.by[0] != DAY:
        rows.sort(key=lambda row: _size(row[len(names)]), reverse=True)
    return headings, rows


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


def _write_table(sheet: Any, report: Report, table: Table, frames: Frames, formats: dict[str, Any]) -> list[str]:
    """Writes a table, or as much of it as fits; returns a sentence for whatever is missing."""
    headings, rows = table_rows(report, table, frames)
    forms: list[Format | None] = [None] * (len(table.by) + len(table.details))
    for place, name in enumerate(table.measures):
        forms += [form for _, form in _columns(table, place, report.measure(name))]
    rows, missing = _that_fit(sheet, table, rows)
    for column, heading in enumerate(headings):
        _write(sheet, 0, column, heading, formats["heading"], formats)
        texts = [str(row[column]) for row in rows if isinstance(row[column], str)]
        sheet.set_column(column, column, min(max([13, *(len(text) + 2 for text in texts)]), _WIDEST))
    cut = 0
    for number, row in enumerate(rows, start=1):
        for column, (cell, form) in enumerate(zip(row, forms, strict=True)):
            cut += _write(sheet, number, column, cell, formats[form.value] if form else None, formats)
    if missing:
        _write(sheet, len(rows) + 1, 0, missing[0], None, formats)
    if cut:
        missing.append(
            f"{table.title}: {cut:,} texts are longer than a cell, and end after {sheet.xls_strmax:,} characters."
        )
    sheet.freeze_panes(1, len(table.by))
    sheet.autofilter(0, 0, max(len(rows), 1), len(headings) - 1)
    return missing


def _that_fit(sheet: Any, table: Table, rows: list[list[Cell]]) -> tuple[list[list[Cell]], list[str]]:
    """The rows that fit into a sheet below its headings, and a sentence if some do not."""
    room = sheet.xls_rowmax - 1
    if len(rows) <= room:
        return rows, []
    kept = room - 1  # the last row holds the sentence
    by_day = table.by[0] == DAY
    which, held = ("oldest", rows[-kept:]) if by_day else ("smallest", rows[:kept])
    sentence = (
        f"the {which} {len(rows) - kept:,} of {len(rows):,} rows are left out, since a sheet has no room for them"
    )
    return held, [f"{table.title}: {sentence}."]


def _write(sheet: Any, row: int, column: int, cell: Cell, form: Any, formats: dict[str, Any]) -> bool:
    """Writes a cell, a text always as text, whatever it begins with; returns whether it had to be cut.

    Raises:
        ValueError: the cell could not be written.
    """
    match cell:
        case None:
            return False
        case str() if cell.startswith("<r>") and cell.endswith("</r>"):
            # xlsxwriter would take this for its own markup and write it raw; in two parts it is plain text.
            failed = sheet.write_rich_string(row, column, cell[0], formats["part"], cell[1:])
        case str():
            failed = sheet.write_string(row, column, cell, form)
        case date():
            failed = sheet.write_datetime(row, column, cell, formats["date"])
        case _:
            failed = sheet.write_number(row, column, cell, form)
    if failed and not (isinstance(cell, str) and failed == _CUT):
        raise ValueError(f"sheet {sheet.name}: row {row + 1}, column {column + 1} cannot be written ({failed})")
    return bool(failed)
