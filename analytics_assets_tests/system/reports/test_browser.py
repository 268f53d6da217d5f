"""The dashboard as a person uses it, in a headless Chromium; `make browser` installs what that needs."""

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from playwright.sync_api import Browser, Page, expect

from analytics_assets.partitions import Window
from analytics_assets.reports import dashboard
from analytics_assets.spec.report import (
    Chart,
    Dataset,
    Dimension,
    Distinct,
    Format,
    Measure,
    Ratio,
    Report,
    Sum,
    Table,
)
from analytics_assets.state.builds import newest_export
from analytics_assets_tests.support.browser import NEEDS_BROWSER, faults_of_access, new_page, open_page
from analytics_assets_tests.support.consent_events import FORMULA, HOSTILE
from analytics_assets_tests.support.project import YESTERDAY, Project

pytestmark = NEEDS_BROWSER

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
def page(browser: Browser, reported: Project) -> Iterator[Page]:
    """The newest dashboard, opened from its file; anything that the page complains of fails the test."""
    with new_page(browser, viewport=DESKTOP) as page:
        open_report(page, reported)
        yield page


NAMES = (
    "constructor", "__proto__", "toString", "hasOwnProperty", "valueOf", "prototype", "length", "0", "-1", "null",
    "undefined", "NaN", "true", "2026-01-05", " ", "names[0]", "datum.value", "'+alert(1)+'", "{{7*7}}", "#{alert(1)}",
    "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "&lt;b&gt;", "a\nb", "a\\nb", "\x00\x1b[31m",
    "\u202egpj.exe", "=1+1", "https://evil.example", "a" * 5_000,
)  # fmt: skip
"""What a company may be called; the first one is the largest."""
SHORT = {"hasOwnProperty": "hasOwnPr…"}
"""How identifiers are shown beside bars."""


def report_of_names() -> Report:
    """A chart of each kind and a table, of companies by name."""
    value = Sum("mart", "number", variance="variance", rows="rows")
    part = Sum("mart", "number", {"kind": ("a",)}, variance="variance", rows="rows")
    return Report(
        name="names",
        title="Names",
        days=2,
        datasets=(Dataset("mart", ("company", "kind", "channel"), ("number", "variance", "rows")),),
        dimensions=(
            Dimension("company", "Company", is_filter=True),
            Dimension("kind", "Kind", values=("a", "b"), is_filter=True),
            Dimension("channel", "Channel", is_identifier=True),
        ),
        measures=(
            Measure("all", "All", Sum("mart", "number"), Format.COUNT, "."),
            Measure("estimate", "Estimate", value, Format.COUNT, "."),
            Measure("share", "Share of a", Ratio(part, value), Format.SHARE, "."),
            Measure("channels", "Channels", Distinct("mart", "channel"), Format.COUNT, "."),
        ),
        key_figures=("all", "channels"),
        charts=(
            Chart("Bars", "all", by="company", top=len(NAMES)),
            Chart("Stacks", "all", by="company", split="kind", top=len(NAMES)),
            Chart("Points", "share", by="company", top=len(NAMES)),
            Chart("Colours", "all", by="kind", split="company", as_shares=True),
            Chart("Colours over time", "all", split="company"),
            Chart("Identifiers", "estimate", by="channel", top=len(NAMES)),
        ),
        tables=(
            Table("companies", "Companies", ("company",), ("all", "share"), details=("channel",), shares=True),
            Table("pairs", "Pairs", ("company", "kind"), ("all",)),
        ),
    )


@pytest.fixture
def names_page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The dashboard of companies with hostile names; whatever it complains of or asks for fails the test."""
    days = [date(2026, 1, 4), date(2026, 1, 5)]
    rows = [
        (day, name, kind, name, 100.0 - 3 * place if kind == "a" else 10.0 + 2 * place, 1.0, 50.0)
        for day in days
        for place, name in enumerate(NAMES)
        for kind in ("a", "b")
    ]
    schema = ["day", "company", "kind", "channel", "number", "variance", "rows"]
    frame = pl.DataFrame(rows, schema=schema, orient="row").sort("day", "company", "kind", "channel")
    file = tmp_path / "names.html"
    file.write_text(dashboard.render(report_of_names(), {"mart": frame}, Window.of_days(*days), []))
    with new_page(browser, viewport=DESKTOP) as page:
        open_page(page, file.as_uri())
        page.wait_for_timeout(300)
        yield page


def labels(page: Page, chart: int) -> list[str]:
    """The names beside the bars of a chart, from above: they end where the leftmost label ends."""
    found = page.locator(f"#chart-{chart} svg .role-axis-label text[text-anchor=end]").evaluate_all(
        "all => all.map(a => [a.getBoundingClientRect(), a.textContent]).map(([box, text]) => [box.y, box.right, text])"
    )
    leftmost = min(right for _, right, _ in found)
    return [text for _, right, text in sorted(found) if right < leftmost + 2]


def said(page: Page, chart: int) -> list[str]:
    """What a screen reader says of each bar."""
    marks = f"#chart-{chart} svg [aria-roledescription=bar]"
    return page.locator(marks).evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")


def open_report(page: Page, project: Project, fragment: str = "", name: str = "consent_dashboard") -> None:
    open_page(page, newest_export(project.settings, name, "html").as_uri() + fragment)


def figure(page: Page, measure: str) -> str:
    return page.locator(f".figure[data-measure={measure}] .value").inner_text()


def choose(page: Page, dimension: str, *values: str) -> None:
    """Chooses just some values of a filter, by clicking."""
    page.click(f"#filter-{dimension} summary")
    page.click(f"#filter-{dimension} .all button:has-text('None')")
    for value in values:
        page.locator(f"#filter-{dimension} label", has=page.get_by_text(value, exact=True)).click()
    page.keyboard.press("Escape")


def table(page: Page, name: str) -> list[dict[str, str]]:
    """The rows of a table as its CSV file holds them."""
    with page.expect_download() as download:
        page.click(f"#table-{name} .csv")
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    assert download.value.suggested_filename.startswith(f"consent-{name}-")
    return list(csv.DictReader(io.StringIO(text)))


def query(project: Project, sql: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
        return connection.execute(sql).pl().to_dicts()


EVERYTHING = """
    select
        sum(events)::double as total_events,
        sum(case when event_type = 'consent.asked' then events else 0 end)::double as asked,
        sum(case when event_type = 'consent.given' then events else 0 end)::double as given,
        sum(case when consent_status = 'full opt-in' then events else 0 end)::double / sum(events)::double as opted_in,
        count(distinct nullif(country_code, 'unknown')) as countries
    from marts.mart_consent_breakdown_daily
"""


def expect_figures(page: Page, project: Project, where: str) -> None:
    """The key figures that are shown are those of the mart."""
    (mart,) = query(project, f"{EVERYTHING} where {where}")
    assert figure(page, "total_events") == written(mart["total_events"])
    assert figure(page, "asked") == written(mart["asked"])
    assert figure(page, "given") == written(mart["given"])
    assert figure(page, "conversion_rate") == f"{mart['given'] / mart['asked']:.1%}".replace("%", " %")
    assert figure(page, "full_opt_in_share") == f"{mart['opted_in']:.1%}".replace("%", " %")
    assert figure(page, "countries") == str(mart["countries"])
    (times,) = query(
        project,
        "select sum(pair_seconds)::double / sum(pairs) as seconds, count(*) as n"
        f" from marts.mart_consent_answers_daily where {where}",
    )
    assert figure(page, "avg_seconds_asked_to_given") == f"{times['seconds']:,.1f} s"


def written(volume: float) -> str:
    return f"{volume:,.0f}" if volume >= 100 else f"{volume:,.1f}".removesuffix(".0")


def test_the_key_figures_are_those_of_the_marts_and_compared_with_the_days_before(
    page: Page, reported: Project
) -> None:
    period = f"event_date > date '{YESTERDAY}' - 7"
    before = f"event_date <= date '{YESTERDAY}' - 7"
    assert "(7 days, UTC)" in page.inner_text("#summary")
    expect_figures(page, reported, period)
    (now,), (then,) = query(reported, f"{EVERYTHING} where {period}"), query(reported, f"{EVERYTHING} where {before}")
    change = now["asked"] / then["asked"] - 1
    direction = "▲" if change > 0 else "▼"
    said = page.locator(".figure[data-measure=asked] .change").inner_text()
    assert said == f"{direction} {abs(change) * 100:.1f} % against the 7 days before"
    points = abs(now["opted_in"] - then["opted_in"]) * 100
    assert f"({points:.1f} points)" in page.inner_text(".figure[data-measure=full_opt_in_share] .change")

    page.click("#spans button:has-text('all')")
    expect_figures(page, reported, "true")
    assert page.locator(".figure[data-measure=asked] .change").count() == 0, "there is nothing before the first row"


def test_the_tables_are_the_marts_row_by_row(page: Page, reported: Project) -> None:
    """For one day the table of companies is mart_consent_daily, intervals included."""
    page.evaluate(f"location.hash = 'from={YESTERDAY}&to={YESTERDAY}'")  # a link, in a page that is open already
    page.wait_for_function("document.querySelector('#summary').innerText.includes('(1 day,')")
    found = {row["company_id"].lstrip("'"): row for row in table(page, "companies")}
    mart = query(
        reported,
        "select c.*, d.total_events, d.total_events_low, d.countries from marts.mart_consent_daily c"
        " join marts.mart_company_daily d using (company_id, event_date)"
        f" where event_date = date '{YESTERDAY}'",
    )
    assert found.keys() == {row["company_id"] for row in mart}
    assert any(row["conversion_rate_low"] is not None for row in mart)
    for row in mart:
        shown = found[row["company_id"]]
        assert shown["hq_country"] == row["hq_country"]
        for column in (
            "total_events", "total_events_low", "asked", "asked_low", "asked_high", "given", "conversion_rate",
            "conversion_rate_low", "conversion_rate_high", "full_opt_in_share", "countries",
            "avg_seconds_asked_to_given", "pair_coverage", "avg_seconds_created_to_updated",
        ):  # fmt: skip
            expected = None if row[column] is None else pytest.approx(float(row[column]), abs=2e-6)
            assert (float(shown[column]) if shown[column] else None) == expected, column


def test_each_filter_acts_on_everything_at_once(page: Page, reported: Project) -> None:
    (largest,) = query(reported, "select company_id, hq_country, industry_front from marts.mart_company_daily"
                       " where industry_front != 'unknown' order by total_events desc limit 1")  # fmt: skip
    period = f"event_date > date '{YESTERDAY}' - 7"
    choose(page, "company_id", largest["company_id"])
    expect_figures(page, reported, f"{period} and company_id = '{largest['company_id']}'")
    assert [row["company_id"] for row in table(page, "companies")] == [largest["company_id"]]
    assert page.locator("#chart-0 .role-axis-label text").all_inner_texts()
    assert "Company: 1 of" in page.inner_text("#filter-company_id summary")

    page.click("#reset")
    choose(page, "country_code", "FR", "ES")
    expect_figures(page, reported, f"{period} and country_code in ('FR', 'ES')")
    assert {row["country_code"] for row in table(page, "countries")} == {"FR", "ES"}

    choose(page, "industry_front", largest["industry_front"])
    both = f"{period} and country_code in ('FR', 'ES') and industry_front = '{largest['industry_front']}'"
    expect_figures(page, reported, both)

    page.click("#reset")
    page.fill("#from", str(YESTERDAY))
    page.locator("#from").dispatch_event("change")
    expect_figures(page, reported, f"event_date = date '{YESTERDAY}'")
    assert [row["day"] for row in table(page, "days")] == [str(YESTERDAY)]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_value_is_found_by_its_letters_and_chosen_alone(page: Page, reported: Project, size: dict) -> None:
    page.set_viewport_size(size)
    (one,) = query(reported, "select max(company_id) as name from marts.mart_company_daily where company_id > 'a'")
    page.click("#filter-company_id summary")
    page.click("#filter-company_id .all button:has-text('None')")
    page.fill("#filter-company_id input[type=search]", one["name"][:9].upper())
    labels = page.locator("#filter-company_id label").filter(visible=True)
    assert labels.all_inner_texts() == [one["name"]]
    page.click("#filter-company_id .all button:has-text('All')")  # all that were found
    assert [row["company_id"] for row in table(page, "companies")] == [one["name"]]


def test_a_few_days_have_a_label_each_and_a_day_without_events_keeps_its_place(page: Page) -> None:
    page.fill("#from", str(YESTERDAY - timedelta(days=2)))
    page.locator("#from").dispatch_event("change")
    page.wait_for_timeout(300)
    days = [f"{YESTERDAY - timedelta(days=back):%d %b}" for back in (2, 1, 0)]
    for place in (1, 2, 4, 8, 9):
        labels = page.locator(f"#chart-{place} svg .role-axis-label text").all_text_contents()
        assert [label for label in labels if " " in label] == days, place


def test_a_view_can_be_sent_as_its_address(page: Page, browser: Browser, reported: Project) -> None:
    choose(page, "country_code", "FR")
    shown = figure(page, "total_events")
    other = browser.new_page()
    open_report(other, reported, "#" + page.url.partition("#")[2])
    assert figure(other, "total_events") == shown
    other.close()


def test_an_empty_selection_says_so_and_reset_brings_everything_back(page: Page) -> None:
    choose(page, "company_id")
    expect(page.locator("#empty")).to_be_visible()
    assert "Nothing is in this selection" in page.inner_text("#empty")
    expect(page.locator("#content")).to_be_hidden()
    page.click("#reset")
    expect(page.locator("#empty")).to_be_hidden()
    expect(page.locator("#content")).to_be_visible()


def test_tables_are_sorted_by_their_headings_with_mouse_and_keyboard(page: Page) -> None:
    def events() -> list[str]:
        return page.locator("#table-companies td[data-measure=asked]").evaluate_all(
            "all => all.map(one => one.firstChild.data)"
        )

    heading = page.locator("#table-companies thead th", has_text="Consent asked")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    numbers = [float(text.replace(",", "")) for text in events()]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) > 5
    page.keyboard.press("Enter")  # the heading keeps the focus
    assert heading.get_attribute("aria-sort") == "ascending"
    assert [float(text.replace(",", "")) for text in events()] == sorted(numbers)


def test_a_filter_can_be_worked_by_keyboard_alone(page: Page) -> None:
    page.focus("#filter-company_id summary")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")  # All
    page.keyboard.press("Tab")  # None
    page.keyboard.press("Enter")
    expect(page.locator("#empty")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"


def test_hostile_names_are_shown_as_they_are_and_do_nothing(page: Page) -> None:
    page.click("#table-companies thead button >> nth=0")
    page.click("#table-companies .more") if page.locator("#table-companies .more").is_visible() else None
    assert HOSTILE in page.locator("#table-companies tbody th").all_inner_texts()
    assert page.locator("#table-companies tbody script").count() == 0
    found = [row["company_id"] for row in table(page, "companies")]
    assert HOSTILE in found
    assert f"'{FORMULA}" in found, "a spreadsheet takes it for a text"
    assert FORMULA not in found


def test_every_name_has_its_bars_in_every_kind_of_chart(names_page: Page) -> None:
    assert len(said(names_page, 0)) == len(NAMES)
    assert len(said(names_page, 1)) == 2 * len(NAMES)
    assert names_page.locator("#chart-2 svg [aria-roledescription=point]").count() == len(NAMES)
    assert len(said(names_page, 3)) == 2 * len(NAMES)
    assert len(said(names_page, 4)) == 2 * len(NAMES)
    assert len(said(names_page, 5)) == len(NAMES)
    for place, name in enumerate(NAMES[:10]):
        assert said(names_page, 0)[place] == f"{name}: {2 * (110 - place)}"
        assert f"{name}, a: {2 * (100 - 3 * place)}" in said(names_page, 1)
        assert f"b, {name}: {2 * (10 + 2 * place) if place < 45 else 0}" in said(names_page, 3)
    assert labels(names_page, 0)[:10] == list(NAMES[:10])
    assert labels(names_page, 5)[:10] == [SHORT.get(name, name) for name in NAMES[:10]]


def test_every_name_has_its_row_its_choice_and_its_line_in_the_csv(names_page: Page) -> None:
    names_page.click("#table-companies .more")
    cells = names_page.locator("#table-companies tbody th").all_text_contents()
    assert sorted(cells) == sorted(NAMES)
    assert names_page.locator("#table-companies tbody :is(script, img)").count() == 0
    overhanging = """all => all.map(one => [one.getBoundingClientRect(), one.closest('th').getBoundingClientRect()])
      .filter(([its, cell]) => its.right > cell.right).length"""
    assert names_page.locator("#table-companies tbody th button.pick").evaluate_all(overhanging) == 0, (
        "none is cut away"
    )
    assert names_page.locator("#filter-company label").all_text_contents() == sorted(NAMES)
    with names_page.expect_download() as download:
        names_page.click("#table-companies .csv")
    lines = csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"), newline=""))
    formulas = {"=1+1": "'=1+1", "-1": "'-1"}
    assert [row["company"] for row in lines] == [formulas.get(name, name) for name in NAMES]
    for name in ("constructor", "__proto__", "</script><script>alert(1)</script>"):
        names_page.click("#reset")
        choose(names_page, "company", name)
        assert figure(names_page, "all") == f"{2 * (110 - NAMES.index(name))}"
        names_page.wait_for_timeout(200)
        assert [text.partition(":")[0] for text in said(names_page, 0)] == [name]
        names_page.locator("#chart-0 svg [aria-roledescription=bar]").hover(force=True)
        expect(names_page.locator("#vg-tooltip-element")).to_contain_text(name)
        assert names_page.locator("#vg-tooltip-element :is(script, img)").count() == 0
        address = names_page.url
        names_page.click("#reset")
        names_page.goto(address)  # the same file: its address changes
        names_page.wait_for_timeout(200)
        assert figure(names_page, "all") == f"{2 * (110 - NAMES.index(name))}"


def test_bars_are_sorted_anew_after_each_filter(names_page: Page) -> None:
    """The largest stands above, whatever was the largest before."""
    names = list(NAMES[:10])
    choose(names_page, "company", *names)
    for kinds, expected in ((["a", "b"], names), (["b"], names[::-1]), (["a"], names), (["b"], names[::-1])):
        choose(names_page, "kind", *kinds)
        names_page.wait_for_timeout(300)
        assert [labels(names_page, chart) for chart in (0, 1)] == [expected] * 2, kinds
        assert labels(names_page, 5) == [SHORT.get(name, name) for name in expected]
        assert [text.rpartition(":")[0] for text in said(names_page, 0)] == expected


def test_a_colour_is_named_in_the_legend_and_stays_with_a_listed_value(names_page: Page) -> None:
    def colours() -> dict[str, str]:
        legend = names_page.locator("#chart-1-legend li")
        fills = legend.locator(".mark").evaluate_all("all => all.map(one => one.style.background)")
        return dict(zip(legend.all_text_contents(), fills, strict=True))

    both = colours()
    assert list(both) == ["a", "b"], "no entry without a mark"
    choose(names_page, "kind", "b")
    names_page.wait_for_timeout(200)
    assert colours() == {"b": both["b"]}
    bars = names_page.locator("#chart-1 svg [aria-roledescription=bar]")
    assert set(bars.evaluate_all("all => all.map(one => one.getAttribute('fill'))")) == {both["b"]}
    assert "constructor" in names_page.locator("#chart-4-legend li").all_text_contents()


def test_every_chart_is_drawn_with_a_title_and_an_axis_that_names_its_unit(page: Page) -> None:
    page.click("#spans button:has-text('all')")
    charts = page.locator("figure")
    assert charts.count() >= 8
    for place in range(charts.count()):
        chart = charts.nth(place)
        assert chart.locator("h3").inner_text()
        assert chart.locator("svg .role-axis-title").count() >= 1 or chart.locator("#chart-6").count(), "a map has none"
        assert chart.locator("svg [aria-roledescription]").count() > 2
    days = page.locator("#chart-2 svg .role-mark [aria-roledescription=bar]")
    assert days.count() >= 14 * 4, "14 days of at least four statuses"


def test_the_names_beside_the_bars_are_to_be_seen_however_many_there_are(page: Page) -> None:
    """Bars as high as the chart was at first did not make room for their names."""
    every = page.locator("#filter-company_id label").all_text_contents()
    for count in (1, 10, len(every)):
        choose(page, "company_id", *every[:count])
        page.wait_for_timeout(300)
        names = page.locator("#chart-3 svg .role-axis-label text").all()
        assert len(names) > count / 2
        left = page.locator("#chart-3").bounding_box()["x"]  # type: ignore[index]
        assert min(name.bounding_box()["x"] for name in names) >= left  # type: ignore[index]


@pytest.mark.parametrize("was_cut", [("false", "true"), ("false",)], ids=["all", "without bots"])
def test_the_sessions_are_those_of_the_mart(page: Page, reported: Project, was_cut: tuple[str, ...]) -> None:
    open_report(page, reported, name="sessions_dashboard")
    page.click("#spans button:has-text('all')")
    choose(page, "was_cut", *was_cut)
    chosen = f"where was_cut::varchar in {was_cut}" if len(was_cut) > 1 else f"where was_cut::varchar = '{was_cut[0]}'"
    (mart,) = query(
        reported,
        "select count(*) as sessions, avg(is_bounce::int) as bounces, avg((purchases > 0)::int) as purchases,"
        " avg(duration_seconds) filter (not was_cut) as seconds, avg(page_views) filter (not was_cut) as pages,"
        f" sum(events) as events, avg(was_cut::int) as cut from marts.mart_sessions {chosen}",
    )
    assert figure(page, "sessions") == f"{mart['sessions']:,}"
    assert figure(page, "bounce_rate") == f"{100 * mart['bounces']:.1f} %"
    assert figure(page, "conversion_rate") == f"{100 * mart['purchases']:.1f} %"
    assert figure(page, "seconds_per_session") == f"{mart['seconds']:,.1f} s"
    assert figure(page, "page_views_per_session") == f"{mart['pages']:.1f}"
    assert figure(page, "events") == f"{mart['events']:,}"
    assert figure(page, "cut_share") == f"{100 * mart['cut']:.1f} %"


@pytest.mark.parametrize("region", ["", "EMEA"], ids=["all", "one region"])
def test_the_campaigns_are_those_of_the_summary(page: Page, reported: Project, region: str) -> None:
    open_report(page, reported, name="campaigns_dashboard")
    page.click("#spans button:has-text('all')")
    if region:
        choose(page, "region", region)
    (mart,) = query(
        reported,
        "select sum(daily_cost)::double as cost, sum(daily_revenue)::double as revenue,"
        " sum(daily_clicks)::bigint as clicks,"
        " sum(daily_impressions)::bigint as impressions, sum(daily_conversions)::bigint as conversions"
        f" from marts.daily_campaign_summary where region like '%{region}'",
    )
    assert figure(page, "total_cost") == f"{mart['cost']:,.2f} €"
    assert figure(page, "total_revenue") == f"{mart['revenue']:,.2f} €"
    assert figure(page, "roas") == f"{mart['revenue'] / mart['cost']:.1f}"
    assert figure(page, "impressions") == f"{mart['impressions']:,}"
    assert figure(page, "clicks") == f"{mart['clicks']:,}"
    assert figure(page, "ctr") == f"{100 * mart['clicks'] / mart['impressions']:.1f} %"
    assert figure(page, "cpc") == f"{mart['cost'] / mart['clicks']:,.2f} €"
    assert figure(page, "conversion_rate") == f"{100 * mart['conversions'] / mart['clicks']:.1f} %"


@pytest.mark.parametrize("model", ["linear", "last_touch"])
def test_the_credit_is_that_of_the_mart_by_the_chosen_model(page: Page, reported: Project, model: str) -> None:
    open_report(page, reported, name="attribution_dashboard")
    page.click("#spans button:has-text('all')")
    page.select_option("#switch", label=model)
    (mart,) = query(
        reported,
        "select sum(spend)::double as spend,"
        f" sum(credited_revenue) filter (model = '{model}')::double as revenue,"
        f" sum(credited_conversions) filter (model = '{model}')::double as conversions"
        " from marts.attribution_daily",
    )
    assert figure(page, "spend") == f"{mart['spend']:,.2f} €"
    assert figure(page, "credited_revenue") == f"{mart['revenue']:,.2f} €"
    assert figure(page, "credited_conversions") == written(mart["conversions"])
    assert figure(page, "roas") == f"{mart['revenue'] / mart['spend']:.1%}".replace("%", " %")
    assert figure(page, "cac") == f"{mart['spend'] / mart['conversions']:,.2f} €"
    choose(page, "channel", "google_ads")
    (google,) = query(
        reported,
        f"select sum(credited_revenue) filter (model = '{model}')::double / sum(spend) as roas"
        " from marts.attribution_daily where channel = 'google_ads'",
    )
    assert figure(page, "roas") == f"{google['roas']:.1%}".replace("%", " %")


def test_the_disagreement_of_the_models_is_the_largest_less_the_smallest_share(page: Page, reported: Project) -> None:
    open_report(page, reported, name="attribution_dashboard")
    page.click("#spans button:has-text('all')")
    apart = query(
        reported,
        "select channel, max(share) - min(share) as spread from ("
        " select channel, model, sum(credited_conversions)::double / sum(sum(credited_conversions)) over"
        " (partition by model) as share from marts.attribution_daily where model is not null group by channel, model)"
        " group by channel order by spread desc, channel",
    )
    assert page.locator(".figure").first.get_attribute("data-measure") == "disagreement"
    assert figure(page, "disagreement") == f"{apart[0]['spread']:.1%}".replace("%", " %")
    assert page.locator(".figure .of").inner_text() == f"Channel: {apart[0]['channel']}"
    place = page.locator("figure h3").all_inner_texts().index("Disagreement of the models by channel")
    assert said(page, place)[0] == f"{apart[0]['channel']}: {apart[0]['spread']:.1%}".replace("%", " %")


def test_the_paths_are_those_of_the_credit(page: Page, reported: Project) -> None:
    open_report(page, reported, name="attribution_dashboard")
    page.click("#spans button:has-text('all')")
    (paths,) = query(
        reported,
        "select avg(touches) as touches, avg(channels) as channels, avg(days) as days from ("
        " select max(touches) as touches, max(channels) as channels,"
        " epoch(max(converted_at) - min(touched_at)) / 86400 as days"
        " from marts.attribution_credit where touches > 0 group by conversion_id)",
    )
    assert figure(page, "touches_of_path") == f"{paths['touches']:.1f}"
    assert figure(page, "channels_of_path") == f"{paths['channels']:.1f}"
    assert figure(page, "days_to_convert") == f"{paths['days']:.1f}"
    place = page.locator("figure h3").all_inner_texts().index("Paths by their touches")
    lengths = query(
        reported,
        "select path_length as length, sum(conversions) as conversions"
        " from marts.mart_paths_daily group by path_length",
    )
    listed = ("no touch", "1", "2", "3", "4", "5", "6 to 9", "10 and more")
    lengths.sort(key=lambda row: listed.index(row["length"]))
    assert said(page, place) == [f"{row['length']}: {row['conversions']:,}" for row in lengths]


def test_the_advice_is_above_the_figures_and_no_filter_acts_on_it(page: Page, reported: Project) -> None:
    open_report(page, reported, name="attribution_dashboard")
    section = page.locator("section.sentences")
    assert section.bounding_box()["y"] < page.locator("#figures").bounding_box()["y"]  # type: ignore[index]
    first = section.locator("li").first
    expect(first).to_contain_text("The models give")
    before = section.inner_text()
    choose(page, "channel", "email")
    page.select_option("#switch", label="shapley")
    assert section.inner_text() == before
    more = section.locator(".under details").first
    hidden = more.locator("li").first
    expect(hidden).to_be_hidden()
    more.locator("summary").click()
    expect(hidden).to_be_visible()
    rows = page.locator("#table-recommendations tbody tr")
    assert rows.count() == 15
    assert rows.first.locator("th").inner_text().strip("0") == "1"


def marks(page: Page, title: str) -> dict[str, str]:
    """What a screen reader says of each mark of a chart that the focus reaches: a name, and the value."""
    place = page.locator("figure h3").all_inner_texts().index(title)
    page.wait_for_timeout(300)
    found = page.locator(f"#chart-{place} svg [aria-roledescription][tabindex]").evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"
    )
    return dict(text.rsplit(": ", 1) for text in found)


def test_the_map_has_the_countries_of_the_mart(page: Page, reported: Project) -> None:
    page.click("#spans button:has-text('all')")
    rows = query(
        reported,
        "select country_code as code, sum(events)::double as events from marts.mart_consent_breakdown_daily group by 1",
    )
    shown = {name[-3:-1]: value for name, value in marks(page, "Reach on the map").items()}
    assert shown == {row["code"]: written(row["events"]) for row in rows if len(row["code"]) == 2}
    assert len(shown) > 4


def test_a_cell_of_weekday_and_device_is_the_ratio_of_its_sessions(page: Page, reported: Project) -> None:
    open_report(page, reported, name="sessions_dashboard")
    page.click("#spans button:has-text('all')")
    rows = query(
        reported,
        "select dayname(session_date) as weekday, device, avg((purchases > 0)::int) as rate"
        " from marts.mart_sessions group by all",
    )
    expected = {f"{row['weekday']}, {row['device']}": f"{100 * row['rate']:.1f} %" for row in rows}
    assert marks(page, "Sessions with a purchase by weekday and device") == expected


def test_a_point_of_revenue_against_cost_is_a_campaign_of_the_summary(page: Page, reported: Project) -> None:
    open_report(page, reported, name="campaigns_dashboard")
    page.click("#spans button:has-text('all')")
    rows = query(
        reported,
        "select campaign_name as name, sum(total_cost)::double as cost, sum(total_revenue)::double as revenue"
        " from intermediate.core_campaign_performance group by 1",
    )
    expected = {row["name"]: f"{row['revenue']:,.2f} €, against {row['cost']:,.2f} €" for row in rows}
    assert marks(page, "Revenue against cost by campaign") == expected


@pytest.mark.parametrize("grain", ["week", "month"])
def test_weeks_and_months_of_the_events_are_those_of_the_mart(page: Page, reported: Project, grain: str) -> None:
    page.click("#spans button:has-text('all')")
    page.select_option("#grain", grain)
    name = "%Y-%m" if grain == "month" else "%Y-%m-%d"
    mart = query(
        reported,
        f"select strftime(date_trunc('{grain}', event_date), '{name}') as period,"
        " sum(events)::double as events, count(distinct nullif(country_code, 'unknown')) as countries,"
        " sum(events) filter (event_type = 'consent.given')::double"
        " / sum(events) filter (event_type = 'consent.asked')::double as rate,"
        " count(distinct event_date) as days from marts.mart_consent_breakdown_daily group by 1",
    )
    found = {row[grain]: row for row in table(page, "days")}
    assert found.keys() == {row["period"] for row in mart}
    for row in mart:
        shown = found[row["period"]]
        assert float(shown["total_events"]) == pytest.approx(row["events"])
        assert float(shown["conversion_rate"]) == pytest.approx(row["rate"])
        assert (int(shown["countries"]), int(shown["days"])) == (row["countries"], row["days"])


REPORTS_BESIDE = ["sessions", "campaigns", "attribution"]


@pytest.mark.parametrize("name", ["consent", "marketing", *REPORTS_BESIDE])
def test_on_a_phone_the_first_figure_is_on_the_first_screen(page: Page, reported: Project, name: str) -> None:
    page.set_viewport_size(PHONE)
    open_report(page, reported, name=f"{name}_dashboard")
    if name == "consent":
        page.reload()  # the page was opened on a wide screen
        page.wait_for_selector("html[data-ready=yes]")
    box = page.locator(".figure").first.bounding_box()
    assert box
    assert box["y"] + box["height"] <= PHONE["height"]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("state", ["as opened", "a filter open", "nothing selected", *REPORTS_BESIDE])
def test_axe_finds_nothing_against_wcag_aa(page: Page, reported: Project, size: dict, state: str) -> None:
    page.set_viewport_size(size)
    if state in REPORTS_BESIDE:
        open_report(page, reported, name=f"{state}_dashboard")
    elif state == "a filter open":
        page.click("#filter-company_id summary")
    elif state == "nothing selected":
        choose(page, "company_id")
    page.wait_for_timeout(200)
    assert faults_of_access(page) == []


def test_on_a_phone_nothing_is_wider_than_the_screen(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(300)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    assert page.locator("#chart-0 svg").bounding_box()["width"] <= PHONE["width"]  # type: ignore[index]
    page.screenshot(path=tmp_path / "phone.png", full_page=True)
    assert (tmp_path / "phone.png").stat().st_size > 50_000


def test_the_curve_has_a_point_for_each_age_that_cohorts_have_reached_and_prices_are_of_sums(
    page: Page, reported: Project
) -> None:
    open_report(page, reported, name="marketing_dashboard")
    page.click("#spans button:has-text('all')")
    place = page.locator("figure h3").all_inner_texts().index("LTV by age")
    points = f"#chart-{place} svg [aria-roledescription=point]"
    expect(page.locator(points).first).to_be_visible()
    spoken = page.locator(points).evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    expected = query(
        reported,
        "select age, install_month, sum(margin)::double / sum(users) as ltv from reporting.ltv_by_age group by all",
    )
    assert sorted(spoken) == sorted(f"{row['age']}, {row['install_month']}: {row['ltv']:.2f} €" for row in expected)
    assert page.locator(f"#chart-{place} svg .mark-line path").count() == len(
        {row["install_month"] for row in expected}
    )
    (sums,) = query(
        reported,
        "select 1000 * sum(spend)::double / sum(impressions) as cpm, sum(spend)::double / sum(clicks) as cpc,"
        " sum(spend)::double / sum(installs) as cpi, sum(spend)::double / sum(users) as cac"
        " from marts.channel_performance_daily",
    )
    assert {name: figure(page, name) for name in sums} == {name: f"{price:,.2f} €" for name, price in sums.items()}


def test_the_largest_users_are_shown_and_a_filter_chooses_among_them(page: Page, reported: Project) -> None:
    open_report(page, reported, name="marketing_dashboard")
    page.click("#spans button:has-text('all')")
    users = query(reported, "select channel, margin::double as margin from reporting.rpt_users order by margin desc")
    section = page.locator("#table-users")
    expect(section.locator(".rest:not(.apart)")).to_contain_text(
        f"of {len(users):,} rows, these are the 500 with the largest"
    )
    shown = section.locator("td[data-measure=user_margin]").all_inner_texts()
    assert shown == [f"{row['margin']:,.2f} €" for row in users[:15]]
    choose(page, "channel", "email", "twitter")
    of_twitter = [row["margin"] for row in users[:500] if row["channel"] == "twitter"]
    assert section.locator("td[data-measure=user_margin]").first.inner_text() == f"{of_twitter[0]:,.2f} €"
    assert section.locator(".more").inner_text() == f"Show all {len(of_twitter)} rows"
