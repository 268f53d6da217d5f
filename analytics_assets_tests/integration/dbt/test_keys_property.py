"""Histories of users and payments, in any order, with failures at any step: once settled, all equals a rebuild.

A history is one user's: rows that come, change, go, move to another day or stand on two. Each test has some hundred
users, whose histories share nothing but the days and the runs.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

from analytics_assets.dbt import step as dbt_step
from analytics_assets.dbt.changed_keys import ChangedKeys
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.state.builds import Builds
from analytics_assets.warehouse.duckdb.warehouse import DuckDBWarehouse
from analytics_assets_tests.support.app import APP, MODELS, PAYMENTS_HEADER, USERS_HEADER
from analytics_assets_tests.support.project import IN_FULL, Project, day
from analytics_assets_tests.support.shop import written

pytestmark = pytest.mark.models_alone

DAYS = [day(number) for number in range(5)]
HISTORIES = 300
HEADERS = {"users": USERS_HEADER, "payments": PAYMENTS_HEADER}
Rows = Mapping[str, Sequence[tuple[str, date, str, int]]]
"""By source: the user (empty if the row names none), the day, the channel, and a number."""


@pytest.fixture(scope="module")
def dbt_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with written(tmp_path_factory.mktemp("keys") / "dbt", MODELS) as folder:
        yield folder


class World:
    """What the inbox holds: few files a source, so that they replace each other; each user is in one of them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.files: dict[str, Rows] = {f"{part}": {"users": [], "payments": []} for part in range(3)}

    def drop_some(self, project: Project) -> None:
        """Gives the users of one file, or of two, other rows."""
        for part in self.chance.sample(sorted(self.files), self.chance.choice([1, 1, 2])):
            held = self.files[part]
            rows: dict[str, list[tuple[str, date, str, int]]] = {"users": [], "payments": []}
            for number in range(int(part), HISTORIES, len(self.files)):
                for source in rows:
                    mine = [row for row in held[source] if row[0].endswith(f"-{number}")]
                    rows[source] += mine if self.chance.random() < 0.7 else self.some_rows(number)
            rows["payments"] += [("", self.chance.choice(DAYS), "", self.chance.randint(1, 9))]
            for source, of_source in rows.items():
                if of_source != held[source]:
                    project.drop(source, f"{source}-{part}.csv", HEADERS[source] + lines(source, part, of_source))
            self.files[part] = rows

    def some_rows(self, number: int) -> list[tuple[str, date, str, int]]:
        count = self.chance.choice([0, 1, 1, 2])
        return [
            (f"user-{number}", at, self.chance.choice(["search", "social"]), self.chance.randint(1, 9))
            for at in self.chance.sample(DAYS, count)
        ]

    def rows(self, source: str) -> list[tuple[str, date, str, int]]:
        return [row for of_file in self.files.values() for row in of_file[source]]


def lines(source: str, part: str, rows: Sequence[tuple[str, date, str, int]]) -> str:
    if source == "users":
        return "".join(f"{user},{at} 08:00:00,{channel},{number}\n" for user, at, channel, number in rows)
    return "".join(f"{part}-{n},{at} 12:00:00,{user},{amount}\n" for n, (user, at, _, amount) in enumerate(rows))


FAILURES = ("none", "none", "before dbt", "after dbt", "search", "renewed", "records")


def break_at(failure: str, chance: random.Random, patched: pytest.MonkeyPatch) -> None:
    """Lets a step end like a killed one at some point: once, after some calls that succeed."""
    owner, name = {
        "before dbt": (dbt_step, "run_dbt"),
        "after dbt": (dbt_step, "run_dbt"),
        "search": (ChangedKeys, "_search"),
        "renewed": (DuckDBWarehouse, "delete_rows"),
        "records": (Builds, "record"),
    }[failure]
    real, left = getattr(owner, name), [chance.randint(0, 2)]

    def called(*arguments: object, **named: object) -> object:
        left[0] -= 1
        if left[0] == -1:
            if failure == "after dbt":
                real(*arguments, **named)
            raise DbtError("it was not to be")
        return real(*arguments, **named)

    patched.setattr(owner, name, called)


def channels_by_day(world: World) -> Counter[tuple[str, date, str]]:
    return Counter((user, at, channel) for user, at, channel, _ in world.rows("users"))


@pytest.mark.parametrize("seed", range(34 if IN_FULL else 1))
def test_after_settling_every_table_equals_the_rebuild_and_the_oracle(
    dbt_project: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    project, world = Project(tmp_path / "data", [APP]), World(chance)
    failed_before = False
    for _ in range(5):
        before = channels_by_day(world)
        world.drop_some(project)
        project.land()
        failure = chance.choice(FAILURES)
        with pytest.MonkeyPatch.context() as patched:
            if failure != "none":
                break_at(failure, chance, patched)
            runner = project.runner()
            runner.settle(set(project.assets))
        if failure == "none" and not failed_before:
            made = {name: set(days) for name, days in runner.outcome.made.items()}
            after = channels_by_day(world)
            users = {user for user, _, _ in (before - after) | (after - before)}
            tied = {at for user, at, _, _ in world.rows("payments") if user in users}
            assert made.get("int_payments", set()) - made.get("raw_payments", set()) == tied - made.get(
                "raw_payments", set()
            )
        failed_before = failure != "none"
    project.settle()
    assert project.requested() == {}

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
