"""What the report of products computes in Python, on rows worked out by hand."""

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl
import pytest

from analytics_assets.defs.commerce.product_analyses import (
    COVERS,
    EFFECTS,
    MARGIN_CHANGES,
    PRODUCT_GROWTH,
    PRODUCT_OVERVIEW,
    REORDER_BELOW_DAYS,
    REORDER_LIST,
    STOCK_COVER,
    compared_spans,
)
from analytics_assets.defs.commerce.reports import PRODUCT_REPORT
from analytics_assets.partitions import Window
from analytics_assets.spec.analysis import Analysis

AS_OF = date(2026, 3, 31)


def back(days: int) -> Window:
    return Window.of_days(AS_OF - timedelta(days - 1), AS_OF)


class Rows:
    """What is published: tables by name, of their days where they have any."""

    def __init__(self, days: Window, tables: Mapping[str, pl.DataFrame]) -> None:
        self.days, self._tables = days, tables
        self.compared: tuple[Window | None, Window | None] = (None, None)

    def rows(self, name: str, days: Window | None = None, before: Window | None = None) -> pl.DataFrame:
        if before:
            self.compared = (before, days)
        table, days = self._tables[name], days or self.days
        if "activity_date" not in table.columns:
            return table
        return table.filter(pl.col("activity_date").is_between(days.start, days.end, closed="left"))


def made(analysis: Analysis, rows: Rows) -> pl.DataFrame:
    return analysis.checked(analysis.compute(rows))


# ------------------------------------------------------------------------------------------------------ a product

# name: units of 28 days and of the 28 before, stock, days and units with stock, the cover
PRODUCTS: Mapping[str, tuple[int, int, int | None, int, int, str]] = {
    "sold out since a week": (21, 5, 0, 21, 21, "out of stock"),  # 1 a day, and not 21 / 28
    "never in stock": (0, 56, 0, 0, 0, "out of stock"),  # 56 in 56 days
    "dead": (0, 0, 0, 0, 0, "out of stock"),
    "six days": (28, 0, 6, 28, 28, "below 7 days"),
    "a week": (28, 0, 7, 28, 28, "7 to 13 days"),
    "two weeks": (28, 0, 14, 28, 28, "14 to 27 days"),
    "28 days": (28, 0, 28, 28, 28, "28 to 89 days"),
    "90 days": (28, 0, 90, 28, 28, "90 days and more"),
    "lies there": (0, 9, 5, 28, 0, "no sales"),
    "nobody knows": (28, 28, None, 0, 0, "not counted"),
}


def of_products(*, with_base: bool = True) -> dict[str, pl.DataFrame]:
    day = {"activity_date": AS_OF}
    performance, trends = [], []
    for name, (units, before, stock, days, stocked, _) in PRODUCTS.items():
        growth = (units - before) / before if before and with_base else None
        performance.append(
            {
                **{"product_id": name, "product_name": name.title(), "category": name[0], "stock_level": stock},
                **{"units_28d": units, "units_prior_28d": before, "revenue_28d": 10.0 * units},
                **{"revenue_prior_28d": 10.0 * before, "revenue_mom": growth, "stock_age_days": 2, **day},
            }
        )
        others = {"orders_28d": units, "product_views_28d": 100, "reviews_28d": 2, "review_score_sum_28d": 9}
        trends.append({"product_id": name, "stocked_days_28d": days, "stocked_units_28d": stocked, **others, **day})
    changes = pl.DataFrame(
        [
            ("six days", 280.0, 100.0, 10.0, 20.0, 5.5, -1.5, 134.0, 34.0),
            ("sold out since a week", 210.0, 0.0, 0.0, 0.0, 50.0, 0.0, 50.0, 50.0),
        ],
        schema=["product_id", "revenue_now", "margin_before", *EFFECTS, "margin_now", "margin_change"],
        orient="row",
    )
    return {
        "mart_product_performance": pl.DataFrame(performance, infer_schema_length=None),
        "mart_product_trends": pl.DataFrame(trends),
        "rpt_product_changes": changes,
    }


@pytest.fixture
def overview() -> pl.DataFrame:
    return made(PRODUCT_OVERVIEW, Rows(back(56), of_products()))


def test_stock_lasts_by_the_rate_of_the_days_that_had_stock(overview: pl.DataFrame) -> None:
    found = {row["product_id"]: row for row in overview.iter_rows(named=True)}
    assert {name: row["cover"] for name, row in found.items()} == {name: row[-1] for name, row in PRODUCTS.items()}
    assert {*COVERS} == {row[-1] for row in PRODUCTS.values()}
    rates = {name: row["units_a_day"] for name, row in found.items()}
    without = ("dead", "lies there", "nobody knows")
    assert rates == dict.fromkeys(PRODUCTS, 1.0) | dict.fromkeys(without, None)
    lasts = {name: row["days_of_inventory"] for name, row in found.items() if row["days_of_inventory"] is not None}
    assert lasts == {name: stock for name, (_, _, stock, *_) in PRODUCTS.items() if name not in without}


