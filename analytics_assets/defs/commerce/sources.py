"""The files of a shop: who ordered what, what it cost, what came of it; and what customers did beside.

Names are those of the published files, spelling included. Order lines, payments, customers, sellers and translations of
categories have no time of their own, so they are deliveries. Sellers and translations are no seeds, since they change
without a release, and no snapshots, which would copy thousands of sellers onto each day.
"""

import polars as pl

from analytics_assets.spec.source import Kind, Source, any_format, at_most

_AMOUNT = pl.Decimal(38, 9)  # amounts with more digits are rounded to these
_MOST = 10**12
_TIME = pl.Datetime("us")
_ORDER_TIMES = (
    "order_purchase_timestamp",
    "order_approved_at",
    "order_delivered_carrier_date",
    "order_delivered_customer_date",
    "order_estimated_delivery_date",
)
ORDER_STATUSES = (
    "created",
    "approved",
    "invoiced",
    "processing",
    "shipped",
    "delivered",
    "unavailable",
    "canceled",
)
"""The statuses of an order, in the order in which it has them; any other is before all of them."""

_SIZES = (
    "product_name_lenght",
    "product_description_lenght",
    "product_photos_qty",
    "product_weight_g",
    "product_length_cm",
    "product_height_cm",
    "product_width_cm",
)


def _not_negative(column: str) -> dict[str, pl.Expr]:
    """A number is neither below zero nor impossible; whether it may be missing, the rules do not say."""
    return {f"{column} is negative": (pl.col(column) >= 0).fill_null(True), **at_most(column, _MOST)}


def _amount(column: str) -> dict[str, pl.Expr]:
    """An amount is neither missing nor below zero."""
    return {f"{column} must not be empty": pl.col(column).is_not_null(), **_not_negative(column)}


def _number(column: str, first: int = 1) -> dict[str, pl.Expr]:
    return {f"{column} must be at least {first}": (pl.col(column) >= first).fill_null(True), **at_most(column, _MOST)}


def _not_blank(column: str) -> dict[str, pl.Expr]:
    return {f"{column} must not be blank": (pl.col(column).str.strip_chars() != "").fill_null(False)}


CUSTOMERS = Source(
    name="customers",
    description="Who placed each order: customer_id is one order's, customer_unique_id the person.",
    patterns=any_format("customers", "olist_customers_dataset"),
    columns={
        "customer_id": pl.String,
        "customer_unique_id": pl.String,
        "customer_zip_code_prefix": pl.String,  # 01310 is not 1310
        "customer_city": pl.String,
        "customer_state": pl.String,
    },
    kind=Kind.DELIVERY,
    primary_key=("customer_id",),
    rules=_not_blank("customer_unique_id"),
)

ORDERS = Source(
    name="orders",
    description="Orders, in each state in which a file tells of them.",
    patterns=any_format("orders", "olist_orders_dataset"),
    columns={
        "order_id": pl.String,
        "customer_id": pl.String,
        "order_status": pl.String,
        **dict.fromkeys(_ORDER_TIMES, _TIME),
    },
    time="order_purchase_timestamp",
    timezone="UTC",
    primary_key=("order_id",),
    # The files have no time of update: of two states, the one with the later time holds. The estimate is mostly the
    # latest of them and the same in both; then the status decides.
    derived={
        "last_event_at": pl.max_horizontal(_ORDER_TIMES),
        "status_rank": pl.col("order_status")
        .str.strip_chars()
        .str.to_lowercase()
        .replace_strict({name: rank for rank, name in enumerate(ORDER_STATUSES, 1)}, default=0, return_dtype=pl.Int64),
    },
    dedup_order=("last_event_at desc", "status_rank desc"),
    rules=_not_blank("customer_id"),
)

ORDER_ITEMS = Source(
    name="order_items",
    description="The lines of orders: a product of a seller, each piece a line.",
    patterns=any_format("order_items", "olist_order_items_dataset"),
    columns={
        "order_id": pl.String,
        "order_item_id": pl.Int64,
        "product_id": pl.String,
        "seller_id": pl.String,
        "shipping_limit_date": _TIME,
        "price": _AMOUNT,
        "freight_value": _AMOUNT,
    },
    kind=Kind.DELIVERY,
    timezone="UTC",
    primary_key=("order_id", "order_item_id"),
    rules={**_not_blank("product_id"), **_number("order_item_id"), **_amount("price"), **_amount("freight_value")},
)

