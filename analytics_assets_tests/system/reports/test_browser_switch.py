"""A switch as a person uses it, in a headless Chromium: one answer of several counts at a time."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from analytics_assets.reports import dashboard
from analytics_assets.reports.figures import figures, of_choice
from analytics_assets_tests.support.browser import NEEDS_BROWSER, faults_of_access, new_page, open_page
from analytics_assets_tests.support.switched_report import FRAMES, SWITCHED, WINDOW

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    file = tmp_path_factory.mktemp("switched") / "switched.html"
    file.write_text(dashboard.render(SWITCHED, FRAMES, WINDOW, []))
    with new_page(browser) as page:
        open_page(page, file.as_uri())
        yield page


def figure(page: Page, measure: str) -> str:
    return page.locator(f".figure[data-measure={measure}] .value").inner_text()


def cells(page: Page, table: str) -> list[list[str]]:
    """The cells of a table as they are read, from above."""
    rows = page.locator(f"#table-{table} tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def expect_choice(page: Page, choice: str) -> None:
    """Each figure of the page and of its tables is that of the workbook's code for a choice."""
    switch = SWITCHED.dimension("model")
    chosen = of_choice(FRAMES, switch, choice)

    def value_of(name: str, *by: str) -> dict:
        measure = SWITCHED.measure(name)
        return figures(chosen if SWITCHED.is_switched(measure) else FRAMES, measure, by, switch)

    assert figure(page, "credited") == f"{value_of('credited')[()].value:g}"
    assert figure(page, "spend") == "15.00 €"
    assert figure(page, "conversions") == "9"
    for name in ("roas", "spread"):
        assert figure(page, name) == f"{value_of(name)[()].value:.1%}".replace("%", " %")
    by_channel = {row[0]: row[1:] for row in cells(page, "channels")}
    for (channel,), roas in value_of("roas", "channel").items():
        spread = value_of("spread", "channel")[channel,].value
        said = ["–" if one is None else f"{one:.1%}".replace("%", " %") for one in (roas.value, spread)]
        assert by_channel[channel][3:] == said
    assert {row[0]: row[1:] for row in cells(page, "models")} == {
        model: ["15.00 €", "10", "66.7 %"] for model in ("first", "last")
    }, "all of them, whichever is chosen"


def test_one_value_is_chosen_and_stands_in_the_address(page: Page) -> None:
    page.evaluate("location.hash = ''")
    page.click("#spans button:has-text('all')")
    assert page.locator("#switch").evaluate("one => one.selectedOptions[0].textContent") == "last"
    assert page.locator("#switch option").all_inner_texts() == ["last", "first"]
    expect_choice(page, "last")
    page.select_option("#switch", label="first")
    expect(page.locator("#summary")).to_contain_text("everything; model: first")
    expect_choice(page, "first")
    assert "model=first" in page.evaluate("location.hash")
    page.reload()
    page.wait_for_selector("html[data-ready=yes]")
    expect_choice(page, "first")
    page.click("#reset")
    page.click("#spans button:has-text('all')")
    expect_choice(page, "last")


def test_an_unknown_choice_in_the_address_is_the_first_one(page: Page) -> None:
    page.evaluate("location.hash = 'model=constructor'")
    expect(page.locator("#summary")).to_contain_text("model: last")


def test_the_value_that_the_models_are_farthest_apart_on_is_named(page: Page) -> None:
    page.click("#spans button:has-text('all')")
    assert page.locator(".figure[data-measure=spread] .of").inner_text() == "Channel: tv"
    page.fill("#from", "2026-01-03")
    page.locator("#from").dispatch_event("change")
    assert figure(page, "spread") == "50.0 %"
    page.fill("#from", "2026-01-02")
    page.fill("#to", "2026-01-02")
    page.locator("#from").dispatch_event("change")
    page.locator("#to").dispatch_event("change")
    expect(page.locator("#empty")).to_be_visible()


def test_unfinished_days_are_shaded_and_said(page: Page) -> None:
    page.click("#spans button:has-text('all')")
    page.wait_for_timeout(300)
    assert page.locator("#chart-0 svg .mark-rect path").count() == 2
    said = "The shaded days, from 2026-01-02 on, are unfinished: what comes of them is still to come."
    assert page.locator("#chart-0-rest").inner_text() == said
    assert page.locator(".figure[data-measure=roas] .unfinished").inner_text() == "unfinished from 2026-01-02 on"
    shaded = page.locator("#table-days td.unfinished").all_inner_texts()
    assert shaded == [row[1] for row in cells(page, "days") if row[0] >= "2026-01-02"] != []
    page.fill("#to", "2026-01-01")
    page.locator("#to").dispatch_event("change")
    page.wait_for_timeout(300)
    assert page.locator("#chart-0 svg .mark-rect path").count() == 0
    assert page.locator("#chart-0-rest").inner_text() == ""
    assert page.locator("td.unfinished, p.unfinished").count() == 0


def test_a_bar_has_a_mark_of_the_other_measure_and_stands_in_order(page: Page) -> None:
    page.click("#reset")
    page.click("#spans button:has-text('all')")
    page.wait_for_timeout(300)
    bars = page.locator("#chart-3 svg [aria-roledescription=bar]")
    spoken = bars.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert spoken == ["mail: 0, against 3", "tv: 9, against 1", "web: 0, against 6"]
    marks = page.locator("#chart-3 svg g.mark-rect:not([role=graphics-object]) path:not([role])")
    places = marks.evaluate_all("all => all.map(one => one.getBoundingClientRect().x)")
    assert len(places) == 3
    assert places[1] < places[0] < places[2]
    assert page.locator("#chart-3-rest").inner_text() == "The mark across a bar: credited."


def test_axe_finds_nothing_with_a_switch(page: Page) -> None:
    page.click("#spans button:has-text('all')")
    page.wait_for_timeout(200)
    assert faults_of_access(page) == []
