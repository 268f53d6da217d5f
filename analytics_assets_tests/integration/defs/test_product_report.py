"""The report of products: what the tabs and the lists hold is what the marts hold."""

from datetime import date, timedelta

import duckdb
import polars as pl
import pytest
from openpyxl import load_workbook

from analytics_assets.defs.commerce.product_analyses import EFFECTS, REORDER_BELOW_DAYS
from analytics_assets.state.builds import newest_export
from analytics_assets_tests.support.project import YESTERDAY, Project

pytestmark = pytest.mark.models_alone

NUMBERS = {
    "Revenue": "sum(revenue)",
    "Units": "sum(units)",
    "Margin": "sum(costed_revenue - cost) filter (units > units_without_cost)",
    "Margin rate": "sum(costed_revenue - cost) / nullif(sum(costed_revenue), 0)",
    "Revenue of known cost": "sum(costed_revenue) / nullif(sum(revenue), 0)",
    "Product views": "sum(product_views)",
    "Put into carts": "sum(cart_adds)",
    "Units cancelled": "sum(cancelled_units)",
    "Revenue cancelled": "sum(cancelled_revenue)",
    "Reviews": "sum(reviews)",
    "Review score": "sum(review_score_sum) / nullif(sum(reviews), 0)",
}
"""What a tab should hold, over mart_product_daily."""


def rows_of(project: Project, tab: str) -> list[dict]:
    """The rows of a tab of the workbook."""
    sheet = load_workbook(newest_export(project.settings, "product_workbook", "xlsx"))[tab]
    headings, *rows = sheet.iter_rows(values_only=True)
    return [dict(zip(headings, row, strict=True)) for row in rows]


def query(project: Project, sql: str) -> list[dict]:
    with duckdb.connect(str(project.settings.published_file), read_only=True) as connection:
        return connection.execute(sql).pl().with_columns(pl.col(pl.Decimal).cast(pl.Float64)).to_dicts()


def list_of(project: Project, analysis: str) -> pl.DataFrame:
    return pl.read_csv(newest_export(project.settings, analysis, "csv"), infer_schema_length=None)


@pytest.mark.parametrize(
    ("tab", "heading", "by"), [("Categories", "Category", "category"), ("Days", "Day (UTC)", "activity_date")]
)
def test_sales_margin_and_reviews_are_sums_over_the_mart_and_ratios_of_sums(
    reported: Project, tab: str, heading: str, by: str
) -> None:
    values = ", ".join(f'({value})::double as "{name}"' for name, value in NUMBERS.items())
    mart = {
        row["by"]: row
        for row in query(reported, f'select {by} as "by", {values} from marts.mart_product_daily group by all')
    }
    rows = rows_of(reported, tab)
    assert len(rows) == len(mart) > 5
    for row in rows:
        of_mart = mart[row[heading].date() if by == "activity_date" else row[heading]]
        assert {name: row[name] for name in NUMBERS} == pytest.approx({name: of_mart[name] for name in NUMBERS})
    assert sum(row["Revenue"] for row in rows) > 0 and sum(row["Units cancelled"] for row in rows) > 0
    assert any(row["Revenue of known cost"] for row in rows)


def test_orders_are_those_of_the_orders_and_not_those_of_the_products(reported: Project) -> None:
    """An order of two products is one order; summed over products it would be two."""
    rows = {row["Day (UTC)"].date(): row for row in rows_of(reported, "Orders")}
    orders = query(
        reported,
        "select activity_date, sum(orders)::int as placed, sum(revenue_orders)::int as orders,"
        " sum(order_value)::double as value from intermediate.int_customer_daily group by all",
    )
    assert len(rows) == len(orders) > 5
    for day in orders:
        row = rows[day["activity_date"]]
        assert (row["Orders placed"], row["Orders"]) == (day["placed"], day["orders"])
        assert row["Value of an order"] == (pytest.approx(day["value"] / day["orders"]) if day["orders"] else None)
    ((of_products,),) = [
        row.values() for row in query(reported, "select sum(orders)::int from marts.mart_product_daily")
    ]
    assert sum(day["orders"] for day in orders) < of_products


def test_the_bridge_leads_from_one_margin_to_the_other_exactly(reported: Project) -> None:
    """Fourteen days are there: seven are compared with the seven before."""
    first = YESTERDAY - timedelta(13)
    days = ", ".join(f"date '{first + timedelta(ago)}'" for ago in (0, 6, 7, 13))
    numbers = ("margin_before", *EFFECTS, "margin_now", "margin_change")
    sums = ", ".join(f"sum({name}) as {name}" for name in numbers)
    bridge = {
        row["category"]: row
        for row in query(reported, f"select category, {sums} from reporting.rpt_product_changes({days}) group by all")
    }
    rows = rows_of(reported, "Why the margin changed")
    assert len(rows) == len(bridge) > 5
    for row in rows:
        assert row["Days"] == f"7 days to {YESTERDAY}"
        shown = (
            row["Margin before"], row["Price"], row["Volume"], row["Mix"], row["Cost"], row["Margin now"],
            row["Change in margin"],
        )  # fmt: skip
        assert shown == pytest.approx([bridge[row["Category"]][name] for name in numbers])
        before, *effects, now, change = shown
        assert before + sum(effects) == pytest.approx(now, abs=1e-6)
        assert sum(effects) == pytest.approx(change, abs=1e-6)
    margins = {
        name: value
        for row in query(
            reported,
            f"select sum(costed_revenue - cost) filter (activity_date <= date '{first + timedelta(6)}') as before,"
            f" sum(costed_revenue - cost) filter (activity_date > date '{first + timedelta(6)}') as now"
            " from marts.mart_product_daily",
        )
        for name, value in row.items()
    }
    assert sum(row["Margin before"] for row in rows) == pytest.approx(margins["before"])
    assert sum(row["Margin now"] for row in rows) == pytest.approx(margins["now"])


