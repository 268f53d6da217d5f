"""Of a key, what its newest delivery says holds; a complete delivery withdraws the keys that it lacks."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.partitions import Window
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import Kind, Source
from analytics_assets_tests.support.inline import filled_in
from analytics_assets_tests.support.laws import differing, drop_a_change
from analytics_assets_tests.support.project import IN_FULL, Project, day
from analytics_assets_tests.support.project import test_settings as settings_in
from analytics_assets_tests.support.shop import HEADER as ORDERS_HEADER
from analytics_assets_tests.support.shop import MODELS as OF_ORDERS
from analytics_assets_tests.support.shop import ORDERS, model, written

LINES = Source(
    name="lines",
    description="The lines of all orders of a shop, as its database holds them.",
    patterns=("lines-*.csv",),
    columns={"order_id": pl.String, "line": pl.Int64, "amount": pl.Int64},
    kind=Kind.DELIVERY,
    complete=True,
    primary_key=("order_id", "line"),
)

HEADER = "order_id,line,amount\n"

MODELS: Mapping[str, str] = {
    "models/staging/shop/src_lines.sql": """{{ config(materialized='view') }}
select order_id, line, amount, _day as delivered_on, {{ duplicate_rank('lines') }} as duplicate_rank
from {{ raw('lines') }}
""",
    "models/staging/shop/stg_lines.sql": """
with deliveries as (
    select * from {{ ref('src_lines') }} where {{ in_window('delivered_on', of='src_lines') }}
),
of_window as (
    select order_id, line, amount, delivered_on from deliveries
    where {{ in_window('delivered_on') }} and duplicate_rank = 1
)
select order_id, line, amount, delivered_on, is_withdrawn
from {{ with_withdrawn('of_window', 'deliveries', ['order_id'], ['line', 'amount'], 'delivered_on') }} as with_withdrawn
""",
    "models/staging/shop/_lines.yml": """version: 2
sources: [{name: raw, tables: [{name: lines}]}]
models:
  - name: src_lines
    config: {meta: {day: delivered_on, adds_up: {rows_of_raw: lines}}}
    data_tests: [adds_up]
  - name: stg_lines
    config: {meta: {day: delivered_on, reads: [{model: src_lines, days: [~, 0]}], adds_up: {keys_of_raw: lines}}}
    data_tests: [adds_up]
""",
    **model(
        "open_lines",
        """
with read_by_day as (
    select days.the_day as _for_day, lines.*
    from {{ days_of_window() }} as days
    inner join {{ ref('stg_lines') }} as lines on lines.delivered_on <= days.the_day
    where {{ in_window('delivered_on', of='stg_lines') }}
)
select _for_day as open_on, order_id, line, amount
from {{ newest_delivery('read_by_day', ['_for_day', 'order_id'], 'delivered_on') }} as newest
where not is_withdrawn
""",
        "{day: open_on, reads: [{model: stg_lines, days: [~, 0]}]}",
    ),
}


def test_a_table_that_is_delivered_whole_is_known_as_of_each_day(tmp_path: Path) -> None:
    dumps = {0: ["a,1,5", "a,2,6", "b,1,7"], 1: ["a,1,8", "c,1,9"], 3: ["a,1,8", "b,1,1"]}
    with written(tmp_path / "dbt", MODELS):
        project = Project(tmp_path / "data", [Domain("shop", "team:shop", sources=[LINES])])

        def drop(number: int, name: str, lines: list[str]) -> None:
            project.drop("lines", f"lines-{day(number)}{name}.csv", HEADER + "".join(f"{line}\n" for line in lines))

        def made(model: str) -> list[tuple]:
            frame = project.frame(model).select("the_day", "order_id", "line", "amount")
            return sorted(frame.rows(), key=repr)

        def open_lines() -> list[tuple]:
            """The lines of the last dump up to each day."""
            found = []
            for number in range(5):
                for line in dumps[max(other for other in dumps if other <= number)]:
                    order, *rest = line.split(",")
                    found.append((day(number), order, *map(int, rest)))
            return sorted(found, key=repr)

        for number, lines in dumps.items():
            drop(number, "-1", lines[:1])  # two files of one day are one delivery
            drop(number, "-2", lines[1:])
        assert project.settle().outcome.failures == []  # `adds_up` counts no row that is withdrawn
        assert reconcile(LINES, project.declared, datetime.now(UTC)).faults == []
        assert made("open_lines") == open_lines()
        withdrawn = project.frame("stg_lines").filter("is_withdrawn").select("the_day", "order_id", "line")
        assert sorted(withdrawn.rows()) == [(day(1), "b", None), (day(3), "c", None)]

        dumps[1] = ["a,1,8", "b,1,7"]
        drop(1, "-2", dumps[1][1:])  # the file was wrong
        runs = project.settle().outcome
        assert runs.failures == []
        assert set(runs.made["raw_lines"]) == {day(1)}
        assert made("open_lines") == open_lines()
        assert project.frame("stg_lines").filter("is_withdrawn").height == 0

        before = project.tables()
        _, changed = drop_a_change(project, LINES, day(1))
        assert set(project.settle().outcome.made["raw_lines"]) == changed == {day(1)}
        assert differing(before, project.tables()) == {
            "raw_lines": {day(1)},
            "src_lines": {day(1)},
            "stg_lines": {day(1), day(3)},  # the next dump lacks the new key
            "open_lines": {day(1), day(2)},
            "published_shop": {day(1), day(2)},
        }

        rebuilt = project.copy_to(tmp_path / "rebuilt")
        rebuilt.forget_builds()
        rebuilt.settle()
        assert rebuilt.tables() == project.tables()


OF_LINES = model(
    "order_amounts",
    """
