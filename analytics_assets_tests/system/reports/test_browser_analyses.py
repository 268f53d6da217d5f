"""An analysis in the dashboard: as of the report's day, whatever days and values people choose."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import Browser, Page, expect

from analytics_assets.partitions import Window
from analytics_assets.reports import dashboard
from analytics_assets.spec.report import Chart, Dataset, Dimension, Format, Measure, Ratio, Report, Sum, Table
from analytics_assets_tests.support.browser import NEEDS_BROWSER, new_page, open_page

pytestmark = NEEDS_BROWSER

DAYS = Window.of_days(date(2026, 1, 1), date(2026, 1, 20))

REPORT = Report(
    name="models",
    title="Models",
    days=20,
    datasets=(
        Dataset("mart", ("channel", "device"), ("spend",)),
        Dataset("fitted", ("model", "channel"), ("credit", "tested"), is_analysis=True),
    ),
    dimensions=(
        Dimension("channel", "Channel", is_filter=True),
        Dimension("device", "Device", is_filter=True),
        Dimension("model", "Model"),
    ),
    measures=(
        Measure("spend", "Spend", Sum("mart", "spend"), Format.COUNT, "."),
        Measure("credit", "Credit", Sum("fitted", "credit"), Format.COUNT, "."),
        Measure("tested", "Tested", Sum("fitted", "tested"), Format.COUNT, "."),
        Measure("factor", "Factor", Ratio(Sum("fitted", "tested"), Sum("fitted", "credit")), Format.MEAN, "."),
    ),
    key_figures=("spend", "credit"),
    charts=(Chart("Credit by channel", "credit", by="channel", split="model"),),
    tables=(Table("models", "Models", ("model", "channel"), ("credit", "tested", "factor")),),
)

SPEND = pl.DataFrame(
    [(day, channel, "phone", 1.0) for day in DAYS.days() for channel in ("email", "tv")],
    schema={"day": pl.Date, "channel": pl.String, "device": pl.String, "spend": pl.Float64},
    orient="row",
)

FITTED = pl.DataFrame(
    [(max(DAYS.days()), "linear", "email", 3.0, 6.0), (max(DAYS.days()), "linear", "tv", 5.0, None)],
    schema={"day": pl.Date, "model": pl.String, "channel": pl.String, "credit": pl.Float64, "tested": pl.Float64},
    orient="row",
)


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    file = tmp_path / "models.html"
    file.write_text(dashboard.render(REPORT, {"mart": SPEND, "fitted": FITTED}, DAYS, []))
    with new_page(browser) as page:
        open_page(page, file.as_uri())
        yield page


def figure(page: Page, measure: str) -> tuple[str, str]:
    card = page.locator(f".figure[data-measure={measure}]")
    return card.locator(".value").inner_text(), card.locator(".change").inner_text()


def rows(page: Page) -> list[list[str]]:
    return [row.locator("th, td").all_inner_texts() for row in page.locator("#table-models tbody tr").all()]


def test_the_choice_of_days_leaves_it_as_it_is(page: Page) -> None:
    everything = [["linear", "tv", "5", "–", "–"], ["linear", "email", "3", "6", "2.0"]]
    assert rows(page) == everything, "what is not known is not zero"
    assert figure(page, "credit") == ("8", "as of 2026-01-20")
    page.locator("#from").fill("2026-01-02")
    page.locator("#to").fill("2026-01-03")
    page.locator("#to").dispatch_event("change")
    expect(page.locator(".figure[data-measure=spend] .value")).to_have_text("4")
    assert rows(page) == everything
    assert figure(page, "credit") == ("8", "as of 2026-01-20")


def choose(page: Page, dimension: str, value: str) -> None:
    page.locator(f"#filter-{dimension} summary").click()
    page.locator(f"#filter-{dimension} button", has_text="None").click()
    page.locator(f"#filter-{dimension} label", has_text=value).click()
    page.locator(f"#filter-{dimension} summary").click()


def test_a_filter_acts_on_it_if_it_has_the_dimension(page: Page) -> None:
    choose(page, "channel", "email")
    assert rows(page) == [["linear", "email", "3", "6", "2.0"]]
    assert figure(page, "credit")[0] == "3"


def test_a_filter_of_another_dimension_leaves_it_as_it_is(page: Page) -> None:
    page.locator("#filter-device summary").click()
    page.locator("#filter-device button", has_text="None").click()
    expect(page.locator("#empty")).to_be_visible()  # no day has any spend then
    page.locator("#filter-device button", has_text="All").click()
    assert len(rows(page)) == 2
