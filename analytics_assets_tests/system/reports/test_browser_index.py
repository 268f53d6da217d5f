"""The page of all reports as a person uses it, in a headless Chromium."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from analytics_assets.reports.index_asset import index_file
from analytics_assets.reports.index_page import Entry, Index, render
from analytics_assets.state.builds import export_of
from analytics_assets_tests.support.browser import NEEDS_BROWSER, faults_of_access, new_page
from analytics_assets_tests.support.project import DOMAINS, YESTERDAY, Project

pytestmark = NEEDS_BROWSER

REPORTS = [report for domain in DOMAINS for report in domain.reports]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def page(browser: Browser, reported: Project) -> Iterator[Page]:
    with new_page(browser, viewport=DESKTOP) as page:
        page.goto(index_file(reported.settings).as_uri())
        yield page


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    browser: Browser, reported: Project, size: dict, colours: str
) -> None:
    with new_page(browser, viewport=size, color_scheme=colours) as page:
        page.goto(index_file(reported.settings).as_uri())
        assert faults_of_access(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(18, 23, 27)") == (colours == "dark")
        assert page.locator(".figure").first.bounding_box()["y"] < size["height"]  # type: ignore[index]


def test_the_way_leads_to_each_report_and_back_from_the_newest_and_from_a_day(page: Page, reported: Project) -> None:
    index = page.url
    for report in REPORTS:
        page.get_by_role("link", name=report.title, exact=True).click()
        page.wait_for_selector("html[data-ready=yes]")
        page.get_by_role("link", name="All reports").click()
        expect(page).to_have_title("All reports")
        assert page.url == index
    page.goto(export_of(reported.settings, "consent_dashboard", YESTERDAY, "html").as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    page.get_by_role("link", name="All reports").click()
    assert page.url == index


def test_the_keyboard_reaches_every_link_in_the_order_of_the_page(page: Page) -> None:
    links = page.locator("a").evaluate_all("all => all.map(one => one.href)")
    reached = []
    for _ in range(len(links) + page.locator("summary").count()):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.href || ''"))
    assert [one for one in reached if one] == links


def test_each_figure_is_that_of_the_dashboard_on_its_newest_day(page: Page) -> None:
    address, compared = page.url.removesuffix("index.html"), []
    for report in REPORTS:
        page.goto(f"{address}index.html")
        section = page.locator(f"[data-report={report.name}]")
        shown = dict(
            zip(section.locator("h3").all_inner_texts(), section.locator(".value").all_inner_texts(), strict=True)
        )
        days = set(section.locator(".on").all_inner_texts())
        if days != {str(YESTERDAY)}:
            continue  # on that day, the dashboard shows the figures that have no rows as nothing
        compared.append(report.name)
        page.goto(f"{address}{report.name}_dashboard.html#from={YESTERDAY}&to={YESTERDAY}")
        page.wait_for_selector("html[data-ready=yes]")
        for measure in map(report.measure, report.key_figures[:4]):
            assert page.locator(f".figure[data-measure={measure.name}] .value").inner_text() == shown[measure.title]
    assert len(compared) >= len(REPORTS) - 1


def test_a_screen_reader_hears_what_a_line_shows(page: Page) -> None:
    said = page.locator("[data-report=consent] svg").first.get_attribute("aria-label")
    first = YESTERDAY - timedelta(days=13)
    number = r"[\d,.]+"
    assert re.fullmatch(
        rf"Events by day, {first} to {YESTERDAY}: lowest {number}, highest {number}, newest {number}", said or ""
    )


def test_after_the_last_day_a_report_of_it_stays_up_to_date(browser: Browser, reported: Project) -> None:
    assert reported.settings.end_date == YESTERDAY
    with new_page(browser) as page:
        page.clock.install(time=f"{YESTERDAY + timedelta(days=40)}T12:00:00Z")
        page.goto(index_file(reported.settings).as_uri())
        assert page.locator("[data-report=consent] [data-newest]").inner_text() == ", up to date"


@pytest.mark.parametrize(
    ("now", "timezone", "said"),
    [
        ("2026-03-02T00:00:01Z", "UTC", "up to date"),
        ("2026-03-03T00:00:01Z", "UTC", "1 day behind"),
        ("2026-03-10T23:59:59Z", "UTC", "8 days behind"),
        ("2026-03-02T23:30:00Z", "Europe/Berlin", "1 day behind"),  # there it is the third
        ("2026-03-03T04:30:00Z", "America/New_York", "up to date"),  # there it is still the second
    ],
)
def test_how_far_behind_a_report_is_depends_on_when_somebody_looks_and_on_its_time_zone(
    browser: Browser, tmp_path: Path, now: str, timezone: str, said: str
) -> None:
    facts = {"as_of": "2026-03-01", "newest": "2026-03-01", "concerns": [], "figures": []}
    file = tmp_path / "index.html"
    file.write_text(render(Index([Entry("shop", "Shop", "", [], facts, timezone)])))
    with new_page(browser) as page:
        page.clock.install(time=now)
        page.goto(file.as_uri())
        shown = page.locator("[data-newest]")
        assert shown.inner_text() == f", {said}"
        assert ("is-behind" in (shown.get_attribute("class") or "")) == (said != "up to date")
        assert f"2026-03-01 ({timezone})" in page.inner_text(".of")
