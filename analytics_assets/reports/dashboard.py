"""A report as one self-contained HTML file: it opens from a file manager or as an attachment, and needs no network.

The page holds the packed rows of its datasets, and evaluates the selection in the browser.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from analytics_assets.foundation.plain_text import plain, shortened
from analytics_assets.partitions import Window
from analytics_assets.reports.charts import COLOURS, DARK_COLOURS, chart_spec
from analytics_assets.reports.countries import outlines
from analytics_assets.reports.datasets import Frames, days_with_rows, largest, left_out_of
from analytics_assets.spec.report import (
    DAY,
    NONE,
    OTHER,
    WEEKDAY,
    Chart,
    Dimension,
    Distinct,
    Measure,
    Ratio,
    Report,
    Shape,
    Spread,
    Sum,
    Value,
)

MAX_BYTES = 3_000_000
"""Maximum size that mail servers and chats accept. A report with more rows leaves out its oldest days."""

LONGEST_CONCERN = 1_000
"""Maximum characters of a concern."""

_PAGE = Path(__file__).parent / "page"

_SCRIPTS = ("rows", "measures", "texts", "filters", "figures", "charts", "tables", "behind", "address", "begin")
"""The parts of the page's script, one after the other in one function."""


@dataclass(frozen=True)
class Concern:
    """Something that a reader should know before trusting the figures, such as a failed check."""

    where: str
    what: str
    is_error: bool

    @property
    def text(self) -> str:
        """Both as one line, shortened if it quotes a long cell."""
        return shortened(plain(shortened(f"{self.where}: {self.what}", LONGEST_CONCERN)), LONGEST_CONCERN)


def render(report: Report, frames: Frames, window: Window, concerns: Sequence[Concern]) -> str:
    """The page; the same rows give the same bytes.

    Args:
        window: the days of the rows; the last one is the report's as-of day.

    Raises:
        ValueError: the file of a single day is too large.
    """
    whole = len(window)
    frames, left_out = largest(report, frames, lambda wanted: wanted.page)
    while True:
        page = _render(report, frames, window, concerns, left_out, len(window) < whole)
        size = len(page.encode())
        if size <= MAX_BYTES:
            return page
        if len(window) == 1:
            raise ValueError(
                f"report {report.name}: a single day, {window}, makes a file of {size / 1e6:.1f} MB, and "
                f"{MAX_BYTES / 1e6:.0f} MB is the most; take a dimension out of its datasets, or list the values of one"
            )
        # The size of the rows is about proportional to the days; a tenth less, so that one step is usually enough.
        nothing = {model: frame.clear() for model, frame in frames.items()}
        without_rows = len(_render(report, nothing, window, concerns, left_out, True).encode())
        days = int(len(window) * 0.9 * (MAX_BYTES - without_rows) / (size - without_rows))
        window = Window(window.end - timedelta(min(max(days, 1), len(window) - 1)), window.end)
        frames = {model: frame.filter(pl.col(DAY) >= window.start) for model, frame in frames.items()}


def _render(
    report: Report,
    frames: Frames,
    window: Window,
    concerns: Sequence[Concern],
    left_out: Mapping[str, str],
    is_shortened: bool,
) -> str:
    import vl_convert  # not needed to load the definitions
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(_PAGE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    last = max(window.days())
    days = days_with_rows(report, frames)
    return environment.get_template("report.html").render(
        report=report,
        first_day=window.start,
        as_of=last,
        newest=days[-1] if days else None,
        shortened=is_shortened,
        max_megabytes=MAX_BYTES // 1_000_000,
        concerns=concerns,
        sentences=_sentences(report, frames),
        left_out={table.name: left_out_of(report, table, left_out) for table in report.tables},
        style=_style(),
        script=_page_script(),
        vega=_vega(vl_convert),
        spec=_script_json(page_spec(report, window)),
        rows=pack(report, frames, window),
    )


def _sentences(report: Report, frames: Frames) -> list[tuple[str, list[str]]]:
    """The sentences above the figures, below their headings."""
    if report.sentences is None:
        return []
    found: dict[str, list[str]] = {}
    for heading, text in frames[report.sentences.model].select(report.sentences.under, report.sentences.text).rows():
        found.setdefault(heading, []).append(text)
    return [*found.items()]


def _style() -> str:
    """The style sheet, below the colours of charts as variables `--c0` and on."""
    light, dark = (
        ":root { " + " ".join(f"--c{place}: {colour};" for place, colour in enumerate(colours)) + " }"
        for colours in (COLOURS, DARK_COLOURS)
    )
    own = (_PAGE / "report.css").read_text(encoding="utf-8")
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{ {dark} }}\n{own}"


