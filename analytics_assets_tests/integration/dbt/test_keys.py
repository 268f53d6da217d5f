"""What is read by key: a changed row changes exactly the days in whose own rows its key occurs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pytest

from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.dbt import step as dbt_step
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.operations.forecast import Forecast
from analytics_assets.partitions import by_key
from analytics_assets_tests.support.app import APP, MODELS, PAYMENTS_HEADER, USERS_HEADER, payment, user
from analytics_assets_tests.support.laws import differing, drop_a_row_with_a_key, held_by_key, tied_to
from analytics_assets_tests.support.project import Project, day
from analytics_assets_tests.support.shop import written

pytestmark = pytest.mark.models_alone


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with written(tmp_path / "dbt", MODELS):
        yield Project(tmp_path / "data", [APP])


def made_by(project: Project) -> dict[str, set[date]]:
    return {name: set(days) for name, days in project.settle().outcome.made.items()}


def foreseen(project: Project) -> tuple[dict[str, set[date]], dict[str, set[date]]]:
    """By asset the days that are planned, and those that may be made for a key, at most."""
    forecast = Forecast(project.definitions, project.declared, project.instance)
    with forecast.looking_ahead():
        forecast.settle(set(project.assets))
        at_most = forecast.by_key(set(project.assets))
    return {one.asset: one.days for one in forecast.planned.values()}, at_most


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
    planned, at_most = foreseen(project)
    made = made_by(project)
    assert made["raw_users"] == made["stg_users"] == {day(3)}
    assert made["int_payments"] == made["mart_payments_daily"] == {day(4)}
    assert made["int_recent_users"] == {day(4)}
    assert planned == {"raw_users": {day(3)}, "src_users": {day(3)}, "stg_users": {day(3)}}
    assert at_most["int_payments"] == at_most["mart_payments_daily"] == set(project.window.days())
    assert at_most["int_recent_users"] == {day(2), day(3), day(4)}, "which look two days back and one ahead"
    assert at_most.keys() == {"int_payments", "mart_payments_daily", "int_recent_users", "published_app"}
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


def test_the_laws_hold_for_each_mapping_by_key(project: Project, tmp_path: Path) -> None:
    """What test_laws.py shows for the domains, here for a key of the driver itself, a chain and a span on one side."""
    project.drop("users", "users-1.csv", USERS_HEADER + "".join(user(f"u{n}", day(n % 4), "ads") for n in range(6)))
    rows = [payment(n, day(n % 5), f"u{n % 7}") for n in range(20)] + [payment(99, day(2), "")]
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + "".join(rows))
    project.settle()
    seen = 0
    for asset, reads in project.upstream.items():
        for read in by_key(reads):
            copy = project.copy_to(tmp_path / f"copy-{asset}", with_state=True)
            before = held_by_key(copy)
            source, raw_days = drop_a_row_with_a_key(copy, asset, read)
            made = made_by(copy)
            assert made == tied_to(copy, f"raw_{source.name}", raw_days, before), read
            seen += len(made[asset])
    assert seen > 4


def test_a_column_that_no_reader_names_asks_for_nothing(project: Project) -> None:
    project.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(0), "search", "a note"))
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + payment(1, day(3), "ann"))
    project.settle()
    project.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(0), "search", "another note"))
    assert made_by(project) == {name: {day(0)} for name in ("raw_users", "src_users", "stg_users")}


def test_changed_code_that_changes_no_value_makes_nothing_anew_downstream(project: Project, tmp_path: Path) -> None:
    project.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(0), "search"))
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + payment(1, day(3), "ann"))
    project.settle()
    sql = "models/staging/app/stg_users.sql"
    with written(tmp_path / "changed", {**MODELS, sql: MODELS[sql] + "-- no other rows\n"}):
        project.changes = {"retry_wait_seconds": 9}  # other settings: parsed anew
        changed = project.copy_to(tmp_path / "of changed code", with_state=True)
        runner = changed.runner()
        runner.roll_out(set(changed.assets), 30)
        assert set(runner.outcome.made["stg_users"]) == set(changed.window.days())
        assert "int_payments" not in runner.outcome.made
        assert made_by(changed) == {}


def test_a_user_table_that_is_gone_is_made_again_and_so_are_its_readers(project: Project) -> None:
    project.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(0), "search"))
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + payment(1, day(3), "ann"))
    project.settle()
    before = project.tables()
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        connection.execute("drop table staging.stg_users")
    made = made_by(project)
    assert made["stg_users"] == made["int_payments"] == set(project.window.days())
    assert differing(before, project.tables()) == {}


def test_a_payment_that_comes_back_after_its_user_has_changed_is_made_again(project: Project) -> None:
    """The driver goes from one content to another and back around the search, and looks as it did before."""
    payments = PAYMENTS_HEADER + payment(1, day(3), "eve")
    project.drop("users", "users-1.csv", USERS_HEADER + user("eve", day(0), "search"))
    project.drop("payments", "payments-1.csv", payments)
    project.settle()

    def stage(source: str, content: str) -> None:
        """Somebody asks for the days of the staging models alone."""
        project.drop(source, f"{source}-1.csv", content)
        project.land()
        names = (f"raw_{source}", f"src_{source}", f"stg_{source}")
        assert project.runner().make([PlannedRun(names, project.window)])

    stage("payments", PAYMENTS_HEADER + payment(1, day(3), "ann"))
    stage("users", USERS_HEADER + user("eve", day(0), "social"))
    stage("payments", payments)
    project.settle()
    assert project.frame("int_payments")["channel"].to_list() == ["social"]


@contextmanager
def failing(model: str) -> Iterator[None]:
    """Every call of dbt that makes a model fails before it begins."""
    real = dbt_step.run_dbt

    def run_dbt(arguments: list[str], *of: object, **named: object) -> object:
        if model in arguments:
            raise DbtError(f"{model} was not to be")
        return real(arguments, *of, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dbt_step, "run_dbt", run_dbt)
        yield


def test_a_failed_day_of_users_holds_up_no_payment(project: Project) -> None:
    project.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(0), "search"))
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + payment(1, day(3), "ann"))
    project.settle()
    project.drop("users", "users-2.csv", USERS_HEADER + user("eve", day(1), "email"))
    project.land()
    with failing("stg_users"):
        runner = project.runner()
        runner.settle(set(project.assets))
        assert "stg_users" not in runner.outcome.made
    project.drop("payments", "payments-2.csv", PAYMENTS_HEADER + payment(2, day(4), "eve"))
    project.land()
    with failing("stg_users"):
        runner = project.runner()
        runner._tick_until_settled(set(project.assets))
        assert set(runner.outcome.made["int_payments"]) == {day(4)}
    made = made_by(project)
    assert made["stg_users"] == {day(1)}
    assert made["int_payments"] == {day(4)}
    assert project.frame("int_payments").filter(payment_id="2")["channel"].to_list() == ["email"]


def test_two_equal_payments_of_which_one_goes_are_not_as_many(project: Project) -> None:
    """What is compared are multisets: the later payments of the user have paid less before them."""
    twice = "1,{0} 12:00:00,ann,5\n2,{0} 13:00:00,ann,5\n".format(day(1))
    project.drop("users", "users-1.csv", USERS_HEADER)
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + twice)
    project.drop("payments", "payments-2.csv", PAYMENTS_HEADER + payment(3, day(3), "ann"))
    project.settle()
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + twice.splitlines(keepends=True)[0])
    assert made_by(project)["int_paid_before"] == {day(1), day(3)}
    assert dict(project.frame("int_paid_before").select("payment_id", "paid_so_far").rows()) == {"1": 5, "3": 8}


def test_a_user_who_changes_while_the_payments_are_gone_changes_them_all_the_same(project: Project) -> None:
    project.drop("users", "users-1.csv", USERS_HEADER + user("eve", day(0), "search"))
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + payment(1, day(3), "eve"))
    project.settle()
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        connection.execute("drop table staging.stg_payments")
    project.drop("users", "users-1.csv", USERS_HEADER + user("eve", day(0), "social"))
    project.land()
    assert project.runner().make([PlannedRun(("raw_users", "src_users", "stg_users"), project.window)])
    project.settle()
    assert project.frame("int_payments")["channel"].to_list() == ["social"]


def test_a_range_that_makes_users_and_payments_in_one_call_of_dbt_makes_neither_twice(project: Project) -> None:
    project.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(0), "search"))
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + payment(1, day(3), "ann"))
    project.land()
    runner = project.runner()
    assert runner.make(runner.plan_of_range(set(project.assets), project.window))
    assert project.requested().keys() & set(project.models) == set()
    assert project.frame("int_payments")["channel"].to_list() == ["search"]


def test_a_reader_that_was_away_while_its_users_changed_is_made_again(project: Project, tmp_path: Path) -> None:
    """Left out for a typo, which is then mended: its code is the old one, and nobody looked for its keys meanwhile."""
    project.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(2), "search"))
    project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + payment(1, day(3), "ann"))
    project.settle()
    page = "models/staging/app/_app.yml"
    typo = MODELS[page].replace("name: int_recent_users", "name: int_recent_usres")
    with written(tmp_path / "with a typo", {**MODELS, page: typo}):
        project.changes = {"retry_wait_seconds": 9}  # other settings: parsed anew
        away = project.copy_to(tmp_path / "away", with_state=True)
        assert "int_recent_users" not in away.assets
        away.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(2), "social"))
        away.settle()
    with written(tmp_path / "mended", MODELS):
        away.changes = {"retry_wait_seconds": 8}
        mended = away.copy_to(tmp_path / "back", with_state=True)
        mended.drop("payments", "payments-9.csv", PAYMENTS_HEADER + payment(9, day(0), "bob"))  # some step runs dbt
        mended.settle()
        assert mended.requested() == {}
        assert mended.frame("int_recent_users").filter(payment_id="1")["channel"].to_list() == ["social"]


def test_a_key_that_the_driver_lacks_fails_its_reader_and_nothing_else(project: Project, tmp_path: Path) -> None:
    page = "models/staging/app/_app.yml"
    key = "days: [-2, 1], key: user_id, of: stg_payments, columns: [channel]"
    wrong = MODELS[page].replace(key, key.replace("user_id", "note"))
    with written(tmp_path / "wrong", {**MODELS, page: wrong}):
        other = Project(tmp_path / "other", [APP])
        other.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(2), "search"))
        other.drop("payments", "payments-1.csv", PAYMENTS_HEADER + payment(1, day(3), "ann"))

        def settled() -> set[str]:
            runner = other.runner()
            runner.land({"landed_users", "landed_payments"})
            runner.settle(set(other.assets))
            assert all("int_recent_users" in failure for failure in runner.outcome.failures)
            return set(runner.outcome.made)

        assert {"int_payments", "mart_payments_daily"} <= settled()
        other.drop("users", "users-1.csv", USERS_HEADER + user("ann", day(2), "social", "a note"))
        assert "int_payments" in settled()
        assert other.frame("int_payments")["channel"].to_list() == ["social"]


SAME_BEFORE = {
    "models/intermediate/app/int_same_before.sql": """
