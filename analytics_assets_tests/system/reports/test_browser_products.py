"""The dashboard of products in a headless Chromium: what people read there is what the marts hold."""

from collections.abc import Iterator

import duckdb
import pytest
from playwright.sync_api import Browser, Page, expect

from analytics_assets.defs.commerce.reports import PRODUCT_REPORT
from analytics_assets.state.builds import newest_export
from analytics_assets_tests.support.browser import NEEDS_BROWSER, faults_of_access, new_page, open_page
from analytics_assets_tests.support.project import YESTERDAY, Project

pytestmark = NEEDS_BROWSER

CHARTS = [chart.title for chart in PRODUCT_REPORT.charts]


@pytest.fixture(scope="module")
def page(browser: Browser, reported: Project) -> Iterator[Page]:
    """All days of the newest dashboard; anything that the page complains of fails the test."""
    with new_page(browser, viewport={"width": 1280, "height": 900}) as page:
        open_page(page, newest_export(reported.settings, "product_dashboard", "html").as_uri())
        page.set_default_timeout(5_000)
        yield page


def show(page: Page, selection: str = "") -> None:
    first = page.locator("#from").get_attribute("min")
    page.evaluate("selection => { location.hash = selection }", f"from={first}&to={YESTERDAY}{selection}")
    page.wait_for_timeout(250)


def query(project: Project, sql: str) -> dict[str, float]:
    """The only row of a query."""
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        (row,) = connection.execute(sql).pl().rows(named=True)
        return row


def figures(page: Page) -> dict[str, str]:
    return {
        card.get_attribute("data-measure") or "": card.locator(".value").inner_text()
        for card in page.locator(".figure").all()
    }


def said(page: Page, title: str) -> list[str]:
    marks = page.locator(f"#chart-{CHARTS.index(title)} svg [aria-roledescription=bar][tabindex]")
    return marks.evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")


def signed(value: float) -> str:
    return f"{value:+,.2f}" if value > 0 else f"{value:,.2f}"


@pytest.mark.parametrize("is_filtered", [False, True], ids=["all", "one category"])
def test_the_key_figures_are_those_of_the_marts(page: Page, reported: Project, is_filtered: bool) -> None:
    of_most = "select category from marts.mart_product_daily group by 1 order by sum(revenue) desc, 1 limit 1"
    category = query(reported, of_most)["category"]
    chosen = f"where category = '{category}'" if is_filtered else ""
    mart = query(
        reported,
        "select sum(revenue)::double as revenue, sum(units)::int as units, sum(cancelled_revenue)::double as cancelled,"
        " sum(costed_revenue - cost) filter (units > units_without_cost)::double as margin,"
        " sum(costed_revenue)::double as costed, sum(review_score_sum)::double / sum(reviews) as score"
        f" from marts.mart_product_daily {chosen}",
    )
    orders = query(
        reported,
        "select sum(revenue_orders)::int as orders, sum(order_value)::double as value"
        " from intermediate.int_customer_daily",
    )
    show(page, f"&category={category}" if is_filtered else "")
    found = figures(page)
    assert found["revenue"] == f"{mart['revenue']:,.2f} BRL"
    assert found["units"] == f"{mart['units']:,}"
    assert found["margin"] == f"{mart['margin']:,.2f} BRL"
    assert found["margin_rate"] == f"{100 * mart['margin'] / mart['costed']:.1f} %"
    assert found["costed_share"] == f"{100 * mart['costed'] / mart['revenue']:.1f} %"
    assert found["cancelled_revenue"] == f"{mart['cancelled']:,.2f} BRL"
    assert found["review_score"] == f"{mart['score']:.1f}"
    assert found["revenue_orders"] == f"{orders['orders']:,}", "an order is of no category"
    assert found["order_value"] == f"{orders['value'] / orders['orders']:,.2f} BRL"
    apart = page.locator(".figure", has_text="Not filtered by category.")
    expect(apart).to_have_count(3 if is_filtered else 0)


def test_the_bridge_and_the_funnel_are_those_of_the_marts(page: Page, reported: Project) -> None:
    show(page)
    days = ", ".join(f"(date '{YESTERDAY}' - {ago})::date" for ago in (13, 7, 6, 0))
    bridge = query(
        reported,
        "select sum(margin_before)::double as before, sum(price_effect)::double as price, sum(volume_effect)::double as"
        " volume, sum(mix_effect)::double as mix, sum(cost_effect)::double as cost, sum(margin_now)::double as now"
        f" from reporting.rpt_product_changes({days})",
    )
    assert said(page, "Why the margin changed") == [
        f"Margin before: {bridge['before']:,.2f} BRL",
        *(f"{name.title()}: {signed(bridge[name])} BRL" for name in ("price", "volume", "mix", "cost")),
        f"Margin now: {bridge['now']:,.2f} BRL",
    ]
    expect(page.get_by_text("unexplained")).to_have_count(0)
    sessions = query(
        reported,
        "select count(*)::int as sessions, count(*) filter (product_views > 0)::int as views,"
        " count(*) filter (product_views > 0 and cart_adds > 0)::int as carts,"
        " count(*) filter (product_views > 0 and cart_adds > 0 and purchases > 0)::int as purchases"
        " from marts.mart_sessions",
    )
    assert [text.rsplit(" of the step", 1)[0] for text in said(page, "From view to purchase")] == [
        f"Sessions: {sessions['sessions']:,}",
        f"With a product view: {sessions['views']:,}, {100 * sessions['views'] / sessions['sessions']:.1f} %",
        f"With one in the cart: {sessions['carts']:,}, {100 * sessions['carts'] / sessions['views']:.1f} %",
        f"With a purchase: {sessions['purchases']:,}, {100 * sessions['purchases'] / sessions['carts']:.1f} %",
    ]


def test_each_chart_draws_something_and_axe_finds_nothing(page: Page) -> None:
    show(page)
    for place, title in enumerate(CHARTS):
        marks = page.locator(f"#chart-{place} svg [aria-roledescription][tabindex]")
        assert marks.count() > (title != "Week over week"), title  # of two weeks, one has one before it
    assert faults_of_access(page) == []
