"""What is read by key, on BigQuery: the keys are noted before the days are replaced, and found as on DuckDB."""

from pathlib import Path

import pytest

from analytics_assets_tests.support.app import APP, MODELS, PAYMENTS_HEADER, USERS_HEADER, payment, user
from analytics_assets_tests.support.emulator import BigQueryProject, emulating
from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.shop import written

pytestmark = pytest.mark.models_alone


def test_a_late_user_changes_the_same_days_as_on_duckdb(tmp_path: Path) -> None:
    with written(tmp_path / "dbt", MODELS), emulating() as emulator:
        duck = Project(tmp_path / "data", [APP], {"start_date": day(2)})
        duck.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(2), "search"))
        rows = [payment(1, day(2), "ann"), payment(2, day(4), "eve"), payment(3, day(3), "ann")]
        duck.drop("payments", "payments-1.csv", PAYMENTS_HEADER + "".join(rows))
        duck.settle()
        big = BigQueryProject(duck.folder, [APP], {"start_date": day(2)}, emulator=emulator)
        big.settle()
        duck.drop("users", "users-2.csv", USERS_HEADER + user("eve", day(3), "email"))
        for project in (duck, big):
            made = project.settle().outcome.made
            assert set(made["int_payments"]) == set(made["mart_payments_daily"]) == {day(4)}, project
            assert "int_paid_before" not in made
        columns = ["payment_id", "amount", "channel", "rows_of_user"]
        expected, found = (
            project.frame("int_payments").select(columns).sort("payment_id").rows() for project in (duck, big)
        )
        assert found == expected
        assert ("2", 2, "email", 1) in found
