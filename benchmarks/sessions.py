"""Sessions at scale: a whole history at once, a day of a long history, and a late file."""

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb

from analytics_assets.automation.run_grouping import group_into_runs, same_window, tied_windows
from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtRun
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.defs.sessions import DOMAIN as SESSIONS
from analytics_assets.defs.sessions.sources import CLICKSTREAM
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.settings import Settings
from analytics_assets.simulation.defects import Row
from analytics_assets.simulation.files import write_rows
from analytics_assets.spec.domain import Domain
from analytics_assets_tests.support.project import Project

DAYS, CUSTOMERS, BOTS, FIRST = 30, 400_000, 20, date(2025, 9, 1)
MODELS = (
    "src_clickstream",
    "stg_clickstream",
    "stg_clickstream_incremental",
    "int_events_sessionized",
    "mart_sessions",
)
SAME = {"intermediate.int_events_sessionized": "events_sessionized", "marts.mart_sessions": "sessions"}

_EVENTS = """
with sessions as (
    select
        i as session,
        hash(i, 1) % {customers} as customer,
        timestamp '{first}' + to_microseconds((hash(i, 2) % ({days} * 86400000000::ubigint))::bigint) as started_at,
        1 + hash(i, 3) % 9 as events
    from range({events} // 5) as t (i)
),

some_events as (
    select
        *,
        unnest(range(events::bigint)) as n
    from sessions
),

timed as (
    select
        *,
        started_at + to_microseconds((n * 90000000 + hash(session, n, 4) % 60000000)::bigint) as event_timestamp,
        (hash(session, n, 5) % 1000003)::bigint as chance
    from some_events
    union all
    -- what is never idle: an event every ten minutes
    select
        {events} + i, {events} + i % {bots}, null, null, 0,
        timestamp '{first}' + to_minutes((10 * (i // {bots}))::bigint), i % 1000003
    from range({days} * 144 * {bots}) as t (i)
)

select
    md5(session || '-' || n) as event_id,
    case when customer % 20 = 0 and n % 2 = 0 then null else 'customer-' || customer end as customer_id,
    event_timestamp,
    ['page_view', 'page_view', 'page_view', 'product_view', 'product_view', 'search', 'add_to_cart', 'purchase'][
        1 + chance % 8
    ]
        as event_type,
    ['home', 'category', 'product', 'search', 'cart'][1 + chance % 5] as page_type,
    ['mobile', 'desktop', 'tablet'][1 + (session % 3)::bigint] as device,
    ['Chrome', 'Firefox', 'Safari', 'Edge'][1 + (session % 4)::bigint] as browser,
    ['Windows', 'macOS', 'iOS', 'Android'][1 + (session % 4)::bigint] as operating_system,
    null::varchar as app_version,
    'client-' || session as session_id,
    case
        when n = 0 and session % 3 = 0 then '{{"utm_source": "mail", "utm_medium": "email", "utm_campaign": "autumn"}}'
        when chance % 3 = 0 then '{{"product_id": "product-' || chance % 500 || '"}}'
    end as event_details
from timed
where event_timestamp < timestamp '{first}' + to_days({days})
"""


def write_raw_days(raw_dir: Path, events: int) -> None:
    """Writes raw days as landing does, but with DuckDB: a few seconds for a million events."""
    folder = raw_dir / f"raw_{CLICKSTREAM.name}"
    folder.parent.mkdir(parents=True)
    rows = _EVENTS.format(events=events, customers=CUSTOMERS, days=DAYS, first=FIRST, bots=BOTS)
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '3GB'; set preserve_insertion_order = false")
        connection.execute(
            f"copy (select *, null::varchar as _extra, 'clickstream.parquet' as _source_file, "
            f"row_number() over () as _source_row, event_timestamp::date + interval 26 hour as _landed_at, "
            f"event_timestamp::date as _day from ({rows})) to '{folder}' (format parquet, partition_by (_day))"
        )
    for file in folder.glob("*/*.parquet"):
        file.rename(file.with_name("data.parquet"))


# ------------------------------------------------------------------------------------- a whole history at once

# Each runs in a process of its own and measures the seconds of its SQL.
BUILD = """
from pathlib import Path
from benchmarks.sessions import build
seconds = build(Path(sys.argv[1]))
"""

BUILD_BARE = """
from pathlib import Path
from benchmarks.sessions import build_bare
seconds = build_bare(Path(sys.argv[1]))
"""


def build(folder: Path) -> float:
    """Builds the project's models over all raw days in one run; returns the seconds of their SQL, by dbt's clock."""
    settings = _settings(folder)
    settings.warehouse_file.unlink(missing_ok=True)
    window = Window(FIRST, FIRST + DAYS * ONE_DAY)
    run = run_dbt(["run", "--select", *MODELS], settings, SESSIONS.sources, window)
    if run.failures:
        sys.exit(str(run.failures))
    return seconds_of_sql(run)


def build_bare(folder: Path) -> float:
    """Builds the same tables with a script, without the project; returns its seconds."""
    file = folder / "bare.duckdb"
    file.unlink(missing_ok=True)
    raw = f"read_parquet('{_settings(folder).raw_dir}/raw_{CLICKSTREAM.name}/*/*.parquet', hive_partitioning = true)"
    script = Path(__file__).with_suffix(".sql").read_text().replace("{raw}", raw)
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"set memory_limit = '{_settings(folder).duckdb_memory_limit}'")
        started = time.perf_counter()
        connection.execute(script)
        return time.perf_counter() - started


