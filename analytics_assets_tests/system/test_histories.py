"""Random histories of several sources, with all that befalls a project in years, against a rebuild and an oracle.

Files come, come again, replace each other, return to what they were and are taken away; rows are late, malformed, and
stand in several files; snapshots change; START and END move; code is rolled out; runs fail or are killed; state is lost
or damaged. Whatever happened: once it settles, every table equals a rebuild, raw days hold the rows of the files that
count, and the books add up.

The suite tries one short history of two domains without the checks of their models, always the same. `make proof`
goes on for FUZZ_SECONDS with new ones, and prints the seed of each; `HISTORY_SEED=<seed>` tries one again.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from analytics_assets.dbt import assets as models
from analytics_assets.dbt import published as publish
from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.defs.attribution.sources import (
    EXCHANGE_RATES,
    MARKETING_SPEND,
    REVENUE_AND_REWARDS,
    USER_TOUCHPOINTS,
    USERS,
)
from analytics_assets.defs.consent.sources import COMPANIES, CONSENT_EVENTS
from analytics_assets.defs.sessions.sources import CLICKSTREAM
from analytics_assets.foundation.files import Damaged
from analytics_assets.foundation.hashes import digest
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.state.ledger import Ledger
from analytics_assets.warehouse import raw_day_writer
from analytics_assets_tests.support.project import ONE_DOMAIN, WITHOUT_REPORTS, Project

pytestmark = pytest.mark.models_alone

FIRST = date(2026, 3, 27)  # around the end of a month and a change of clocks
DAYS = 6
KILL_SECONDS = (4.0, 16.0)
"""Within so long a process that materializes is killed: while it imports, lands, makes or has ended."""

Rows = list[dict[str, str]]


@dataclass(frozen=True)
class File:
    """A content, with the key and day of each of its good rows, in their order."""

    text: str
    good: tuple[tuple[str, date], ...] = ()


def some_day(random: Random) -> date:
    """Mostly within the days of the history, at times a little before or after."""
    return FIRST + timedelta(days=random.randrange(-1, DAYS + 1))


def table(columns: Sequence[str], rows: Rows) -> str:
    return "".join(
        ",".join(row.get(column, "") for column in columns) + "\n" for row in ({c: c for c in columns}, *rows)
    )


def consent_file(random: Random) -> File:
    rows, good = [], []
    for _ in range(random.randrange(6)):
        at, key, is_good = some_day(random), random.choice("pqrst"), random.random() < 0.8
        row = {"EVENT_ID": key, "TYPE": random.choice(["pageview", "consent.asked", "consent.given"]), "RATE": "0.5"}
        row |= {
            "COUNT": str(random.randrange(4)),
            "APIKEY": random.choice("AB"),
            "USER_ID": random.choice(["u", "v", ""]),
        }
        row |= {"WINDOW_START": f"{at} 0{random.randrange(9)}:00:00", "CONSENT": "full opt-in", "COUNTRY": "FR"}
        rows.append(
            row | {"EVENT_TIME": f"{at} {random.choice(['23:59:59', '00:00:00', '12:30:00'])}" if is_good else "noon"}
        )
        if is_good:
            good.append((key, at))
    return File(table(list(CONSENT_EVENTS.columns), rows), tuple(good))


def clickstream_file(random: Random) -> File:
    rows, good = [], []
    at = datetime.combine(some_day(random), datetime.min.time()) + timedelta(minutes=random.randrange(1440))
    for _ in range(random.randrange(9)):
        at += timedelta(minutes=random.choice([0, 5, 29, 30, 31, 200, 900]))
        key, is_good = f"e{random.randrange(30)}", random.random() < 0.9
        row = dict.fromkeys(CLICKSTREAM.columns, "x") | {"event_id": key, "customer_id": random.choice(["a", "b", ""])}
        rows.append(row | {"event_timestamp": str(at) if is_good else "2026-13-01", "event_type": "page_view"})
        if is_good:
            good.append((key, at.date()))
    return File(table(list(CLICKSTREAM.columns), rows), tuple(good))


def campaigns_file(random: Random) -> File:
    lines, good = [], []
    for _ in range(random.randrange(4)):
        at, key = some_day(random), random.choice(["k1", "k2"])
        countries = random.sample(["FR", "DE", "US"], random.randrange(1, 4))
        figures = dict.fromkeys(("impressions", "clicks", "conversions"), random.randrange(9)) | {
            "cost": 1.5,
            "revenue": 2,
        }
        record = {
            "id": key,
            "name": "n",
            "platform": "search",
            "last_updated_at": f"{at}T0{random.randrange(9)}:00:00Z",
        }
        record["metrics"] = [{"date": str(at), "country": c, "currency": "EUR", **figures} for c in countries]
        lines.append(json.dumps({"pulled_at": f"{at}T09:00:00Z", "page": random.randrange(3), "record": record}) + "\n")
        good += [(key, at)] * len(countries)
    return File("".join(lines), tuple(good))


def companies_file(random: Random) -> File:
    names = random.sample("ABC", random.randrange(4))
    rows = [{"PUBLIC_API_KEY": name, "INDUSTRY_BACK": random.choice("xyz"), "HQ_COUNTRY": "FR"} for name in names]
    return File(table(list(COMPANIES.columns), rows))


def spend_file(random: Random) -> File:
    rows, good = [], []
    for _ in range(random.randrange(6)):
        at, key, is_good = some_day(random), random.choice(["email", "twitter"]), random.random() < 0.8
        row = {"date": str(at), "channel": key, "campaign": random.choice("xy"), "spend": str(random.randrange(9))}
        rows.append(row | dict.fromkeys(("impressions", "clicks", "installs"), "3" if is_good else "many"))
        good += [(key, at)] * is_good
    return File(table(list(MARKETING_SPEND.columns), rows), tuple(good))


def users_file(random: Random) -> File:
    rows, good = [], []
    for _ in range(random.randrange(6)):
        at, key, is_good = some_day(random), random.choice("uvwx"), random.random() < 0.8
        row = {"user_id": key, "installed_at": f"{at} 10:00:00" if is_good else "noon", "created_at": f"{at} 11:00:00"}
        row |= {"updated_at": f"{some_day(random)} 12:00:00", "channel": random.choice(["email", "twitter", ""])}
        rows.append(row | {"campaign": random.choice("xy")})
        good += [(key, at)] * is_good
    return File(table(list(USERS.columns), rows), tuple(good))


def touchpoints_file(random: Random) -> File:
    rows, good = [], []
    for _ in range(random.randrange(8)):
        at, key, is_good = some_day(random), random.choice("uvwxz"), random.random() < 0.8
        row = {"user_id": key, "touchpoint_date": f"{at} 0{random.randrange(3)}:00:00", "channel": "email"}
        row |= {"touchpoint_type": "email_open", "conversion": random.choice(["true", "false"]) if is_good else "maybe"}
        rows.append(row)
        good += [(key, at)] * is_good
    return File(table(list(USER_TOUCHPOINTS.columns), rows), tuple(good))


def revenue_file(random: Random) -> File:
    rows, good = [], []
    for _ in range(random.randrange(8)):
        at, key, is_good = some_day(random), random.choice("uvwxz"), random.random() < 0.8
        amounts = {"revenue": random.choice(["1", "-1"]) if is_good else "", "reward_to_user": "0.5"}
        rows.append({"user_id": key, "date": str(at), **amounts})
        good += [(key, at)] * is_good
    return File(table(list(REVENUE_AND_REWARDS.columns), rows), tuple(good))


def rates_file(random: Random) -> File:
    rows, good = [], []
    for _ in range(random.randrange(6)):
        at, key, is_good = some_day(random), random.choice(["USD", "GBP"]), random.random() < 0.8
        rows.append({"date": str(at), "currency": key, "rate": "0.9" if is_good else "none"})
        good += [(key, at)] * is_good
    return File(table(list(EXCHANGE_RATES.columns), rows), tuple(good))


MADE: dict[str, Callable[[Random], File]] = {
    "consent_events": consent_file,
    "clickstream": clickstream_file,
    "campaigns": campaigns_file,
    "companies": companies_file,
    "marketing_spend": spend_file,
    "users": users_file,
    "user_touchpoints": touchpoints_file,
    "revenue_and_rewards": revenue_file,
    "exchange_rates": rates_file,
}


def path_of(source: str, random: Random) -> str:
    """One of few names, so that files replace each other; of snapshots the name is the day."""
    name = random.choice("abc")
    match source:
        case "companies":
            return f"companies-{some_day(random)}.csv"
        case "consent_events":
            return random.choice([f"events-{name}.csv", f"sub/events-{name}.csv"])
        case "campaigns":
            return f"campaigns-{name}.jsonl"
    return f"{source}-{name}.csv"


@dataclass
class History:
    """A project, and what should be true of it.

    Attributes:
        current: by source and path, the content that counts.
        seen: by source, every content that was ever dropped.
        salt: stands for the code of all models; another one is a rollout.
        told: what was done, for whoever looks into a failure.
    """

    folder: Path
    random: Random
    patched: pytest.MonkeyPatch
    domains: Sequence = WITHOUT_REPORTS
    with_kills: bool = False
    start: date = FIRST
    end: date = FIRST + timedelta(days=DAYS - 1)
    salt: str = ""
    current: dict[tuple[str, str], File] = field(default_factory=dict)
    seen: dict[str, list[File]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        code_versions = models.code_versions

        def salted(*arguments: object) -> dict[str, str]:
            found = code_versions(*arguments)  # type: ignore[arg-type]
            return {name: digest([code, self.salt]) if self.salt else code for name, code in found.items()}

        self.patched.setattr(models, "code_versions", salted)
        self.open()

    def open(self) -> None:
        """The project as a process sees it that begins now."""
        dagster = self.project.instance if hasattr(self, "project") else None
        self.project = Project(self.folder, self.domains, {"start_date": self.start, "end_date": self.end})
        if dagster is not None:
            self.project.instance = dagster

    @property
    def sources(self) -> list[str]:
        return [source.name for source in self.project.sources]

    # ------------------------------------------------------------------------------------------ what may happen

    def drop(self) -> None:
        """A new content under a new name or an old one, or a content that was seen before under any name."""
        source = self.random.choice(self.sources)
        before = self.seen.setdefault(source, [])
        is_new = not before or self.random.random() < 0.7
        file = MADE[source](self.random) if is_new else self.random.choice(before)
        path = path_of(source, self.random)
        self.project.drop(source, path, file.text)
        before.append(file)
        self.current[source, path] = file
        self.told.append(f"drop {source}/{path}: {len(file.good)} good rows{'' if is_new else ', seen before'}")

    def take_away(self) -> None:
        """What lies in the inbox is deleted; it has landed, and goes on to count."""
        self.land()
        shutil.rmtree(self.project.settings.inbox_dir, ignore_errors=True)
        self.told.append("empty the inbox")

    def move_dates(self) -> None:
        self.start = FIRST + timedelta(days=self.random.randrange(3))
        self.end = FIRST + timedelta(days=DAYS - 1 - self.random.randrange(3))
        self.open()
        self.told.append(f"from {self.start} to {self.end}")

    def roll_out(self) -> None:
        self.salt = str(self.random.random())
        self.open()
        self.told.append("other code")
        if self.random.random() < 0.5:
            self.project.runner().roll_out(set(self.project.assets), self.random.randrange(1, 4))
            self.told.append("rolled out")

    def fail(self) -> None:
        """A run fails at one of its steps, before or after its work was done."""

        def crash(*_: object, **__: object) -> None:
            raise DbtError("it was not to be")

        def after(done: Callable[..., object]) -> Callable[..., None]:
            def crash_after(*arguments: object, **named: object) -> None:
                done(*arguments, **named)
                crash()

            return crash_after

        places = {
            "raw": (raw_day_writer.ParquetByDay, "_replace", crash),
            "before dbt": (step, "run_dbt", crash),
            "after dbt": (step, "run_dbt", after(step.run_dbt)),
            "published": (publish, "publish", crash),
            "after publishing": (publish, "publish", after(publish.publish)),
        }
        place = self.random.choice(sorted(places))
        self.land()
        with self.patched.context() as failing:
            failing.setattr(*places[place])
            self.project.runner().settle(set(self.project.assets))
        self.told.append(f"fail at {place}")

    def kill(self) -> None:
        """A process that lands and makes everything is killed at some moment."""
        settings = self.project.settings
        env = os.environ | {
            "ANALYTICS_DATA_DIR": str(settings.data_dir),
            "DAGSTER_HOME": str(settings.dagster_home),
            "ANALYTICS_START_DATE": str(self.start),
            "ANALYTICS_END_DATE": str(self.end),
            "ANALYTICS_INBOX_SETTLE_SECONDS": "0",
        }
        seconds = self.random.uniform(*KILL_SECONDS)
        program = [sys.executable, "-m", "analytics_assets.cli", "materialize", "--new"]
        with subprocess.Popen(program, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
        self.told.append(f"kill after {seconds:.1f} s")

    def lose(self) -> None:
        """Something that can be made again is deleted."""
        settings = self.project.settings
        raw_days = sorted(settings.raw_dir.glob("raw_*/_day=*"))
        lost = {
            "a raw day": self.random.choice(raw_days) if raw_days else None,
            "all raw days": settings.raw_dir,
            "the warehouse": settings.warehouse_file.parent,
            "the database": settings.warehouse_file,
            "the published copy": settings.published_file,
        }
        name = self.random.choice(sorted(lost))
        path = lost[name]
        if path is not None and path.is_dir():
            shutil.rmtree(path)
        elif path is not None:
            path.unlink(missing_ok=True)
        self.told.append(f"lose {name}")

    def damage(self) -> None:
        """The ledger is deleted, or cut in two: everything stops until it is made again."""
        self.land()
        lake_dir = self.project.settings.lake_dir
        file, source = lake_dir / "ledger.sqlite", self.project.sources[0]
        if not Ledger(lake_dir).has_landed(source):
            return
        for log in lake_dir.glob("ledger.sqlite-*"):
            log.unlink()
        if self.random.random() < 0.5:
            file.unlink()
            with pytest.raises(Damaged, match="analytics-assets repair"):
                Ledger(lake_dir).has_landed(source)
        else:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        assert Ledger(lake_dir).rebuild() is not None
        self.told.append("damage the ledger, and repair it")

    # ------------------------------------------------------------------------------------------ what must hold

    def land(self) -> None:
        self.project.runner().land({f"landed_{source}" for source in self.sources})

    def step(self) -> None:
        actions = [self.drop] * 6 + [self.take_away, self.move_dates, self.roll_out, self.fail, self.fail]
        actions += [self.lose, self.damage]
        actions += [self.kill] * 2 if self.with_kills else []
        self.random.choice(actions)()
        match self.random.randrange(4):
            case 0:
                self.settle()
            case 1:
                self.land()

    def settle(self) -> None:
        self.project.settle()
        self.told.append("settle")

    def check(self) -> None:
        self.settle()
        project = self.project
        assert project.requested() == {}
        window = set(project.window.days())
        for source in project.sources:
            if source.name == "companies":
                continue
            files = {file.text: file for (name, _), file in self.current.items() if name == source.name}.values()
            expected = Counter(row for file in files for row in file.good if row[1] in window)
            if files:
                raw = project.frame(f"raw_{source.name}")
                assert Counter(zip(raw[source.primary_key[0]], raw["the_day"], strict=True)) == expected, source.name
                assert reconcile(source, project.declared, datetime.now(UTC)).faults == []
        with tempfile.TemporaryDirectory() as folder:
            rebuild = project.copy_to(Path(folder) / "data")
            rebuild.forget_builds()
            rebuild.settle()
            theirs = rebuild.tables()
        ours = project.tables()
        assert {where for where in ours.keys() | theirs.keys() if ours.get(where) != theirs.get(where)} == set()


def live_through(folder: Path, seed: int, steps: int, *, with_kills: bool = False) -> None:
    random = Random(seed)
    domains = [domain for domain in WITHOUT_REPORTS if random.random() < 0.6] or list(ONE_DOMAIN)
    with pytest.MonkeyPatch.context() as patched:
        history = History(folder / "data", random, patched, domains if not with_kills else WITHOUT_REPORTS, with_kills)
        try:
            for _ in range(steps):
                history.step()
            history.check()
        except BaseException:
            print(f"HISTORY_SEED={seed}", *history.told, sep="\n  ")
            raise


def test_one_short_history_equals_a_rebuild(tmp_path: Path) -> None:
    live_through(tmp_path, seed=34, steps=5)


def seeds() -> Iterator[int]:
    if "HISTORY_SEED" in os.environ:
        yield int(os.environ["HISTORY_SEED"])
        return
    until, random = time.monotonic() + float(os.environ.get("FUZZ_SECONDS", "3600")), Random(time.time_ns())
    while time.monotonic() < until:
        yield random.randrange(2**32)


@pytest.mark.proof
@pytest.mark.with_checks
def test_histories_for_as_long_as_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, seed in enumerate(seeds(), start=1):
        with capsys.disabled():
            print(f"history {number}: HISTORY_SEED={seed}", flush=True)
        live_through(tmp_path / str(seed), seed, steps=8 + seed % 8, with_kills=seed % 3 == 0)
        shutil.rmtree(tmp_path / str(seed))
