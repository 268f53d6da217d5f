"""Sample files of a shop: orders and their states, what is delivered for them, and what customers do beside.

Persons are `customer-<n>` and products `product-<n>`, as in the sample files of the clickstream. All keys resolve, but
for what is still to be delivered: rows come late and in any order, lines before their order, too.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

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
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.simulation.defects import Row, deliver, spoil
from analytics_assets.simulation.files import write_rows
from analytics_assets.spec.source import Kind, Source

ORDERS_PER_DAY, USES_PER_DAY, TICKETS_PER_DAY, SELLERS_AT_ALL = 60, 40, 6, 40  # at scale 1
CUSTOMERS_AT_ALL = 600  # at scale 1, as in the clickstream
PRODUCTS_AT_ALL = 500  # at any scale, as in the clickstream
CANCELED, UNAVAILABLE = 0.008, 0.006  # of the orders
WITHOUT_LINES = {"canceled": 0.3, "unavailable": 0.95}  # of those; 24 of 3,000 orders in all
ON_OFFER, OFFER = 0.15, Decimal("0.85")  # of the products in a week; of their price
PAID_OTHERWISE = 0.01  # of the orders: their payments are not the sum of their lines
REVIEWED = 0.9  # of the orders that were delivered
LATE, REDELIVERED, MALFORMED = 0.03, 0.01, 0.01
BATCHES_AGAIN = 0.2  # of the files: some of their rows arrive again in another file
SMALLEST_SPOILED_FILE = 100  # rows; below it one malformed row would be a large share
DAYS_BETWEEN_SNAPSHOTS = 3
MOVED_EACH = 25  # each so-manieth product is in another category from the second list on
COSTS_CORRECTED = 0.03  # of the products, from one snapshot to the next
NOT_COUNTED = 0.08  # of the products, on any day
SELDOM_COUNTED = 25  # each so-manieth product is counted on each tenth day alone

_ENDINGS = ("csv", "jsonl", "csv.gz", "parquet")
_CATEGORIES = {
    "livros": "books",
    "brinquedos": "toys",
    "moda": "fashion",
    "jardim": "garden",
    "ferramentas": "tools",
    "cozinha": "kitchen",
    "esporte": "sports",
    "papelaria": "stationery",
    "musica": "music",
    "bebidas": "drinks",
    "moveis": "furniture",
    "relogios": "watches",
}
_UNTRANSLATED = "artesanato"
_NEW_CATEGORY = ("novidades", "novelties")
_CITIES = [("sao paulo", "SP", "01"), ("campinas", "SP", "13"), ("rio de janeiro", "RJ", "20"), ("recife", "PE", "50")]
_CITY_WEIGHTS = [40, 12, 20, 8]
_WAREHOUSES = ("north", "south")
_SCORES, _SCORE_WEIGHTS = (1, 2, 3, 4, 5), (12, 3, 8, 19, 58)
_FEATURES = ("search", "wishlist", "orders", "offers", "scanner")
_PROBLEMS = ("delivery", "refund", "product", "payment", "account")
_PRIORITIES = ("low", "normal", "normal", "high", None)

Rows = dict[date, list[Row]]
Groups = dict[date, list[list[Row]]]
"""Lists of rows that are delivered together, by day."""


@dataclass(frozen=True)
class Product:
    """A product as the shop sells it."""

    product_id: str
    name: str
    category: str | None
    price: Decimal
    seller_id: str


@dataclass(frozen=True)
class Order:
    """An order and all that becomes of it, on days of the window or after it.

    Attributes:
        states: when it has which status, in order.
        pieces: the product of each line.
    """

    order_id: str
    customer_id: str
    person: str
    at: datetime
    estimated: datetime
    states: tuple[tuple[datetime, str], ...]
    pieces: tuple[Product, ...]


def simulate(inbox_dir: Path, window: Window, scale: float, random: Random) -> None:
    """Writes a file a day of each source, some batches again as `…-again.<ending>`, and lists of products.

    Args:
        scale: 1 is some 60 orders a day. Products are always 500, and so are nearly all counts of stock.
        random: the same state gives the same bytes.
    """
    days, seed = list(window.days()), random.getrandbits(64)

    def of(what: str) -> Random:
        """Random numbers of their own for each source, so that none hangs on the others."""
        return Random(f"{seed} {what}")

    sellers = [f"seller-{number}" for number in range(max(2, round(SELLERS_AT_ALL * scale)))]
    persons = [f"customer-{number}" for number in range(max(2, round(CUSTOMERS_AT_ALL * scale)))]
    products = _products(sellers, of("products"))
    orders = _orders(window, scale, persons, products, of("orders"))

    files = _Files(inbox_dir, days[-1])
    files.facts(ORDERS, _states(orders, window), of("states"))
    files.together(CUSTOMERS, _customers(orders, window, of("customers")), of("delivered customers"))
    files.together(ORDER_ITEMS, _lines(orders, window, of("lines")), of("delivered lines"))
    files.together(ORDER_PAYMENTS, _payments(orders, window, of("payments")), of("delivered payments"))
    files.facts(ORDER_REVIEWS, _reviews(orders, window, of("reviews")), of("delivered reviews"))
    files.whole(PRODUCTS, _snapshots(days, products, of("costs")))
    files.whole(SELLERS, _by_and_by(days, [_seller(one, of(one)) for one in sellers], of("sellers")))
    files.whole(PRODUCT_CATEGORY_NAME_TRANSLATION, _by_and_by(days, _translations(), of("translations")))
    files.facts(INVENTORY, _counts(days, orders, of("stock")), of("delivered counts"))
    files.facts(APP_USAGE, _uses(days, scale, persons, of("uses")), of("delivered uses"))
    files.facts(SUPPORT_TICKETS, _tickets(window, scale, persons, orders, of("tickets")), of("delivered tickets"))


# ------------------------------------------------------------------------------------------- products and orders


def _products(sellers: Sequence[str], random: Random) -> list[Product]:
    found = []
    for number in range(PRODUCTS_AT_ALL):
        category = random.choice([*_CATEGORIES, _UNTRANSLATED]) if random.random() >= 0.015 else None
        price = Decimal(round(min(20 + random.expovariate(1 / 90), 2_000) * 100)).scaleb(-2)
        name = f"{_CATEGORIES.get(category or '', 'thing')} {number}"
        found.append(Product(f"product-{number}", name, category, price, random.choice(sellers)))
    return found


def _orders(
    window: Window, scale: float, persons: Sequence[str], products: Sequence[Product], random: Random
) -> list[Order]:
    found = []
    for day in window.days():
        weekend = 0.8 if day.weekday() >= 5 else 1.0
        for _ in range(max(1, round(ORDERS_PER_DAY * scale * weekend * random.uniform(0.85, 1.15)))):
            at = _some_time(day, random)
            pieces = [_priced(_wanted(products, random), day)]
            while random.random() < 0.12:  # another piece, mostly of the same product
                pieces.append(pieces[-1] if random.random() < 0.6 else _priced(_wanted(products, random), day))
            states = tuple(_states_of(at, random))
            if random.random() < WITHOUT_LINES.get(states[-1][1], 0.0):
                pieces = []
            found.append(
                Order(
                    order_id=f"{random.getrandbits(128):032x}",
                    customer_id=f"{random.getrandbits(128):032x}",
                    person=random.choice(persons),
                    at=at,
                    estimated=_midnight(day + timedelta(random.randint(8, 25))),
                    states=states,
                    pieces=tuple(pieces),
                )
            )
    return found


def _wanted(products: Sequence[Product], random: Random) -> Product:
    """Some products are bought far more often than others."""
    return products[int(len(products) * random.random() ** 2)]


def _priced(product: Product, day: date) -> Product:
    """A product at the price of a day: some are on offer for a week."""
    year, week, _ = day.isocalendar()
    if Random(f"{product.product_id} {year} {week}").random() >= ON_OFFER:
        return product
    return replace(product, price=(product.price * OFFER).quantize(Decimal("0.01")))


def _states_of(at: datetime, random: Random) -> Iterator[tuple[datetime, str]]:
    """When an order has which status, from `created` on."""
    yield at, "created"
    ends = random.random()
    if ends < CANCELED:
        yield at + _hours(random, 30), "canceled"
        return
    at += _hours(random, 5)
    yield at, "approved"
    if ends < CANCELED + UNAVAILABLE:
        yield at + _hours(random, 40), "unavailable"
        return
    for status in ("invoiced", "processing"):
        at += _hours(random, 4)
        yield at, status
    at += _hours(random, 12)
    yield at, "shipped"
    yield at + _hours(random, 12 if random.random() < 0.4 else 120), "delivered"  # some live nearby


def _states(orders: Sequence[Order], window: Window) -> Rows:
    """The rows of orders by the day on which each came into a state: all that is known of the order by then."""
    rows = _empty(window)
    for order in orders:
        reached: dict[str, datetime] = {}
        for at, status in order.states:
            reached[status] = at
            if window.holds(at.date()):
                rows[at.date()].append(
                    {
                        "order_id": order.order_id,
                        "customer_id": order.customer_id,
                        "order_status": status,
                        "order_purchase_timestamp": _text(order.at),
                        "order_approved_at": _text(reached.get("approved")),
                        "order_delivered_carrier_date": _text(reached.get("shipped")),
                        "order_delivered_customer_date": _text(reached.get("delivered")),
                        "order_estimated_delivery_date": _text(order.estimated),
                    }
                )
    return rows


def _customers(orders: Sequence[Order], window: Window, random: Random) -> Groups:
    found = _no_groups(window)
    for order in orders:
        city, state, code = Random(order.person).choices(_CITIES, _CITY_WEIGHTS)[0]  # a person lives somewhere
        row: Row = {
            "customer_id": order.customer_id,
            "customer_unique_id": order.person,
            "customer_zip_code_prefix": f"{code}{random.randrange(1_000):03}",
            "customer_city": city,
            "customer_state": state,
        }
        found[order.at.date()].append([row])
    return found


def _freight(product: Product, number: int) -> Decimal:
    return (Decimal("8.90") + product.price * Decimal("0.04") / number).quantize(Decimal("0.01"))


def _lines(orders: Sequence[Order], window: Window, random: Random) -> Groups:
    found = _no_groups(window)
    for order in orders:
        if order.pieces:
            limit = _text(order.at + timedelta(days=random.randint(3, 7)))
            found[order.at.date()].append(
                [
                    {
                        "order_id": order.order_id,
                        "order_item_id": str(number),
                        "product_id": product.product_id,
                        "seller_id": product.seller_id,
                        "shipping_limit_date": limit,
                        "price": str(product.price),
                        "freight_value": str(_freight(product, number)),
                    }
                    for number, product in enumerate(order.pieces, 1)
                ]
            )
    return found


def _payments(orders: Sequence[Order], window: Window, random: Random) -> Groups:
    """What was paid for each order: what its lines cost, but for a few."""
    found = _no_groups(window)
    for order in orders:
        whole = sum((one.price + _freight(one, number) for number, one in enumerate(order.pieces, 1)), Decimal())
        if random.random() < PAID_OTHERWISE:
            whole += Decimal(random.randint(1, 500)).scaleb(-2)
        voucher = (whole * random.randint(1, 9) / 10).quantize(Decimal("0.01")) if random.random() < 0.05 else Decimal()
        kind = random.choices(["credit_card", "boleto", "debit_card"], [77, 20, 3])[0]
        installments = random.choice([1, 1, 1, 2, 3, 4, 6, 10]) if kind == "credit_card" else 1
        parts = [(kind, installments, whole - voucher), *([("voucher", 1, voucher)] if voucher else [])]
        found[order.at.date()].append(
            [
                {
                    "order_id": order.order_id,
                    "payment_sequential": str(number),
                    "payment_type": how,
                    "payment_installments": str(in_parts),
                    "payment_value": str(value),
                }
                for number, (how, in_parts, value) in enumerate(parts, 1)
            ]
        )
    return found


def _reviews(orders: Sequence[Order], window: Window, random: Random) -> Rows:
    """Reviews by the day of their answer; they stand on the day on which the customer was asked."""
    rows = _empty(window)
    for order in orders:
        at, status = order.states[-1]
        if status != "delivered" or random.random() >= REVIEWED:
            continue
        asked = _midnight(at.date() + ONE_DAY)
        answered = asked + _hours(random, 40)
        score = random.choices(_SCORES, _SCORE_WEIGHTS)[0]
        for _ in range(2 if random.random() < 0.03 else 1):  # some think better of it
            if window.holds(answered.date()):
                rows[answered.date()].append(
                    {
                        "review_id": f"r{order.order_id[1:]}",
                        "order_id": order.order_id,
                        "review_score": str(score),
                        "review_comment_title": "As described" if random.random() < 0.1 else None,
                        "review_comment_message": random.choice(
                            [None, None, "Came early, thanks", 'Not the "large" one']
                        ),
                        "review_creation_date": _text(asked),
                        "review_answer_timestamp": _text(answered),
                    }
                )
            answered, score = answered + _hours(random, 30), random.choice(_SCORES)
    return rows


# --------------------------------------------------------------------------- products, sellers, categories, stock


def _snapshots(days: Sequence[date], products: Sequence[Product], random: Random) -> Rows:
    """All products, each few days: with corrected costs, and from the second list on some in another category."""
    costs = {one.product_id: one.price * random.randint(40, 80) / 100 for one in products}
    untold = set(random.sample(sorted(costs), PRODUCTS_AT_ALL // 50))  # of these nobody knows the cost
    sizes = {one.product_id: [str(random.randint(5, 60)) for _ in range(7)] for one in products}
    size_columns = [name for name in PRODUCTS.columns if name.startswith("product_") and name in PRODUCTS.optional]
    size_columns.remove("product_name")
    rows: Rows = {}
    moved = {one.product_id: _NEW_CATEGORY[0] for one in products[::MOVED_EACH]}
    for day in days[::DAYS_BETWEEN_SNAPSHOTS]:
        rows[day] = [
            {
                "product_id": one.product_id,
                "product_name": one.name,
                "product_category_name": one.category if day == days[0] else moved.get(one.product_id, one.category),
                "unit_cost": None if one.product_id in untold else f"{costs[one.product_id]:.2f}",
                **dict(zip(size_columns, sizes[one.product_id], strict=True)),
            }
            for one in products
        ]
        for product_id in random.sample(sorted(costs), round(PRODUCTS_AT_ALL * COSTS_CORRECTED)):
            costs[product_id] *= Decimal(random.randint(90, 115)) / 100
    return rows


def _seller(seller_id: str, random: Random) -> Row:
    city, state, code = random.choices(_CITIES, _CITY_WEIGHTS)[0]
    return {
        "seller_id": seller_id,
        "seller_zip_code_prefix": f"{code}{random.randrange(1_000):03}",
        "seller_city": city,
        "seller_state": state,
    }


def _translations() -> list[Row]:
    return [
        {"product_category_name": name, "product_category_name_english": english}
        for name, english in [*_CATEGORIES.items(), _NEW_CATEGORY]
    ]


def _by_and_by(days: Sequence[date], rows: Sequence[Row], random: Random) -> Rows:
    """A table as it is delivered: all of it on the first day, then what somebody has saved again."""
    return {days[0]: list(rows), **{day: random.sample(rows, 1 + len(rows) // 50) for day in days[1:]}}


def _counts(days: Sequence[date], orders: Sequence[Order], random: Random) -> Rows:
    """What warehouses count in the morning: not each product each day, some twice, and some hardly ever."""
    sold: dict[tuple[date, str], int] = defaultdict(int)
    for order in orders:
        for product in order.pieces:
            sold[order.at.date(), product.product_id] += 1
    rows: Rows = {day: [] for day in days}
    for number in range(PRODUCTS_AT_ALL):
        product_id, is_seldom = f"product-{number}", number % SELDOM_COUNTED == 0
        warehouses = _WAREHOUSES if number % 20 == 0 else [random.choice(_WAREHOUSES)]
        stocks = {warehouse: random.randint(0, 30) for warehouse in warehouses}
        for position, day in enumerate(days):
            is_counted = position % 10 == 0 if is_seldom else random.random() >= NOT_COUNTED
            for warehouse in warehouses:
                if not stocks[warehouse] and random.random() < 0.3:
                    stocks[warehouse] += random.randint(5, 40)
                if is_counted:
                    at = _midnight(day) + timedelta(hours=6, seconds=random.randrange(3_600))
                    rows[day].append(_count(product_id, warehouse, at, stocks[warehouse]))
                    if random.random() < 0.01:  # somebody had counted wrongly
                        rows[day].append(_count(product_id, warehouse, at + timedelta(hours=2), stocks[warehouse] + 1))
                stocks[warehouse] = max(0, stocks[warehouse] - sold[day, product_id])
    return rows


def _count(product_id: str, warehouse: str, at: datetime, stock: int) -> Row:
    return {"product_id": product_id, "warehouse": warehouse, "counted_at": _text(at), "stock_level": str(stock)}


# --------------------------------------------------------------------------------------------- app use and tickets


def _uses(days: Sequence[date], scale: float, persons: Sequence[str], random: Random) -> Rows:
    rows: Rows = {day: [] for day in days}
    for day in days:
        for _ in range(max(1, round(USES_PER_DAY * scale * random.uniform(0.8, 1.2)))):
            at = _some_time(day, random)
            ended = at + timedelta(seconds=1 + int(random.expovariate(1 / 240)))
            rows[day].append(
                {
                    "usage_id": f"u{random.getrandbits(64):016x}",
                    "customer_unique_id": random.choice(persons),
                    "started_at": _text(at),
                    "ended_at": _text(ended) if random.random() >= 0.05 else None,
                    "feature": random.choice([*_FEATURES, None]),
                }
            )
    return rows


def _tickets(window: Window, scale: float, persons: Sequence[str], orders: Sequence[Order], random: Random) -> Rows:
    """Tickets by the day on which each came into a state; most are about an order of the days before."""
    rows = _empty(window)
    for day in window.days():
        before = [order for order in orders if ONE_DAY * 0 <= day - order.at.date() < 7 * ONE_DAY]
        for _ in range(max(1, round(TICKETS_PER_DAY * scale * random.uniform(0.5, 1.5)))):
            order = random.choice(before) if random.random() < 0.7 else None
            created = _midnight(day) + timedelta(seconds=random.randrange(18 * 3_600, 24 * 3_600))
            solved = created + timedelta(hours=1) + _hours(random, 30)
            pending = (created + (solved - created) * random.uniform(0.1, 0.9)).replace(microsecond=0)
            ticket: Row = {
                "ticket_id": f"t{random.getrandbits(64):016x}",
                "customer_unique_id": order.person if order else random.choice(persons),
                "order_id": order.order_id if order else None,
                "category": random.choice(_PROBLEMS),
                "priority": random.choice(_PRIORITIES),
                "created_at": _text(created),
            }
            for at, status in ((created, "open"), (pending, "pending"), (solved, "solved")):
                if window.holds(at.date()):
                    resolved = _text(at) if status == "solved" else None
                    state: Row = {"status": status, "updated_at": _text(at), "resolved_at": resolved}
                    rows[at.date()].append({**ticket, **state})
    return rows


# ------------------------------------------------------------------------------------------------------- delivery


@dataclass(frozen=True)
class _Files:
    """Writes the files of the sources, with their defects."""

    inbox_dir: Path
    last_day: date

    def facts(self, source: Source, rows: Rows, random: Random) -> None:
        """Rows that come late or again, each for itself."""
        self._write(source, deliver(rows, self.last_day, random, LATE, REDELIVERED), random)

    def together(self, source: Source, groups: Groups, random: Random) -> None:
        """Rows that come late or again together: of an order, its newest delivery holds as a whole."""
        delivered = deliver(groups, self.last_day, random, LATE, REDELIVERED)
        self._write(source, {day: [row for rows in found for row in rows] for day, found in delivered.items()}, random)

    def whole(self, source: Source, rows: Rows) -> None:
        """Rows without any defect."""
        for day, held in rows.items():
            write_rows(self._file(source, day, "csv"), held, source.columns)

    def _write(self, source: Source, rows_by_day: Rows, random: Random) -> None:
        for day, rows in rows_by_day.items():
            if not rows:
                continue
            is_export = source.kind is Kind.DELIVERY  # of a database, which writes one format
            ending = "csv" if is_export else _ENDINGS[day.toordinal() % len(_ENDINGS)]
            again = rows[: len(rows) // 3] if random.random() < BATCHES_AGAIN else []
            if ending != "parquet" and len(rows) >= SMALLEST_SPOILED_FILE:
                rows = spoil(rows, random, MALFORMED, _spoilers(source))
            write_rows(self._file(source, day, ending), rows, source.columns)
            if again:
                write_rows(self._file(source, f"{day}-again", ending), again, source.columns)

    def _file(self, source: Source, day: date | str, ending: str) -> Path:
        return self.inbox_dir / source.name / f"{source.name}-{day}.{ending}"


def _spoilers(source: Source) -> list[Callable[[Row], Row]]:
    """Ways to make a good row of a source one that is rejected."""
    spoilers: list[Callable[[Row], Row]] = [lambda row: {**row, source.key_columns[0]: None}]
    if source.time:
        spoilers.append(lambda row: {**row, str(source.time): f"{str(row[str(source.time)])[:8]}32"})
    if amounts := [name for name in ("price", "payment_value", "stock_level") if name in source.columns]:
        spoilers.append(lambda row: {**row, amounts[0]: "-1"})
    return spoilers


def _empty(window: Window) -> Rows:
    return {day: [] for day in window.days()}


def _no_groups(window: Window) -> Groups:
    return {day: [] for day in window.days()}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _some_time(day: date, random: Random) -> datetime:
    return _midnight(day) + timedelta(seconds=random.randrange(24 * 3_600))


def _hours(random: Random, mean: float) -> timedelta:
    """A minute or more; on average so many hours."""
    return timedelta(seconds=60 + int(random.expovariate(1 / (mean * 3_600))))


def _text(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
