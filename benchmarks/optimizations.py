"""What is made one way, and could be made another way: both measured in one run, on the same rows, with equal results.

`docs/project_optimization.md` says what was chosen and why; its figures are those that this prints.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import polars as pl

from analytics_assets.build import open_project
from analytics_assets.dbt.dry_run import compiled
from analytics_assets.dbt.runner import run_dbt
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
from analytics_assets.ingest.landing import Landing
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.project import Project
from analytics_assets.settings import Settings
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import Kind, raw_asset
from analytics_assets_tests.support.project import Project as WholeProject
from benchmarks.sessions import seconds_of_sql

DAYS, FIRST = 90, date(2025, 9, 1)
NEWEST = FIRST + (DAYS - 1) * ONE_DAY
ALL_DAYS = Window.of_days(FIRST, NEWEST)
NEW_DAY = Window.of_days(NEWEST, NEWEST)
PRODUCTS_AT_ALL, EVENTS_AN_ORDER, SELLERS_AT_ALL = 2_000, 20, 3_000

_ENDS = ("int_customer_behavior", "int_customer_behavior_optimized", "mart_product_trends", "stg_clickstream")
"""The models that are read; what they are made from is made, too."""

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


class Shop:
    """A shop of 90 days in a folder; all days of its models are made, the newest by itself."""

    def __init__(self, folder: Path, orders: int) -> None:
        """Args: orders: on each day."""
        self.settings = Settings(_env_file=None, data_dir=folder, start_date=FIRST, end_date=NEWEST)
        domains = [
            replace(one, reports=(), analyses=()) for one in find_domains() if one.name in ("commerce", "sessions")
        ]
        self.project: Project = open_project(self.settings, domains)
        write_raw_days(self.settings.raw_dir, orders)
        self.make(Window(FIRST, NEWEST))
        self.make(NEW_DAY)

    def make(self, window: Window, *models: str) -> float:
        """Makes days of some models, or of all that is needed; returns the seconds of their SQL."""
        chosen = models or [f"+{name}" for name in _ENDS]
        run = run_dbt(["run", "--select", *chosen], self.settings, self.project.sources, window)
        if run.failures:
            sys.exit(str(run.failures))
        return seconds_of_sql(run)

    def read(self, query: str) -> tuple[float, object]:
        """Reads a query in whole; returns the seconds, and a value that differs where its rows differ."""
        config: dict[str, Any] = {
            "memory_limit": self.settings.duckdb_memory_limit,
            "file_search_path": str(self.settings.raw_dir),
        }
        with closing(duckdb.connect(str(self.settings.warehouse_file), read_only=True, config=config)) as connection:
            started = time.perf_counter()
            rows = connection.execute(f"select count(*), sum(hash(t)::hugeint) from ({query}) as t").fetchone()
            return time.perf_counter() - started, rows

    def sql_of(self, model: str, window: Window) -> str:
        """The query of a model for some days, as it would be without its table."""
        node = self.project.manifest.made[model].unique_id
        return next(one.sql or "" for one in compiled([model], window, self.project).results if one.unique_id == node)


def write_raw_days(raw_dir: Path, orders: int) -> None:
    """Writes raw days of all sources as landing does, but with DuckDB."""
    raw_dir.mkdir(parents=True)
    scale = {"orders": orders * DAYS, "first": FIRST, "days": DAYS, "products": PRODUCTS_AT_ALL}
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '3GB'; set preserve_insertion_order = false")
        for name, rows in _ROWS.items():
            folder = raw_dir / raw_asset(name)
            query = rows.format(**scale, sellers=SELLERS_AT_ALL, events=EVENTS_AN_ORDER)
            connection.execute(f"""
                copy (
                    select * exclude (moment), null::varchar as _extra, 'all.parquet' as _source_file,
                        row_number() over () as _source_row, moment::date + interval 26 hour as _landed_at,
                        moment::date as _day
                    from ({query}) where moment < timestamp '{NEWEST + ONE_DAY}'
                ) to '{folder}' (format parquet, partition_by (_day))""")
            for file in folder.glob("*/*.parquet"):
                file.rename(file.with_name("data.parquet"))


def persons_after_a_new_day(shop: Shop) -> tuple[float, float]:
    """All persons after a new day: from all of staging, and from the daily rows, of which a day is made first."""
    upkeep = shop.make(NEW_DAY, "int_customer_daily")  # the others are made for the marts, too
    before, rows = shop.read("select * from intermediate.int_customer_behavior")
    after, same = shop.read("select * from intermediate.int_customer_behavior_optimized")
    _must_be_equal(rows, same)
    return upkeep + after, before


def trends_of_a_day(shop: Shop) -> tuple[float, float]:
    """The trends of the newest day: by a view over the daily rows, and from a table, of which the day is made first."""
    upkeep = shop.make(NEW_DAY, "mart_product_trends")
    sql = shop.sql_of("mart_product_trends", ALL_DAYS)
    before, rows = shop.read(f"select * from ({sql}) where activity_date = date '{NEWEST}'")
    after, same = shop.read(f"select * from marts.mart_product_trends where activity_date = date '{NEWEST}'")
    _must_be_equal(rows, same)
    return upkeep + after, before


def a_week_of_events(shop: Shop) -> tuple[float, float]:
    """A week of staged events: by the view that removes duplicates at each read, and from the table that keeps them."""
    week = f"select * from staging.{{}} where event_date > date '{NEWEST - 7 * ONE_DAY}'"
    before, rows = shop.read(week.format("stg_clickstream"))
    after, same = shop.read(week.format("stg_clickstream_incremental"))
    _must_be_equal(rows, same)
    return after, before


OF_A_SHOP: Mapping[str, Callable[[Shop], tuple[float, float]]] = {
    "persons after a new day, from daily rows / from all of staging": persons_after_a_new_day,
    "trends of a day, made and read / by a view": trends_of_a_day,
    "a week of staged events, from the table / by the view": a_week_of_events,
}


def measured(runs: int, orders: int) -> dict[str, tuple[float, float]]:
    """Median seconds after and before, by what was changed."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder) / "data", orders)
        found = {what: [measure(shop) for _ in range(runs)] for what, measure in OF_A_SHOP.items()}
    return {what: (median(one[0] for one in pairs), median(one[1] for one in pairs)) for what, pairs in found.items()}