select payments.payment_id, payments.the_date, count(earlier.payment_id) as same_before
from {{ ref('stg_payments') }} as payments
left join {{ by_key('stg_payments') }} as earlier
    on
        payments.the_date = earlier._for_day
        and payments.user_id = earlier.user_id
        and payments.amount = earlier.amount
where {{ in_window('payments.the_date') }}
group by payments.payment_id, payments.the_date
""",
    "models/intermediate/app/_same.yml": """version: 2
models:
  - name: int_same_before
    config:
      meta:
        day: the_date
        reads:
          - {model: stg_payments, days: [~, -1], key: [user_id, amount], of: stg_payments, columns: [payment_id]}
""",
}


def test_a_key_of_two_columns_ties_the_days_in_which_both_occur(tmp_path: Path) -> None:
    with written(tmp_path / "dbt", {**MODELS, **SAME_BEFORE}):
        project = Project(tmp_path / "data", [APP])
        rows = [("1", 1, "ann", 5), ("2", 2, "ann", 7), ("3", 3, "ann", 5), ("4", 3, "bob", 5), ("5", 4, "", 5)]
        lines = "".join(f"{number},{day(at)} 12:00:00,{name},{amount}\n" for number, at, name, amount in rows)
        project.drop("users", "users-1.csv", USERS_HEADER)
        project.drop("payments", "payments-1.csv", PAYMENTS_HEADER + lines)
        project.settle()
        project.drop(
            "payments", "payments-2.csv", PAYMENTS_HEADER + f"9,{day(0)} 12:00:00,ann,5\n10,{day(0)} 12:00:00,,5\n"
        )
        assert made_by(project)["int_same_before"] == {day(0), day(1), day(3)}, "neither 7 nor nobody's 5"
        found = dict(project.frame("int_same_before").select("payment_id", "same_before").rows())
        assert found == {"1": 1, "2": 0, "3": 2, "4": 0, "5": 0, "9": 0, "10": 0}


KNOWN = {
    "models/intermediate/app/int_known.sql": """
