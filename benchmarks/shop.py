"""A shop of any size: its rows, as DuckDB makes them in seconds, and its raw days."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb

from analytics_assets.defs import find_domains
from analytics_assets.defs.commerce.sources import (
    APP_USAGE,
    CUSTOMERS,
    INVENTORY,
    ORDER_ITEMS,
    ORDER_PAYMENTS,
    ORDER_REVIEWS,
    ORDERS,
    PRODUCT_CATEGORY_NAME_TRANSLATION,
    PRODUCTS,
    SELLERS,
    SUPPORT_TICKETS,
)
from analytics_assets.defs.sessions.sources import CLICKSTREAM
from analytics_assets.partitions import ONE_DAY
from analytics_assets.settings import Settings
from analytics_assets.spec.source import raw_asset

PRODUCTS_AT_ALL, SELLERS_AT_ALL = 2_000, 3_000

DOMAINS = tuple(replace(one, reports=(), analyses=()) for one in find_domains() if one.name in ("commerce", "sessions"))
"""The domains of a shop, without what is shown of them."""

SOURCES = tuple(source for domain in DOMAINS if domain.name == "commerce" for source in domain.sources)

_AT = "timestamp '{first}' + to_seconds((hash(i, 1) % ({days} * 86400))::bigint)"

# An order in twenty has a second line; one in two is reviewed three days later, if the history goes on so long. A
# person places three orders, on average, each after a session of twenty events.
_ROWS: Mapping[str, str] = {
    CUSTOMERS.name: f"""
        select 'customer-' || i as customer_id, 'person-' || hash(i, 2) % ({{orders}} // 3) as customer_unique_id,
            '01310' as customer_zip_code_prefix, 'sao paulo' as customer_city, 'SP' as customer_state, {_AT} as moment
        from range({{orders}}) as t (i)""",
    ORDERS.name: f"""
        select 'order-' || i as order_id, 'customer-' || i as customer_id,
            case when i % 50 = 0 then 'canceled' else 'delivered' end as order_status,
            moment as order_purchase_timestamp, moment + interval 1 hour as order_approved_at,
            moment + interval 1 day as order_delivered_carrier_date,
            moment + interval 5 day as order_delivered_customer_date,
            moment + interval 9 day as order_estimated_delivery_date, moment + interval 9 day as last_event_at,
            6::bigint as status_rank, moment
        from (select i, {_AT} as moment from range({{orders}}) as t (i))""",
    ORDER_ITEMS.name: f"""
        select 'order-' || i as order_id, line + 1 as order_item_id,
            'product-' || hash(i, line, 3) % {{products}} as product_id, 'seller-' || i % {{sellers}} as seller_id,
            moment + interval 3 day as shipping_limit_date, (10 + hash(i, line, 4) % 90)::decimal(38, 9) as price,
            5::decimal(38, 9) as freight_value, moment
        from (
            select i, {_AT} as moment, unnest(range(case when i % 20 = 0 then 2 else 1 end)) as line
            from range({{orders}}) as t (i)
        )""",
    ORDER_PAYMENTS.name: f"""
        select 'order-' || i as order_id, 1::bigint as payment_sequential, 'boleto' as payment_type,
            1::bigint as payment_installments, 50::decimal(38, 9) as payment_value, {_AT} as moment
        from range({{orders}}) as t (i)""",
    ORDER_REVIEWS.name: f"""
        select 'review-' || i as review_id, 'order-' || i as order_id, (1 + hash(i, 5) % 5)::bigint as review_score,
            null::varchar as review_comment_title, null::varchar as review_comment_message,
            moment as review_creation_date, moment + interval 1 hour as review_answer_timestamp, moment
        from (select i, {_AT} + interval 3 day as moment from range(0, {{orders}}, 2) as t (i))""",
    PRODUCTS.name: """
        select 'product-' || i as product_id, 'Product ' || i as product_name,
            'kind-' || i % 20 as product_category_name,
            (5 + i % 50)::decimal(38, 9) as unit_cost, null::bigint as product_name_lenght,
            null::bigint as product_description_lenght, null::bigint as product_photos_qty,
            null::bigint as product_weight_g, null::bigint as product_length_cm, null::bigint as product_height_cm,
            null::bigint as product_width_cm, timestamp '{first}' + to_days(n::integer) as moment
        from range({products}) as t (i), range({days}) as d (n)""",
    SELLERS.name: """
        select 'seller-' || i as seller_id, '01310' as seller_zip_code_prefix, 'recife' as seller_city,
            'PE' as seller_state, timestamp '{first}' as moment
        from range({sellers}) as t (i)""",
    PRODUCT_CATEGORY_NAME_TRANSLATION.name: """
        select 'kind-' || i as product_category_name, 'Kind ' || i as product_category_name_english,
            timestamp '{first}' as moment
        from range(20) as t (i)""",
    INVENTORY.name: """
        select 'product-' || i as product_id, 'north' as warehouse,
            timestamp '{first}' + to_days(n::integer) + interval 20 hour as counted_at,
            (hash(i, n, 6) % 200)::bigint as stock_level, timestamp '{first}' + to_days(n::integer) as moment
        from range({products}) as t (i), range({days}) as d (n)""",
    APP_USAGE.name: f"""
        select 'use-' || i as usage_id, 'person-' || hash(i, 7) % ({{orders}} // 3) as customer_unique_id,
            moment as started_at, moment + interval 5 minute as ended_at, 'search' as feature, moment
        from (select i, {_AT} as moment from range({{orders}}) as t (i))""",
    SUPPORT_TICKETS.name: f"""
        select 'ticket-' || i as ticket_id, 'person-' || hash(i, 8) % ({{orders}} // 3) as customer_unique_id,
            null::varchar as order_id, 'delivery' as category, null::varchar as priority, 'open' as status,
            moment as created_at, moment as updated_at, null::timestamp as resolved_at, moment
        from (select i, {_AT} as moment from range({{orders}} // 20) as t (i))""",
    CLICKSTREAM.name: f"""
        select 'event-' || i || '-' || n as event_id, 'person-' || hash(i, 2) % ({{orders}} // 3) as customer_id,
            moment as event_timestamp,
            ['page_view', 'product_view', 'product_view', 'search', 'add_to_cart'][1 + (hash(i, n, 10) % 5)::bigint]
                as event_type,
            'product' as page_type, 'mobile' as device, 'Chrome' as browser, 'Android' as operating_system,
            null::varchar as app_version, null::varchar as session_id,
            '{{{{"product_id": "product-' || hash(i, n, 11) % {{products}} || '"}}}}' as event_details, moment
        from (
            select i, n, {_AT} + to_seconds(n * 30) as moment
            from range({{orders}}) as t (i), range({{events}}) as e (n)
        )""",
}  # fmt: skip
"""By source: its rows, with the time that puts each on its raw day as `moment`."""


def rows_of(source: str, first: date, days: int, orders: int, events: int) -> str:
    """The query of a source's rows, with the time that puts each on its day as `moment`.

    Args:
        orders: on each day.
        events: of the session before an order.
    """
    query = _ROWS[source].format(
        orders=orders * days, first=first, days=days, products=PRODUCTS_AT_ALL, sellers=SELLERS_AT_ALL, events=events
    )
    return f"select * from ({query}) where moment < timestamp '{first + days * ONE_DAY}'"


def write_raw_days(raw_dir: Path, first: date, days: int, orders: int, events: int) -> None:
    """Writes raw days of all sources as landing does, but with DuckDB; arguments as for `rows_of`."""
    raw_dir.mkdir(parents=True)
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '3GB'; set preserve_insertion_order = false")
        for name in _ROWS:
            folder = raw_dir / raw_asset(name)
            connection.execute(f"""
                copy (
                    select * exclude (moment), null::varchar as _extra, 'all.parquet' as _source_file,
                        row_number() over () as _source_row, moment::date + interval 26 hour as _landed_at,
                        moment::date as _day
                    from ({rows_of(name, first, days, orders, events)})
                ) to '{folder}' (format parquet, partition_by (_day))""")
            for file in folder.glob("*/*.parquet"):
                file.rename(file.with_name("data.parquet"))


def settings_of(folder: Path, first: date, days: int) -> Settings:
    """The settings of a project in a folder, with these days."""
    return Settings(_env_file=None, data_dir=folder, start_date=first, end_date=first + (days - 1) * ONE_DAY)
