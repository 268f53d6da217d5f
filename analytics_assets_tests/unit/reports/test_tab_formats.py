"""How the numbers of a tab are shown: each in the unit and the currency of its measure."""

from dataclasses import replace

import polars as pl

from analytics_assets.reports.tabs import Room, tabs_of
from analytics_assets.spec.report import Chart, Format, Shape
from analytics_assets_tests.support.report_of_months import MONTHS, frames

ROOM = Room(rows=10_000, characters=1_000)


def patterns(title: str) -> dict[str, str]:
    (tab,) = [tab for tab in tabs_of(MONTHS, frames(), ROOM) if tab.title == title]
    return {heading: form.pattern for heading, form in zip(tab.headings, tab.formats, strict=True) if form}


def test_each_column_has_the_unit_or_the_currency_of_its_measure() -> None:
    assert patterns("Days") == {
        "Asked": '#,##0 "calls"',
        "Asked, from (95 %)": '#,##0 "calls"',
        "Asked, to (95 %)": '#,##0 "calls"',
        "Visitors": "#,##0",
        "Rate": "0.0%",
        "Spend": '#,##0.00 "$"',
        "Price": '#,##0.00 "€"',
        "Apart": "0.0%",
    }
    assert patterns("Countries")["Share"] == "0.0%", "a share of the calls is no number of calls"


def test_a_mean_has_as_many_digits_as_the_smallest_of_its_column_needs() -> None:
    for of_one, pattern in ((1.0, "#,##0.0"), (1e-4, "#,##0.0###"), (1e5, "#,##0")):
        measures = tuple(replace(one, format=Format.MEAN) if one.name == "few" else one for one in MONTHS.measures)
        table = replace(MONTHS.tables[0], measures=("few",))
        held = frames()
        held = {
            **held,
            "mart": held["mart"].with_columns(given=pl.lit(of_one)),
            "bills": held["bills"].with_columns(spend=pl.lit(0.5)),
        }
        tab = tabs_of(replace(MONTHS, measures=measures, tables=(table,)), held, ROOM)[0]
        assert tab.formats[1] and tab.formats[1].pattern == pattern


def test_a_symbol_cannot_end_its_quotes() -> None:
    measures = tuple(replace(one, unit='"0"') if one.name == "asked" else one for one in MONTHS.measures)
    tab = tabs_of(replace(MONTHS, measures=measures), frames(), ROOM)[0]
    assert tab.formats[1] and tab.formats[1].pattern == '#,##0 "0"'


def test_what_a_spreadsheet_cannot_draw_is_no_chart_of_a_tab() -> None:
    bars = Chart("Asked by country", "asked", by="country")
    of_map, of_scatter = replace(bars, shape=Shape.MAP), replace(bars, against="visitors", shape=Shape.SCATTER)
    table = replace(MONTHS.tables[1], by=("country",))
    drawn = [
        [chart.title for chart in tabs_of(replace(MONTHS, charts=(chart,), tables=(table,)), frames(), ROOM)[0].charts]
        for chart in (bars, of_map, of_scatter)
    ]
    assert drawn == [["Asked by country"], [], []]