select payments.payment_id, payments.the_date, max(users.user_id) is not null as is_known
from {{ ref('stg_payments') }} as payments
left join {{ by_key('stg_users') }} as users
    on payments.the_date = users._for_day and payments.user_id = users.user_id
where {{ in_window('payments.the_date') }}
group by payments.payment_id, payments.the_date
""",
    "models/intermediate/app/_known.yml": """version: 2
models:
  - name: int_known
    config:
      meta:
        day: the_date
        reads: [{model: stg_users, days: [~, ~], key: user_id, of: stg_payments, columns: []}]
""",
}


def test_who_reads_the_key_alone_is_made_when_it_comes_or_goes_and_never_between(tmp_path: Path) -> None:
    with written(tmp_path / "dbt", {**MODELS, **KNOWN}):
        project = Project(tmp_path / "data", [APP])
        project.drop(
            "payments", "payments-1.csv", PAYMENTS_HEADER + payment(1, day(3), "ann") + payment(2, day(4), "bob")
        )
        project.drop("users", "users-1.csv", USERS_HEADER + user("bob", day(0), "search"))
        project.settle()
        project.drop("users", "users-2.csv", USERS_HEADER + user("ann", day(1), "search"))
        assert made_by(project)["int_known"] == {day(3)}
        project.drop("users", "users-2.csv", USERS_HEADER + user("ann", day(1), "email"))
        made = made_by(project)
        assert made["int_payments"] == {day(3)}
        assert "int_known" not in made
        project.drop("users", "users-2.csv", USERS_HEADER)
        assert made_by(project)["int_known"] == {day(3)}
        assert project.frame("int_known").sort("payment_id")["is_known"].to_list() == [False, True]
