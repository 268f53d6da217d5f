"""Eight weeks of a shop of four products, by rules that anybody can work out by hand: the sample of its guide.

Kettles sell twice a day for 40, and in the last four weeks three times a day for 42, while their cost rises from 20
to 24. Lamps sell every second day for 80 at a cost of 50. Puzzles sell twice a day for 15 at a cost of 9, until they
run out after eight days of the last four weeks. Novels sell on Sundays for 12; nobody knows their cost, and they were
counted once, eight weeks ago. Each Wednesday a kettle is cancelled.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import polars as pl

from analytics_assets.defs.commerce import DOMAIN as COMMERCE
from analytics_assets.defs.sessions.sources import CLICKSTREAM
from analytics_assets.partitions import Window
from analytics_assets.spec.source import Kind

DAYS = Window.of_days(date(2026, 1, 5), date(2026, 3, 1))  # a Monday, a Sunday
BETTER = date(2026, 2, 2)
"""The first of the last four weeks."""

SOLD_OUT = date(2026, 2, 10)

CATEGORIES = {"kettle": "cozinha", "lamp": "moveis", "puzzle": "brinquedos", "novel": "livros"}
TRANSLATIONS = {"cozinha": "kitchen", "moveis": "furniture", "brinquedos": "toys", "livros": "books"}
VIEWS = {"kettle": 20, "lamp": 10, "puzzle": 8, "novel": 2}
CARTS = {"kettle": 5, "lamp": 1, "puzzle": 3, "novel": 1}
SCORES = {"kettle": (5, 4), "lamp": (5, 5), "puzzle": (3, 4), "novel": (4, 4)}
SOURCES = {source.name: source for source in (*COMMERCE.sources, CLICKSTREAM)}


@dataclass(frozen=True)
class Sale:
    """An order of one piece."""

    number: int
    product: str
    price: int
    day: date
    status: str = "delivered"

    @property
    def at(self) -> datetime:
        return datetime.combine(self.day, time(9, self.number % 60))


def sales() -> list[Sale]:
    """All orders, in order."""
    found: list[Sale] = []

    def sell(product: str, price: int, day: date, status: str = "delivered") -> None:
        found.append(Sale(len(found) + 1, product, price, day, status))

    for day in DAYS.days():
        for _ in range(3 if day >= BETTER else 2):
            sell("kettle", 42 if day >= BETTER else 40, day)
        if (day - DAYS.start).days % 2 == 0:
            sell("lamp", 80, day)
        for _ in range(2 if day < SOLD_OUT else 0):
            sell("puzzle", 15, day)
        if day.weekday() == 6:
            sell("novel", 12, day)
        if day.weekday() == 2:
            sell("kettle", 40, day, "canceled")
    return found


def rows() -> Iterator[tuple[str, date, dict[str, object]]]:
    """What the files say: source, day of the file, row."""
    for product, category in CATEGORIES.items():
        costs = {"kettle": (20, 24), "lamp": (50, 50), "puzzle": (9, 9), "novel": (None, None)}[product]
        for day, cost in zip((DAYS.start, BETTER), costs, strict=True):
            yield "products", day, {
                "product_id": product, "product_name": product.capitalize(), "product_category_name": category,
                "unit_cost": cost,
            }  # fmt: skip
    for name, english in TRANSLATIONS.items():
        translation = {"product_category_name": name, "product_category_name_english": english}
        yield "product_category_name_translation", DAYS.start, translation
    yield "sellers", DAYS.start, {"seller_id": "seller", "seller_city": "recife", "seller_state": "PE"}
    number_of = defaultdict[str, int](int)
    for sale in sales():
        order, person = {"order_id": f"order-{sale.number}"}, f"person-{sale.number % 40}"
        yield "customers", sale.day, {"customer_id": f"customer-{sale.number}", "customer_unique_id": person}
        yield "orders", sale.day, order | {
            "customer_id": f"customer-{sale.number}", "order_status": sale.status, "order_purchase_timestamp": sale.at,
        }  # fmt: skip
        yield "order_items", sale.day, order | {
            "order_item_id": 1, "product_id": sale.product, "seller_id": "seller", "price": sale.price,
            "freight_value": 5,
        }  # fmt: skip
        for part in (1, 2):  # two means of payment, so whoever joins lines with payments counts each line twice
            yield "order_payments", sale.day, order | {
                "payment_sequential": part, "payment_type": ("voucher", "boleto")[part - 1], "payment_installments": 1,
                "payment_value": 5 if part == 1 else sale.price,
            }  # fmt: skip
        if sale.status == "delivered" and number_of[sale.product] % 4 == 0:
            score = SCORES[sale.product][number_of[sale.product] // 4 % 2]
            yield "order_reviews", sale.day, order | {
                "review_id": f"review-{sale.number}", "review_score": score,
                "review_creation_date": sale.at + timedelta(hours=12),
                "review_answer_timestamp": sale.at + timedelta(hours=13),
            }  # fmt: skip
        number_of[sale.product] += sale.status == "delivered"
    for day in DAYS.days():
        yield from _counts(day)
        yield from _events(day)


def _counts(day: date) -> Iterator[tuple[str, date, dict[str, object]]]:
    stock = {"kettle": 60, "puzzle": max(0, (SOLD_OUT - day).days - 1) * 2}
    if day.weekday() == 0:
        stock["lamp"] = 12
    if day == DAYS.start:
        stock["novel"] = 30
    for product, level in stock.items():
        counted = {"product_id": product, "warehouse": "north", "counted_at": datetime.combine(day, time(20))}
        yield "inventory", day, counted | {"stock_level": level}


def _events(day: date) -> Iterator[tuple[str, date, dict[str, object]]]:
    for product in CATEGORIES:
        for kind, count in (("product_view", VIEWS[product]), ("add_to_cart", CARTS[product])):
            for number in range(count):
                yield "clickstream", day, {
                    "event_id": f"{day}-{product}-{kind}-{number}", "customer_id": f"person-{number}",
                    "event_timestamp": datetime.combine(day, time(10 + number // 2)), "event_type": kind,
                    "event_details": json.dumps({"product_id": product}),
                }  # fmt: skip


def write_raw_days(raw_dir: Path) -> None:
    """Writes the raw days as landing would, each source on each day."""
    told = defaultdict[tuple[str, date], list[dict[str, object]]](list)
    for name, day, row in rows():
        told[name, day].append(row)
    for name, source in SOURCES.items():
        latest: list[dict[str, object]] = []
        for day in DAYS.days():
            here = told[name, day]
            latest = here or latest  # a snapshot holds until the next one
            frame = pl.DataFrame(
                [dict.fromkeys(source.columns) | row for row in (latest if source.kind is Kind.SNAPSHOT else here)],
                schema=list(source.columns),
                infer_schema_length=None,
            ).cast(dict(source.columns))  # type: ignore[arg-type]
            lineage = [
                pl.lit(None, pl.String).alias("_extra"),
                pl.lit(f"{name}.parquet").alias("_source_file"),
                pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("_source_row"),
                pl.lit(datetime.combine(day, time()) + timedelta(hours=26)).cast(pl.Datetime("us")).alias("_landed_at"),
            ]
            file = raw_dir / source.raw_asset / f"_day={day}" / "data.parquet"
            file.parent.mkdir(parents=True)
            frame.with_columns(**source.derived).with_columns(*lineage).write_parquet(file)
