"""What is read by key: a changed row changes exactly the days in whose own rows its key occurs."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from analytics_assets_tests.support.app import APP, MODELS, PAYMENTS_HEADER, USERS_HEADER, payment, user
from analytics_assets_tests.support.laws import differing
from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.shop import written

pytestmark = pytest.mark.models_alone


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with written(tmp_path / "dbt", MODELS):
        yield Project(tmp_path / "data", [APP])


def made_by(project: Project) -> dict[str, set[date]]:
    return {name: set(days) for name, days in project.settle().outcome.made.items()}


def test_a_late_user_changes_exactly_the_days_on_which_they_paid(project: Project) -> None:
    project.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(0), "search") + user("bob", day(1), "social"))
    rows = [payment(1, day(1), "ann"), payment(2, day(2), "bob"), payment(3, day(4), "eve"), payment(4, day(4), "ann")]
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + "".join(rows))
    project.land()
    project.settle()
    assert project.requested() == {}
    before = project.tables()

    project.drop("users", "users-2.csv", USERS_HEADER + user("eve", day(3), "email"))
    project.land()
    made = made_by(project)
    assert made["raw_users"] == made["stg_users"] == {day(3)}
    assert made["int_payments"] == made["mart_payments_daily"] == {day(4)}
    assert made["int_recent_users"] == {day(4)}
    assert made.keys().isdisjoint({"int_paid_before", "int_seen_before", "stg_payments"})
    changed = differing(before, project.tables())
    assert {name: changed[name] for name in ("int_payments", "int_recent_users")} == {
        "int_payments": {day(4)},
        "int_recent_users": {day(4)},
    }


def test_a_late_payment_changes_the_later_days_on_which_the_same_user_paid(project: Project) -> None:
    """A model may read another one whole and by key, and by a span of days as driver."""
    project.drop("users", "users-1.csv", USERS_HEADER)
    rows = [payment(1, day(1), "ann"), payment(2, day(2), "bob"), payment(3, day(3), "ann")]
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + "".join(rows))
    project.land()
    project.settle()
    project.drop("payments", "payments-2.csv", PAYMENTS_HEADER + payment(9, day(0), "ann"))
    project.land()
    made = made_by(project)
    assert made["int_payments"] == {day(0)}
    assert made["int_paid_before"] == made["int_paid_by_user"] == {day(0), day(1), day(3)}
    sums = project.frame("int_paid_before").sort("the_date", "payment_id")
    assert sums.select("payment_id", "paid_so_far").rows() == [("9", 9), ("1", 10), ("2", 2), ("3", 13)]
    # Each day looks at who paid on it or the day before, and at what they had paid until the day before.
    seen = project.frame("int_seen_before").sort("the_date", "user_id")
    assert seen.select("the_date", "user_id", "most").rows() == [
        (day(0), "ann", None),
        (day(1), "ann", 9),
        (day(2), "ann", 10),
        (day(2), "bob", None),
        (day(3), "ann", 10),
        (day(3), "bob", 2),
        (day(4), "ann", 13),
    ]
