"""The simulated shop: keys that resolve, orders that go through their states, and the usual defects."""

from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from random import Random

import polars as pl
import pytest

from analytics_assets.defs.commerce import DOMAIN
from analytics_assets.defs.commerce.simulator import CUSTOMERS_AT_ALL, PRODUCTS_AT_ALL, simulate
from analytics_assets.defs.commerce.sources import ORDER_STATUSES
from analytics_assets.partitions import Window

DAYS = Window.of_days(date(2026, 3, 1), date(2026, 3, 20))


def rows_of(folder: Path) -> pl.DataFrame:
    """All rows of a source's files as text, each with its file's day; malformed ones, too."""
    readers = {".parquet": pl.read_parquet, ".jsonl": pl.read_ndjson}
    frames = []
    for file in sorted(folder.iterdir()):
        read = readers.get(file.suffix, lambda file: pl.read_csv(file, infer_schema=False))
        day = file.name.removeprefix(f"{folder.name}-")[:10]
        frames.append(read(file).select(pl.all().cast(pl.String), came=pl.lit(day)))
    return pl.concat(frames, how="diagonal")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The good rows of each source."""
    folder = tmp_path_factory.mktemp("inbox")
    simulate(folder, DAYS, 1.0, Random(1))
    found = {}
    for source in DOMAIN.sources:
        rows = rows_of(folder / source.name)
        good = pl.all_horizontal(pl.col(name).is_not_null() & (pl.col(name) != "") for name in source.key_columns)
        for name in {"price", "payment_value", "stock_level"} & source.columns.keys():
            good &= pl.col(name) != "-1"
        if source.time:
            good &= ~pl.col(source.time).str.ends_with("-32")
        found[source.name] = rows.filter(good)
    return found


@pytest.mark.parametrize(
    ("source", "column", "of", "named"),
    [
        ("order_items", "order_id", "orders", "order_id"),
        ("order_items", "product_id", "products", "product_id"),
        ("order_items", "seller_id", "sellers", "seller_id"),
        ("order_payments", "order_id", "orders", "order_id"),
        ("order_reviews", "order_id", "orders", "order_id"),
        ("orders", "customer_id", "customers", "customer_id"),
        ("inventory", "product_id", "products", "product_id"),
        ("support_tickets", "order_id", "orders", "order_id"),
    ],
)
def test_each_key_is_there(shop: dict[str, pl.DataFrame], source: str, column: str, of: str, named: str) -> None:
    keys = set(shop[source][column].drop_nulls()) - {""}
    assert keys
    assert keys <= set(shop[of][named])


def test_persons_and_products_are_those_of_the_clickstream(shop: dict[str, pl.DataFrame]) -> None:
    persons = {f"customer-{number}" for number in range(CUSTOMERS_AT_ALL)}
    for source in ("customers", "app_usage", "support_tickets"):
        assert set(shop[source]["customer_unique_id"]) <= persons
    assert set(shop["products"]["product_id"]) == {f"product-{number}" for number in range(PRODUCTS_AT_ALL)}
    orders_of = shop["customers"].unique("customer_id").group_by("customer_unique_id").len()
    assert orders_of["len"].max() > 1, "some come again, each time as another customer_id"


def test_an_order_goes_through_its_states_over_days(shop: dict[str, pl.DataFrame]) -> None:
    orders = shop["orders"]
    by_order = (
        orders.unique(["order_id", "order_status"])
        .group_by("order_id")
        .agg(
            pl.col("order_purchase_timestamp").n_unique(),
            pl.col("order_status").len().alias("states"),
            pl.col("came").n_unique(),
        )
    )
    assert by_order["order_purchase_timestamp"].unique().to_list() == [1]
    assert (by_order["came"] > 1).mean() > 0.5
    assert by_order["states"].max() == 6
    assert set(orders["order_status"]) == set(ORDER_STATUSES)


def test_what_an_order_holds_comes_on_its_day_or_later_and_together(shop: dict[str, pl.DataFrame]) -> None:
    purchases = (
        shop["orders"]
        .group_by("order_id")
        .agg(
            pl.col("order_purchase_timestamp").first().str.slice(0, 10).alias("bought"),
            pl.col("came").min().alias("order_came"),
        )
    )
    lines = shop["order_items"].join(purchases, on="order_id")
    assert (lines["came"] >= lines["bought"]).all()
    assert (lines["came"] < lines["order_came"]).any(), "some lines come before their order"
    assert (lines["came"] > lines["bought"]).any(), "some come late"
    each_time = lines.group_by("order_id", "came").agg(pl.col("order_item_id").n_unique().alias("number"))
    assert each_time.group_by("order_id").agg(pl.col("number").n_unique())["number"].unique().to_list() == [1]
    again = each_time.group_by("order_id").len()
    assert (again["len"] > 1).any(), "some come again"


def test_payments_are_what_lines_cost_but_for_a_few(shop: dict[str, pl.DataFrame]) -> None:
    def summed(source: str, key: list[str], columns: list[str]) -> dict[str, Decimal]:
        once = shop[source].unique(key)
        whole = once.group_by("order_id").agg(
            pl.sum_horizontal(pl.col(columns).cast(pl.Decimal(38, 9))).sum().alias("whole")
        )
        return dict(whole.rows())

    cost = summed("order_items", ["order_id", "order_item_id"], ["price", "freight_value"])
    paid = summed("order_payments", ["order_id", "payment_sequential"], ["payment_value"])
    orders = set(shop["orders"]["order_id"])
    assert paid.keys() == orders
    without_lines = len(orders - cost.keys()) / len(orders)
    assert 0 < without_lines < 0.03
    assert 0 < sum(paid[order] != value for order, value in cost.items()) / len(cost) < 0.03


def test_costs_and_categories_are_corrected_by_lists(shop: dict[str, pl.DataFrame]) -> None:
    products = shop["products"]
    assert sorted(set(products["came"])) == [str(day) for day in list(DAYS.days())[::3]]
    first = products.filter(pl.col("came") == str(DAYS.start))["product_category_name"]
    assert set(products["product_category_name"]) - set(first) == {"novidades"}
    costs = products.group_by("product_id").agg(pl.col("unit_cost").n_unique())
    assert 10 < costs.filter(pl.col("unit_cost") > 1).height < PRODUCTS_AT_ALL / 2
    assert (products["unit_cost"].is_null() | (products["unit_cost"] == "")).any()


def test_stock_is_counted_daily_with_gaps(shop: dict[str, pl.DataFrame]) -> None:
    days = shop["inventory"].group_by("product_id").agg(pl.col("counted_at").str.slice(0, 10).n_unique().alias("days"))
    assert (days["days"] == 2).sum() == 20, "some are counted each tenth day alone"
    assert days["days"].median() > 15
    assert (days["days"] == len(DAYS)).any()
    assert (shop["inventory"]["stock_level"] == "0").any()


def test_reviews_come_late_and_some_customers_think_better_of_it(shop: dict[str, pl.DataFrame]) -> None:
    reviews = shop["order_reviews"]
    assert (reviews["came"] > reviews["review_creation_date"].str.slice(0, 10)).any()
    assert (
        reviews.unique()
        .group_by("review_id")
        .agg(pl.col("review_answer_timestamp").n_unique())["review_answer_timestamp"]
        .max()
        == 2
    )


def test_the_usual_defects_are_there(tmp_path: Path) -> None:
    simulate(tmp_path, DAYS, 1.0, Random(1))
    names = {file.name for file in tmp_path.rglob("*.*")}
    assert {name.split(".", 1)[1] for name in names if name.startswith("orders-")} == {
        "csv",
        "csv.gz",
        "jsonl",
        "parquet",
    }
    assert any("-again." in name for name in names)
    for source in ("orders", "inventory", "order_items"):
        rows = rows_of(tmp_path / source)
        assert rows.height > rows.unique().height, "some come again"
    orders = rows_of(tmp_path / "orders")
    assert orders.filter(pl.col("order_id").is_null() | pl.col("order_purchase_timestamp").str.ends_with("-32")).height


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    def bytes_of(folder: Path, seed: int) -> dict[str, str]:
        simulate(folder, Window.of_days(date(2026, 3, 1), date(2026, 3, 4)), 0.1, Random(seed))
        return {str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*.*")}

    first = bytes_of(tmp_path / "a", 1)
    assert first == bytes_of(tmp_path / "b", 1)
    assert first != bytes_of(tmp_path / "c", 2)
    assert {name.split("/")[0] for name in first} == {source.name for source in DOMAIN.sources}
