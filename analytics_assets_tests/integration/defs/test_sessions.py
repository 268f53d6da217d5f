"""Sessions stay right, however late the events come: against the rule itself, applied to the whole history at once.

The suite tries 500 customers' histories, always the same; with `HYPOTHESIS_PROFILE=full` it tries 20,000 new ones.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_assets.automation.run_grouping import group_into_runs, tied_windows
from analytics_assets.dbt import runner
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.defs.sessions import DOMAIN as SESSIONS
from analytics_assets.defs.sessions.sources import CLICKSTREAM
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.settings import PROJECT_DIR
from analytics_assets.simulation.defects import Row
from analytics_assets.simulation.files import write_rows
from analytics_assets_tests.support.project import IN_FULL, Project, day

pytestmark = pytest.mark.models_alone

GAP = timedelta(minutes=30)
TICK = timedelta(microseconds=1)
DAYS = 4
CUSTOMERS = 125  # in one example; they are independent of each other
HISTORIES = 20_000 if IN_FULL else 250


@dataclass(frozen=True, order=True)
class Event:
    customer: str | None
    at: datetime
    identity: str

    @property
    def device(self) -> str:
        """Of every third event, the app."""
        return "app" if sum(map(ord, self.identity)) % 3 == 0 else "desktop"

    @property
    def row(self) -> Row:
        """Its page is named as the event, so that landing and exit pages tell which events they are of."""
        return {
            "event_id": self.identity,
            "customer_id": self.customer,
            "event_timestamp": self.at.isoformat(sep=" ", timespec="microseconds"),
            "event_type": "page_view",
            "page_type": f"page {self.identity}",
            "device": self.device,
        }


# ------------------------------------------------------------------------------------------------------ the rule

Place = tuple[str, datetime, int]
"""Where an event stands: the session's id, its start, and the number of the event in it."""


Gaps = Mapping[str, timedelta]
"""The gaps of some devices; those of the others are GAP."""


def sessionized(events: Iterable[Event], gaps: Gaps) -> dict[Event, Place]:
    """The rule, applied to the whole history at once."""
    found: dict[Event, Place] = {}
    of_day: dict[tuple[str | None, date], list[Event]] = defaultdict(list)
    before = None
    for event in sorted(event for event in events if event.customer is not None):
        is_next = (
            before is not None
            and before.customer == event.customer
            and event.at - before.at <= gaps.get(event.device, GAP)
        )
        if (
            is_next
            and before.at.date() < event.at.date()
            and is_covered(of_day[before.customer, before.at.date()], gaps)
        ):
            is_next = False
        session, start, number = found[before] if is_next else (event.identity, event.at, 0)
        found[event] = (session, start, number + 1)
        of_day[event.customer, event.at.date()].append(event)
        before = event
    return found


def is_covered(events: Sequence[Event], gaps: Gaps) -> bool:
    """Whether none of a day's events comes later after the one before than its gap, both midnights counted.

    Of which device the event after the second midnight is, is not known; it may have the longest gap.
    """
    midnight = datetime.combine(events[0].at.date(), time())
    before = [midnight, *(event.at for event in events)]
    is_busy = all(event.at - at <= gaps.get(event.device, GAP) for at, event in zip(before, events, strict=False))
    return is_busy and midnight + ONE_DAY - before[-1] <= max([GAP, *gaps.values()])


def deduplicated(events: Iterable[Event]) -> set[Event]:
    """One event a day and id: the earliest."""
    kept: dict[tuple[date, str], Event] = {}
    for event in sorted(events, key=lambda event: event.at):
        kept.setdefault((event.at.date(), event.identity), event)
    return set(kept.values())


