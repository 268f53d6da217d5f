"""The real files of a shop, eight tables as they were published. Skipped where they are not at hand."""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import duckdb
import polars as pl
import pytest

from analytics_assets.defs.commerce import DOMAIN as COMMERCE
from analytics_assets.defs.sessions import DOMAIN as SESSIONS
from analytics_assets.ingest.raw_days import rows_of_pieces
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.partitions import Window
from analytics_assets.spec.source import Kind, Source
from analytics_assets_tests.support.project import IN_FULL, REAL_DATA, Project

FILES = REAL_DATA / "commerce"

pytestmark = [
    pytest.mark.skipif(not FILES.exists(), reason="the real files are not at hand"),
    pytest.mark.models_alone,
]
ALL_DAYS = Window.of_days(date(2016, 10, 4), date(2018, 9, 3))
DAYS = ALL_DAYS if IN_FULL else Window.of_days(date(2018, 4, 1), date(2018, 5, 31))
DELIVERED_ON = min(DAYS.days())
PUBLISHED = {
    "customers": ("olist_customers_dataset", 3_000),
    "orders": ("olist_orders_dataset", 3_000),
    "order_items": ("olist_order_items_dataset", 3_397),
    "order_payments": ("olist_order_payments_dataset", 3_170),
    "order_reviews": ("olist_order_reviews_dataset", 2_993),
    "products": ("olist_products_dataset", 2_452),
    "sellers": ("olist_sellers_dataset", 938),
    "product_category_name_translation": ("product_category_name_translation", 71),
}
SOURCES = {source.name: source for source in COMMERCE.sources}


def file_of(source: str) -> pl.DataFrame:
    """A real file as text."""
    return pl.read_csv(FILES / f"{PUBLISHED[source][0]}.csv", infer_schema=False)


def typed(source: Source) -> pl.DataFrame:
    """A real file with the types of its spec, read by other means."""
    text = file_of(source.name)
    assert set(source.columns) - set(text.columns) <= source.optional
    return text.select(
        pl.lit(None, dtype).alias(name)
        if name not in text.columns
        else pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
        if dtype == pl.Datetime("us")
        else pl.col(name).cast(dtype)
        for name, dtype in source.columns.items()
    )


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """All files are landed; the days of two months are made, or in full all of them."""
    folder = tmp_path_factory.mktemp("real") / "data"
    changes = {"start_date": DAYS.start, "end_date": max(DAYS.days())}
    project = Project(folder, [replace(domain, reports=()) for domain in (COMMERCE, SESSIONS)], changes)
    for name, (published, _) in PUBLISHED.items():
        # Without a date they would stand on the day on which they land, which has no partition yet.
        day = f"-{DELIVERED_ON}" if SOURCES[name].kind is Kind.DELIVERY else ""
        target = project.settings.inbox_dir / name / f"{published}{day}.csv"
        target.parent.mkdir(parents=True)
        shutil.copy(FILES / f"{published}.csv", target)
    project.settle()
    return project


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_lands_whole_and_unchanged(real: Project, name: str) -> None:
    source, rows = SOURCES[name], PUBLISHED[name][1]
    told = reconcile(source, real.declared, datetime.now(UTC))
    assert (told.faults, told.rejected, told.accepted) == ([], 0, rows)
    landed = rows_of_pieces(sorted((real.settings.landed_dir / name).glob("*/*.parquet")), source).collect()
    expected = typed(source)
    assert landed.height == expected.height == rows
    key = list(source.key_columns)
    assert landed.select(*source.columns).sort(key).equals(expected.sort(key))
    assert landed["_extra"].null_count() == rows


def test_an_order_knows_of_its_latest_time_and_of_the_rank_of_its_status(real: Project) -> None:
    raw = real.frame("raw_orders")
    times = [name for name, dtype in SOURCES["orders"].columns.items() if dtype == pl.Datetime("us")]
    assert raw.height > 0
    assert raw.select((pl.col("last_event_at") == pl.max_horizontal(times)).all()).item()
    ranks = dict(raw.select("order_status", "status_rank").unique().rows())
    assert ranks["delivered"] == 6
    assert 0 not in ranks.values(), "each status is known"


@pytest.mark.parametrize(
    ("name", "time"), [("orders", "order_purchase_timestamp"), ("order_reviews", "review_creation_date")]
)
def test_facts_stand_on_their_days(real: Project, name: str, time: str) -> None:
    expected = typed(SOURCES[name]).filter(pl.col(time).dt.date().is_between(DAYS.start, max(DAYS.days())))
    found = real.frame(f"stg_{name}")
    columns = list(SOURCES[name].columns)
    key = list(SOURCES[name].key_columns)
    assert found.height > 20
    assert (found["the_day"] == found[time].dt.date()).all()
    plain = [column for column in columns if not column.startswith("review_comment")]
    assert found.select(plain).sort(key).equals(expected.select(plain).sort(key))


