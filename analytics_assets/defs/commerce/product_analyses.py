"""What no row of a day says of products: their last weeks against those before, their margin, what to order again.

All are as of a day. `product_overview` reads the marts; the others follow from it, but for growth, which looks back
further.
"""

import polars as pl

from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.spec.analysis import Analysis, Column, Published

REORDER_BELOW_DAYS = 14
"""A product is to be ordered again if its stock lasts for fewer days: as long as it takes until new stock arrives."""

LONG_SPAN = 28
"""Calendar days of the figures of a product; four whole weeks, so that weekdays weigh alike."""

SPANS = (LONG_SPAN, 14, 7)
"""Days of two spans that are compared: the longest of which two are there."""

COVERS = (
    "out of stock", "below 7 days", "7 to 13 days", "14 to 27 days", "28 to 89 days", "90 days and more", "no sales",
    "not counted",
)  # fmt: skip
"""How long the stock of a product lasts, in words."""

EFFECTS = ("price_effect", "volume_effect", "mix_effect", "cost_effect")

_LAST_DAYS = (7, 14, 28, 90)  # of the covers between `out of stock` and `no sales`; each holds what lasts for fewer

_OF_PERFORMANCE = (
    *("product_name", "category", "units_28d", "units_prior_28d", "revenue_28d", "revenue_prior_28d", "revenue_mom"),
    *("stock_level", "stock_age_days"),
)
_OF_TRENDS = (
    *("orders_28d", "product_views_28d", "reviews_28d", "review_score_sum_28d"),
    *("stocked_days_28d", "stocked_units_28d"),
)

_OVERVIEW = {
    **dict.fromkeys(("product_id", "product_name", "category", "cover", "compared"), Column.TEXT),
    **dict.fromkeys(
        (
            *("revenue_28d", "revenue_prior_28d", "revenue_change_28d", "units_28d", "orders_28d"),
            *("product_views_28d", "reviews_28d", "review_score_sum_28d"),
            *("stock_level", "stock_age_days", "units_a_day", "days_of_inventory", "units_short"),
            *("costed_revenue", "margin_before", *EFFECTS, "margin_now", "margin_change"),
        ),
        Column.NUMBER,
    ),
}


def compared_spans(days: Window) -> tuple[Window, Window] | None:
    """The newest days, and as many before them; None where there are too few."""
    span = next((span for span in SPANS if 2 * span <= len(days)), None)
    if span is None:
        return None
    middle = days.end - span * ONE_DAY
    return Window(middle - span * ONE_DAY, middle), Window(middle, days.end)


def cover() -> pl.Expr:
    """The cover of a product, by its stock and how many days that lasts."""
    stock, lasts = pl.col("stock_level"), pl.col("days_of_inventory")
    found = (
        pl.when(stock.is_null())
        .then(pl.lit(COVERS[-1]))
        .when(stock == 0)
        .then(pl.lit(COVERS[0]))
        .when(lasts.is_null())
        .then(pl.lit(COVERS[-2]))
    )
    for name, days in zip(COVERS[1:], _LAST_DAYS, strict=False):
        found = found.when(lasts < days).then(pl.lit(name))
    return found.otherwise(pl.lit(COVERS[5]))


def overview(published: Published) -> pl.DataFrame:
    """A row of each product of which something is known: sales, stock, and what became of its margin."""
    as_of = max(published.days.days())
    day = Window.of_days(as_of, as_of)
    trends = published.rows("mart_product_trends", day).select("product_id", *_OF_TRENDS)
    rows = published.rows("mart_product_performance", day).select("product_id", *_OF_PERFORMANCE)
    spans = compared_spans(published.days)
    compared = f"{len(spans[1])} days to {as_of}" if spans else "too few days"
    rows = rows.join(trends, on="product_id", how="left")
    rows = rows.join(_changes(published, spans), on="product_id", how="left").with_columns(compared=pl.lit(compared))

    has_base, sold_before = pl.col("revenue_mom").is_not_null(), pl.col("units_28d") + pl.col("units_prior_28d")
    # Days without stock say nothing of demand. Of what had none on any day, the sales of all
    # days, 56 or as many as there are, are what is known.
    rate = (
        pl.when(pl.col("stocked_units_28d") > 0)
        .then(pl.col("stocked_units_28d") / pl.col("stocked_days_28d"))
        .when((pl.col("stock_level") == 0) & (sold_before > 0))
        .then(sold_before / len(published.days))
    )
    rows = rows.with_columns(
        units_a_day=rate,
        revenue_prior_28d=pl.when(has_base).then("revenue_prior_28d"),
        revenue_change_28d=pl.when(has_base).then(pl.col("revenue_28d") - pl.col("revenue_prior_28d")),
    )
    rows = rows.with_columns(days_of_inventory=pl.col("stock_level") / pl.col("units_a_day"))
    to_target = (REORDER_BELOW_DAYS * pl.col("units_a_day") - pl.col("stock_level")).ceil()
    rows = rows.with_columns(cover=cover(), units_short=pl.when(to_target > 0).then(to_target))
    return rows.select(*_OVERVIEW).sort("revenue_28d", "product_id", descending=[True, False])


def _changes(published: Published, spans: tuple[Window, Window] | None) -> pl.DataFrame:
    """Why the margin of products of known cost is another than before; no rows where there are too few days."""
    numbers = ("costed_revenue", "margin_before", *EFFECTS, "margin_now", "margin_change")
    if spans is None:
        return pl.DataFrame(schema={"product_id": pl.String, **dict.fromkeys(numbers, pl.Float64)})
    before, now = spans
    changes = published.rows("rpt_product_changes", now, before=before)
    return changes.rename({"revenue_now": "costed_revenue"}).select("product_id", *numbers)


