"""The charts of the workbook, and the sheet on how each figure is made, read back from the file."""

from dataclasses import replace
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from openpyxl import Workbook, load_workbook

from analytics_assets.partitions import Window
from analytics_assets.reports import workbook
from analytics_assets.reports.how_made import HEADINGS, HOW_MADE, formula, how_made, interval
from analytics_assets.spec.report import (
    Chart,
    Dataset,
    Dimension,
    Distinct,
    Format,
    Measure,
    Ratio,
    Report,
    Spread,
    Sum,
    Table,
)
from analytics_assets_tests.support.workbooks import charts_of

DAYS = [date(2026, 1, 1) + timedelta(number) for number in range(3)]
SPENT = Sum("mart", "spent", is_exact=True)
BROUGHT = Sum("mart", "brought", variance="variance", rows="rows")
REPORT = Report(
    name="shop",
    title="Shop",
    days=3,
    datasets=(Dataset("mart", ("place", "kind"), ("spent", "brought", "variance", "rows")),),
    dimensions=(Dimension("place", "Place"), Dimension("kind", "Kind", values=("1", "2"))),
    measures=(
        Measure("spent", "Spend", SPENT, Format.MONEY, "What was paid."),
        Measure("brought", "Brought", BROUGHT, Format.MONEY, "What came of it."),
        Measure("return", "Return", Ratio(BROUGHT, SPENT), Format.SHARE, "Brought / spend."),
        Measure("places", "Places", Distinct("mart", "place", besides=("unknown",)), Format.COUNT, "How many."),
    ),
    key_figures=("spent",),
    charts=(
        Chart("Return by day", "return", note="A share."),
        Chart("Spend by place", "spent", by="place", against="brought", top=2),
        Chart("Places by day", "places"),
        Chart("In stacks", "spent", split="kind"),
        Chart("A curve", "spent", by="kind", lines=True),
        Chart("Spend by kind", "spent", by="kind"),
    ),
    tables=(
        Table("both", "Both", ("place", "kind"), ("spent",)),
        Table("places", "Places", ("place",), ("spent", "brought"), details=("kind",), shares=True),
        Table("days", "Days", ("day",), ("spent", "return", "places")),
        Table("days_too", "Days too", ("day",), ("places", "return")),
    ),
)
ROWS = pl.DataFrame(
    [
        (day, place, "1", 10.0 + 5 * number, 4.0 * number + 2, 1.0, 40.0)
        for day in DAYS
        for number, place in enumerate(("it's", "=1+1", "z"))
    ],
    schema=["day", "place", "kind", "spent", "brought", "variance", "rows"],
    orient="row",
)


def written(report: Report = REPORT, **described: str) -> Workbook:
    window = Window.of_days(DAYS[0], DAYS[-1])
    return load_workbook(BytesIO(workbook.render(report, {"mart": ROWS}, window, [], described)))


def test_charts_stand_on_the_first_sheet_that_holds_their_rows() -> None:
    book = written()
    assert {sheet.title: [one.title for one in charts_of(sheet)] for sheet in book} == {
        "About": [],
        "Both": [],
        "Places": ["Spend by place: the first 2 of 3 rows"],
        "Days": ["Return by day", "Places by day"],
        "Days too": [],
        HOW_MADE: [],
    }, "no stacks, no curve, and none of which no table has the rows"
    about = [text for name, text in book["About"].iter_rows(max_col=2) if name.value == "Chart"]
    assert [cell.value for cell in about[1:]] == [
        "Return by day: beside the table Days",
        "Places by day: beside the table Days",
    ]
    assert [cell.hyperlink.location for cell in about[1:]] == ["Days!H2", "Days!H19"], "a wide table hides them"


def test_a_chart_draws_the_cells_with_titles_and_units() -> None:
    book = written()
    line, count = charts_of(book["Days"])
    assert (line.kind, count.kind) == ("lineChart", "lineChart")
    assert line.names == [*DAYS]
    assert line.series == {
        "Return": [row.value for row in book["Days"]["C"][1:]],
        "Return, from (95 %)": [row.value for row in book["Days"]["D"][1:]],
        "Return, to (95 %)": [row.value for row in book["Days"]["E"][1:]],
    }
    assert line.series["Return"] == pytest.approx([18 / 45] * 3), "4·(0+1+2) + 3·2 of 10 + 15 + 20"
    assert line.axis_titles == ["Day (UTC)", "Return (%)"]
    assert count.axis_titles == ["Day (UTC)", "Places"]
    assert line.number_format == "0.0%"
    assert line.drawn_in_cache == line.series, "what a viewer shows that does not calculate"

    (bars,) = charts_of(book["Places"])
    assert bars.kind == "barChart"
    assert bars.names == ["z", "=1+1"], "the largest first"
    assert bars.series == {"Spend": [60.0, 45.0], "Brought": [30.0, 18.0]}
    assert bars.axis_titles == ["Place", "Spend (€)"]
    assert bars.number_format == '#,##0.00 "€"'