def test_lines_and_payments_are_all_there_to_the_cent(real: Project) -> None:
    lines, payments = real.frame("stg_order_items"), real.frame("stg_order_payments")
    assert set(lines["the_day"]) == set(payments["the_day"]) == {DELIVERED_ON}
    for found, name, amounts in (
        (lines, "order_items", ["price", "freight_value"]),
        (payments, "order_payments", ["payment_value"]),
    ):
        expected = typed(SOURCES[name])
        assert found.height == PUBLISHED[name][1]
        for amount in amounts:
            assert found[amount].sum() == expected[amount].sum() > Decimal(0)
    without_lines = typed(SOURCES["orders"]).join(lines, on="order_id", how="anti")
    assert without_lines.height == 24


def test_products_hold_from_the_first_day_on_and_nobody_knows_their_cost(real: Project) -> None:
    products = real.frame("stg_products")
    assert products.group_by("the_day").len()["len"].to_list() == [2_452] * len(DAYS)
    assert products["unit_cost"].is_null().all()
    known = set(real.frame("stg_product_category_name_translation")["product_category_name"])
    assert set(products["product_category_name"].drop_nulls()) <= known
    assert products.filter(pl.col("product_category_name").is_null())["product_id"].n_unique() == 37


# ---------------------------------------------------------------------------------- every figure, by Polars


REVENUE = ["approved", "invoiced", "processing", "shipped", "delivered"]
CANCELLED = ["canceled", "unavailable"]


def orders_of_files() -> pl.DataFrame:
    """The orders of the days that are made, with their day."""
    orders = typed(SOURCES["orders"]).with_columns(the_day=pl.col("order_purchase_timestamp").dt.date())
    return orders.filter(pl.col("the_day").is_between(DAYS.start, max(DAYS.days())))


def lines_of_files() -> pl.DataFrame:
    return orders_of_files().join(typed(SOURCES["order_items"]), on="order_id")


def test_an_order_has_its_person_and_the_sums_of_its_lines_and_payments(real: Project) -> None:
    lines = (
        typed(SOURCES["order_items"])
        .group_by("order_id")
        .agg(order_lines=pl.len(), item_value=pl.col("price").sum(), freight_value=pl.col("freight_value").sum())
    )
    payments = typed(SOURCES["order_payments"]).group_by("order_id").agg(payment_value=pl.col("payment_value").sum())
    expected = (
        orders_of_files()
        .join(lines, on="order_id", how="left")
        .join(payments, on="order_id", how="left")
        .join(typed(SOURCES["customers"]).select("customer_id", "customer_unique_id"), on="customer_id")
    )
    names = ["order_id", "customer_unique_id", "order_lines", "item_value", "freight_value", "payment_value"]
    numbers = pl.col(names[2:]).cast(pl.Decimal(38, 9)).fill_null(Decimal(0))
    found = real.frame("int_orders")
    assert found.height > 30
    assert (
        found.select(*names[:2], numbers).sort("order_id").equals(expected.select(*names[:2], numbers).sort("order_id"))
    )
    differing = {row["order_id"] for row in expected.iter_rows(named=True)
                 if row["order_lines"] is None or row["payment_value"] is None
                 or row["payment_value"] != row["item_value"] + row["freight_value"]}  # fmt: skip
    listed = read(real, "select order_id from marts.mart_payment_differences")
    assert {order for (order,) in listed} == differing


def products_of_files() -> pl.DataFrame:
    """By product and day, what was sold, cancelled and reviewed."""
    sold, gone = pl.col("order_status").is_in(REVENUE), pl.col("order_status").is_in(CANCELLED)
    sales = (
        lines_of_files()
        .group_by("product_id", "the_day")
        .agg(
            orders=pl.col("order_id").filter(sold).n_unique(),
            units=sold.sum(),
            revenue=pl.col("price").filter(sold).sum(),
            cancelled_units=gone.sum(),
            cancelled_revenue=pl.col("price").filter(gone).sum(),
        )
    )
    day_of_review = pl.col("review_creation_date").dt.date()
    reviews = (
        typed(SOURCES["order_reviews"])
        .filter(day_of_review.is_between(DAYS.start, max(DAYS.days())))
        .join(typed(SOURCES["order_items"]).select("order_id", "product_id").unique(), on="order_id", how="left")
        .with_columns(pl.col("product_id").fill_null("unknown"))
        .group_by("product_id", day_of_review.alias("the_day"))
        .agg(reviews=pl.len(), review_score_sum=pl.col("review_score").sum())
    )
    joined = sales.join(reviews, on=["product_id", "the_day"], how="full", coalesce=True)
    return joined.with_columns(pl.exclude("product_id", "the_day").cast(pl.Decimal(38, 9)).fill_null(Decimal(0)))