def differing_tables(folder: Path) -> list[str]:
    """The tables whose rows differ between the two builds, by counts and hashes of all rows."""
    found = []
    with duckdb.connect() as connection:
        connection.execute(f"attach '{_settings(folder).warehouse_file}' as ours (read_only)")
        connection.execute(f"attach '{folder / 'bare.duckdb'}' as theirs (read_only)")
        for ours, theirs in SAME.items():
            columns = [row[0] for row in connection.execute(f"describe ours.{ours}").fetchall()]
            row = f"count(*), bit_xor(hash({', '.join(columns)})), sum(hash({', '.join(columns)}))"
            sides = [
                connection.execute(f"select {row} from {t}").fetchone() for t in (f"ours.{ours}", f"theirs.{theirs}")
            ]
            if sides[0] != sides[1]:
                found.append(f"{ours}: {sides}")
    return found


def _settings(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder)


def seconds_of_sql(run: DbtRun) -> float:
    """The seconds of a run's models, by dbt's own clock."""
    return sum(event["data"]["execution_time"] for event in run.events if event["info"]["name"] == "LogModelResult")


@contextmanager
def seconds_of_each_run() -> Iterator[list[float]]:
    """Collects the seconds of SQL of each dbt run in this process."""
    seconds: list[float] = []

    def timed(*arguments: Any, **named: Any) -> DbtRun:
        run = run_dbt(*arguments, **named)
        seconds.append(seconds_of_sql(run))
        return run

    with mock.patch.object(step, "run_dbt", timed):
        yield seconds


# ------------------------------------------------------------------------------------- a late file, a day again


def late_files(numbers: Sequence[int], events_a_day: int) -> list[tuple[float, float]]:
    """Seconds of SQL for some days of a month: when the day's file first arrived, and when one row arrived late.

    Both make the same partitions: those that the mappings tie to the day.

    Raises:
        RuntimeError: other partitions were made.
    """
    first = datetime.now(UTC).date() - DAYS * ONE_DAY

    def settle(project: Project, day: date) -> float:
        seconds.clear()
        made = {name: set(days) for name, days in project.settle().outcome.made.items()}
        if made != project.tied_to(day, source=CLICKSTREAM.name):
            raise RuntimeError(f"a file of {day} made {made}")
        return sum(seconds)

    with tempfile.TemporaryDirectory() as folder, seconds_of_each_run() as seconds:
        project = Project(Path(folder) / "data", [replace(SESSIONS, reports=())], {"start_date": first})
        files = project.settings.inbox_dir / CLICKSTREAM.name
        files.mkdir(parents=True)
        chosen = [first + number * ONE_DAY for number in numbers]
        write_files(files, events_a_day * DAYS, first, DAYS, apart=chosen)
        held_back = [(day, files / f"clickstream-{day}.parquet") for day in chosen]
        for _, file in held_back:
            file.rename(Path(folder) / file.name)
        project.settle()
        found = []
        for day, file in held_back:
            (Path(folder) / file.name).rename(file)
            before = settle(project, day)
            write_rows(files / f"clickstream-late-{day}.jsonl", [late_row(day)], CLICKSTREAM.columns)
            found.append((before, settle(project, day)))
        return found


def day_again(histories: Sequence[Path], day: date, runs: int, domain: Domain) -> list[list[float]]:
    """Seconds of SQL to rebuild a day of a domain, in turn in projects with different histories."""

    def again(folder: Path, first: date) -> float:
        project = Project(folder, [replace(domain, reports=(), analyses=())], {"start_date": first})
        runner = project.runner()
        windows = tied_windows(
            runner.upstream, set(project.assets), Window(day, day + ONE_DAY), lambda _: project.window
        )
        seconds.clear()
        runner.make(group_into_runs(runner.upstream, same_window(windows)))
        return sum(seconds)

    firsts = [_first_day(folder) for folder in histories]
    with seconds_of_each_run() as seconds:
        rounds = [[again(*one) for one in zip(histories, firsts, strict=True)] for _ in range(runs)]
    return [list(column) for column in zip(*rounds, strict=True)]


def _first_day(folder: Path) -> date:
    return min(date.fromisoformat(day.name.removeprefix("_day=")) for day in folder.glob("lake/raw/raw_*/_day=*"))


def late_row(day: date) -> Row:
    """An event of a customer at noon."""
    row = dict.fromkeys(CLICKSTREAM.columns)
    return row | {
        "event_id": f"late-{time.time_ns()}",
        "customer_id": "customer-1",
        "event_timestamp": f"{day} 12:00:00",
        "event_type": "page_view",
    }


def write_files(folder: Path, events: int, first: date, days: int, apart: Sequence[date] = ()) -> None:
    """Writes Parquet files for the inbox: all events in one file, except those of the days in `apart`."""
    rows = _EVENTS.format(events=events, customers=max(events // 50, 1), days=days, first=first, bots=BOTS)
    with duckdb.connect() as connection:
        connection.execute(f"create table events as {rows}")
        for day in apart:
            where = f"event_timestamp::date = date '{day}'"
            connection.execute(f"copy (from events where {where}) to '{folder}/clickstream-{day}.parquet'")
            connection.execute(f"delete from events where {where}")
        connection.execute(f"copy events to '{folder}/clickstream-history.parquet'")