select orders.order_id, orders.order_date, sum(lines.amount) as amount
from {{ ref('stg_orders') }} as orders
left join {{ newest_delivery(by_key('stg_lines'), ['_for_day', 'order_id'], 'delivered_on') }} as lines
    on orders.order_date = lines._for_day and orders.order_id = lines.order_id and not lines.is_withdrawn
where {{ in_window('orders.order_date') }}
group by orders.order_id, orders.order_date
""",
    """{day: order_date, reads: [{model: stg_lines, days: [~, ~], key: order_id, of: stg_orders,
      columns: [line, amount, delivered_on, is_withdrawn]}]}""",
)


def test_a_delivery_changes_the_days_of_just_the_orders_that_it_tells_of(tmp_path: Path) -> None:
    with written(tmp_path / "dbt", {**OF_ORDERS, **MODELS, **OF_LINES}):
        project = Project(tmp_path / "data", [Domain("shop", "team:shop", sources=[LINES, ORDERS])])
        orders = "".join(f"{name},{day(number)} 12:00:00,1\n" for number, name in enumerate("abc"))
        project.drop("orders", "orders-1.csv", ORDERS_HEADER + orders)
        project.drop("lines", f"lines-{day(0)}.csv", HEADER + "a,1,5\na,2,6\nb,1,7\n")
        project.settle()

        def amounts() -> dict[str, int | None]:
            return dict(project.frame("order_amounts").select("order_id", "amount").rows())

        assert amounts() == {"a": 11, "b": 7, "c": None}
        project.drop("lines", f"lines-{day(3)}.csv", HEADER + "a,1,5\na,2,6\nc,1,9\n")
        made = project.settle().outcome.made
        assert set(made["order_amounts"]) == {day(0), day(1), day(2)}, "a was delivered anew, b withdrawn, c came"
        assert amounts() == {"a": 11, "b": None, "c": 9}
        project.drop("lines", f"lines-{day(4)}.csv", HEADER + "a,1,5\na,2,6\nc,1,8\n")
        assert set(project.settle().outcome.made["order_amounts"]) == {day(0), day(2)}
        assert amounts() == {"a": 11, "b": None, "c": 8}


# ------------------------------------------------------------------------------------------- whatever is delivered

DAYS = [date(2026, 1, number) for number in range(1, 6)]
ALL = Window(DAYS[0], date(2026, 1, 6))

WITHDRAWN = "select * from {{ with_withdrawn('of_window', 'lines', ['order_id'], ['line'], 'delivered_on') }} as found"

OPEN = """
with read_by_day as (
    select days.day as _for_day, staged.* from days inner join staged on staged.delivered_on <= days.day
)
select _for_day, order_id, line
from {{ newest_delivery('read_by_day', ['_for_day', 'order_id'], 'delivered_on') }} as newest
where not is_withdrawn
"""

Orders = Mapping[str, int]
"""How many lines each order has."""


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The two queries; the days of their window are literals in them."""
    yield filled_in([WITHDRAWN, OPEN], settings_in(tmp_path_factory.mktemp("deliveries")), ALL)


def opened(texts: list[str], history: Mapping[date, Orders], is_complete: bool, at_once: bool) -> set[tuple]:
    """The open lines as of each day; the rows of the days are made at once, or each alone from it and those before."""
    rows = [(order, line, on) for on, orders in history.items() for order, n in orders.items() for line in range(n)]
    lines = pl.DataFrame(rows, {"order_id": pl.String, "line": pl.Int64, "delivered_on": pl.Date}, orient="row")
    with duckdb.connect() as connection:
        connection.register("all_lines", lines)
        connection.register("days", pl.DataFrame({"day": DAYS}))
        connection.execute("create table staged (order_id text, line bigint, delivered_on date, is_withdrawn boolean)")
        for window in [ALL] if at_once else [Window.of_days(at, at) for at in DAYS]:
            within = f"delivered_on >= '{window.start}' and delivered_on < '{window.end}'"
            of_window = f"select * from all_lines where {within}"
            connection.execute(f"create or replace view lines as from all_lines where delivered_on < '{window.end}'")
            connection.execute(f"create or replace view of_window as {of_window}")
            text = texts[0].replace(f"'{ALL.end}'", f"'{window.end}'").replace(f"'{ALL.start}'", f"'{window.start}'")
            made = text if is_complete else f"select *, false as is_withdrawn from ({of_window})"
            connection.execute(f"insert into staged by name {made}")
        return set(connection.execute(texts[1]).fetchall())


@settings(max_examples=300 if IN_FULL else 30)
@given(
    history=st.dictionaries(st.sampled_from(DAYS), st.dictionaries(st.sampled_from("abc"), st.integers(1, 2))),
    is_complete=st.booleans(),
    at_once=st.booleans(),
)
def test_what_holds_on_a_day_is_what_the_deliveries_up_to_it_say(
    texts: list[str], history: dict[date, Orders], is_complete: bool, at_once: bool
) -> None:
    expected: dict[date, set[tuple]] = defaultdict(set)
    holds: dict[str, int] = {}
    for at in DAYS:
        delivered = history.get(at, {})
        holds = dict(delivered) if is_complete and delivered else holds | dict(delivered)
        expected[at] = {(at, order, line) for order, count in holds.items() for line in range(count)}
    assert opened(texts, history, is_complete, at_once) == set().union(*expected.values())
