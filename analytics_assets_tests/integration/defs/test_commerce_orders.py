"""The shop's staging: of an order's states, the newest stays, in whatever order they arrive."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest

from analytics_assets.defs.commerce import DOMAIN as COMMERCE
from analytics_assets.defs.sessions import DOMAIN as SESSIONS
from analytics_assets_tests.support.project import Project, day

pytestmark = pytest.mark.models_alone

HEADER = (
    "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
    "order_delivered_carrier_date,order_delivered_customer_date,order_estimated_delivery_date\n"
)


def states(order: str) -> list[str]:
    """An order that was sent, did not arrive, and was canceled; the last two differ in their status alone."""
    bought, approved, sent, due = (f"{day(number)} 10:00:00" for number in (0, 1, 2, 3))
    return [
        f"{order},c,created,{bought},,,,{bought}\n",
        f"{order},c,approved,{bought},{approved},,,{bought}\n",
        f"{order},c, Shipped ,{bought},{approved},{sent},,{due}\n",
        f"{order},c,CANCELED,{bought},{approved},{sent},,{due}\n",
    ]


def test_the_newest_state_of_an_order_stays_in_whatever_order_they_arrive(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", [replace(one, reports=(), analyses=()) for one in (COMMERCE, SESSIONS)])
    orders = {f"o{number}": order for number, order in enumerate(permutations(range(4)))}
    for number in range(4):
        rows = [states(name)[order[number]] for name, order in orders.items()]
        project.drop("orders", f"orders-{number}.csv", HEADER + "".join(rows))
        project.land()
    project.settle()
    held = project.frame("stg_orders").select("order_id", "order_status", "the_day").rows()
    assert sorted(held) == sorted((name, "canceled", day(0)) for name in orders)
    assert project.frame("src_orders").height == 4 * len(orders)
