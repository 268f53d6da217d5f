"""Histories of users and payments, in any order, with failures at any step: once settled, all equals a rebuild.

A history is one user's: rows that come, change, go, move to another day or stand on two. Each test has some hundred
users, whose histories share nothing but the days and the runs.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from analytics_assets.dbt import step as dbt_step
from analytics_assets.dbt.changed_keys import ChangedKeys
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.state.builds import Builds
from analytics_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from analytics_assets.warehouse.interface import CannotRead
from analytics_assets_tests.support.app import APP, MODELS, PAYMENTS_HEADER, USERS_HEADER
from analytics_assets_tests.support.project import IN_FULL, Project, day
from analytics_assets_tests.support.shop import written

pytestmark = pytest.mark.models_alone

DAYS = [day(number) for number in range(5)]
HISTORIES = 300
FILES = 3
HEADERS = {"users": USERS_HEADER, "payments": PAYMENTS_HEADER}
Row = tuple[str, date, str, int]
"""The user (empty if the row names none), the day, the channel, and a number."""


@pytest.fixture(scope="module")
def dbt_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with written(tmp_path_factory.mktemp("keys") / "dbt", MODELS) as folder:
        yield folder


class World:
    """What the inbox holds: a file of payments a day, and a few files of users; each user is in one of them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.users: dict[int, list[Row]] = {}
        self.payments: dict[date, list[Row]] = {}

    def drop_all(self, project: Project) -> None:
        for file in range(FILES):
            self.drop_users(project, file, share=1)
        for at in DAYS:
            self.drop_payments(project, at)

    def drop_some(self, project: Project) -> None:
        """Tells some users of a file anew, as users are told often; sometimes also the payments of a day."""
        self.drop_users(project, self.chance.randrange(FILES), share=0.03)
        if self.chance.random() < 0.4:
            self.drop_payments(project, self.chance.choice(DAYS))

    def drop_users(self, project: Project, file: int, share: float) -> None:
        rows = []
        for number in range(file, HISTORIES, FILES):
            mine = [row for row in self.users.get(file, ()) if row[0] == f"user-{number}"]
            if self.chance.random() < share:
                days = self.chance.sample(DAYS, self.chance.choice([0, 1, 1, 2]))
                mine = [(f"user-{number}", at, self.chance.choice(["search", "social"]), 0) for at in days]
            rows += mine
        self.users[file] = rows
        lines = "".join(f"{user},{at} 08:00:00,{channel},\n" for user, at, channel, _ in rows)
        project.drop("users", f"users-{file}.csv", USERS_HEADER + lines)

    def drop_payments(self, project: Project, at: date) -> None:
        """Each user pays on few days, some pay twice the same, and some payments name no user."""
        paying = self.chance.sample(range(HISTORIES), HISTORIES // 5)
        rows = [
            (f"user-{number}", at, "", self.chance.randint(1, 2)) for number in paying for _ in range(1 + number % 2)
        ]
        self.payments[at] = [*rows, ("", at, "", 5)]
        lines = "".join(
            f"{at}-{n},{at} 12:00:00,{user},{amount}\n" for n, (user, _, _, amount) in enumerate(self.payments[at])
        )
        project.drop("payments", f"payments-{at}.csv", PAYMENTS_HEADER + lines)

    def rows(self, source: str) -> list[Row]:
        files: Mapping[object, list[Row]] = self.users if source == "users" else self.payments
        return [row for rows in files.values() for row in rows]


FAILURES = ("before dbt", "after dbt", "search", "renewed", "records")


@contextmanager
def broken_at(failure: str, chance: random.Random) -> Iterator[list[str]]:
    """Lets a step end like a killed one at some point: once, after some calls that succeed; names it if it did."""
    if failure == "none":
        yield []
        return
    owner, name = {
        "before dbt": (dbt_step, "run_dbt"),
        "after dbt": (dbt_step, "run_dbt"),
        "search": (ChangedKeys, "_search"),
        "renewed": (DuckDBWarehouse, "delete_rows"),
        "records": (Builds, "record"),
    }[failure]
    real, left, fired = getattr(owner, name), [chance.randint(0, 1)], list[str]()

    def called(*arguments: object, **named: object) -> object:
        left[0] -= 1
        if left[0] == -1:
            fired.append(failure)
            if failure == "after dbt":
                real(*arguments, **named)
            raise DbtError("it was not to be") if failure != "search" else CannotRead("it was not to be")
        return real(*arguments, **named)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, name, called)
        yield fired


def channels_by_day(world: World) -> Counter[tuple[str, date, str]]:
    return Counter((user, at, channel) for user, at, channel, _ in world.rows("users"))


@pytest.mark.parametrize("seed", range(34 if IN_FULL else 1))
def test_after_settling_every_table_equals_the_rebuild_and_the_oracle(
    dbt_project: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    project, world = Project(tmp_path / "data", [APP]), World(chance)
    world.drop_all(project)
    project.settle()
    by_key_alone, fired = set[date](), list[str]()
    for failure in ("none", *chance.sample(FAILURES, 3), "none"):
        before = channels_by_day(world)
        world.drop_some(project)
        project.land()
        with broken_at(failure, chance) as broken:
            runner = project.runner()
            runner.settle(set(project.assets))
        if failure == "none" and not fired:
            made = {name: set(days) for name, days in runner.outcome.made.items()}
            of_payments = made.get("raw_payments", set())
            after = channels_by_day(world)
            users = {user for user, _, _ in (before - after) | (after - before)}
            tied = {at for user, at, _, _ in world.rows("payments") if user in users}
            assert made.get("int_payments", set()) == tied | of_payments
            by_key_alone |= tied - of_payments
        fired += broken
    project.settle()
    assert project.requested() == {}
    assert by_key_alone, "no day was made for a key alone, so that nothing is shown"
    assert fired or IN_FULL, "no failure came to pass"

    channels: dict[str, list[tuple[date, str]]] = {}
    for user, at, channel, _ in world.rows("users"):
        channels.setdefault(user, []).append((at, channel))
    expected = Counter(
        (at, amount, max((c for _, c in channels.get(user, [])), default=None), len(channels.get(user, [])))
        for user, at, _, amount in world.rows("payments")
    )
    found = project.frame("int_payments").select("the_date", "amount", "channel", "rows_of_user").rows()
    assert Counter(found) == expected
    recent = Counter(
        (at, amount, sum(-2 <= (came - at).days <= 1 for came, _ in channels.get(user, [])))
        for user, at, _, amount in world.rows("payments")
    )
    found = project.frame("int_recent_users").select("the_date", "amount", "rows_of_user").rows()
    assert Counter(found) == recent

    rebuild = project.copy_to(tmp_path / "rebuilt")
    rebuild.forget_builds()
    rebuild.settle()
    assert project.tables() == rebuild.tables()
