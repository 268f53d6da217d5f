"""Weeks, months, clicks, new kinds of charts, dark screens and paper, in a headless Chromium, against Polars."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Browser, Page, expect

from analytics_assets.partitions import Window
from analytics_assets.reports import dashboard
from analytics_assets.reports.datasets import Frames
from analytics_assets.reports.figures import Figure, figures
from analytics_assets.spec.report import Format, Shape
from analytics_assets_tests.support.browser import NEEDS_BROWSER, faults_of_access, new_page, open_page
from analytics_assets_tests.support.report_of_months import COUNTRIES, DAYS, MONTHS, frames

pytestmark = NEEDS_BROWSER

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
FRAMES = frames()
FIRST, NEWEST = min(DAYS.days()), max(DAYS.days())
ALL = f"from={FIRST}&to={NEWEST}"
TRUNCATED = {"day": "1d", "week": "1w", "month": "1mo"}
NAMED = {"DE": "Germany", "FR": "France", "HU": "Hungary", "SG": "Singapore", "US": "United States"}
CHARTS = [chart.title for chart in MONTHS.charts]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("months") / "months.html"
    concerns = [dashboard.Concern(f"model_{number}", "is late. " * 30, False) for number in range(12)]
    file.write_text(dashboard.render(MONTHS, FRAMES, DAYS, concerns))
    return file


@pytest.fixture(scope="module")
def opened(browser: Browser, file: Path) -> Iterator[Page]:
    with new_page(browser, viewport=DESKTOP) as page:
        open_page(page, file.as_uri())
        page.set_default_timeout(5_000)
        yield page


@pytest.fixture
def page(opened: Page) -> Page:
    """The page as it opens."""
    show(opened, "")
    return opened


@pytest.fixture(scope="module")
def early(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of a report whose days begin eighty days before its first row."""
    file = tmp_path_factory.mktemp("early") / "early.html"
    file.write_text(dashboard.render(MONTHS, FRAMES, Window.of_days(FIRST - timedelta(80), NEWEST), []))
    with new_page(browser, viewport=DESKTOP) as page:
        open_page(page, file.as_uri())
        yield page


def show(page: Page, selection: str) -> None:
    """Shows a selection by its address, and waits until it is drawn."""
    page.evaluate("selection => { location.hash = selection + '&again=' + Math.random() }", selection)
    page.wait_for_timeout(250)


def selected(first: date = NEWEST - timedelta(27), last: date = NEWEST, **chosen: str) -> Frames:
    """The rows that a selection should be of: the newest 28 days as the page opens."""
    found = {name: frame.filter(pl.col("day").is_between(first, last)) for name, frame in FRAMES.items()}
    for column, value in chosen.items():
        found = {name: frame.filter(pl.col(column) == value) for name, frame in found.items()}
    return found


def by_period(rows: Frames, grain: str) -> Frames:
    return {name: frame.with_columns(pl.col("day").dt.truncate(TRUNCATED[grain])) for name, frame in rows.items()}


def value_of(rows: Frames, measure: str, *by: str) -> dict[tuple[object, ...], Figure]:
    return figures(rows, MONTHS.measure(measure), by)


def downloaded(page: Page, button: str) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.click(button)
    return list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"))))


def place(title: str) -> int:
    return CHARTS.index(title)


def said(page: Page, title: str) -> list[str]:
    marks = page.locator(f"#chart-{place(title)} svg [aria-roledescription][tabindex]")
    return marks.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")


def names_of(page: Page, table: str) -> list[str]:
    return page.locator(f"#table-{table} tbody th").all_text_contents()


def share(value: float | None) -> str:
    assert value is not None
    return f"{value:.1%}".replace("%", " %")


# -------------------------------------------------------------------------------------------- days, weeks and months


