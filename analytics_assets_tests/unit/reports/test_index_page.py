"""The page of all reports: its facts, its lines, and its texts."""

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from analytics_assets.reports.dashboard import Concern
from analytics_assets.reports.index_page import (
    HEIGHT,
    WIDTH,
    Entry,
    Index,
    Link,
    facts_of,
    render,
    sparkline,
    written,
)
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

FIRST = date(2026, 1, 1)
HOSTILE = '"><script>alert(1)</script> & {{ 7 * 7 }}'
REPORT = Report(
    name="shop",
    title="Shop",
    days=90,
    datasets=(Dataset("mart", ("model", "place"), ("amount", "orders")),),
    dimensions=(Dimension("model", "Model", one_of=("last", "first")), Dimension("place", "Place")),
    measures=(
        Measure("amount", "Revenue", Sum("mart", "amount"), Format.MONEY, "All of it.", unfinished_days=2),
        Measure("basket", "Basket", Ratio(Sum("mart", "amount"), Sum("mart", "orders")), Format.MEAN, "."),
        Measure("places", "Places", Distinct("mart", "place"), Format.COUNT, "."),
        Measure("share", "Share of x", Ratio(Sum("mart", "orders", {"place": ("x",)}), Sum("mart", "orders")),
                Format.SHARE, "."),
        Measure("apart", "Apart", Spread(Sum("mart", "amount"), "model", "place"), Format.SHARE, "."),
    ),
    key_figures=("amount", "basket", "places", "share", "apart"),
    charts=(Chart("Revenue", "amount"),),
    tables=(Table("days", "Days", ("day",), ("amount",)),),
)  # fmt: skip
ROWS = pl.DataFrame(
    [
        (FIRST, "last", "x", 10.0, 2.0),
        (FIRST, "first", "x", 99.0, 9.0),
        (FIRST + timedelta(2), "(none)", "y", 6.0, 0.0),
        (FIRST + timedelta(3), "last", "x", 2.5, 1.0),
        (FIRST + timedelta(3), "last", "y", 1.0, 3.0),
    ],
    schema=["day", "model", "place", "amount", "orders"],
    orient="row",
)


def test_the_first_key_figures_are_by_day_and_a_day_without_rows_is_nothing_or_unknown() -> None:
    facts = facts_of(REPORT, {"mart": ROWS}, FIRST + timedelta(4), [])
    assert [one["title"] for one in facts["figures"]] == ["Revenue", "Basket", "Places", "Share of x"], "four of five"
    amount, basket, places, share = facts["figures"]
    assert {one["days"] for one in facts["figures"]} == {("2026-01-01", "2026-01-04")}, "those with rows"
    assert amount["values"] == [10.0, 0.0, 6.0, 3.5], "of the model that is chosen, and of none"
    assert basket["values"] == [5.0, None, None, 0.875]
    assert places["values"] == [1, 0, 1, 2]
    assert share["values"] == [1.0, None, None, 0.25]
    assert (amount["newest"], amount["lowest"], amount["highest"]) == ("3.50 €", "0.00 €", "10.00 €")
    assert (share["newest"], share["lowest"], share["highest"]) == ("25.0 %", "25.0 %", "100.0 %")
    assert amount["unfinished"] == 1, "the fourth of January; the fifth has no rows"
    assert (facts["as_of"], facts["newest"]) == ("2026-01-05", "2026-01-04")


def test_a_figure_without_a_value_on_any_day_leaves_its_place_to_the_next() -> None:
    facts = facts_of(REPORT, {"mart": ROWS.with_columns(orders=pl.lit(0.0))}, FIRST, [])
    assert [one["title"] for one in facts["figures"]] == ["Revenue", "Places", "Apart"], "no ratio to nothing"