def expected_sessions(events: set[Event], gaps: Gaps) -> list[tuple]:
    """The rows of mart_sessions, as far as the events here tell of them."""
    by_session: dict[tuple[str, datetime], list[Event]] = defaultdict(list)
    for event, (session, start, _) in sorted(sessionized(events, gaps).items()):
        by_session[session, start].append(event)
    of_day: dict[tuple[str | None, date], list[Event]] = defaultdict(list)
    for event in sorted(event for event in events if event.customer is not None):
        of_day[event.customer, event.at.date()].append(event)
    rows = []
    for (session, start), its in by_session.items():
        first, last = its[0], its[-1]
        was_cut = is_covered(of_day[last.customer, last.at.date()], gaps)
        pages = f"page {first.identity}", f"page {last.identity}"
        seconds = Decimal((last.at - first.at) // timedelta(milliseconds=1)) / 1000
        rows.append((start.date(), session, first.customer, first.at, last.at, seconds, len(its), was_cut, *pages))
    return sorted(rows)


SESSION_COLUMNS = [
    "session_date", "session_id", "customer_id", "started_at", "ended_at", "duration_seconds", "events", "was_cut",
    "landing_page", "exit_page",
]  # fmt: skip


OF_THE_RULE = ("int_events_sessionized", "mart_sessions")
"""What the rule says, and not what else is made of it."""


def assert_that_the_rule_holds(project: Project, events: Iterable[Event], gaps: Gaps = {}) -> None:  # noqa: B006
    """Every event stands where the rule puts it, and every session is what its events make it; no row is too many."""
    kept = deduplicated(events)
    places = sessionized(kept, gaps)
    columns = ["event_date", "event_id", "customer_id", "session_id", "session_start_at", "event_number"]
    held = project.frame("int_events_sessionized").select(columns).rows()
    expected = [(e.at.date(), e.identity, e.customer, *places.get(e, (None, None, None))) for e in kept]
    assert sorted(held, key=lambda row: row[:2]) == sorted(expected, key=lambda row: row[:2])
    assert sorted(project.frame("mart_sessions").select(SESSION_COLUMNS).rows()) == expected_sessions(kept, gaps)


# ----------------------------------------------------------------------------------------------- by random histories

STEPS = [timedelta(0), TICK, timedelta(seconds=1), timedelta(minutes=10), GAP - TICK, GAP, GAP + TICK, 2 * GAP]
STEPS_OF_BOTS = [timedelta(minutes=20), timedelta(minutes=25), GAP - TICK, GAP]
NAMES = ["clickstream-1.csv", "clickstream-2.jsonl", "clickstream-3.parquet", "clickstream-4.csv.gz"]


TODAYS = [
    datetime(2025, 10, 28, 12, tzinfo=ZoneInfo("Europe/Berlin")),  # where the third day has 25 hours, on the machine
    datetime(2024, 3, 2, 12, tzinfo=UTC),  # the third day is the 29th of February
    datetime(2025, 3, 2, 12, tzinfo=UTC),  # the third day is the 28th, and the last of the month
    datetime(2026, 1, 2, 12, tzinfo=UTC),  # the third day is the last of the year
][: None if IN_FULL else 2]


def random_events(random: Random, first_day: date) -> list[Event]:
    """Histories of many customers: ties, gaps of exactly the limit, midnights, and days without any idle time."""
    first = datetime.combine(first_day, time())
    end = first + DAYS * ONE_DAY
    times: list[tuple[str | None, datetime]] = []
    for number in range(CUSTOMERS):
        customer = f"customer-{number}" if number % 20 else None
        if random.random() < 0.12:
            at = first + random.randrange(2) * ONE_DAY + random.choice([timedelta(0), GAP, GAP + TICK, -GAP])
            until = at + timedelta(hours=random.choice([23, 24, 25, 48, 60, 73]))
            while at < until:
                times.append((customer, at))
                at += random.choice(STEPS_OF_BOTS) if random.random() < 0.995 else GAP + TICK
            continue
        for _ in range(random.randint(1, 3)):
            at = first + random.randrange(DAYS) * ONE_DAY
            at += random.choice([-GAP, -TICK, timedelta(0), timedelta(hours=12), timedelta(hours=23, minutes=40)])
            for _ in range(random.randint(1, 5)):
                times.append((customer, at))
                at += random.choice(STEPS)
    identities = random.sample(range(10 * len(times)), len(times))
    events = [Event(who, at, f"{identity:06}") for (who, at), identity in zip(times, identities, strict=True)]
    stamped_anew = [replace(e, at=e.at + random.choice([GAP, ONE_DAY])) for e in events if random.random() < 0.01]
    return [event for event in [*events, *stamped_anew] if first <= event.at < end]


Files = dict[str, list[Event]]


def split(events: Sequence[Event], random: Random) -> Files:
    """Into files, in no order; some events are in two of them."""
    files: Files = {name: [] for name in random.sample(NAMES, len(NAMES))}
    for event in random.sample(events, len(events)):
        for name in random.sample(NAMES, 1 if random.random() < 0.9 else 2):
            files[name].append(event)
    return files


def deliveries(files: Files, random: Random) -> list[tuple[str, list[Event]]]:
    """The files in the order in which they come: one of them at first without some of its events, and one twice."""
    found = list(files.items())
    name, whole = found[0]
    found[0] = (name, random.sample(whole, len(whole) * 2 // 3))
    again = random.choice(found[1:])
    for late in (again, (name, whole)):  # the same bytes once more; other bytes under a name that was there
        found.insert(random.randint(found.index(late) + 1 if late in found else 1, len(found)), late)
    return found


def drop(project: Project, name: str, events: Iterable[Event]) -> None:
    file = project.settings.inbox_dir / CLICKSTREAM.name / name
    file.parent.mkdir(parents=True, exist_ok=True)
    write_rows(file, [event.row for event in events], CLICKSTREAM.columns)


def make_a_range(project: Project, random: Random) -> None:
    first, last = sorted(random.choices(list(project.window.days()), k=2))
    runner = project.runner()
    tied = tied_windows(runner.upstream, set(project.assets), Window.of_days(first, last), lambda _: project.window)
    runner.make(group_into_runs(runner.upstream, {name: [span] for name, span in tied.items()}))
    assert not [f for f in runner.outcome.failures if not f.startswith("check ")], runner.outcome.failures


BARE = replace(SESSIONS, reports=())


def new_project(folder: Path, days: int = DAYS) -> Project:
    return Project(folder, [BARE], {"start_date": day(0, days)})


@contextmanager
def gaps_of(gaps: Gaps) -> Iterator[None]:
    """The project with the gaps of some devices, for as long as the block lasts."""
    project_vars, seconds = runner.project_vars, {name: gap // timedelta(seconds=1) for name, gap in gaps.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            runner, "project_vars", lambda *of: project_vars(*of) | {"session_gap_seconds_by_device": seconds}
        )
        yield


@pytest.mark.parametrize(
    ("today", "gaps"),
    [(today, {} if number % 2 == 0 else {"app": timedelta(seconds=601)}) for number, today in enumerate(TODAYS)],
    ids=lambda one: str(one.date()) if isinstance(one, datetime) else ", ".join(one) or "one gap",
)
@settings(max_examples=HISTORIES // CUSTOMERS // len(TODAYS))
@given(seed=st.integers(0, 2**64 - 1))
def test_sessions_are_those_of_the_rule_and_of_a_rebuild_whatever_comes_in_whatever_order(
    seed: int, today: datetime, gaps: Gaps
) -> None:
    random = Random(f"{seed} {today}")
    with tempfile.TemporaryDirectory() as folder, time_machine.travel(today), gaps_of(gaps):
        days = Window(today.date() - DAYS * ONE_DAY, today.date())
        project = Project(Path(folder) / "data", [BARE], {"start_date": days.start, "end_date": days.end - ONE_DAY})
        events = random_events(random, project.settings.start_date)
        for name, some in deliveries(split(events, random), random):
            drop(project, name, some)
            project.land()
            random.choice([lambda: None, project.settle, lambda: make_a_range(project, random)])()
        project.settle()
        assert project.requested() == {}
        assert_that_the_rule_holds(project, events, gaps)

        rebuild = project.copy_to(Path(folder) / "rebuilt")
        rebuild.forget_builds()
        rebuild.settle()
        assert project.tables() == rebuild.tables()


# ------------------------------------------------------------------------------------------------- by late events


@pytest.fixture
def sessions(tmp_path: Path) -> Project:
    return new_project(tmp_path / "data")


def at(number: int, clock: str) -> datetime:
    return datetime.combine(day(number, DAYS), time.fromisoformat(clock))


def test_a_late_event_that_joins_two_sessions_leaves_no_orphan_and_the_old_id_leads_to_the_new_session(
    sessions: Project,
) -> None:
    events = [Event("ann", at(1, "23:40"), "evening"), Event("ann", at(2, "00:20"), "morning")]
    drop(sessions, "clickstream-1.csv", events)
    sessions.settle()
    assert sessions.frame("mart_sessions")["session_id"].sort().to_list() == ["evening", "morning"]

    late = Event("ann", at(2, "00:00"), "late")
    drop(sessions, "clickstream-2.csv", [late])
    runner = sessions.settle()
    assert {name: set(days) for name, days in runner.outcome.made.items()} == sessions.tied_to(
        day(2, DAYS), source=CLICKSTREAM.name
    )
    assert sessions.frame("mart_sessions").select("session_id", "events").rows() == [("evening", 3)]
    assert_that_the_rule_holds(sessions, [*events, late])
    with duckdb.connect(str(sessions.settings.warehouse_file), read_only=True) as connection:
        led = connection.execute(
            "select sessions.session_id, sessions.session_date"
            " from intermediate.int_events_sessionized as events"
            " join marts.mart_sessions as sessions using (session_id, session_date)"
            " where events.event_id = 'morning'"  # once published as the id of a session
        ).fetchall()
    assert led == [("evening", day(1, DAYS))]


def test_a_late_event_moves_the_start_of_a_session_to_the_day_before(sessions: Project) -> None:
    event, late = Event("ann", at(2, "00:10"), "first"), Event("ann", at(1, "23:50"), "earlier")
    drop(sessions, "clickstream-1.csv", [event])
    sessions.settle(*OF_THE_RULE)
    drop(sessions, "clickstream-2.csv", [late])
    sessions.settle(*OF_THE_RULE)
    assert sessions.frame("mart_sessions").select("session_id", "session_date").rows() == [("earlier", day(1, DAYS))]
    assert_that_the_rule_holds(sessions, [event, late])


def test_what_is_never_idle_is_cut_at_the_end_of_each_day(sessions: Project) -> None:
    events = [Event("bot", at(0, "00:00") + number * GAP, f"{number:04}") for number in range(DAYS * 48)]
    drop(sessions, "clickstream-1.csv", events)
    sessions.settle(*OF_THE_RULE)
    mart = sessions.frame("mart_sessions").sort("session_date")
    assert mart["events"].to_list() == [48] * DAYS
    assert mart["was_cut"].all()
    assert_that_the_rule_holds(sessions, events)


def test_a_pause_counts_by_the_device_of_the_event_that_ends_it(sessions: Project) -> None:
    names = [name for name in "abcdefgh" if Event("ann", at(1, "10:00"), name).device == "app"][:2]
    others = [name for name in "abcdefgh" if Event("ann", at(1, "10:00"), name).device != "app"][:2]
    clocks = ("10:00", "10:05", "10:15", "10:35")  # pauses of 5, 10 and 20 minutes
    events = [
        Event("ann", at(1, clock), name)
        for clock, name in zip(clocks, (others[0], names[0], names[1], others[1]), strict=True)
    ]
    drop(sessions, "clickstream-1.csv", events)
    with gaps_of({"app": timedelta(minutes=7)}):
        sessions.settle(*OF_THE_RULE)
    found = sessions.frame("mart_sessions").sort("started_at").select("session_id", "events").rows()
    assert found == [(others[0], 2), (names[1], 2)]


@pytest.mark.parametrize("gap", [0, 30.5, 86_400, "half an hour"])
def test_a_gap_under_which_the_windows_would_not_hold_is_refused(
    sessions: Project, monkeypatch: pytest.MonkeyPatch, gap: object
) -> None:
    project_vars = runner.project_vars
    monkeypatch.setattr(runner, "project_vars", lambda *of: project_vars(*of) | {"session_gap_seconds": gap})
    with pytest.raises(DbtError, match=f"session_gap_seconds in dbt_project.yml is {gap}; it must be a whole number"):
        run_dbt(["compile", "--select", "int_events_sessionized"], sessions.settings, sessions.sources, sessions.window)


def test_the_rows_that_are_kept_are_those_of_the_view_after_late_data_and_redelivery(sessions: Project) -> None:
    random = Random(1)
    for number, (name, some) in enumerate(split(random_events(random, day(0, DAYS)), random).items()):
        drop(sessions, name, some)
        if number % 2 == 0:
            continue
        sessions.settle("stg_clickstream_incremental")
        kept, view = sessions.frame("stg_clickstream_incremental"), sessions.frame("stg_clickstream")
        assert kept.height > 0
        assert kept.sort("event_date", "event_id").equals(view.select(kept.columns).sort("event_date", "event_id"))


def test_a_column_that_appears_upstream_is_taken_on(sessions: Project) -> None:
    drop(sessions, "clickstream-1.csv", [Event("ann", at(1, "12:00"), "a"), Event("ann", at(2, "12:00"), "b")])
    sessions.settle("stg_clickstream_incremental")
    with duckdb.connect(str(sessions.settings.warehouse_file)) as connection:
        connection.execute("alter table staging.stg_clickstream_incremental drop column page_type")  # as it was once
    drop(sessions, "clickstream-2.csv", [Event("ann", at(1, "12:01"), "c")])
    sessions.settle("stg_clickstream_incremental")
    kept = sessions.frame("stg_clickstream_incremental").sort("event_id")
    assert kept["page_type"].to_list() == ["page a", None, "page c"], "with nulls in the days that were made before it"


# ------------------------------------------------------------------------------------------- beside other ways

PAGE = (PROJECT_DIR / "docs" / "sessions.md").read_text()


def events_with_arrivals(random: Random, customers: int = 800) -> list[tuple[datetime, Event]]:
    """Sessions at any time, half of them around midnight; of their events 5 % come hours or days late."""
    first, found = at(0, "00:00"), []
    for customer, number in product(range(customers), range(DAYS)):
        for _ in range(random.choice([0, 1, 1, 2])):
            minute = random.choice([random.uniform(0, 24 * 60), random.uniform(23 * 60, 25 * 60)])
            moment = first + timedelta(days=number, seconds=int(60 * minute))
            for _ in range(random.randint(1, 9)):
                late = timedelta(hours=random.uniform(2, 72)) if random.random() < 0.05 else timedelta(minutes=1)
                if moment < first + DAYS * ONE_DAY:
                    found.append((moment + late, Event(f"customer-{customer}", moment, f"{len(found):06}")))
                moment += timedelta(seconds=int(random.expovariate(1 / 360)))
    return found


def sessions_of(events: Iterable[Event]) -> dict[str, tuple[datetime, int]]:
    """The start and the number of events of each session, by its id."""
    return {session: (start, number) for _, (session, start, number) in sorted(sessionized(events, {}).items())}


class Trailing:
    """Sessions that each run makes anew from some time on; what began before that stays as it is."""

    def __init__(self) -> None:
        self.sessions: dict[str, tuple[datetime, int]] = {}

    def run(self, landed: Sequence[Event], since: datetime) -> None:
        kept = {session: held for session, held in self.sessions.items() if held[0] < since}
        self.sessions = kept | sessions_of(event for event in landed if event.at >= since)

    def share_wrong(self, truth: dict[str, tuple[datetime, int]]) -> float:
        return sum(self.sessions.get(session) != held for session, held in truth.items()) / len(truth)


def test_where_trailing_windows_are_wrong_this_is_right(sessions: Project) -> None:
    """Each night takes what has landed: the project, "today and yesterday", and the last three hours."""
    events = events_with_arrivals(Random(3))
    two_days, three_hours = Trailing(), Trailing()
    nights = [at(0, "01:00") + number * ONE_DAY for number in range(1, DAYS + 4)]
    newest, last_night = datetime.min, datetime.min
    for night in nights:
        drop(sessions, f"clickstream-{night.date()}.parquet", [e for when, e in events if last_night < when <= night])
        sessions.settle(*OF_THE_RULE)
        landed = [event for when, event in events if when <= night]
        two_days.run(landed, datetime.combine(night.date() - ONE_DAY, time()))
        three_hours.run(landed, max(newest, datetime.min + GAP * 6) - timedelta(hours=3))
        newest, last_night = max(event.at for event in landed), night

    truth = sessions_of(event for _, event in events)
    assert_that_the_rule_holds(sessions, [event for _, event in events])
    ours = {row[0]: (row[1], row[2]) for row in sessions.frame("mart_sessions").select(*_HELD).rows()}
    assert ours == truth
    shares = [f"{way.share_wrong(truth):.1%}".replace("%", " %") for way in (two_days, three_hours)]
    page = " ".join(PAGE.split())
    assert f"leaves {shares[0]} of {len(truth):,} sessions" in page, (len(truth), shares)
    assert f"leaves {shares[1]}." in page, shares


_HELD = ("session_id", "started_at", "events")


# ------------------------------------------------------------------------------------------------- the sample data


def test_the_sample_data_holds_what_the_sessions_must_survive(tmp_path: Path) -> None:
    project = new_project(tmp_path / "data", days=10)
    project.simulate(scale=1.0)
    runner = project.settle()
    assert runner.outcome.failures == []
    raw = project.frame("raw_clickstream")
    assert 10 * 1_200 < raw.height < 10 * 1_800
    assert raw["event_id"].n_unique() < raw.height
    assert {Path(name).name.split(".", 1)[1] for name in raw["_source_file"].unique()} == {
        "csv", "csv.gz", "jsonl", "parquet"
    }  # fmt: skip
    delivered = raw["_source_file"].str.extract(r"(\d{4}-\d{2}-\d{2})").str.to_date()
    assert 0.01 < (delivered > raw["the_day"]).mean() < 0.05
    assert (raw["event_type"] == "hover").any()
    events, found = project.frame("int_events_sessionized"), project.frame("mart_sessions")
    assert 0.02 < events["customer_id"].is_null().mean() < 0.2
    assert found["events"].sum() == events["customer_id"].is_not_null().sum()
    for column in ("was_cut", "spans_midnight", "is_bounce", "has_late_events"):
        assert 0 < found[column].sum() < found.height, column
    assert found.filter(pl.col("utm_source").is_not_null()).height > 100