def test_a_report_of_few_rows_opens_on_all_its_days(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "all.html"
    file.write_text(dashboard.render(replace(MONTHS, opens_on_all=True), FRAMES, DAYS, []))
    with new_page(browser, viewport=DESKTOP) as page:
        open_page(page, file.as_uri())
        assert ALL in page.url


@pytest.mark.parametrize(
    ("grain", "first", "count"),
    [("day", FIRST - timedelta(80), 180), ("week", date(2026, 1, 5), 15), ("month", date(2026, 1, 1), 4)],
)
def test_charts_by_week_and_month_begin_with_the_first_row(early: Page, grain: str, first: date, count: int) -> None:
    """By day, a day without rows keeps its place, also before the first row."""
    show(early, f"from={FIRST - timedelta(80)}&to={NEWEST}&grain={grain}")
    drawn = said(early, "Visitors over time")
    name = {"day": str(first), "week": f"week from {first}", "month": f"{first:%Y-%m}"}[grain]
    assert len(drawn) == count
    assert drawn[0].startswith(name), drawn[0]


@pytest.mark.parametrize("grain", ["day", "week", "month"])
def test_what_is_by_day_is_evaluated_over_the_rows_of_the_week_or_month(page: Page, grain: str) -> None:
    show(page, f"{ALL}&grain={grain}")
    rows = by_period(FRAMES, grain)
    found = {row[grain]: row for row in downloaded(page, "#table-days .csv")}
    periods = FRAMES["mart"]["day"].dt.truncate(TRUNCATED[grain]).unique().to_list()
    names = {day: f"{day:%Y-%m}" if grain == "month" else str(day) for day in periods}
    assert found.keys() == set(names.values())
    for measure in MONTHS.tables[0].measures:
        expected = value_of(rows, measure, "day")
        for day, name in names.items():
            assert float(found[name][measure]) == pytest.approx(expected[day,].value), (measure, name)
    if grain == "week":
        visitors = sum(figure.value or 0 for figure in value_of(FRAMES, "visitors", "day").values())
        assert sum(float(row["visitors"]) for row in found.values()) < visitors / 2, "nobody counts twice in a week"


def test_weeks_begin_on_monday_and_months_on_the_first(page: Page) -> None:
    show(page, f"{ALL}&grain=week")
    days = [date.fromisoformat(row["week"]) for row in downloaded(page, "#table-days .csv")]
    assert {day.isoweekday() for day in days} == {1}
    assert max(days) - min(days) == timedelta(weeks=len(days) - 1)
    show(page, f"{ALL}&grain=month")
    assert [row["month"] for row in downloaded(page, "#table-days .csv")] == [
        "2026-04",
        "2026-03",
        "2026-02",
        "2026-01",
    ]


def test_weeks_and_months_that_are_not_whole_are_marked_in_table_csv_and_charts(page: Page) -> None:
    show(page, f"{ALL}&grain=week")
    days = {row["week"]: row["days"] for row in downloaded(page, "#table-days .csv")}
    assert (days["2026-01-05"], days["2026-01-12"], days["2026-04-13"]) == ("5", "7", "4")
    cells = page.locator("#table-days tbody th").all_inner_texts()
    assert [cell.split() for cell in cells if "of" in cell] == [
        ["2026-04-13", "4", "of", "7", "days"],
        ["2026-01-05", "5", "of", "7", "days"],
    ]
    note = "week from 2026-01-05 (5 of 7 days), week from 2026-04-13 (4 of 7 days)."
    assert f"Not whole, and hollow: {note}" in page.inner_text(f"#chart-{place('Visitors over time')}-rest")
    assert f"Not whole, and paler: {note}" in page.inner_text(f"#chart-{place('Asked over time')}-rest")
    points = page.locator(f"#chart-{place('Visitors over time')} svg [aria-roledescription=point]")
    fills = points.evaluate_all("all => all.map(one => one.getAttribute('fill'))")
    assert [at for at, fill in enumerate(fills) if fill == "var(--paper)"] == [0, len(fills) - 1]
    show(page, f"{ALL}&grain=month")
    assert "2026-01 (25 of 31 days), 2026-04 (16 of 30 days)" in page.inner_text("#chart-1-rest")
    show(page, "from=2026-02-02&to=2026-02-15&grain=week")
    assert "Not whole" not in page.inner_text("main")


def test_the_span_chooses_the_grain_unless_people_do(page: Page) -> None:
    assert "by day" in page.inner_text("#summary")
    page.click("#spans button:has-text('all')")
    assert "by week" in page.inner_text("#summary")
    assert page.locator("#grain option").first.inner_text() == "by the span (week)"
    assert page.locator("#table-days thead th").first.inner_text().startswith("Week from Monday (UTC)")
    page.select_option("#grain", "month")
    assert "grain=month" in page.url
    page.wait_for_timeout(200)
    titles = page.locator("#chart-0 svg .role-axis-title").all_text_contents()
    assert titles == ["Month (UTC)", "Asked (calls)"]
    ticks = page.locator("#chart-0 svg .role-axis-label text").all_text_contents()
    assert [tick for tick in ticks if " " in tick] == ["Jan 2026", "Feb 2026", "Mar 2026", "Apr 2026"]
    expected = value_of(by_period(FRAMES, "month"), "rate", "day")
    assert said(page, "Rate over time")[1] == f"2026-02: {share(expected[date(2026, 2, 1),].value)}"
    page.click("#reset")
    assert "by day" in page.inner_text("#summary")


def test_an_unknown_grain_in_the_address_is_that_of_the_span(page: Page) -> None:
    show(page, "grain=constructor")
    assert "by day" in page.inner_text("#summary")


# ------------------------------------------------------------------------------------------------ a click filters


def bar(page: Page, title: str, label: str) -> Any:
    return page.locator(f"#chart-{place(title)} svg [aria-roledescription=bar][aria-label^='{label}:']")


def test_a_click_on_a_bar_filters_by_it_and_another_takes_it_off(page: Page) -> None:
    bar(page, "Asked by country", "FR").click()
    page.wait_for_timeout(200)
    assert "Country: 1 of 6" in page.inner_text("#filter-country summary")
    expected = value_of(selected(country="FR"), "asked")[()].value
    assert page.inner_text(".figure[data-measure=asked] .value") == f"{expected:,.0f} calls"
    assert bar(page, "Asked by country", "FR").get_attribute("aria-pressed") == "true"
    bar(page, "Asked by country", "FR").click()
    assert "Country: all" in page.inner_text("#filter-country summary")


def test_a_bar_is_reached_and_pressed_by_keyboard(page: Page) -> None:
    chart = f"#chart-{place('Asked by country')}"
    assert page.locator(f"{chart} svg [tabindex='0']").count() == 1, "one stop for Tab"
    page.locator(f"{chart} svg [tabindex='0']").focus()
    expect(page.locator("#vg-tooltip-element")).to_contain_text("unknown")
    page.keyboard.press("ArrowDown")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused).startswith("US: ")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert {name for name in names_of(page, "countries")} == {"US"}
    assert page.evaluate(focused).startswith("US: "), "the bar keeps the focus"
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert set(names_of(page, "countries")) == set(COUNTRIES)


