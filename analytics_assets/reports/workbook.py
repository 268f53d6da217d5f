"""The tabs of a report as an XLSX workbook: one sheet per tab, with formats, frozen headings, filters and charts."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from io import BytesIO
from typing import Any

from analytics_assets.partitions import Window
from analytics_assets.reports.charts import COLOURS
from analytics_assets.reports.dashboard import Concern
from analytics_assets.reports.datasets import Frames
from analytics_assets.reports.how_made import how_made
from analytics_assets.reports.tabs import ABOUT, Cell, Room, Tab, TabChart, about, tabs_of
from analytics_assets.spec.report import TITLE_LENGTH, Report

CHART_WIDTH, CHART_HEIGHT = 640, 320  # pixels

_ROW_HEIGHT = 20  # pixels, of a row that nobody has made higher


def render(
    report: Report,
    frames: Frames,
    window: Window,
    concerns: Sequence[Concern],
    described: Mapping[str, str] | None = None,
) -> bytes:
    """The workbook over all days of the window; the same rows give the same bytes.

    Args:
        described: what is said of models and analyses, by name.

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
        }.items()
    }
    first = book.add_worksheet(ABOUT)
    tabs = tabs_of(report, frames, Room(first.xls_rowmax, first.xls_strmax))
    patterns = dict.fromkeys(form.pattern for tab in tabs for form in tab.formats if form)
    formats |= {pattern: book.add_format({"num_format": pattern}) for pattern in patterns}
    for tab in [*tabs, how_made(report, described or {})]:
        sheet = book.add_worksheet(tab.title[:TITLE_LENGTH])
        _write_tab(sheet, tab, formats)
        _draw_charts(book, sheet, tab)
    first.set_column(0, 0, 30)
    first.set_column(1, 1, 100)
    _write(first, 0, 0, report.title, formats["title"], formats)
    lines = about(report, frames, window, concerns, tabs)
    for row, line in enumerate(lines, start=2):
        for column, text in enumerate(line):
            _write(first, row, column, text, formats["text"], formats)
    places = [(tab, number) for tab in tabs for number in range(len(tab.charts))]
    for row, (tab, number) in enumerate(places, start=2 + len(lines)):
        _write(first, row, 0, "Chart", formats["text"], formats)
        said = f"{tab.charts[number].title}: beside the table {tab.title}"
        first.write_url(row, 1, _address(tab, number), string=said)
    book.close()
    return target.getvalue()


def _write_tab(sheet: Any, tab: Tab, formats: dict[str, Any]) -> None:
    for column, (heading, width) in enumerate(zip(tab.headings, tab.widths, strict=True)):
        _write(sheet, 0, column, heading, formats["heading"], formats)
        sheet.set_column(column, column, width)
    for number, row in enumerate(tab.rows, start=1):
        for column, (cell, form) in enumerate(zip(row, tab.formats, strict=True)):
            shown = formats[form.pattern] if form else formats["text"] if tab.is_prose else None
            _write(sheet, number, column, cell, shown, formats)
    if tab.below:
        _write(sheet, len(tab.rows) + 1, 0, tab.below, None, formats)
    sheet.freeze_panes(1, tab.named_by)
    sheet.autofilter(0, 0, max(len(tab.rows), 1), len(tab.headings) - 1)


def _draw_charts(book: Any, sheet: Any, tab: Tab) -> None:
    """Draws the charts of a tab beside its table, one below the other."""
    for number, chart in enumerate(tab.charts):
        drawn = book.add_chart({"type": "line" if chart.is_by_day else "bar"})
        for place, column in enumerate(chart.values):
            drawn.add_series(
                {
                    "name": [sheet.name, 0, column],
                    "categories": [sheet.name, 1, chart.names, chart.rows, chart.names],
                    "values": [sheet.name, 1, column, chart.rows, column],
                    "gap": 60,
                    **_look(chart, place),
                }
            )
        form = tab.formats[chart.values[0]]
        values = [row[column] for row in tab.rows[: chart.rows] for column in chart.values]
        numbers: dict[str, Any] = {"num_format": form.pattern} if form else {}
        bottom: dict[str, Any] = {} if any(isinstance(value, float) and value < 0 for value in values) else {"min": 0}
        grid = {"visible": True, "line": {"color": "#E3E6E8"}}
        value_axis: dict[str, Any] = {"name": chart.value_title, "major_gridlines": grid, **numbers, **bottom}
        name_axis: dict[str, Any] = {"name": tab.headings[chart.names]}
        if chart.is_by_day:
            drawn.set_x_axis({**name_axis, "date_axis": True, "num_format": "d mmm"})
            drawn.set_y_axis(value_axis)
        else:  # the first row stands on top, and the numbers below the last one
            drawn.set_y_axis({**name_axis, "reverse": True, "crossing": "max"})
            drawn.set_x_axis(value_axis)
        drawn.set_title({"name": chart.title, "name_font": {"size": 12}, "overlay": False})
        drawn.set_legend({"none": len(chart.values) == 1, "position": "bottom"})
        drawn.set_chartarea({"border": {"color": "#D5DADE"}})
        drawn.set_size({"width": CHART_WIDTH, "height": CHART_HEIGHT})
        said = " ".join(filter(None, (f"{chart.title}.", chart.note, "It draws rows of this sheet.")))
        sheet.insert_chart(*_corner(tab, number), drawn, {"description": said})


def _corner(tab: Tab, number: int) -> tuple[int, int]:
    """The row and the column of the upper left corner of a chart, from 0."""
    return 1 + number * (CHART_HEIGHT // _ROW_HEIGHT + 1), len(tab.headings) + 1


def _address(tab: Tab, number: int) -> str:
    """The address of a chart, for a link."""
    from xlsxwriter.utility import quote_sheetname, xl_rowcol_to_cell

    return f"internal:{quote_sheetname(tab.title[:TITLE_LENGTH])}!{xl_rowcol_to_cell(*_corner(tab, number))}"


def _look(chart: TabChart, place: int) -> dict[str, Any]:
    """The colour of a series; the ends of an interval are thin lines in the colour of their measure."""
    if not chart.is_by_day:
        return {"fill": {"color": COLOURS[place]}}
    if chart.is_interval and place:
        return {"line": {"color": COLOURS[0], "width": 0.75, "dash_type": "dash"}}
    return {"line": {"color": COLOURS[place], "width": 2}}


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