def test_the_list_of_what_to_order_has_what_lasts_too_short_and_how_much_is_missing(overview: pl.DataFrame) -> None:
    found = made(REORDER_LIST, Rows(back(56), {"product_overview": overview}))
    assert dict(found.select("product_id", "units_short").rows()) == {
        "never in stock": REORDER_BELOW_DAYS,
        "sold out since a week": REORDER_BELOW_DAYS,
        "six days": REORDER_BELOW_DAYS - 6,
        "a week": REORDER_BELOW_DAYS - 7,
    }
    assert found["units_short"].to_list() == sorted(found["units_short"], reverse=True)
    assert set(found["stock_age_days"]) == {2}


def test_covers_are_counted_by_category(overview: pl.DataFrame) -> None:
    found = made(STOCK_COVER, Rows(back(56), {"product_overview": overview}))
    assert found["products"].sum() == len(PRODUCTS)
    assert found.filter(category="s", cover="out of stock")["products"].to_list() == [1]
    assert found.filter(category="n", cover="not counted")["stock_level"].to_list() == [0]
    listed = PRODUCT_REPORT.dimension("cover").values
    assert listed is not None and {*found["cover"]} <= {*listed}


def test_a_product_without_a_base_has_no_growth(overview: pl.DataFrame) -> None:
    columns = ("revenue_28d", "revenue_prior_28d", "revenue_change_28d")
    found = {row[0]: row[1:] for row in overview.select("product_id", *columns).iter_rows()}
    assert found["sold out since a week"] == (210, 50, 160)
    assert found["six days"] == (280, None, None), "nothing was sold before"
    incomplete = made(PRODUCT_OVERVIEW, Rows(back(56), of_products(with_base=False)))
    assert incomplete["revenue_change_28d"].null_count() == len(PRODUCTS)


# ------------------------------------------------------------------------------------------------------- the bridge


def test_the_effects_of_a_category_are_the_sums_of_its_products(overview: pl.DataFrame) -> None:
    found = made(MARGIN_CHANGES, Rows(back(56), {"product_overview": overview}))
    assert found.height == len({name[0] for name in PRODUCTS})
    assert found.drop_nulls().height == 1, "the others have no product of known cost"
    ((compared, category, *numbers),) = found.drop_nulls().iter_rows()
    assert (compared, category) == ("28 days to 2026-03-31", "s")
    assert numbers == [100.0, 10.0, 20.0, 55.5, -1.5, 184.0, 84.0]
    before, *effects, now, change = numbers
    assert before + sum(effects) == now and sum(effects) == change


@pytest.mark.parametrize(
    ("days", "span"), [(90, 28), (56, 28), (55, 14), (28, 14), (27, 7), (14, 7), (13, None), (1, None)]
)
def test_the_longest_spans_are_compared_of_which_two_are_there(days: int, span: int | None) -> None:
    found = compared_spans(back(days))
    assert found == (
        span and (Window(back(2 * span).start, back(span).start), back(span))
    )  # fmt: skip
    rows = Rows(back(days), of_products())
    overview = made(PRODUCT_OVERVIEW, rows)
    assert rows.compared == (found or (None, None))
    changes = made(MARGIN_CHANGES, Rows(back(days), {"product_overview": overview}))
    assert set(changes["compared"]) == {f"{span} days to {AS_OF}" if span else "too few days"}
    assert changes["margin_change"].is_null().all() == (found is None)


# ----------------------------------------------------------------------------------------------------------- growth


def sold(*rows: tuple[int, str, float, int]) -> dict[str, pl.DataFrame]:
    """Rows of products: days before the newest one, category, revenue, units."""
    return {
        "mart_product_daily": pl.DataFrame(
            [(AS_OF - timedelta(ago), category, revenue, units) for ago, category, revenue, units in rows],
            schema={"activity_date": pl.Date, "category": pl.String, "revenue": pl.Float64, "units": pl.Int64},
            orient="row",
        )
    }


def test_growth_is_over_calendar_days_whatever_days_have_rows() -> None:
    """By the rows before, and not by the days, the week would be compared with a day of last month."""
    rows = sold((0, "a", 30.0, 3), (6, "a", 20.0, 2), (7, "a", 40.0, 1), (7, "b", 5.0, 1), (30, "a", 100.0, 9))
    found = made(PRODUCT_GROWTH, Rows(back(112), rows)).filter(which="newest")
    columns = ("span", "category", "revenue", "revenue_before", "revenue_change", "units_change")
    assert found.select(columns).rows() == [
        ("28 days", "a", 90.0, 100.0, -10.0, -3.0),
        ("28 days", "b", 5.0, 0.0, 5.0, 1.0),
        ("week", "a", 50.0, 40.0, 10.0, 4.0),
        ("week", "b", 0.0, 5.0, -5.0, -1.0),
    ]
    assert {*found["last_day"]} == {str(AS_OF)}


def test_growth_over_a_span_that_is_not_all_there_is_not_known() -> None:
    rows = sold(*((ago, "a", 1.0, 1) for ago in range(30)))
    found = made(PRODUCT_GROWTH, Rows(back(30), rows))
    weeks = found.filter(span="week").sort("last_day", descending=True)
    assert weeks["revenue_change"].to_list() == [0, 0, 0, None]
    assert weeks["revenue_before"].to_list() == [7, 7, 7, None]
    assert found.filter(span="28 days").select("revenue", "revenue_change").rows() == [(28, None)]


@pytest.mark.parametrize("days", [3, 112])
def test_without_any_row_there_is_no_growth(days: int) -> None:
    assert made(PRODUCT_GROWTH, Rows(back(days), sold())).is_empty()
