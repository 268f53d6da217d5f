"""The page of all reports as one self-contained HTML file. Pure functions; `index_asset` reads and writes the files.

A dashboard leaves *facts* beside its file: what it is as of, its concerns, and its first key figures by day. The page
shows those. How far a report is behind depends on when somebody looks, so the browser works that out; the file is the
same for the same facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from itertools import islice
from math import floor, log10
from pathlib import Path
from typing import Any

from analytics_assets.reports.dashboard import Concern
from analytics_assets.reports.datasets import Frames, days_with_rows
from analytics_assets.reports.figures import Figure, figures, of_choice
from analytics_assets.spec.report import DAY, Format, Measure, Report

FIGURES = 4
"""How many key figures of a report are shown: the first ones that have a value on any day."""

SIGNIFICANT, WHOLE_FROM = 3, 1_000
"""How many digits a mean below 1 has, and from where on it is written as a whole number."""

CONCERNS = 3
"""How many concerns are shown until somebody asks for the others."""

WIDTH, HEIGHT = 240, 44
"""The size of a sparkline, in its own units."""

_MARGIN = 4  # above and below a line

_PAGE = Path(__file__).parent / "page"

Facts = Mapping[str, Any]
"""What a report says of itself, as JSON holds it."""


# ---------------------------------------------------------------------------------------------------------- facts


@dataclass(frozen=True)
class DaysOfFigure:
    """A key figure by day, over the days on which its datasets have rows.

    Attributes:
        days: the first day and the newest one, in ISO format.
        values: one of each day from the first to the newest; None where there is none.
        newest, lowest, highest: the values as people read them.
        unfinished: how many of the newest days have not yet brought all that they will.
    """

    title: str
    note: str
    days: tuple[str, str]
    values: Sequence[float | None]
    newest: str
    lowest: str
    highest: str
    unfinished: int


def facts_of(report: Report, frames: Frames, as_of: date, concerns: Sequence[Concern]) -> Facts:
    """The facts of a dashboard; its file holds the same rows and concerns."""
    days = days_with_rows(report, frames)
    by_day = (_by_day(report, frames, report.measure(name), as_of) for name in report.key_figures)
    return {
        "as_of": as_of.isoformat(),
        "newest": days[-1].isoformat() if days else None,
        "concerns": [{"is_error": concern.is_error, "text": concern.text} for concern in concerns],
        "figures": [asdict(one) for one in islice(filter(None, by_day), FIGURES)],
    }


def _by_day(report: Report, frames: Frames, measure: Measure, as_of: date) -> DaysOfFigure | None:
    """A measure by day, if it has a value on any; a switched one as the dashboard opens, with the first choice."""
    switch = report.switch
    chosen = of_choice(frames, switch, switch.one_of[0]) if switch and report.is_switched(measure) else frames
    found = {day: figure for (day,), figure in figures(chosen, measure, (DAY,), switch).items()}
    if all(figure.value is None for figure in found.values()):
        return None
    first, newest = min(found), max(found)  # type: ignore[type-var]
    assert isinstance(first, date) and isinstance(newest, date)
    days = [first + timedelta(number) for number in range((newest - first).days + 1)]
    missing = Figure(None if measure.is_null_of_nothing else 0.0)
    values = [found.get(day, missing).value for day in days]
    known = [value for value in values if value is not None]
    unfinished = measure.unfinished_from(as_of)
    return DaysOfFigure(
        measure.title,
        measure.note,
        (first.isoformat(), newest.isoformat()),
        values,
        newest=written(report, measure, values[-1]),
        lowest=written(report, measure, min(known)),
        highest=written(report, measure, max(known)),
        unfinished=sum(day >= unfinished for day in days) if unfinished else 0,
    )


def written(report: Report, measure: Measure, value: float | None) -> str:
    """A value as people read it: as `written` in the script of the dashboard."""
    if value is None:
        return "–"
    match measure.format:
        case Format.PLAIN:
            number = _trimmed(_rounded(value, 4))
        case Format.COUNT:
            number = _rounded(value, 0) if abs(value) >= 100 else _trimmed(_rounded(value, 1))
        case Format.SHARE:
            number = _rounded(value * 100, 1)
        case Format.MEAN if 0 < abs(value) < 1:
            number = _trimmed(_rounded(value, SIGNIFICANT - 1 - floor(log10(abs(value)))))
        case Format.MEAN if abs(value) >= WHOLE_FROM:
            number = _rounded(value, 0)
        case form:
            number = _rounded(value, 2 if form is Format.MONEY else 1)
    return f"{number} {report.unit(measure)}".strip()


def _rounded(value: float, decimals: int) -> str:
    """Halves go away from zero, as in a browser; Python would round them to even digits."""
    number = Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return f"{number:,.{decimals}f}"


def _trimmed(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number


# ----------------------------------------------------------------------------------------------------- sparklines


@dataclass(frozen=True)
class Sparkline:
    """A line without axes, in units of WIDTH and HEIGHT.

    Attributes:
        lines: the points of each unbroken part, as SVG wants them; a day without a value breaks the line.
        dots: the days whose neighbours have no value.
        end: where the newest value is; None if it has none.
        shaded_from: where the unfinished days begin; None if all are finished.
    """

    lines: Sequence[str]
    dots: Sequence[tuple[float, float]]
    end: tuple[float, float] | None
    shaded_from: float | None


def sparkline(values: Sequence[float | None], unfinished: int = 0) -> Sparkline:
    """The line of some days, from the lowest value at the bottom to the highest at the top."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    step = (WIDTH - 2 * _MARGIN) / max(len(values) - 1, 1)

    def place(number: int, value: float) -> tuple[float, float]:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(_MARGIN + number * step, 1), round(HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN), 1)

    parts: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            parts.append([])
        else:
            parts[-1].append(place(number, value))
    newest = values[-1] if values else None
    return Sparkline(
        lines=[" ".join(f"{x},{y}" for x, y in part) for part in parts if len(part) > 1],
        dots=[part[0] for part in parts if len(part) == 1],
        end=None if newest is None else place(len(values) - 1, newest),
        shaded_from=round(max(_MARGIN + (len(values) - unfinished - 0.5) * step, 0), 1) if unfinished else None,
    )