PRODUCT_OVERVIEW = Analysis(
    name="product_overview",
    title="Products, last four weeks",
    description="What each product sold in the last 28 days, how long its stock lasts, and why its margin changed.",
    days=2 * LONG_SPAN,
    columns=_OVERVIEW,
    reads=("mart_product_performance", "mart_product_trends", "rpt_product_changes"),
    compute=overview,
)


def _sum_of_known(column: str) -> pl.Expr:
    """A sum; null where no value is known, as of products without a cost."""
    return pl.when(pl.col(column).is_null().all()).then(None).otherwise(pl.col(column).sum()).alias(column)


_BRIDGE = ("margin_before", *EFFECTS, "margin_now", "margin_change")

MARGIN_CHANGES = Analysis(
    name="margin_changes",
    title="Why the margin changed",
    description="The margin of each category in two spans of 28 days, or of 14 or 7 while there are fewer days.",
    days=2 * LONG_SPAN,
    columns={**dict.fromkeys(("compared", "category"), Column.TEXT), **dict.fromkeys(_BRIDGE, Column.NUMBER)},
    reads=("product_overview",),
    compute=lambda published: (
        published.rows("product_overview")
        .group_by("compared", "category")
        .agg(_sum_of_known(name) for name in _BRIDGE)
        .sort("compared", "category")
    ),
)

STOCK_COVER = Analysis(
    name="stock_cover",
    title="How long stock lasts",
    description="How many products and units are in stock for how many days, by category.",
    days=2 * LONG_SPAN,
    columns={
        **dict.fromkeys(("category", "cover"), Column.TEXT),
        **dict.fromkeys(("products", "stock_level"), Column.NUMBER),
    },
    reads=("product_overview",),
    compute=lambda published: (
        published.rows("product_overview")
        .group_by("category", "cover")
        .agg(pl.len().cast(pl.Float64).alias("products"), pl.col("stock_level").sum())
        .sort("category", "cover")
    ),
)

_REORDER = ("units_short", "days_of_inventory", "units_a_day", "stock_level", "stock_age_days")

REORDER_LIST = Analysis(
    name="reorder_list",
    title="What to order again",
    description=f"Products whose stock lasts for fewer than {REORDER_BELOW_DAYS} days, with the units that they lack.",
    days=2 * LONG_SPAN,
    columns={
        **dict.fromkeys(("product_id", "product_name", "category", "cover"), Column.TEXT),
        **dict.fromkeys(_REORDER, Column.NUMBER),
    },
    reads=("product_overview",),
    compute=lambda published: (
        published.rows("product_overview")
        .filter(pl.col("units_short") > 0)
        .select("product_id", "product_name", "category", "cover", *_REORDER)
        .sort("units_short", "product_id", descending=[True, False])
    ),
)

GROWTH_SPANS = {"week": 7, "28 days": LONG_SPAN}
"""The spans that are compared with the one before, by name, with their days."""


def growth(published: Published) -> pl.DataFrame:
    """By category and span, what was sold, and by how much that is more than in the span before.

    Spans end on the day that it is as of, and whole spans before. Without all days of the span before there is no base.
    """
    days, sold = published.days, ("revenue", "units")
    rows = published.rows("mart_product_daily", days).group_by("activity_date", "category").agg(pl.col(sold).sum())
    found = []
    for name, length in GROWTH_SPANS.items():
        for number in range(len(days) // length):
            now = Window(days.end - (number + 1) * length * ONE_DAY, days.end - number * length * ONE_DAY)
            before = Window(now.start - length * ONE_DAY, now.start)
            sums = _sums(rows, now, sold).join(_sums(rows, before, sold), on="category", how="full", coalesce=True)
            sums = sums.fill_null(0.0).rename({f"{column}_right": f"{column}_before" for column in sold})
            base = [pl.col(f"{column}_before") for column in sold]
            if before.start < days.start:
                sums = sums.with_columns(pl.lit(None, pl.Float64).alias(f"{column}_before") for column in sold)
            found.append(
                sums.with_columns(
                    pl.lit(name).alias("span"),
                    pl.lit("newest" if number == 0 else "earlier").alias("which"),
                    pl.lit(str(max(now.days()))).alias("last_day"),
                    *((pl.col(column) - of).alias(f"{column}_change") for column, of in zip(sold, base, strict=True)),
                )
            )
    return pl.concat(found).select(*_GROWTH).sort("span", "last_day", "category") if found else _NO_GROWTH


def _sums(rows: pl.DataFrame, days: Window, columns: tuple[str, ...]) -> pl.DataFrame:
    of_days = rows.filter(pl.col("activity_date").is_between(days.start, days.end, closed="left"))
    return of_days.group_by("category").agg(pl.col(columns).sum().cast(pl.Float64))


_GROWTH = {
    **dict.fromkeys(("span", "which", "last_day", "category"), Column.TEXT),
    **dict.fromkeys(
        ("revenue", "revenue_before", "revenue_change", "units", "units_before", "units_change"), Column.NUMBER
    ),
}

_NO_GROWTH = pl.DataFrame(
    schema={name: pl.String if kind is Column.TEXT else pl.Float64 for name, kind in _GROWTH.items()}
)

PRODUCT_GROWTH = Analysis(
    name="product_growth",
    title="Growth",
    description="What each category sold in the last weeks and spans of 28 days, against the span before.",
    days=4 * LONG_SPAN,
    columns=_GROWTH,
    reads=("mart_product_daily",),
    compute=growth,
)
