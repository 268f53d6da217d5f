"""Funnels, waterfalls, and datasets that stand apart from a filter, in a headless Chromium."""

from collections.abc import Iterator
from datetime import date

import polars as pl
import pytest
from playwright.sync_api import Browser, Page, expect

from analytics_assets.partitions import Window
from analytics_assets.reports import dashboard
from analytics_assets.spec.report import Chart, Dataset, Dimension, Format, Measure, Report, Shape, Sum, Table
from analytics_assets_tests.support.browser import NEEDS_BROWSER, faults_of_access, new_page, open_page

pytestmark = NEEDS_BROWSER

DAYS = Window.of_days(date(2026, 1, 1), date(2026, 1, 4))
EFFECTS = ("before", "price", "cost", "after")
SEEN = ("visits", "carts", "bought")

REPORT = Report(
    name="steps",
    title="Steps",
    days=4,
    datasets=(Dataset("margins", ("kind",), EFFECTS), Dataset("visits", (), SEEN, is_apart=True)),
    dimensions=(Dimension("kind", "Kind", is_filter=True),),
    measures=(
        *(Measure(name, name.title(), Sum("margins", name), Format.MONEY, ".") for name in EFFECTS),
        *(Measure(name, name.title(), Sum("visits", name), Format.COUNT, ".") for name in SEEN),
    ),
    key_figures=("after", "visits"),
    charts=(
        Chart("What changed", "before", steps=("price", "cost"), against="after", shape=Shape.WATERFALL),
        Chart("Who buys", "visits", steps=("carts", "bought"), shape=Shape.FUNNEL),
        Chart("Visits over time", "visits"),
    ),
    tables=(Table("kinds", "Kinds", ("kind",), EFFECTS), Table("visits", "Visits", ("day",), SEEN)),
)

FRAMES = {
    "margins": pl.DataFrame(
        [
            (date(2026, 1, 2), "a", 100.0, 50.0, -170.0, -20.0),
            (date(2026, 1, 2), "b", 200.0, -30.0, 10.0, 180.0),
            (date(2026, 1, 3), "c", 1.0, 2.0, 3.0, 16.0),  # ten of which no step tells
            (date(2026, 1, 3), "d", 5.0, None, 1.0, 6.0),
        ],
        schema=["day", "kind", *EFFECTS],
        orient="row",
    ),
    "visits": pl.DataFrame(
        [(day, 100.0, 25.0, 5.0) for day in DAYS.days()], schema=["day", *SEEN], orient="row"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    file = tmp_path_factory.mktemp("steps") / "steps.html"
    file.write_text(dashboard.render(REPORT, FRAMES, DAYS, []))
    with new_page(browser) as page:
        open_page(page, file.as_uri())
        page.set_default_timeout(5_000)
        yield page


def show(page: Page, selection: str) -> None:
    page.evaluate("selection => { location.hash = selection }", selection)
    page.wait_for_timeout(250)


def drawn(page: Page, place: int) -> list[dict]:
    """The bars of a chart from above: what a screen reader says, and where they begin and end."""
    marks = page.locator(f"#chart-{place} svg [aria-roledescription=bar][tabindex]")
    return marks.evaluate_all("all => all.map(({__data__: {datum: {said, start, end}}}) => ({said, start, end}))")


def bar(said: str, start: float, end: float) -> dict:
    return {"said": said, "start": start, "end": end}


def test_each_step_begins_where_the_one_before_it_ended(page: Page) -> None:
    show(page, "kind=a")
    assert drawn(page, 0) == [
        bar("Before: 100.00 €", 0, 100),
        bar("Price: +50.00 €", 100, 150),
        bar("Cost: -170.00 €", 150, -20),
        bar("After: -20.00 €", 0, -20),
    ]
    expect(page.locator("#chart-0-rest")).to_have_text("")
    labels = page.locator("#chart-0 svg .role-axis-label text tspan").all_text_contents()
    assert labels[2:4] == ["Price", "+50.00 €"]


def test_a_filter_acts_on_each_step(page: Page) -> None:
    show(page, "kind=a&kind=b")
    assert [(one["start"], one["end"]) for one in drawn(page, 0)] == [(0, 300), (300, 320), (320, 160), (0, 160)]


def test_what_the_steps_do_not_explain_is_said(page: Page) -> None:
    show(page, "kind=c")
    expect(page.locator("#chart-0-rest")).to_have_text("The steps leave +10.00 € unexplained.")


def test_where_a_step_is_not_known_there_is_no_waterfall(page: Page) -> None:
    show(page, "kind=d")
    assert drawn(page, 0) == []
    expect(page.locator("#chart-0.nothing")).to_have_count(1)
    expect(page.locator("#chart-0-rest")).to_have_text("")


def test_a_funnel_says_how_many_are_left_of_all_and_of_the_step_before(page: Page) -> None:
    show(page, "from=2026-01-02&to=2026-01-04")
    assert drawn(page, 1) == [
        bar("Visits: 300", 0, 300),
        bar("Carts: 75, 25.0 % of the step before", 0, 75),
        bar("Bought: 15, 20.0 % of the step before", 0, 15),
    ]
    labels = page.locator("#chart-1 svg .role-axis-label text tspan").all_text_contents()
    assert "15 (5.0 %)" in labels


def test_a_filter_leaves_what_stands_apart_as_it_is_and_the_page_says_so(page: Page) -> None:
    show(page, "")
    said = "Not filtered by kind."
    expect(page.get_by_text(said)).to_have_count(0)
    show(page, "kind=a")
    assert page.locator(".figure[data-measure=visits] .value").inner_text() == "400"
    assert page.locator(".figure[data-measure=after] .value").inner_text() == "-20.00 €"
    for where in (".figure[data-measure=visits] .of", "#chart-1-rest", "#chart-2-rest", "#table-visits .apart"):
        expect(page.locator(where)).to_have_text(said)
    expect(page.get_by_text(said)).to_have_count(4)


def test_a_selection_without_any_filtered_row_is_empty(page: Page) -> None:
    show(page, "from=2026-01-01&to=2026-01-01")
    expect(page.locator("#content")).to_be_visible()  # there are visits
    show(page, "kind=")
    expect(page.locator("#empty")).to_be_visible()


def test_axe_finds_nothing(page: Page) -> None:
    show(page, "kind=a")
    assert faults_of_access(page) == []