def test_a_report_without_rows_has_no_figures() -> None:
    facts = facts_of(REPORT, {"mart": ROWS.clear()}, FIRST, [Concern("mart", "is empty", True)])
    assert facts["figures"] == []
    assert facts["newest"] is None
    assert facts["concerns"] == [{"is_error": True, "text": "mart: is empty"}]
    page = render(Index([Entry("shop", "Shop", "shop_dashboard.html", facts=facts)]))
    assert "no day at all" in page
    assert "data-newest=" not in page


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (Format.COUNT, 1234567.5, "1,234,568"),
        (Format.COUNT, 0.25, "0.3"),  # Python would round it to 0.2
        (Format.COUNT, 99.0, "99"),
        (Format.COUNT, 0.0, "0"),
        (Format.SHARE, 0.1234, "12.3 %"),
        (Format.SECONDS, 1234.56, "1,234.6 s"),
        (Format.MEAN, 2.0, "2.0"),
        (Format.MEAN, 143093.4, "143,093"),
        (Format.MEAN, 999.94, "999.9"),
        (Format.MEAN, 0.02134, "0.0213"),
        (Format.MEAN, -0.5, "-0.5"),
        (Format.MEAN, 0.99995, "1"),
        (Format.MEAN, 0.0, "0.0"),
        (Format.MONEY, -1234.5, "-1,234.50 €"),
        (Format.PLAIN, 0.123456, "0.1235"),
        (Format.PLAIN, 10.0, "10"),
        (Format.COUNT, None, "–"),
    ],
)
def test_a_value_is_written_as_the_dashboard_writes_it(form: Format, value: float | None, text: str) -> None:
    assert written(REPORT, replace(REPORT.measures[0], format=form), value) == text


def test_a_line_spans_its_ground_and_breaks_where_a_day_has_no_value() -> None:
    drawn = sparkline([1.0, 3.0, None, 2.0, None, 1.0, 2.0])
    points = [[tuple(map(float, point.split(","))) for point in line.split()] for line in drawn.lines]
    assert [len(part) for part in points] == [2, 2]
    assert points[0] == [(4.0, HEIGHT - 4.0), (round(4 + (WIDTH - 8) / 6, 1), 4.0)], (
        "the lowest below, the highest above"
    )
    assert drawn.dots == [(WIDTH / 2, HEIGHT / 2)], "a day alone is a dot"
    assert drawn.end == points[1][-1] == (WIDTH - 4.0, HEIGHT / 2)
    assert drawn.shaded_from is None


@pytest.mark.parametrize(("values", "lines"), [([5.0], 0), ([5.0, 5.0], 1), ([None], 0), ([], 0)])
def test_a_line_of_little_is_drawn_all_the_same(values: list[float | None], lines: int) -> None:
    drawn = sparkline(values, unfinished=1)
    assert len(drawn.lines) == lines
    assert drawn.end is None or drawn.end[1] == HEIGHT / 2


def test_the_newest_days_are_shaded_from_half_a_day_before_the_first_of_them() -> None:
    assert sparkline([1.0, 2.0, 3.0], unfinished=1).shaded_from == round(4 + 1.5 * (WIDTH - 8) / 2, 1)
    assert sparkline([1.0, 2.0, 3.0], unfinished=3).shaded_from == 0


def test_the_page_is_the_same_for_the_same_facts_and_says_no_text_as_code() -> None:
    measure = replace(REPORT.measures[0], title=HOSTILE, note=HOSTILE)
    report = replace(REPORT, title=HOSTILE, measures=(measure, *REPORT.measures[1:]))
    concerns = [Concern("mart", f"{HOSTILE} {number}", number == 0) for number in range(5)]
    facts = facts_of(report, {"mart": ROWS}, FIRST, concerns)
    link = Link("a.csv", HOSTILE)
    entry = Entry("shop", HOSTILE, "shop_dashboard.html", [link], facts, last_day=date(2026, 1, 9))
    index = Index([entry], [link], [link])
    page = render(index)
    assert page == render(index)
    assert page.count("<script>") == 1, "its own"
    assert "49" not in page.split("<body>")[1].split("<script>")[0].replace("{{ 7 * 7 }}", "")
    assert page.count("&lt;script&gt;alert(1)") == page.count("alert(1)") > 10
    assert page.index("<strong>Failed:</strong>") < page.index("<strong>Warning:</strong>")
    assert page.index("2 more") > page.index("alert(1)&lt;/script&gt; &amp; {{ 7 * 7 }} 2")
    assert 'data-last-day="2026-01-09"' in page
    assert "default-src 'none'" in page
    assert not [name for name in ("<link", "<img", "src=", "@import", "url(") if name in page]
