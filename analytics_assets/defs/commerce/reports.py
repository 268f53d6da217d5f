"""The report of products: what the dashboard and the workbook show."""

from analytics_assets.defs.commerce.product_analyses import COVERS, EFFECTS, REORDER_BELOW_DAYS
from analytics_assets.spec.report import (
    Chart,
    Dataset,
    Dimension,
    Format,
    Largest,
    Measure,
    Ratio,
    Report,
    Shape,
    Sum,
    Table,
)

_CURRENCY = "BRL"
"""What the files' amounts are in; the published shop's are reais. For the files of another shop, name theirs here."""

_PRODUCTS, _CUSTOMERS, _SESSIONS = "mart_product_performance", "int_customer_daily", "mart_sessions_daily"
_OVERVIEW, _CHANGES, _GROWTH = "product_overview", "margin_changes", "product_growth"
_COVER, _REORDER = "stock_cover", "reorder_list"


def _sum(column: str) -> Sum:
    return Sum(_PRODUCTS, column)


def _of_overview(over: str, under: str) -> Ratio:
    return Ratio(Sum(_OVERVIEW, over), Sum(_OVERVIEW, under))


def _growth(span: str, **which: tuple[str, ...]) -> Ratio:
    of_span = {"span": (span,), **which}
    return Ratio(Sum(_GROWTH, "revenue_change", of_span), Sum(_GROWTH, "revenue_before", of_span))


_OF_A_GROUP = (
    "revenue", "units", "margin", "margin_rate", "costed_share", "product_views", "cart_adds", "cancelled_units",
    "cancelled_revenue", "reviews", "review_score",
)  # fmt: skip

_EFFECT_NOTES = {
    "price_effect": ("Price", "What the same units bring at another price"),
    "volume_effect": ("Volume", "What would have changed had all products sold more or less alike"),
    "mix_effect": ("Mix", "The rest: that some products sold more than others, and what is new or gone"),
    "cost_effect": ("Cost", "What the same units cost otherwise"),
}

_OF_A_PRODUCT: tuple[tuple[str, str, Sum | Ratio, Format, str], ...] = (
    ("revenue", "Revenue, 28 days", Sum(_OVERVIEW, "revenue_28d"), Format.MONEY, "Of the newest 28 days."),
    (
        "growth",
        "Growth, 28 days",
        _of_overview("revenue_change_28d", "revenue_prior_28d"),
        Format.SHARE,
        "Revenue of the newest 28 days less that of the 28 before, as a share of that.",
    ),
    ("units", "Units, 28 days", Sum(_OVERVIEW, "units_28d"), Format.COUNT, "Of the newest 28 days."),
    (
        "margin_rate",
        "Margin rate of the product",
        _of_overview("margin_now", "costed_revenue"),
        Format.SHARE,
        "Margin divided by the revenue of the same units, of the newest span that is compared.",
    ),
    (
        "conversion",
        "Orders per view",
        _of_overview("orders_28d", "product_views_28d"),
        Format.SHARE,
        "Orders with the product / views of it, in the newest 28 days; orders may have had no view.",
    ),
    (
        "score",
        "Score, 28 days",
        _of_overview("review_score_sum_28d", "reviews_28d"),
        Format.MEAN,
        "Mean score of the reviews of the newest 28 days, from 1 to 5.",
    ),
    (
        "days",
        "Stock lasts, days",
        Sum(_OVERVIEW, "days_of_inventory"),
        Format.MEAN,
        "For how many days the stock of a product lasts.",
    ),
    (
        "change",
        "Change in margin of the product",
        Sum(_OVERVIEW, "margin_change"),
        Format.MONEY,
        "Margin of the newest span that is compared, less that of the one before.",
    ),
    *(
        (name, f"{title} of the product", Sum(_OVERVIEW, name), Format.MONEY, f"{note}, of a product.")
        for name, (title, note) in _EFFECT_NOTES.items()
    ),
)