def test_a_click_on_a_row_or_a_name_filters_and_another_takes_it_off(page: Page) -> None:
    row = page.locator("#table-countries tbody tr", has_text="HU").first
    row.locator("td[data-measure=rate]").click()
    assert set(names_of(page, "countries")) == {"HU"}
    page.locator("#table-countries tbody tr").first.locator("td[data-measure=rate]").click()
    assert set(names_of(page, "countries")) == set(COUNTRIES)
    page.locator("#table-countries button.pick", has_text="free").first.focus()
    page.keyboard.press("Enter")
    assert set(page.locator("#table-countries tbody td:nth-child(2)").all_text_contents()) == {"free"}
    assert page.evaluate("document.activeElement.textContent") == "free", "its successor has the focus"
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    page.keyboard.press("Enter")
    assert len(names_of(page, "countries")) == 2 * len(COUNTRIES)


def test_what_is_no_filter_cannot_be_pressed(page: Page) -> None:
    assert page.locator("#table-days button.pick").count() == 0
    assert page.locator(f"#chart-{place('Visitors over time')} svg [role=button]").count() == 0
    page.locator("#table-days tbody td").first.click()
    assert "everything" in page.inner_text("#summary")


def test_the_legend_names_what_is_there_and_filters(page: Page) -> None:
    legend = page.locator("#chart-0-legend li")
    assert legend.all_text_contents() == ["paid", "free"], "`other` has no mark"
    legend.locator("button", has_text="paid").click()
    assert legend.all_text_contents() == ["paid"]
    assert "Kind: 1 of 2" in page.inner_text("#filter-kind summary")
    assert page.evaluate("document.activeElement.textContent") == "paid"


