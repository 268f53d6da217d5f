"""The tabs of a report as an XLSX workbook: one sheet per tab, with formats, frozen headings and filters."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from io import BytesIO
from typing import Any

from analytics_assets.partitions import Window
from analytics_assets.reports.dashboard import Concern
from analytics_assets.reports.datasets import Frames
from analytics_assets.reports.tabs import ABOUT, Cell, Room, Tab, about, number_formats, tabs_of
from analytics_assets.spec.report import TITLE_LENGTH, Report


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
            **{form.value: {"num_format": pattern} for form, pattern in number_formats(report.currency).items()},
        }.items()
    }
    first = book.add_worksheet(ABOUT)
    tabs = tabs_of(report, frames, Room(first.xls_rowmax, first.xls_strmax))
    for tab in tabs:
        _write_tab(book.add_worksheet(tab.title[:TITLE_LENGTH]), tab, formats)
    first.set_column(0, 0, 30)
    first.set_column(1, 1, 100)
    _write(first, 0, 0, report.title, formats["title"], formats)
    for row, line in enumerate(about(report, frames, window, concerns, tabs), start=2):
        for column, text in enumerate(line):
            _write(first, row, column, text, formats["text"], formats)
    book.close()
    return target.getvalue()


def _write_tab(sheet: Any, tab: Tab, formats: dict[str, Any]) -> None:
    for column, (heading, width) in enumerate(zip(tab.headings, tab.widths, strict=True)):
        _write(sheet, 0, column, heading, formats["heading"], formats)
        sheet.set_column(column, column, width)
    for number, row in enumerate(tab.rows, start=1):
        for column, (cell, form) in enumerate(zip(row, tab.formats, strict=True)):
            _write(sheet, number, column, cell, formats[form.value] if form else None, formats)
    if tab.below:
        _write(sheet, len(tab.rows) + 1, 0, tab.below, None, formats)
    sheet.freeze_panes(1, tab.named_by)
    sheet.autofilter(0, 0, max(len(tab.rows), 1), len(tab.headings) - 1)


def _write(sheet: Any, row: int, column: int, cell: Cell, form: Any, formats: dict[str, Any]) -> None:
    """Writes a cell, a text always as text, whatever it begins with.

    Raises:
        ValueError: the cell could not be written.
    """
    match cell:
        case None:
            return
        case str() if cell.startswith("<r>") and cell.endswith("</r>"):
            # xlsxwriter would take this for its own markup and write it raw; in two parts it is plain text.
            failed = sheet.write_rich_string(row, column, cell[0], formats["part"], cell[1:])
        case str():
            failed = sheet.write_string(row, column, cell, form)
        case date():
            failed = sheet.write_datetime(row, column, cell, formats["date"])
        case _:
            failed = sheet.write_number(row, column, cell, form)
    if failed:
        raise ValueError(f"sheet {sheet.name}: row {row + 1}, column {column + 1} cannot be written ({failed})")
