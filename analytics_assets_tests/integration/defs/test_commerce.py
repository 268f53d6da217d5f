"""A shop whose files come in any order: lines before their order, new statuses, late reviews, corrected costs.

What the models make of it is compared with a rebuild, and with an oracle of dictionaries and loops.
"""

import csv
import io
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from analytics_assets.defs.commerce.sources import ORDER_STATUSES
from analytics_assets_tests.support.project import DOMAINS, IN_FULL, Project, day

pytestmark = pytest.mark.models_alone

SHOP = [replace(one, reports=(), analyses=()) for one in DOMAINS if one.name in ("commerce", "sessions")]
DAYS = [day(number) for number in range(5)]
ORDERS, PRODUCTS, PERSONS = 60, 8, 25
PARTS = 3 if IN_FULL else 2  # of the files: each is settled before the next comes
REVENUE, CANCELLED = {"approved", "invoiced", "processing", "shipped", "delivered"}, {"canceled", "unavailable"}
TIMES = (
    "order_purchase_timestamp",
    "order_approved_at",
    "order_delivered_carrier_date",
    "order_delivered_customer_date",
    "order_estimated_delivery_date",
)
Row = dict[str, str]


@dataclass
class Shop:
    """What a shop delivers: rows by source, each with the day of its file for sources whose files are dated."""

    chance: random.Random
    rows: dict[str, list[tuple[date, Row]]] = field(default_factory=lambda: defaultdict(list))

    def tell(self, source: str, at: date, **row: object) -> None:
        self.rows[source].append((at, {name: "" if value is None else str(value) for name, value in row.items()}))

    def open(self) -> None:
        self.list_products()
        for number in range(ORDERS):
            self.order(f"o{number}", self.chance.choice(DAYS))
        for number in range(20):
            at, product = self.chance.choice(DAYS), f"product-{self.chance.randrange(PRODUCTS)}"
            for warehouse in self.chance.sample(("north", "south"), self.chance.choice((1, 2))):
                hour = self.chance.randrange(24)
                stock = self.chance.randrange(4)
                self.tell(
                    "inventory",
                    at,
                    product_id=product,
                    warehouse=warehouse,
                    counted_at=f"{at} {hour:02}:{number:02}:00",
                    stock_level=stock,
                )
        for number in range(80):
            at = self.chance.choice(DAYS)
            details = {"product_id": f"product-{self.chance.randrange(PRODUCTS)}"} if number % 9 else {}
            self.tell(
                "clickstream",
                at,
                event_id=f"e{number}",
                customer_id=f"p{self.chance.randrange(PERSONS)}" if number % 7 else "",
                event_timestamp=f"{at} 10:{number % 60:02}:00",
                page_type="product",
                device="mobile",
                browser="",
                operating_system="",
                event_type=self.chance.choice(["product_view", "add_to_cart", "purchase", "hover"]),
                event_details=json.dumps(details),
            )
        for number in range(15):
            at, person = self.chance.choice(DAYS), f"p{self.chance.randrange(PERSONS)}"
            end = f"{at} 09:{self.chance.randrange(30, 60)}:30" if number % 4 else None
            person = {0: "", 1: f" {person} "}.get(number, person)  # nobody, and somebody with blanks around
            self.tell(
                "app_usage",
                at,
                usage_id=f"u{number}",
                customer_unique_id=person,
                started_at=f"{at} 09:00:00",
                ended_at=end,
            )
            self.tell(
                "support_tickets",
                at,
                ticket_id=f"t{number}",
                customer_unique_id=person,
                category="delivery",
                status="open",
                created_at=f"{at} 11:00:00",
                updated_at=f"{at} 11:00:00",
            )

        self.tell(
            "order_items",
            DAYS[1],
            order_id="lost",
            order_item_id=1,
            product_id="product-1",
            seller_id="s",
            shipping_limit_date=f"{DAYS[1]} 00:00:00",
            price=7,
            freight_value=1,
        )
        self.tell(
            "order_reviews",
            DAYS[1],
            review_id="lost",
            order_id="lost",
            review_score=1,
            review_creation_date=f"{DAYS[1]} 00:00:00",
            review_answer_timestamp=f"{DAYS[1]} 10:00:00",
        )
        self.tell(
            "order_payments",
            DAYS[1],
            order_id="lost",
            payment_sequential=1,
            payment_type="voucher",
            payment_installments=1,
            payment_value=8,
        )

    def list_products(self) -> None:
        """Two snapshots: the second one has other costs, and lacks a product."""
        for at, lacking in ((DAYS[0], PRODUCTS - 1), (DAYS[2], 0)):
            for number in range(PRODUCTS):
                if number != lacking:
                    cost = None if number == 3 else Decimal(self.chance.randrange(100, 900)) / 100
                    self.tell(
                        "products",
                        at,
                        product_id=f"product-{number}",
                        product_category_name="sapatos" if number % 3 else None,
                        unit_cost=cost,
                    )
        for at, name in self.chance.sample([(DAYS[1], "boots"), (DAYS[3], "shoes")], self.chance.choice((1, 2))):
            for spelled, english in (("sapatos", name), (" Sapatos", "a pair")):
                self.tell(
                    "product_category_name_translation",
                    at,
                    product_category_name=spelled,
                    product_category_name_english=english,
                )

    def order(self, name: str, at: date) -> None:
        """An order with its statuses, each told in a file; its lines, payments, person and review, on whatever days."""
        known = {
            "order_purchase_timestamp": f"{at} {self.chance.randrange(24):02}:15:00",
            "order_estimated_delivery_date": str(at + timedelta(9)),
        }
        ways = (["created", "approved", "shipped", "delivered"], ["created", "canceled"], ["approved", "unavailable"])
        way = self.chance.choices(ways, (6, 1, 1))[0]
        for number, status in enumerate(way[: self.chance.randint(1, len(way))]):
            if number:
                known[TIMES[number]] = str(at + timedelta(self.chance.choice((number, 20)))) + " 08:00:00"
            self.tell(
                "orders",
                at,
                order_id=name,
                customer_id=f"c-{name}",
                order_status=status,
                **{one: known.get(one) for one in TIMES},
            )
        for delivered in sorted(self.chance.sample(DAYS, self.chance.choice((0, 1, 1, 1, 2)))):
            for line in range(1, self.chance.choice((1, 1, 2, 4)) + 1):
                self.tell(
                    "order_items",
                    delivered,
                    order_id=name,
                    order_item_id=line,
                    product_id=f"product-{self.chance.randrange(PRODUCTS)}",
                    seller_id="s",
                    shipping_limit_date=f"{at} 00:00:00",
                    price=Decimal(self.chance.randrange(999)) / 100,
                    freight_value=self.chance.randrange(3),
                )
        for delivered in self.chance.sample(DAYS, self.chance.choice((0, 1, 1, 2))):
            for number in range(1, self.chance.choice((1, 2)) + 1):
                self.tell(
                    "order_payments",
                    delivered,
                    order_id=name,
                    payment_sequential=number,
                    payment_type="voucher",
                    payment_installments=1,
                    payment_value=Decimal(self.chance.randrange(2000)) / 100,
                )
        for delivered in self.chance.sample(DAYS, self.chance.choice((0, 1, 1, 2))):
            self.tell(
                "customers",
                delivered,
                customer_id=f"c-{name}",
                customer_unique_id=f"p{self.chance.randrange(PERSONS)}",
                customer_zip_code_prefix="01",
                customer_city="x",
                customer_state="SP",
            )
        for number in range(self.chance.choice((0, 0, 1, 1, 2))):
            reviewed = self.chance.choice(DAYS)
            for score in self.chance.sample(range(1, 6), self.chance.choice((1, 2))):
                self.tell(
                    "order_reviews",
                    reviewed,
                    review_id=f"r{number}-{name}",
                    order_id=name,
                    review_score=score,
                    review_creation_date=f"{reviewed} 00:00:00",
                    review_answer_timestamp=f"{reviewed} 10:0{score}:00",
                )

    def files(self) -> list[tuple[str, str, str]]:
        """The rows as files: source, name, text. Rows of one day of a delivery come in several, in any order."""
        found = []
        for source, rows in self.rows.items():
            parts: dict[tuple[date, int], list[Row]] = defaultdict(list)
            for number, (at, row) in enumerate(rows):
                parts[at, 0 if source == "products" else number % PARTS].append(row)
            for (at, part), of_part in parts.items():
                self.chance.shuffle(of_part)
                text = io.StringIO()
                writer = csv.DictWriter(text, list(of_part[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(of_part)
                found.append(
                    (source, f"{source}-{at}{f'-{part}' if source != 'products' else ''}.csv", text.getvalue())
                )
        self.chance.shuffle(found)
        return found

    # -------------------------------------------------------------------------------------------- what must come of it

    def newest(self, source: str, key: str) -> dict[str, list[Row]]:
        """By a key, the rows of its newest delivery."""
        days: dict[str, date] = {}
        for at, row in self.rows[source]:
            days[row[key]] = max(at, days.get(row[key], at))
        found: dict[str, list[Row]] = defaultdict(list)
        for at, row in self.rows[source]:
            if at == days[row[key]]:
                found[row[key]].append(row)
        return found

    def orders(self) -> dict[str, tuple[date, str, str]]:
        """By order: its day, its newest status and its person."""
        versions: dict[str, list[tuple[date, Row]]] = defaultdict(list)
        for at, row in self.rows["orders"]:
            versions[row["order_id"]].append((at, row))
        persons, found = self.newest("customers", "customer_id"), {}
        for name, told in versions.items():
            # Texts of one form sort as the times do, and a date before the times of its day.
            at, row = max(
                told, key=lambda one: (max(one[1][t] for t in TIMES), ORDER_STATUSES.index(one[1]["order_status"]))
            )
            person = persons[f"c-{name}"][0]["customer_unique_id"] if f"c-{name}" in persons else f"c-{name}"
            found[name] = (at, row["order_status"], person)
        return found

    def cost(self, product: str, at: date) -> Decimal | None:
        """By the snapshot that holds on a day."""
        held = max(start for start, _ in self.rows["products"] if start <= at)
        costs = [
            row["unit_cost"] for start, row in self.rows["products"] if start == held and row["product_id"] == product
        ]
        return Decimal(costs[0]) if costs and costs[0] else None

    def reviews(self) -> list[tuple[date, str, int]]:
        """Day, order and score of each review, in its newest version."""
        found: dict[str, tuple[str, date, str, int]] = {}
        for at, row in self.rows["order_reviews"]:
            told = (row["review_answer_timestamp"], at, row["order_id"], int(row["review_score"]))
            found[row["review_id"]] = max(told, found.get(row["review_id"], told))
        return [one[1:] for one in found.values()]

    def products_by_day(self) -> dict[tuple[str, date], dict[str, Decimal]]:
        """What happened with each product on each day; numbers that are zero are left out, and stock."""
        found: dict[tuple[str, date], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        items, buyers = self.newest("order_items", "order_id"), defaultdict(set)
        for name, (at, status, _) in self.orders().items():
            for line in items.get(name, ()):
                product, price = line["product_id"], Decimal(line["price"])
                cost, numbers = self.cost(product, at), found[product, at]
                if status in REVENUE:
                    buyers[product, at].add(name)
                    numbers["units"] += 1
                    numbers["revenue"] += price
                    numbers["units_without_cost"] += cost is None
                    numbers["cost"] += cost or 0
                    numbers["costed_revenue"] += price if cost is not None else 0
                elif status in CANCELLED:
                    numbers["cancelled_units"] += 1
                    numbers["cancelled_revenue"] += price
        for cell, names in buyers.items():
            found[cell]["orders"] = Decimal(len(names))
        for at, event in self.rows["clickstream"]:
            column = {"product_view": "product_views", "add_to_cart": "cart_adds"}.get(event["event_type"])
            if column:
                found[json.loads(event["event_details"]).get("product_id", "unknown"), at][column] += 1
        for at, order, score in self.reviews():
            for product in {line["product_id"] for line in items.get(order, ())} or {"unknown"}:
                found[product, at]["reviews"] += 1
                found[product, at]["review_score_sum"] += score
        return without_zeros(found)

    def stock_by_day(self) -> dict[tuple[str, date], tuple[int, int]]:
        """Level and age of the stock that is known of each product on each day; all days here are within seven."""
        counts: dict[tuple[str, str], dict[date, tuple[str, int]]] = defaultdict(dict)
        for at, row in self.rows["inventory"]:
            told, place = (row["counted_at"], int(row["stock_level"])), (row["product_id"], row["warehouse"])
            counts[place][at] = max(told, counts[place].get(at, told))
        found: dict[tuple[str, date], tuple[int, int]] = {}
        for (product, _), by_day in counts.items():
            for at in DAYS:
                if held := [counted for counted in by_day if counted <= at]:
                    level, age = found.get((product, at), (0, 0))
                    found[product, at] = (level + by_day[max(held)][1], max(age, (at - max(held)).days))
        return found

    def persons_by_day(self) -> dict[tuple[str, date], dict[str, Decimal]]:
        """What each person did on each day; numbers that are zero are left out."""
        found: dict[tuple[str, date], dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
        items, orders = self.newest("order_items", "order_id"), self.orders()
        for name, (at, status, person) in orders.items():
            found[person, at]["orders"] += 1
            if status in REVENUE:
                found[person, at]["revenue_orders"] += 1
                lines = items.get(name, ())
                found[person, at]["order_value"] += sum(
                    (Decimal(one["price"]) + int(one["freight_value"]) for one in lines), Decimal()
                )
        for at, event in self.rows["clickstream"]:
            column = {
                "product_view": "product_views",
                "add_to_cart": "cart_adds",
                "purchase": "purchases",
                "hover": "other_events",
            }
            if event["customer_id"]:
                found[event["customer_id"], at][column[event["event_type"]]] += 1
        for at, use in self.rows["app_usage"]:
            if person := use["customer_unique_id"].strip():
                found[person, at]["app_uses"] += 1
                minutes = int(use["ended_at"][14:16]) + Decimal("0.5") if use["ended_at"] else Decimal()
                found[person, at]["app_minutes"] += minutes
        for at, ticket in self.rows["support_tickets"]:
            if person := ticket["customer_unique_id"].strip():
                found[person, at]["tickets"] += 1
        for at, order, score in self.reviews():
            if order in orders:
                found[orders[order][2], at]["reviews"] += 1
                found[orders[order][2], at]["review_score_sum"] += score
        return without_zeros(found)


def without_zeros(
    found: Mapping[tuple[str, date], Mapping[str, Decimal]],
) -> dict[tuple[str, date], dict[str, Decimal]]:
    told = {cell: {name: value for name, value in numbers.items() if value} for cell, numbers in found.items()}
    return {cell: numbers for cell, numbers in told.items() if numbers}


def numbers_in(frame: pl.DataFrame, key: str, names: Iterable[str]) -> dict[tuple[str, date], dict[str, Decimal]]:
    """The numbers of a model's rows, as the oracle tells them."""
    return without_zeros(
        {
            (row[key], row["the_day"]): {name: Decimal(row[name]) for name in names}
            for row in frame.iter_rows(named=True)
        }
    )


OF_PRODUCTS = (
    "orders",
    "units",
    "revenue",
    "costed_revenue",
    "cost",
    "units_without_cost",
    "cancelled_units",
    "cancelled_revenue",
    "product_views",
    "cart_adds",
    "reviews",
    "review_score_sum",
)
OF_PERSONS = (
    "orders",
    "revenue_orders",
    "order_value",
    "page_views",
    "product_views",
    "cart_adds",
    "cart_removals",
    "checkouts",
    "purchases",
    "other_events",
    "app_uses",
    "app_minutes",
    "tickets",
    "reviews",
    "review_score_sum",
)


@pytest.fixture(scope="module", params=range(12 if IN_FULL else 1))
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Project]:
    """A shop whose files came in any order, some at a time, each time settled."""
    shop = Shop(random.Random(request.param))
    shop.open()
    project = Project(tmp_path_factory.mktemp("shop") / "data", SHOP)
    files = shop.files()
    for part in range(PARTS):
        for source, name, text in files[part::PARTS]:
            project.drop(source, name, text)
        project.settle()
    assert project.requested() == {}
    return shop, project


def test_products_are_those_of_the_oracle(shop: tuple[Shop, Project]) -> None:
    frame = shop[1].frame("mart_product_daily")
    assert numbers_in(frame, "product_id", OF_PRODUCTS) == shop[0].products_by_day()
    known = frame.filter(pl.col("stock_level").is_not_null())
    stock = {
        (product, at): (level, age)
        for product, at, level, age in known.select("product_id", "the_day", "stock_level", "stock_age_days").rows()
    }
    assert stock == shop[0].stock_by_day()
    assert known.filter(pl.col("is_out_of_stock") != (pl.col("stock_level") == 0)).is_empty()


def test_persons_are_those_of_the_oracle(shop: tuple[Shop, Project]) -> None:
    frame = shop[1].frame("int_customer_daily")
    assert numbers_in(frame, "customer_unique_id", OF_PERSONS) == shop[0].persons_by_day()


def test_payments_are_those_of_the_newest_delivery(shop: tuple[Shop, Project]) -> None:
    newest, orders = shop[0].newest("order_payments", "order_id"), shop[0].orders()
    expected = {
        name: sum((Decimal(one["payment_value"]) for one in newest.get(name, ())), Decimal()) for name in orders
    }
    assert dict(shop[1].frame("int_orders").select("order_id", "payment_value").rows()) == expected


def test_a_category_has_one_word_however_often_and_in_whatever_letters_it_is_translated(
    shop: tuple[Shop, Project],
) -> None:
    told = shop[0].rows["product_category_name_translation"]
    newest = max(at for at, _ in told)
    word = max(row["product_category_name_english"] for at, row in told if at == newest)
    assert read(shop[1], "select distinct category from intermediate.int_products order by 1") == [
        (word,),
        ("unknown",),
    ]


def test_rows_whose_order_never_came_are_told(shop: tuple[Shop, Project]) -> None:
    names = "rows_of, row_count, amount, told_on"
    found = read(
        shop[1], f"select {names} from intermediate.int_rows_without_order where order_id = 'lost' order by all"
    )
    assert found == [("lines", 1, 8, DAYS[1]), ("payments", 1, 8, DAYS[1]), ("reviews", 1, None, DAYS[1])]
    assert read(shop[1], "select count(*) from intermediate.int_rows_without_order") == [(3,)]


def test_all_equals_a_rebuild(shop: tuple[Shop, Project], tmp_path: Path) -> None:
    rebuilt = shop[1].copy_to(tmp_path / "rebuilt")
    rebuilt.forget_builds()
    rebuilt.settle()
    assert shop[1].tables() == rebuilt.tables()


def read(project: Project, query: str) -> list[tuple]:
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_optimized_behavior_has_the_rows_of_the_plain_one(shop: tuple[Shop, Project]) -> None:
    plain, optimized = "intermediate.int_customer_behavior", "intermediate.int_customer_behavior_optimized"
    assert read(shop[1], f"select count(*) from {plain}")[0][0] >= PERSONS
    for one, other in ((plain, optimized), (optimized, plain)):
        assert read(shop[1], f"select * from {one} except all select * from {other}") == []


ERRORS = {
    "lines by payments": "select sum(price) from lines join intermediate_payments using (order_id)",
    "lines by reviews": "select sum(price) from lines left join staging.stg_order_reviews using (order_id)",
    "lines by their number alone": "select sum(a.price) from lines as a join lines as b using (order_item_id)",
    "lines of every delivery": "select sum(i.price) from staging.stg_order_items as i join orders using (order_id)",
    "all statuses": "select sum(price) from intermediate.int_order_lines",
}
"""Ways to get revenue wrong that the models are immune to."""


@pytest.mark.parametrize("error", ERRORS)
def test_revenue_is_not_what_a_planted_error_makes_of_it(shop: tuple[Shop, Project], error: str) -> None:
    given = (
        "with lines as (select * from intermediate.int_order_lines where is_revenue),"
        " orders as (select distinct order_id from lines),"
        " intermediate_payments as (select order_id from staging.stg_order_payments) "
    )
    true = sum((numbers.get("revenue", Decimal()) for numbers in shop[0].products_by_day().values()), Decimal())
    assert read(shop[1], "select sum(revenue) from marts.mart_product_daily") == [(true,)]
    assert read(shop[1], given + ERRORS[error]) != [(true,)]


OTHER_ERRORS = {
    "the newest cost": (
        "select sum(cost) from marts.mart_product_daily",
        """
        with newest as (
            select product_id, arg_max(unit_cost, snapshot_date) as unit_cost
            from intermediate.int_products group by all
        )
        select sum(newest.unit_cost) from intermediate.int_order_lines as lines join newest using (product_id)
        where is_revenue and lines.unit_cost is not null
        """,
    ),
    "a fixed margin": (
        "select sum(cost) from marts.mart_product_daily",
        "select sum(costed_revenue) * 0.7 from marts.mart_product_daily",
    ),
    "the newest stock": (
        "select sum(stock_level * units) from marts.mart_product_daily",
        """
        with newest as (
            select product_id, arg_max(stock_level, activity_date) as stock_level
            from marts.mart_product_daily group by all
        )
        select sum(newest.stock_level * units) from marts.mart_product_daily join newest using (product_id)
        """,
    ),
    "the row before for the day before": (
        """
        select sum(days.units - coalesce(before.units, 0)) from marts.mart_product_daily as days
        left join marts.mart_product_daily as before
            on days.product_id = before.product_id and days.activity_date - 1 = before.activity_date
        """,
        """
        select sum(change) from (
            select units - coalesce(lag(units) over (partition by product_id order by activity_date), 0) as change
            from marts.mart_product_daily
            where units > 0
        )
        """,
    ),
    "lines for payments": (
        "select sum(payment_value) from intermediate.int_orders",
        "select sum(item_value + freight_value) from intermediate.int_orders",
    ),
}
"""What the models have, and what they would have with an error."""


@pytest.mark.parametrize("error", OTHER_ERRORS)
def test_cost_stock_and_changes_are_not_what_a_planted_error_makes_of_them(
    shop: tuple[Shop, Project], error: str
) -> None:
    ours, wrong = (float(read(shop[1], query)[0][0]) for query in OTHER_ERRORS[error])
    assert abs(ours - wrong) > 0.01
    true = sum((numbers.get("cost", Decimal()) for numbers in shop[0].products_by_day().values()), Decimal())
    assert read(shop[1], "select sum(cost) from marts.mart_product_daily") == [(true,)]


def test_ratios_of_stock_are_of_the_units_of_days_with_stock(shop: tuple[Shop, Project]) -> None:
    """All days are within the last 28, so the spans begin with the first of them."""
    sold, stock = shop[0].products_by_day(), shop[0].stock_by_day()
    rows = read(
        shop[1],
        f"""
        select product_id, days_of_inventory, sell_through from marts.mart_product_performance
        where activity_date = date '{DAYS[-1]}' and stock_level is not null
    """,
    )
    assert len(rows) > 3
    for product, lasts, through in rows:
        units = {at: float(sold.get((product, at), {}).get("units", 0)) for at in DAYS}
        level = stock[product, DAYS[-1]][0]
        stocked = [at for at in DAYS if stock.get((product, at), (0, 0))[0] > 0]
        in_stock = sum(units[at] for at in stocked)
        assert lasts == pytest.approx(level * len(stocked) / in_stock if in_stock else None, abs=1e-6)
        whole = sum(units.values()) + level
        assert through == pytest.approx(sum(units.values()) / whole if whole else None, abs=1e-6)


def test_days_weeks_and_months_hold_the_sums_of_their_days(shop: tuple[Shop, Project]) -> None:
    span = f"date '{DAYS[0]}', date '{DAYS[-1]}'"
    names = ", ".join(f"sum({name})" for name in OF_PRODUCTS)
    true = read(shop[1], f"select {names} from marts.mart_product_daily")
    for period in ("day", "week", "month"):
        assert read(shop[1], f"select {names} from reporting.rpt_products_by_{period}({span})") == true
    grown = read(
        shop[1],
        f"""
        select now.units_growth, now.units, before.units from reporting.rpt_products_by_day({span}) as now
        left join reporting.rpt_products_by_day({span}) as before
            on now.product_id = before.product_id and now.period - 1 = before.period
    """,
    )
    for growth, now, before in grown:
        assert growth == pytest.approx((now - before) / before if before else None, abs=1e-6)
    assert any(growth is not None for growth, *_ in grown)


def test_sellers_sell_what_products_do(shop: tuple[Shop, Project]) -> None:
    whole = read(shop[1], "select sum(units), sum(revenue), sum(cancelled_units) from marts.mart_product_daily")
    for table in ("marts.mart_seller_daily", "reporting.rpt_sellers"):
        assert read(shop[1], f"select sum(units), sum(revenue), sum(cancelled_units) from {table}") == whole


def test_scores_are_sums_by_sums_and_no_mean_of_means(shop: tuple[Shop, Project]) -> None:
    first, last = DAYS[0], DAYS[-1]
    found = dict(
        read(
            shop[1],
            f"select product_id, review_score from reporting.rpt_products_by_month(date '{first}', date '{last}')"
            f" where period = date '{last.replace(day=1)}' and review_score is not null",
        )
    )
    scores: dict[str, list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for (product, at), numbers in shop[0].products_by_day().items():
        if numbers.get("reviews") and at >= last.replace(day=1):
            scores[product].append((numbers["review_score_sum"], numbers["reviews"]))
    true = {one: float(sum(s for s, _ in told) / sum(n for _, n in told)) for one, told in scores.items()}
    assert found == pytest.approx(true, abs=1e-6)
    days = [numbers for numbers in shop[0].products_by_day().values() if numbers.get("reviews")]
    told = [(numbers["review_score_sum"], numbers["reviews"]) for numbers in days]
    mean_of_means = float(sum(score / count for score, count in told) / len(told))
    assert abs(mean_of_means - float(sum(score for score, _ in told) / sum(count for _, count in told))) > 1e-6


def test_what_changed_adds_up_to_the_change_of_the_margin(shop: tuple[Shop, Project]) -> None:
    spans = [f"date '{at}'" for at in (DAYS[0], DAYS[1], DAYS[2], DAYS[4])]
    rows = read(
        shop[1],
        f"""
        select units_before, units_now, revenue_before, revenue_now, cost_before, cost_now,
            price_effect, volume_effect, mix_effect, cost_effect, margin_change
        from reporting.rpt_product_changes({", ".join(spans)})
    """,
    )
    true = [Decimal(), Decimal()]
    for (_, at), numbers in shop[0].products_by_day().items():
        true[at > DAYS[1]] += numbers.get("costed_revenue", Decimal()) - numbers.get("cost", Decimal())
    assert sum(row[-1] for row in rows) == true[1] - true[0] != 0
    before, now = sum(row[0] for row in rows), sum(row[1] for row in rows)
    for q0, q1, r0, r1, c0, c1, price, volume, mix, cost, change in rows:
        assert price + volume + mix + cost == change == r1 - c1 - (r0 - c0)
        assert float(volume) == pytest.approx(float(r0 - c0) * (now / before - 1), abs=1e-5)
        if q0 and q1:
            assert float(price) == pytest.approx(float(r1) - q1 * float(r0) / q0, abs=1e-5)
            assert float(mix) == pytest.approx((q1 - q0 * now / before) * float(r0 - c0) / q0, abs=1e-5)
        else:
            assert price == cost == 0