# ------------------------------------------------------------------------------------- better, worse, target, units


def test_a_change_is_better_or_worse_in_words_and_a_target_reached_or_missed(page: Page) -> None:
    before = selected(NEWEST - timedelta(55), NEWEST - timedelta(28))
    for measure, is_better in (("rate", 1), ("price", -1)):
        now, old = value_of(selected(), measure)[()].value, value_of(before, measure)[()].value
        assert now is not None and old is not None and now != old
        verdict = "better" if (now - old) * is_better > 0 else "worse"
        change = page.locator(f".figure[data-measure={measure}] .change")
        assert change.inner_text().endswith(f"against the 28 days before: {verdict}")
        assert verdict in (change.get_attribute("class") or "")
    assert page.inner_text(".figure[data-measure=rate] .target") == "target at least 50.0 %: missed"
    assert page.inner_text(".figure[data-measure=price] .target") == "target at most 5.00 €: reached"
    for measure in ("spend", "visitors"):
        assert not re.search("better|worse", page.inner_text(f".figure[data-measure={measure}]")), (
            "no direction is good"
        )


def test_a_mean_below_one_has_three_digits_and_a_base_near_zero_is_named(browser: Browser, tmp_path: Path) -> None:
    late = pl.col("day") > NEWEST - timedelta(28)
    few = FRAMES["mart"].with_columns(given=pl.when(late).then(0.02134).otherwise(0.0001) * pl.col("asked"))
    means = tuple(
        replace(one, format=Format.MEAN, target=None, unfinished_days=0) if one.name == "rate" else one
        for one in MONTHS.measures
    )
    file = tmp_path / "few.html"
    report = replace(MONTHS, measures=means, key_figures=("rate", "asked"))
    file.write_text(dashboard.render(report, {**FRAMES, "mart": few}, DAYS, []))
    with new_page(browser, viewport=DESKTOP) as page:
        open_page(page, file.as_uri())
        assert page.inner_text(".figure[data-measure=rate] .value") == "0.0213"
        change = page.inner_text(".figure[data-measure=rate] .change")
        assert change == "▲ from 0.0001 in the 28 days before to 0.0213: better"
        assert " % against" in page.inner_text(".figure[data-measure=asked] .change")


def test_a_target_is_a_dashed_line_at_its_value(page: Page) -> None:
    chart = f"#chart-{place('Rate over time')}"
    line = page.locator(f"{chart} svg line[stroke-dasharray]").bounding_box()
    ticks = page.locator(f"{chart} svg .role-axis-label text", has_text=re.compile("^50%$")).bounding_box()
    assert line and ticks
    assert line["y"] == pytest.approx(ticks["y"] + ticks["height"] / 2, abs=2)
    assert "The dashed line: the target, at least 50.0 %." in page.inner_text(f"{chart}-rest")
    assert page.locator("svg line[stroke-dasharray]").count() == 2, "that of the price, too; no other chart has one"


def test_each_figure_has_its_own_unit_and_currency(page: Page) -> None:
    spend = value_of(selected(), "spend")[()].value
    assert page.inner_text(".figure[data-measure=spend] .value") == f"{spend:,.2f} $"
    price = value_of(selected(), "price")[()].value
    assert page.inner_text(".figure[data-measure=price] .value") == f"{price:,.2f} €"
    assert all(
        cell.split("\n")[0].endswith(" calls") for cell in page.locator("td[data-measure=asked]").all_inner_texts()
    )
    titles = page.locator(f"#chart-{place('Asked against spend by country')} svg .role-axis-title").all_text_contents()
    assert titles == ["Spend ($)", "Asked (calls)"]