PRODUCT_REPORT = Report(
    name="product",
    title="Products",
    days=90,
    currency=_CURRENCY,
    datasets=(
        Dataset(
            _PRODUCTS,
            ("category",),
            (
                *("units", "revenue", "costed_revenue", "cost", "margin", "cancelled_units", "cancelled_revenue"),
                *("product_views", "cart_adds", "reviews", "review_score_sum"),
            ),
        ),
        Dataset(_CUSTOMERS, (), ("orders", "revenue_orders", "order_value"), is_apart=True),
        Dataset(
            _SESSIONS, ("device",), ("sessions", "funnel_views", "funnel_carts", "funnel_purchases"), is_apart=True
        ),
        Dataset(
            _GROWTH,
            ("span", "which", "last_day", "category"),
            ("revenue", "revenue_before", "revenue_change", "units", "units_before", "units_change"),
            is_analysis=True,
        ),
        Dataset(
            _CHANGES,
            ("category", "compared"),
            ("margin_before", *EFFECTS, "margin_now", "margin_change"),
            is_analysis=True,
        ),
        Dataset(_COVER, ("category", "cover"), ("products", "stock_level"), is_analysis=True),
        Dataset(
            _REORDER,
            ("product_id", "product_name", "category", "cover"),
            ("units_short", "days_of_inventory", "units_a_day", "stock_level", "stock_age_days"),
            is_analysis=True,
            largest=Largest("units_short"),
        ),
        Dataset(
            _OVERVIEW,
            ("product_id", "product_name", "category"),
            (
                *("revenue_28d", "revenue_prior_28d", "revenue_change_28d", "units_28d", "orders_28d"),
                *("product_views_28d", "reviews_28d", "review_score_sum_28d", "days_of_inventory"),
                *("costed_revenue", *EFFECTS, "margin_now", "margin_change"),
            ),
            is_analysis=True,
            largest=Largest("revenue_28d"),
        ),
    ),
    dimensions=(
        Dimension("category", "Category", is_filter=True),
        Dimension("device", "Device"),
        Dimension("span", "Span"),
        Dimension("which", "Which"),
        Dimension("last_day", "Last day"),
        Dimension("compared", "Days"),
        Dimension("cover", "Stock lasts", values=COVERS),
        Dimension("product_id", "Product id", is_identifier=True),
        Dimension("product_name", "Product", is_identifier=True),
    ),
    measures=(
        Measure(
            "revenue",
            "Revenue",
            _sum("revenue"),
            Format.MONEY,
            "Prices of the units of orders that count as revenue, without freight, on the day of the order.",
            good="up",
        ),
        Measure("units", "Units", _sum("units"), Format.COUNT, "Units of orders that count as revenue.", good="up"),
        Measure(
            "revenue_orders",
            "Orders",
            Sum(_CUSTOMERS, "revenue_orders"),
            Format.COUNT,
            "Orders that count as revenue: approved, invoiced, processing, shipped or delivered.",
            good="up",
        ),
        Measure(
            "orders_placed",
            "Orders placed",
            Sum(_CUSTOMERS, "orders"),
            Format.COUNT,
            "All orders: those that count as revenue, those that wait to be approved, and those that were cancelled.",
        ),
        Measure(
            "order_value",
            "Value of an order",
            Ratio(Sum(_CUSTOMERS, "order_value"), Sum(_CUSTOMERS, "revenue_orders")),
            Format.MONEY,
            "Mean value of an order that counts as revenue, with freight.",
            good="up",
        ),
        Measure(
            "margin",
            "Margin",
            _sum("margin"),
            Format.MONEY,
            "Revenue less cost, of the units whose cost is known on the day of their order.",
            good="up",
        ),
        Measure(
            "margin_rate",
            "Margin rate",
            Ratio(_sum("margin"), _sum("costed_revenue")),
            Format.SHARE,
            "Margin as a share of the revenue that it is of.",
            good="up",
        ),
        Measure(
            "costed_share",
            "Revenue of known cost",
            Ratio(_sum("costed_revenue"), _sum("revenue")),
            Format.SHARE,
            "Share of the revenue that the margin speaks for.",
            good="up",
        ),
        Measure(
            "cancelled_units",
            "Units cancelled",
            _sum("cancelled_units"),
            Format.COUNT,
            "Units of cancelled and unavailable orders; they are in no other figure.",
            good="down",
        ),
        Measure(
            "cancelled_revenue",
            "Revenue cancelled",
            _sum("cancelled_revenue"),
            Format.MONEY,
            "Prices of the units that were cancelled or unavailable.",
            good="down",
        ),
        Measure(
            "product_views", "Product views", _sum("product_views"), Format.COUNT, "How often products were viewed."
        ),
        Measure(
            "cart_adds", "Put into carts", _sum("cart_adds"), Format.COUNT, "How often products were put into carts."
        ),
        Measure(
            "reviews",
            "Reviews",
            _sum("reviews"),
            Format.COUNT,
            "Reviews, on their own day; one of an order of two products counts once for each.",
        ),
        Measure(
            "review_score",
            "Review score",
            Ratio(_sum("review_score_sum"), _sum("reviews")),
            Format.MEAN,
            "Mean score of the reviews, from 1 to 5: the sum of all scores by their number.",
            good="up",
        ),
        Measure(
            "week_growth",
            "Week over week",
            _growth("week", which=("newest",)),
            Format.SHARE,
            "Revenue of the newest 7 days less that of the 7 before, as a share of that; none without all of them.",
            good="up",
        ),
        Measure(
            "weekly_growth",
            "Growth of a week",
            _growth("week"),
            Format.SHARE,
            "Revenue of 7 days less that of the 7 before, as a share of that; none without all of those days.",
        ),
        Measure(
            "month_growth",
            "Month over month",
            _growth("28 days", which=("newest",)),
            Format.SHARE,
            "Revenue of the newest 28 days less that of the 28 before, as a share of that; none without all of them.",
            good="up",
        ),
        Measure("growth_revenue", "Revenue of the span", Sum(_GROWTH, "revenue"), Format.MONEY, "Revenue of a span."),
        Measure(
            "growth_before",
            "Revenue before",
            Sum(_GROWTH, "revenue_before"),
            Format.MONEY,
            "Revenue of the span before.",
        ),
        Measure(
            "growth",
            "Growth of revenue",
            Ratio(Sum(_GROWTH, "revenue_change"), Sum(_GROWTH, "revenue_before")),
            Format.SHARE,
            "Revenue of a span less that of the span before, as a share of that.",
        ),
        Measure("growth_units", "Units of the span", Sum(_GROWTH, "units"), Format.COUNT, "Units of a span."),
        Measure(
            "unit_growth",
            "Growth of units",
            Ratio(Sum(_GROWTH, "units_change"), Sum(_GROWTH, "units_before")),
            Format.SHARE,
            "Units of a span less those of the span before, as a share of those.",
        ),
        Measure(
            "margin_before",
            "Margin before",
            Sum(_CHANGES, "margin_before"),
            Format.MONEY,
            "Margin of the 28 days before the newest 28; of fewer days if the data do not reach back that far.",
        ),
        *(
            Measure(name, title, Sum(_CHANGES, name), Format.MONEY, f"{note}: a part of the change in margin.")
            for name, (title, note) in _EFFECT_NOTES.items()
        ),
        Measure(
            "margin_now",
            "Margin now",
            Sum(_CHANGES, "margin_now"),
            Format.MONEY,
            "Margin of the newest span that is compared.",
        ),
        Measure(
            "margin_change",
            "Change in margin",
            Sum(_CHANGES, "margin_change"),
            Format.MONEY,
            "Margin now less margin before: the sum of the four effects.",
            good="up",
        ),
        Measure(
            "cover_products", "Products", Sum(_COVER, "products"), Format.COUNT, "Products, by how long stock lasts."
        ),
        Measure("cover_units", "Units in stock", Sum(_COVER, "stock_level"), Format.COUNT, "Units in stock."),
        Measure(
            "units_short",
            "Units to order",
            Sum(_REORDER, "units_short"),
            Format.COUNT,
            f"Units that are missing until the stock lasts for {REORDER_BELOW_DAYS} days.",
        ),
        Measure(
            "days_of_inventory",
            "Days of inventory",
            Sum(_REORDER, "days_of_inventory"),
            Format.MEAN,
            "For how many days the stock lasts: stock / units a day.",
        ),
        Measure(
            "units_a_day",
            "Units a day",
            Sum(_REORDER, "units_a_day"),
            Format.PLAIN,
            "Mean units sold on those of the last 28 days that had stock; of 56 days if none had.",
        ),
        Measure(
            "stock_level", "Stock", Sum(_REORDER, "stock_level"), Format.COUNT, "Units in stock, when last counted."
        ),
        Measure(
            "stock_age_days",
            "Counted, days ago",
            Sum(_REORDER, "stock_age_days"),
            Format.COUNT,
            "Days since the stock was counted; after seven it is not known any more.",
        ),
        Measure("sessions", "Sessions", Sum(_SESSIONS, "sessions"), Format.COUNT, "Sessions on the site.", good="up"),
        Measure(
            "funnel_views",
            "With a product view",
            Sum(_SESSIONS, "funnel_views"),
            Format.COUNT,
            "Sessions in which a product was viewed.",
        ),
        Measure(
            "funnel_carts",
            "With one in the cart",
            Sum(_SESSIONS, "funnel_carts"),
            Format.COUNT,
            "Those of them in which a product was put into the cart.",
        ),
        Measure(
            "funnel_purchases",
            "With a purchase",
            Sum(_SESSIONS, "funnel_purchases"),
            Format.COUNT,
            "Those of these with a purchase.",
        ),
        Measure(
            "view_to_cart",
            "View to cart",
            Ratio(Sum(_SESSIONS, "funnel_carts"), Sum(_SESSIONS, "funnel_views")),
            Format.SHARE,
            "Sessions with a product in the cart, as a share of those with a product view.",
            good="up",
        ),
        Measure(
            "session_conversion",
            "Session conversion",
            Ratio(Sum(_SESSIONS, "funnel_purchases"), Sum(_SESSIONS, "funnel_views")),
            Format.SHARE,
            "Sessions with a view, a product in the cart and a purchase, as a share of those with a product view.",
            good="up",
        ),
        Measure(
            "cart_to_purchase",
            "Cart to purchase",
            Ratio(Sum(_SESSIONS, "funnel_purchases"), Sum(_SESSIONS, "funnel_carts")),
            Format.SHARE,
            "Sessions with a purchase, as a share of those with a product in the cart.",
            good="up",
        ),
        *(Measure(f"product_{name}", title, value, form, note) for name, title, value, form, note in _OF_A_PRODUCT),
    ),
    key_figures=(
        "revenue",
        "units",
        "revenue_orders",
        "order_value",
        "margin",
        "margin_rate",
        "costed_share",
        "cancelled_revenue",
        "week_growth",
        "month_growth",
        "session_conversion",
        "review_score",
    ),
    charts=(
        Chart("Revenue over time", "revenue", note=f"{_CURRENCY}, without freight."),
        Chart(
            "Why the margin changed",
            "margin_before",
            steps=EFFECTS,
            against="margin_now",
            shape=Shape.WATERFALL,
            note="The newest 28 days against the 28 before, or fewer while there are fewer: the table says how many. "
            "The selection of days does not change it.",
        ),
        Chart("Margin rate over time", "margin_rate", note="Share of the revenue whose cost is known."),
        Chart(
            "From view to purchase",
            "sessions",
            steps=("funnel_views", "funnel_carts", "funnel_purchases"),
            shape=Shape.FUNNEL,
            note="Sessions; each step is a part of the one before.",
        ),
        Chart("Revenue by category", "revenue", by="category", note=f"{_CURRENCY}; the categories with the most."),
        Chart(
            "Margin rate by category", "margin_rate", by="category", note="Share of the revenue whose cost is known."
        ),
        Chart(
            "Week over week",
            "weekly_growth",
            by="last_day",
            in_order=True,
            top=16,
            note="Growth of revenue over the 7 days before, by the last day of the 7.",
        ),
        Chart(
            "How long stock lasts",
            "cover_products",
            by="cover",
            in_order=True,
            note="Products, as of the newest day: stock / units a day on the days with stock.",
        ),
        Chart("Orders over time", "revenue_orders", note="Orders that count as revenue."),
        Chart("Revenue cancelled over time", "cancelled_revenue", note="Cancelled and unavailable orders."),
        Chart("Review score over time", "review_score", note="Mean of all scores of the time, from 1 to 5."),
        Chart("Review score by category", "review_score", by="category", note="Mean of all scores, from 1 to 5."),
    ),
    tables=(
        Table(
            "reorder",
            "What to order again",
            ("product_id",),
            ("units_short", "days_of_inventory", "units_a_day", "stock_level", "stock_age_days"),
            details=("product_name", "category", "cover"),
        ),
        Table(
            "products",
            "Top products",
            ("product_id",),
            tuple(
                f"product_{name}"
                for name in ("revenue", "growth", "units", "margin_rate", "conversion", "score", "days")
            ),
            details=("product_name", "category"),
        ),
        Table("categories", "Categories", ("category",), _OF_A_GROUP, shares=True),
        Table("days", "Days", ("day",), _OF_A_GROUP),
        Table("orders", "Orders", ("day",), ("revenue_orders", "orders_placed", "order_value")),
        Table(
            "growth",
            "Growth",
            ("span", "last_day"),
            ("growth_revenue", "growth_before", "growth", "growth_units", "unit_growth"),
            in_order=True,
        ),
        Table(
            "bridge",
            "Why the margin changed",
            ("category", "compared"),
            ("margin_change", "margin_before", *EFFECTS, "margin_now"),
        ),
        Table(
            "product_changes",
            "Changes by product",
            ("product_id",),
            ("product_change", *(f"product_{name}" for name in EFFECTS)),
            details=("product_name", "category"),
        ),
        Table("cover", "How long stock lasts", ("cover",), ("cover_products", "cover_units"), in_order=True),
        Table(
            "funnel",
            "From view to purchase",
            ("device",),
            ("sessions", "funnel_views", "funnel_carts", "funnel_purchases", "view_to_cart", "cart_to_purchase"),
        ),
    ),
    notes=(
        f"Amounts are in {_CURRENCY}, as in the files. Revenue is without freight; the value of an order has it.",
        "Orders that count as revenue are approved, invoiced, processing, shipped or delivered. Cancelled and "
        "unavailable ones are told apart; all others wait, and are in no figure but the orders placed.",
        "The cost of a unit is that of the day of its order: a cost of today does not change the margin of last year. "
        "Units without a known cost are in no margin; the share of revenue whose cost is known stands beside it.",
        "Price, volume, mix and cost add up to the change in margin exactly. Volume is what would have changed had "
        "all products sold more or less alike; mix is the rest.",
        f"To be ordered again is what lasts for fewer than {REORDER_BELOW_DAYS} days at the rate of the last 28, "
        "those without stock left out. Stock is as last counted, for seven days at most.",
        "Sessions are those of the site, by docs/sessions.md. Their purchases are those that the site saw, not orders.",
        "Ratios are ratios of sums over what is selected, never averages of ratios.",
    ),
)