def test_charts_stand_beside_the_table_and_not_upon_each_other() -> None:
    first, second = charts_of(written()["Days"])
    assert first.column == second.column == 7, "one column is free: the table has six"
    assert second.row - first.row > workbook.CHART_HEIGHT / 20


def test_where_there_are_no_rows_there_is_no_chart() -> None:
    window = Window.of_days(DAYS[0], DAYS[-1])
    book = load_workbook(BytesIO(workbook.render(REPORT, {"mart": ROWS.clear()}, window, [])))
    assert [one for sheet in book for one in charts_of(sheet)] == []


def test_of_a_table_with_rows_for_each_choice_nothing_is_drawn() -> None:
    """Its rows of one choice do not stand together."""
    switched = Dimension("kind", "Kind", one_of=("1", "2"))
    charts = tuple(chart for chart in REPORT.charts if not chart.lines)
    book = written(replace(REPORT, dimensions=(REPORT.dimensions[0], switched), charts=charts))
    assert [one for name in ("Places", "Days") for one in charts_of(book[name])] == []


def test_the_same_rows_give_the_same_bytes() -> None:
    window = Window.of_days(DAYS[0], DAYS[-1])
    one, other = (workbook.render(REPORT, {"mart": ROWS}, window, []) for _ in range(2))
    assert one == other


def test_the_range_of_a_sheet_whose_title_needs_quotes_is_found() -> None:
    tables = (*REPORT.tables[:2], replace(REPORT.tables[2], title="Day's own, !$A$1"))
    (line, _) = charts_of(written(replace(REPORT, tables=tables))["Day's own, !$A$1"])
    assert len(line.series["Return"]) == 3


# --------------------------------------------------------------------------------------------- how a figure is made


def test_the_last_sheet_says_of_each_figure_how_it_is_made() -> None:
    book = written(mart="All orders,\n  by place.")
    assert book.sheetnames[-1] == HOW_MADE
    headings, *rows = book[HOW_MADE].iter_rows(values_only=True)
    assert headings == HEADINGS
    found = {row[0]: dict(zip(HEADINGS, row, strict=True)) for row in rows}
    assert [*found] == [measure.title for measure in REPORT.measures]
    assert found["Return"] == {
        "Figure": "Return",
        "What it means": "Brought / spend.",
        "Formula": "(sum of brought of mart) / (sum of spent of mart)",
        "Unit": "%",
        "95 % interval": "from variance of mart; none where rows is below 30",
        "Read from": "mart",
        "What that is": "All orders, by place.",
    }
    assert (found["Spend"]["Unit"], found["Places"]["Unit"]) == ("€", "number")
    assert found["Spend"]["95 % interval"] is None
    assert found["Places"]["Formula"] == "number of different values of place in mart, without unknown"
    assert book[HOW_MADE]["B2"].alignment.wrap_text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            Sum("m", "n", {"kind": ("a",), "place": ("x", "y")}),
            "sum of n of m where kind is a and place is one of x, y",
        ),
        (Ratio(Sum("m", "n"), Sum("o", "p"), times=1_000), "(sum of n of m) / (sum of p of o) × 1,000"),
        (
            Spread(Sum("m", "n"), across="model", part="channel"),
            "largest less smallest share that a channel has in the sum of n of m, by model; of several values of "
            "channel, that of the one for which it is largest",
        ),
    ],
)
def test_a_formula_is_said_in_words(value: Any, said: str) -> None:
    assert formula(value) == said


def test_of_two_models_both_are_named_and_described() -> None:
    ratio = Measure("r", "R", Ratio(Sum("one", "a", variance="v"), Sum("two", "b", variance="w")), Format.SHARE, ".")
    datasets = (Dataset("one", (), ("a", "v")), Dataset("two", (), ("b", "w")))
    report = replace(REPORT, datasets=datasets, measures=(ratio,), key_figures=(), charts=(), tables=(), dimensions=())
    (row,) = how_made(report, {"one": "First.", "two": "Second."}).rows
    assert row[-2:] == ["one, two", "one: First.\ntwo: Second."]
    assert interval(ratio) == "", "neither is a part of the other: no interval is known"


def test_reports_that_share_a_workbook_share_the_sheet_and_say_nothing_twice() -> None:
    other = replace(
        REPORT,
        name="other",
        datasets=(Dataset("other", ("place",), ("spent",)),),
        dimensions=(Dimension("place", "Place"),),
        measures=(Measure("spent", "Spend", Sum("other", "spent"), Format.MONEY, "What was paid."),),
        key_figures=(),
        charts=(),
        tables=(Table("others", "Others", ("place",), ("spent",)),),
    )
    rows = how_made(replace(REPORT, with_tabs_of=(other,)), {}).rows
    assert len(rows) == len(REPORT.measures) + 1
    assert [row[2] for row in rows if row[0] == "Spend"] == ["sum of spent of mart", "sum of spent of other"]