def test_numbers_below_a_thousand_are_shown_as_they_are(page: Page) -> None:
    show(page, f"from={NEWEST}&to={NEWEST}")
    ticks = page.locator(f"#chart-{place('Asked by country')} svg .role-axis-label text").all_text_contents()
    numbers = [tick for tick in ticks if tick[0].isdigit()]
    assert len(numbers) > 2
    assert all(re.fullmatch(r"\d{1,3}", tick) for tick in numbers)
    show(page, ALL)
    ticks = page.locator(f"#chart-{place('Asked by country')} svg .role-axis-label text").all_text_contents()
    assert [tick for tick in ticks if tick[0].isdigit()] == ["0", "10k", "20k", "30k", "40k", "50k"]


# ----------------------------------------------------------------------------------------------- sparklines


def test_a_sparkline_tells_of_the_first_measure_by_whole_days_weeks_or_months(page: Page) -> None:
    show(page, ALL)
    whole = selected(date(2026, 1, 12), date(2026, 4, 12))
    by_week = value_of(by_period(whole, "week"), "asked", "country", "kind", "day")
    rows = page.locator("#table-countries tbody tr")
    assert rows.count() == 12
    for row in rows.all():
        country, kind = row.locator("th").inner_text().strip(), row.locator("td").first.inner_text()
        values = [
            figure.value or 0
            for group, figure in sorted(by_week.items(), key=lambda one: str(one[0]))
            if group[:2] == (country, kind)
        ]
        texts = [f"{value:,.0f} calls" for value in (values[0], values[-1], min(values), max(values))]
        said = "by week, 13 in all: from {} to {}, least {}, most {}".format(*texts)
        spark = row.locator("td[data-measure=asked] svg")
        assert spark.get_attribute("aria-label") == said
        points = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", spark.locator("path").get_attribute("d") or "")]
        assert len(points) == 13
        assert points.index(min(points)) == values.index(max(values)), "what is most stands highest"
    assert page.locator("#table-days svg").count() == 0


# ----------------------------------------------------------------------------------------------- new kinds of charts


def test_the_map_has_each_country_with_its_value_and_says_what_it_lacks(page: Page) -> None:
    expected = value_of(selected(), "asked", "country")
    spoken = dict(text.rsplit(": ", 1) for text in said(page, "Asked on the map"))
    assert spoken == {f"{name} ({code})": f"{expected[code,].value:,.0f} calls" for code, name in NAMED.items()}
    assert page.inner_text(f"#chart-{place('Asked on the map')}-rest") == "Not on the map: unknown; the table has them."
    countries = page.locator(f"#chart-{place('Asked on the map')} svg [role=button]")
    strengths = {
        text[-3:-1]: strength
        for text, strength in countries.evaluate_all(
            "all => all.map(one => [one.getAttribute('aria-label').split(':')[0],"
            " Number(one.getAttribute('fill-opacity') ?? 1)])"
        )
    }
    assert sorted(strengths, key=lambda code: strengths[code]) == sorted(
        strengths, key=lambda code: expected[code,].value or 0
    )
    page.locator("#chart-4 svg [aria-label^='United States']").click()
    assert set(names_of(page, "countries")) == {"US"}


def test_a_cell_of_the_heatmap_is_the_measure_over_the_rows_of_its_weekday(page: Page) -> None:
    rows = {
        name: frame.with_columns(pl.col("day").dt.strftime("%A").alias("day")) for name, frame in selected().items()
    }
    rates = value_of(rows, "rate", "day", "country")
    assert set(said(page, "Rate by weekday and country")) == {
        f"{day}, {country}: {share(figure.value)}" for (day, country), figure in rates.items()
    }
    assert len(rates) == 7 * len(COUNTRIES)
    written = page.locator(
        f"#chart-{place('Rate by weekday and country')} svg .mark-text.role-mark text"
    ).all_text_contents()
    assert sorted(written) == sorted(share(figure.value) for figure in rates.values())
    assert page.inner_text(f"#chart-{place('Asked by weekday and kind')}-rest") == ""
    show(page, f"from={NEWEST - timedelta(9)}&to={NEWEST}")
    note = "The selection is not of whole weeks: some weekdays are in it 1 times, others 2."
    assert page.inner_text(f"#chart-{place('Asked by weekday and kind')}-rest") == note
    assert page.inner_text(f"#chart-{place('Rate by weekday and country')}-rest") == "", (
        "a ratio does not grow with days"
    )