def sellers_as(kind: Kind, days: int = DAYS) -> tuple[float, float]:
    """Seconds and megabytes of the raw days of 3,000 sellers that came in one file, as deliveries or as snapshots."""
    last = datetime.now(UTC).date() - ONE_DAY
    domain = Domain(name="sellers", owner="team:analytics", sources=(replace(SELLERS, kind=kind),))
    with tempfile.TemporaryDirectory() as folder:
        changes: dict[str, object] = {"start_date": last - (days - 1) * ONE_DAY, "end_date": last}
        project = WholeProject(Path(folder) / "data", (domain,), changes)
        file = project.settings.inbox_dir / SELLERS.name / "sellers.parquet"
        file.parent.mkdir(parents=True)
        numbers = range(SELLERS_AT_ALL)
        columns = {name: [f"{name}-{number}" for number in numbers] for name in SELLERS.columns}
        pl.DataFrame(columns).write_parquet(file)
        started = time.perf_counter()
        Landing(project.settings, domain.sources[0]).run()
        project.settle()
        seconds = time.perf_counter() - started
        size = sum(one.stat().st_size for one in project.settings.raw_dir.rglob("*.parquet"))
        return seconds, size / 1e6


def _must_be_equal(rows: object, same: object) -> None:
    if rows != same:
        sys.exit(f"the rows are not the same, so their times say nothing: {rows}, {same}")