def test_what_to_order_is_what_lasts_too_short_by_the_mart(reported: Project) -> None:
    found = list_of(reported, "reorder_list")
    mart = query(
        reported,
        "select product_id, days_of_inventory, stock_level, stock_age_days,"
        " stocked_units_28d / stocked_days_28d as rate"
        " from marts.mart_product_performance join marts.mart_product_trends using (product_id, activity_date)"
        f" where activity_date = date '{YESTERDAY}' and days_of_inventory < {REORDER_BELOW_DAYS}",
    )
    by_mart = {row["product_id"]: row for row in mart}
    assert by_mart
    for row in found.iter_rows(named=True):
        if row["product_id"] not in by_mart:
            assert row["stock_level"] == 0, "what had no stock on any day has no rate in the mart"
            continue
        known = by_mart.pop(row["product_id"])
        assert row["days_of_inventory"] == pytest.approx(known["days_of_inventory"], abs=1e-5)
        assert row["units_a_day"] == pytest.approx(known["rate"])
        assert (row["stock_level"], row["stock_age_days"]) == (known["stock_level"], known["stock_age_days"])
        assert row["units_short"] - 1 < REORDER_BELOW_DAYS * known["rate"] - known["stock_level"] <= row["units_short"]
    assert not by_mart
    tab = rows_of(reported, "What to order again")
    assert [row["Product id"] for row in tab] == found["product_id"].to_list()
    assert [row["Units to order"] for row in tab] == found["units_short"].to_list()


def test_covers_hold_each_product_once(reported: Project) -> None:
    (known,) = query(
        reported,
        "select count(*)::int as products, coalesce(sum(stock_level), 0)::int as units"
        f" from marts.mart_product_performance where activity_date = date '{YESTERDAY}'",
    )
    rows = rows_of(reported, "How long stock lasts")
    assert sum(row["Products"] for row in rows) == known["products"]
    assert sum(row["Units in stock"] for row in rows) == known["units"]


def test_growth_is_of_calendar_days_of_the_mart(reported: Project) -> None:
    def revenue(first: date, last: date) -> float:
        (row,) = query(
            reported,
            "select coalesce(sum(revenue), 0) as revenue from marts.mart_product_daily"
            f" where activity_date between date '{first}' and date '{last}'",
        )
        return row["revenue"]

    weeks = {row["Last day"]: row for row in rows_of(reported, "Growth") if row["Span"] == "week"}
    now = revenue(YESTERDAY - timedelta(6), YESTERDAY)
    before = revenue(YESTERDAY - timedelta(13), YESTERDAY - timedelta(7))
    newest = weeks[str(YESTERDAY)]
    assert newest["Revenue of the span"] == pytest.approx(now)
    assert newest["Growth of revenue"] == pytest.approx((now - before) / before)
    oldest = weeks[str(YESTERDAY - timedelta(7))]
    assert (oldest["Revenue of the span"], oldest["Growth of revenue"]) == (pytest.approx(before), None)


def test_top_products_are_those_of_the_performance(reported: Project) -> None:
    mart = query(
        reported,
        "select product_id, revenue_28d, units_28d, days_of_inventory, review_score, view_to_purchase"
        f" from marts.mart_product_performance where activity_date = date '{YESTERDAY}'",
    )
    rows = {row["Product id"]: row for row in rows_of(reported, "Top products")}
    assert len(rows) == len(mart)
    for known in mart:
        row = rows[known["product_id"]]
        assert row["Revenue, 28 days"] == pytest.approx(known["revenue_28d"])
        assert row["Units, 28 days"] == known["units_28d"]
        assert row["Score, 28 days"] == (known["review_score"] and pytest.approx(known["review_score"], abs=1e-5))
        if known["view_to_purchase"] is not None:
            assert row["Orders per view"] == pytest.approx(known["view_to_purchase"], abs=1e-5)
    revenue = [row["Revenue, 28 days"] for row in rows.values()]
    assert revenue == sorted(revenue, reverse=True)


def test_the_funnel_is_that_of_the_sessions(reported: Project) -> None:
    sessions = query(
        reported,
        "select coalesce(device, '(none)') as device, count(*)::int as sessions,"
        " count(*) filter (product_views > 0)::int as views,"
        " count(*) filter (product_views > 0 and cart_adds > 0)::int as carts,"
        " count(*) filter (product_views > 0 and cart_adds > 0 and purchases > 0)::int as purchases"
        " from marts.mart_sessions group by all",
    )
    rows = {row["Device"]: row for row in rows_of(reported, "From view to purchase")}
    assert len(rows) == len(sessions) > 1
    for known in sessions:
        row = rows[known["device"]]
        steps = [row[name] for name in ("Sessions", "With a product view", "With one in the cart", "With a purchase")]
        assert steps == [known[name] for name in ("sessions", "views", "carts", "purchases")]
        assert row["Cart to purchase"] == (pytest.approx(steps[3] / steps[2]) if steps[2] else None)
    assert sum(known["purchases"] for known in sessions) > 0