def test_a_point_of_the_scatter_stands_where_its_two_measures_say(page: Page) -> None:
    asked, spend = value_of(selected(), "asked", "country"), value_of(selected(), "spend", "country")
    title = "Asked against spend by country"
    assert set(said(page, title)) == {
        f"{code}: {asked[code,].value:,.0f} calls, against {spend[code,].value:,.2f} $" for code in COUNTRIES
    }
    places = page.locator(f"#chart-{place(title)} svg [role=button]").evaluate_all(
        "all => all.map(one => [one.getAttribute('aria-label').split(':')[0], one.getBoundingClientRect()])"
    )
    across = {code: box["x"] for code, box in places}
    up = {code: -box["y"] for code, box in places}
    assert sorted(across, key=lambda code: across[code]) == sorted(COUNTRIES, key=lambda code: spend[code,].value or 0)
    assert sorted(up, key=lambda code: up[code]) == sorted(COUNTRIES, key=lambda code: asked[code,].value or 0)


# ------------------------------------------------------------------------------------------------- the rows behind


def test_the_rows_behind_a_row_are_those_that_its_figures_are_made_of(page: Page) -> None:
    row = page.locator("#table-countries tbody tr", has_text=re.compile("^FR")).first
    kind = row.locator("td").first.inner_text()
    row.locator("button.behind").focus()
    page.keyboard.press("Enter")
    dialog = page.locator("#behind")
    expect(dialog).to_be_visible()
    assert dialog.locator("h2").inner_text() == f"Rows behind FR, {kind}"
    expected = selected(country="FR", kind=kind)["mart"]
    found = downloaded(page, "#behind .csv")
    assert [(line["day"], line["visitor"]) for line in found] == [
        (str(day), who) for day, who in expected.select("day", "visitor").rows()
    ]
    assert [float(line["asked"]) for line in found] == pytest.approx(expected["asked"].to_list())
    assert dialog.locator("tbody tr").count() == expected.height
    assert faults_of_access(page) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "behind"


def test_the_rows_behind_a_week_are_of_all_its_days_and_of_each_model(page: Page) -> None:
    show(page, ALL)
    page.locator("#table-days tbody tr", has_text="2026-04-13").locator("button.behind").click()
    titles = page.locator("#behind h3").all_inner_texts()
    week = selected(date(2026, 4, 13), NEWEST)
    assert titles == [f"{name}: {frame.height} rows" for name, frame in week.items()]
    assert page.locator("#behind h2").inner_text() == "Rows behind week from 2026-04-13 (4 of 7 days)"
    page.click("#behind .close")


# ------------------------------------------------------------------------------------------- dark, paper, telephone

COLOURS = [f"--c{number}" for number in range(8)]
TEXTS = ["--ink", "--quiet", "--accent", "--better", "--worse", "--odd"]


def contrasts(page: Page, names: list[str], ground: str) -> list[float]:
    """The contrast of colours of the style sheet to another, by WCAG 2."""
    return page.evaluate(
        """([names, ground]) => {
        const value = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
        const linear = (part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        const light = (name) => [1, 3, 5].map((at) => linear(parseInt(value(name).slice(at, at + 2), 16) / 255))
          .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
        return names.map((name) => {
          const [one, other] = [light(name), light(ground)].sort((a, b) => b - a);
          return (one + 0.05) / (other + 0.05);
        });
        }""",
        [names, ground],
    )