def _page_script() -> str:
    parts = [(_PAGE / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return '"use strict";\n(async () => {\n' + "\n".join(parts) + "})();\n"


@cache
def _vega(vl_convert: Any) -> str:
    """Vega, Vega-Lite and vega-embed, minified, from the package that also holds the compiler."""
    return _script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _script(source: str) -> str:
    return source.replace("</script", "<\\/script")


def _script_json(value: Any) -> str:
    """JSON that is safe inside a script element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# --------------------------------------------------------------------------------------------------- the page's spec


def page_spec(report: Report, window: Window) -> dict[str, Any]:
    """The report as the page's script reads it."""
    return {
        "name": report.name,
        "timezone": report.timezone,
        "opens_on_all": report.opens_on_all,
        "switch": report.switch.column if report.switch else None,
        "datasets": {
            dataset.model: {
                "is_analysis": dataset.is_analysis,
                "is_apart": dataset.is_analysis or dataset.is_apart,
                "has_days": not (dataset.is_analysis or dataset.day),
                "is_partial": dataset.largest is not None,
            }
            for dataset in report.datasets
        },
        "first_day": window.start.isoformat(),
        "as_of": max(window.days()).isoformat(),
        "dimensions": {one.column: _dimension(one) for one in [*report.dimensions, report.dimension(WEEKDAY)]},
        "measures": {measure.name: _measure(report, measure, window) for measure in report.measures},
        "key_figures": report.key_figures,
        "charts": [_chart(report, chart) for chart in report.charts],
        "tables": [
            {
                "name": table.name,
                "by": table.by,
                "details": table.details,
                "measures": table.measures,
                "shares": table.shares,
                "in_order": table.in_order,
            }
            for table in report.tables
        ],
    }


def _dimension(dimension: Dimension) -> dict[str, Any]:
    return {
        "title": dimension.title,
        "values": None if dimension.values is None else [*dimension.values, OTHER],
        "is_filter": dimension.is_filter,
        "is_identifier": dimension.is_identifier,
        "one_of": dimension.one_of,
    }


def _chart(report: Report, chart: Chart) -> dict[str, Any]:
    return {
        "measure": chart.measure,
        "by": chart.by,
        "split": chart.split,
        "lines": chart.lines,
        "top": chart.top,
        "in_order": chart.in_order,
        "against": chart.against,
        "steps": chart.steps,
        "shape": chart.shape,
        "spec": chart_spec(report, chart),
    }


def _measure(report: Report, measure: Measure, window: Window) -> dict[str, Any]:
    unfinished = measure.unfinished_from(max(window.days()))
    return {
        "title": measure.title,
        "format": measure.format,
        "unit": report.unit(measure),
        "above_one": measure.above_one,
        "has_interval": measure.has_interval,
        "is_null_of_nothing": measure.is_null_of_nothing,
        "unfinished_from": unfinished and unfinished.isoformat(),
        "good": measure.good,
        "target": measure.target,
        "value": _value(measure.value),
    }


def _value(value: Value) -> dict[str, Any]:
    match value:
        case Sum():
            where = {column: list(values) for column, values in value.where.items()}
            return {"kind": "sum", "model": value.model, "column": value.column, "where": where,
                    "variance": value.variance, "rows": value.rows, "is_exact": value.is_exact}  # fmt: skip
        case Distinct():
            return {"kind": "distinct", "model": value.model, "dimension": value.dimension, "besides": value.besides}
        case Spread():
            return {"kind": "spread", "sum": _value(value.sum), "across": value.across, "part": value.part}
        case Ratio():
            parts = {"over": _value(value.over), "under": _value(value.under)}
            return {"kind": "ratio", "is_share": value.is_share, "times": value.times, **parts}


# -------------------------------------------------------------------------------------------------------- the rows


def pack(report: Report, frames: Frames, window: Window) -> str:
    """The rows by column: texts as places in a dictionary shared by all datasets, days counted from the first.

    For a map, the outlines of the countries are with them.
    """
    dictionaries = {one.column: _dictionary(report, frames, one.column) for one in report.dimensions}
    packed: dict[str, Any] = {"dictionaries": dictionaries, "datasets": {}}
    if any(chart.shape is Shape.MAP for chart in report.charts):
        packed["countries"] = outlines()
    for dataset in report.datasets:
        frame = frames[dataset.model]
        columns: dict[str, Any] = {
            DAY: [(day - window.start).days for day in frame[DAY].to_list()],
        }
        for column in dataset.dimensions:
            places = {value: place for place, value in enumerate(dictionaries[column])}
            columns[column] = [places[value] for value in frame[column].to_list()]
        for column in dataset.numbers:
            columns[column] = [_shortest(number) for number in frame[column].to_list()]
        packed["datasets"][dataset.model] = {"length": frame.height, "columns": columns}
    text = json.dumps(packed, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def unpack(packed: str) -> dict[str, Any]:
    """Reverses `pack`."""
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def _dictionary(report: Report, frames: Frames, column: str) -> list[str]:
    """The values of a dimension: in its listed order, else sorted; those of which one is chosen stand first."""
    found = {
        value for dataset in report.datasets if column in dataset.dimensions for value in frames[dataset.model][column]
    }
    listed = report.dimension(column).values
    if one_of := report.dimension(column).one_of:
        return [*one_of, NONE, *sorted(found - {*one_of, NONE})]
    return sorted(found) if listed is None else [value for value in (*listed, OTHER) if value in found]


def _shortest(number: float | None) -> float | int | None:
    return int(number) if number is not None and number.is_integer() else number