# ------------------------------------------------------------------------------------------------------- the page


@dataclass(frozen=True)
class Link:
    """A file or a sheet, by an address that is relative to the page or absolute."""

    address: str
    text: str


@dataclass(frozen=True)
class Entry:
    """A report on the page.

    Attributes:
        dashboard: where its dashboard is; empty if there is none.
        timezone: of its days.
        last_day: the last day that there will ever be of it; None if there is no end.
        links: its other files, and its sheet.
        facts: what its dashboard says of itself; None if it was never made by a code that leaves facts.
    """

    name: str
    title: str
    dashboard: str
    links: Sequence[Link] = ()
    facts: Facts | None = None
    timezone: str = "UTC"
    last_day: date | None = None


@dataclass(frozen=True)
class Index:
    """All that the page shows.

    Attributes:
        tables: the files of analyses that no report shows.
        elsewhere: what else is worth opening, such as the dbt docs.
    """

    reports: Sequence[Entry]
    tables: Sequence[Link] = ()
    elsewhere: Sequence[Link] = ()


def render(index: Index) -> str:
    """The page; the same facts and files give the same bytes."""
    return _template().render(index=index, sparkline=sparkline, width=WIDTH, height=HEIGHT, concerns_shown=CONCERNS)


@cache
def _template() -> Any:
    """To compile it takes ten times as long as to fill it in, and the automation compares the page often."""
    from jinja2 import Environment, FileSystemLoader  # not needed to load the definitions

    environment = Environment(loader=FileSystemLoader(_PAGE), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("index.html")