def test_colours_can_be_told_from_the_paper_on_light_and_dark_screens_and_in_print(page: Page) -> None:
    grounds = {}
    for media, scheme in (("screen", "light"), ("screen", "dark"), ("print", "dark")):
        page.emulate_media(media=media, color_scheme=scheme)
        assert min(contrasts(page, COLOURS, "--paper")) >= 3, (media, scheme)
        assert min(contrasts(page, COLOURS[:1], "--unfinished")) >= 3, (media, scheme)
        assert min(contrasts(page, TEXTS, "--paper")) >= 4.5, (media, scheme)
        grounds[media, scheme] = page.evaluate("getComputedStyle(document.querySelector('figure')).backgroundColor")
    page.emulate_media(media="screen", color_scheme="light")
    assert grounds["screen", "light"] == grounds["print", "dark"] != grounds["screen", "dark"], "paper is light"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_charts_follow_a_dark_screen_and_axe_finds_nothing(browser: Browser, file: Path, size: dict) -> None:
    with new_page(browser, viewport=size, color_scheme="dark") as page:
        open_page(page, f"{file.as_uri()}#{ALL}")
        page.wait_for_timeout(300)
        ink = page.evaluate("getComputedStyle(document.body).color")
        texts = page.locator("#chart-0 svg .role-axis-label text").first
        assert texts.evaluate("one => getComputedStyle(one).fill") == ink == "rgb(232, 236, 239)"
        assert faults_of_access(page) == []


def test_axe_finds_nothing_on_a_light_screen_with_marks_that_can_be_pressed(page: Page) -> None:
    bar(page, "Asked by country", "FR").click()
    page.wait_for_timeout(200)
    assert faults_of_access(page) == []


def test_on_paper_there_is_nothing_to_press_and_no_table_is_cut(page: Page) -> None:
    page.set_viewport_size({"width": 760, "height": 1000})  # about A4
    page.emulate_media(media="print")
    try:
        for control in ("#filters", ".csv", ".behind", ".more"):
            assert all(not one.is_visible() for one in page.locator(control).all()), control
        over = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).length"
        assert page.locator(".scroll").evaluate_all(over) == 0
        assert page.locator("#table-days .printed").inner_text() == "The first 15 of 28 rows."
    finally:
        page.emulate_media(media="screen")
        page.set_viewport_size(DESKTOP)


def test_a_long_name_is_shown_whole_where_the_row_has_the_focus(page: Page) -> None:
    name = page.locator("#table-countries tbody th").first
    assert name.evaluate("one => getComputedStyle(one).whiteSpace") == "nowrap"
    name.locator("button.pick").focus()
    assert name.evaluate("one => getComputedStyle(one).whiteSpace") == "normal"


def test_on_a_phone_a_long_name_leaves_room_for_the_figure_beside_it(browser: Browser, tmp_path: Path) -> None:
    names = {country: f"{country} of a name that nobody could write on one line of a phone" for country in COUNTRIES}
    held = {name: frame.with_columns(pl.col("country").replace(names)) for name, frame in FRAMES.items()}
    countries = tuple(replace(one, is_country=False) for one in MONTHS.dimensions)
    charts = tuple(chart for chart in MONTHS.charts if chart.shape is not Shape.MAP)
    file = tmp_path / "long.html"
    file.write_text(dashboard.render(replace(MONTHS, dimensions=countries, charts=charts), held, DAYS, []))
    with new_page(browser, viewport=PHONE) as page:
        open_page(page, file.as_uri())
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
        for row in page.locator("#table-countries tbody tr").all():
            name, figure = row.locator("th").bounding_box(), row.locator("td[data-measure=asked]").bounding_box()
            assert name and figure and name["width"] > 120
            assert figure["x"] + figure["width"] <= PHONE["width"], "its first figure is beside it"
        name = page.locator("#table-countries tbody th").first
        name.locator("button.pick").focus()
        assert name.inner_text().strip() in names.values()
        assert name.evaluate("one => one.scrollWidth <= one.clientWidth + 1"), "with the focus it is there whole"


def test_on_a_phone_the_first_figure_is_on_the_first_screen(browser: Browser, file: Path) -> None:
    with new_page(browser, viewport=PHONE) as page:
        open_page(page, file.as_uri())
        box = page.locator(".figure").first.bounding_box()
        assert box and box["y"] + box["height"] <= PHONE["height"]
        expect(page.locator(".concerns li").first).to_be_hidden()
        page.click(".concerns summary")
        expect(page.locator(".concerns li").first).to_be_visible()
        page.click("#which > summary")
        page.click("#filter-kind summary")
        page.locator("#filter-kind label", has_text="paid").click()
        assert "Kind: 1 of 2" in page.inner_text("#filter-kind summary")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