def test_products_by_day_are_those_of_the_files(real: Project) -> None:
    expected = products_of_files().sort("product_id", "the_day")
    names = expected.columns[2:]
    found = real.frame("mart_product_daily").sort("product_id", "the_day")
    assert found.select("product_id", "the_day", pl.col(names).cast(pl.Decimal(38, 9))).equals(expected)
    assert (found["units_without_cost"] == found["units"]).all()
    assert found["stock_level"].is_null().all()
    listed = typed(SOURCES["products"])
    words = dict(typed(SOURCES["product_category_name_translation"]).rows())
    category = {
        product: words.get(own, own) or "unknown"
        for product, own in listed.select("product_id", "product_category_name").rows()
    }
    assert [category[product] for product in found["product_id"]] == found["category"].to_list()


def test_trends_and_performance_are_sums_over_calendar_days(real: Project) -> None:
    by_day = products_of_files()
    grown = set()
    for last in {max(DAYS.days()), DAYS.start + timedelta(40), DAYS.start + timedelta(3)}:

        def over(
            first: int, end: int, name: str, by_day: pl.DataFrame = by_day, last: date = last
        ) -> dict[str, Decimal]:
            within = pl.col("the_day").is_between(last - timedelta(first), last - timedelta(end))
            told = by_day.filter(within).group_by("product_id").agg(pl.col(name).sum())
            return dict(told.rows())

        found = real.frame("mart_product_trends").filter(pl.col("the_day") == last)
        performance = real.frame("mart_product_performance").filter(pl.col("the_day") == last)
        assert set(found["product_id"]) == set(over(55, 0, "units")) == set(performance["product_id"])
        spans = {"7d": (6, 0), "prior_7d": (13, 7), "28d": (27, 0), "prior_28d": (55, 28)}
        for name in ("units", "revenue"):
            for suffix, span in spans.items():
                expected = over(*span, name)
                for product, value in found.select("product_id", f"{name}_{suffix}").rows():
                    assert Decimal(value) == expected.get(product, 0)
        bases = {"wow": ("7d", "prior_7d", 13), "mom": ("28d", "prior_28d", 55)}
        for growth, (now, before, days) in bases.items():
            is_known = last - timedelta(days) >= DAYS.start
            for row in found.iter_rows(named=True):
                base = float(row[f"revenue_{before}"])
                expected_growth = (float(row[f"revenue_{now}"]) - base) / base if is_known and base else None
                assert row[f"revenue_{growth}"] == pytest.approx(expected_growth, abs=1e-6)
                if expected_growth is not None:
                    grown.add(growth)
        scores, counts = over(27, 0, "review_score_sum"), over(27, 0, "reviews")
        for product, score in performance.select("product_id", "review_score").rows():
            mean = float(scores[product] / counts[product]) if counts.get(product) else None
            assert score == pytest.approx(mean, abs=1e-6)
    assert grown == set(bases)


def test_persons_are_those_of_the_files(real: Project) -> None:
    persons = dict(typed(SOURCES["customers"]).select("customer_id", "customer_unique_id").rows())
    value = dict(
        typed(SOURCES["order_items"]).group_by("order_id").agg(pl.sum("price") + pl.sum("freight_value")).rows()
    )
    orders: dict[str, list[tuple[date, Decimal]]] = {}
    for order, customer, status, at in (
        orders_of_files().select("order_id", "customer_id", "order_status", "the_day").rows()
    ):
        worth = value.get(order, Decimal(0)) if status in REVENUE else Decimal(0)
        orders.setdefault(persons[customer], []).append((at, worth))
    expected = {
        (person, len(told), sum(worth for _, worth in told), min(told)[0], max(told)[0])
        for person, told in orders.items()
    }
    names = "customer_unique_id, orders, order_value, first_order_date, last_order_date"
    for model in ("int_customer_behavior", "int_customer_behavior_optimized"):
        assert set(read(real, f"select {names} from intermediate.{model} where orders > 0")) == expected


def test_the_errors_of_others_would_be_seen_in_these_files() -> None:
    """What the joins that the models avoid make of the revenue of the files, all of them."""
    lines = typed(SOURCES["order_items"])
    true = lines["price"].sum()
    payments, reviews = typed(SOURCES["order_payments"]), typed(SOURCES["order_reviews"])
    by_payments = lines.join(payments, on="order_id")["price"].sum()
    by_reviews = lines.join(reviews, on="order_id", how="left")["price"].sum()
    by_number = lines.join(lines.select("order_item_id"), on="order_item_id")["price"].sum()
    assert by_payments > true * Decimal("1.01")
    assert true < by_reviews < true * Decimal("1.01"), "near the truth, and still wrong"
    assert by_number > 2_000 * true


def read(project: Project, query: str) -> list[tuple]:
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
        return connection.execute(query).fetchall()
