"""The real files of a shop, eight tables as they were published. Skipped where they are not at hand."""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from analytics_assets.defs.commerce import DOMAIN as COMMERCE
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
DAYS = ALL_DAYS if IN_FULL else Window.of_days(date(2018, 5, 7), date(2018, 5, 13))
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
    """All files are landed; the days of a week are made, or in full all of them."""
    folder = tmp_path_factory.mktemp("real") / "data"
    changes = {"start_date": DAYS.start, "end_date": max(DAYS.days())}
    project = Project(folder, [replace(COMMERCE, reports=())], changes)
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