ORDER_PAYMENTS = Source(
    name="order_payments",
    description="How orders were paid: a row for each means of payment of an order.",
    patterns=any_format("order_payments", "olist_order_payments_dataset"),
    columns={
        "order_id": pl.String,
        "payment_sequential": pl.Int64,
        "payment_type": pl.String,
        "payment_installments": pl.Int64,
        "payment_value": _AMOUNT,
    },
    kind=Kind.DELIVERY,
    primary_key=("order_id", "payment_sequential"),
    rules={
        **_number("payment_sequential"),
        **_not_negative("payment_installments"),  # 0 in some of the published files
        **_amount("payment_value"),
    },
)

ORDER_REVIEWS = Source(
    name="order_reviews",
    description="What customers said of their orders; one review may be of several orders.",
    patterns=any_format("order_reviews", "olist_order_reviews_dataset"),
    columns={
        "review_id": pl.String,
        "order_id": pl.String,
        "review_score": pl.Int64,
        "review_comment_title": pl.String,
        "review_comment_message": pl.String,
        "review_creation_date": _TIME,
        "review_answer_timestamp": _TIME,
    },
    optional=frozenset({"review_comment_title", "review_comment_message"}),
    time="review_creation_date",
    timezone="UTC",
    primary_key=("review_id", "order_id"),
    dedup_order=("review_answer_timestamp desc",),
    rules={"review_score must be from 1 to 5": pl.col("review_score").is_between(1, 5).fill_null(False)},
)

PRODUCTS = Source(
    name="products",
    description="The shop's products, and what one piece of each costs the shop.",
    patterns=any_format("products", "olist_products_dataset"),
    columns={
        "product_id": pl.String,
        "product_name": pl.String,
        "product_category_name": pl.String,
        "unit_cost": _AMOUNT,
        **dict.fromkeys(_SIZES, pl.Int64),
    },
    optional=frozenset({"product_name", "unit_cost", *_SIZES}),
    kind=Kind.SNAPSHOT,
    primary_key=("product_id",),
    rules={rule: holds for column in ("unit_cost", *_SIZES) for rule, holds in _not_negative(column).items()},
)

SELLERS = Source(
    name="sellers",
    description="Who sells in the shop.",
    patterns=any_format("sellers", "olist_sellers_dataset"),
    columns={
        "seller_id": pl.String,
        "seller_zip_code_prefix": pl.String,
        "seller_city": pl.String,
        "seller_state": pl.String,
    },
    kind=Kind.DELIVERY,
    primary_key=("seller_id",),
)

PRODUCT_CATEGORY_NAME_TRANSLATION = Source(
    name="product_category_name_translation",
    description="The English names of product categories.",
    patterns=any_format("product_category_name_translation"),
    columns={"product_category_name": pl.String, "product_category_name_english": pl.String},
    kind=Kind.DELIVERY,
    primary_key=("product_category_name",),
)

INVENTORY = Source(
    name="inventory",
    description="How many pieces of a product a warehouse counted.",
    patterns=any_format("inventory"),
    columns={"product_id": pl.String, "warehouse": pl.String, "counted_at": _TIME, "stock_level": pl.Int64},
    time="counted_at",
    timezone="UTC",
    primary_key=("product_id", "warehouse"),
    dedup_order=("counted_at desc",),  # the day's last count holds
    rules={"stock_level must not be empty": pl.col("stock_level").is_not_null(), **_not_negative("stock_level")},
)

APP_USAGE = Source(
    name="app_usage",
    description="What customers used of the shop's app, and how long.",
    patterns=any_format("app_usage"),
    columns={
        "usage_id": pl.String,
        "customer_unique_id": pl.String,
        "started_at": _TIME,
        "ended_at": _TIME,
        "feature": pl.String,
    },
    optional=frozenset({"feature"}),
    time="started_at",
    timezone="UTC",
    primary_key=("usage_id",),
    dedup_order=("ended_at desc",),  # a use may be told before it has ended
    rules={"ended_at is before started_at": (pl.col("ended_at") >= pl.col("started_at")).fill_null(True)},
)

SUPPORT_TICKETS = Source(
    name="support_tickets",
    description="What customers asked the shop's support, in each state in which a file tells of it.",
    patterns=any_format("support_tickets"),
    columns={
        "ticket_id": pl.String,
        "customer_unique_id": pl.String,
        "order_id": pl.String,
        "category": pl.String,
        "priority": pl.String,
        "status": pl.String,
        "created_at": _TIME,
        "updated_at": _TIME,
        "resolved_at": _TIME,
    },
    optional=frozenset({"order_id", "priority", "resolved_at"}),
    time="created_at",
    timezone="UTC",
    primary_key=("ticket_id",),
    dedup_order=("updated_at desc",),
)
