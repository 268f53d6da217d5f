"""`make bench`, or `make bench landing …` for some of it: measures each figure beside its baseline.

Both sides of a ratio run in turn, in fresh processes, in one call; the ratio is of their medians.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from analytics_assets.spec.domain import Domain


@dataclass(frozen=True)
class Run:
    """The cost of one process: `seconds` of its work or of its whole life, and its peak memory."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Figure:
    """A measured ratio and its maximum."""

    what: str
    ours: float
    theirs: float
    unit: str
    bound: float

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs


def child(code: str, *arguments: str, env: dict[str, str] | None = None) -> Run:
    """Runs Python code, which measures its own seconds, in a process of its own."""
    peak = "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss"
    measured = f'{code}\nimport resource; print("MEASURED" + json.dumps([seconds, {peak}]))'
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys, time\n{measured}", *arguments],
        env=os.environ | (env or {}),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    marked = done.stdout[done.stdout.rindex("MEASURED") + len("MEASURED") :]
    seconds, kilobytes = json.loads(marked.splitlines()[0])
    return Run(seconds, kilobytes / 1024)


def whole_process(command: list[str], env: dict[str, str] | None = None) -> Run:
    """Measures a command from start to end."""
    return child(
        "import subprocess, os\nt = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "assert done.returncode == 0, done.stdout + done.stderr\n"
        "seconds = time.perf_counter() - t",
        *command,
        env=env,
    )


def env_of(folder: str, first: date) -> dict[str, str]:
    """The settings of a project in its own folder, as environment variables."""
    return {
        "ANALYTICS_DATA_DIR": folder,
        "ANALYTICS_START_DATE": first.isoformat(),
        "DAGSTER_HOME": str(Path(folder, "home")),
        "ANALYTICS_INBOX_SETTLE_SECONDS": "0",
    }


def in_turn(runs: int, *sides: Callable[[], Run]) -> list[list[Run]]:
    """Runs each side `runs` times, in turn: A B A B …"""
    rounds = [[side() for side in sides] for _ in range(runs)]
    return [list(column) for column in zip(*rounds, strict=True)]


def median(runs: list[Run]) -> float:
    return statistics.median(run.seconds for run in runs)


# ------------------------------------------------------------------------------------------------------ landing

_MAKE_CSV = """
copy (
    select
        uuid()::varchar as "EVENT_ID",
        case when i % 2 = 0 then 'pageview' else 'consent.given' end as "TYPE",
        0.1 as "RATE",
        case when i % 2 = 0 then null else '{{\n  "action": "click",\n  "purposes": {{"enabled": ["a", "b"]}}\n}}' end
            as "PARAMETERS",
        strftime(timestamp '2025-09-01' + to_microseconds((random() * 10 * 86400e6)::bigint), '%Y-%m-%d %H:%M:%S.%g')
            as "EVENT_TIME",
        '2025-09-01 01:00:00.000' as "WINDOW_START",
        uuid()::varchar as "APIKEY",
        'full opt-in' as "CONSENT",
        case when i % 1000 = 0 then 'ten' else '10' end as "COUNT",
        null as "EXPERIMENT", 'sdk-web' as "SDK_TYPE", 'shop.example' as "DOMAIN", 'deployment' as "DEPLOYMENT_ID",
        '"ES"' as "COUNTRY", '"CM"' as "REGION", 'Chrome' as "BROWSER_FAMILY", 'desktop' as "DEVICE_TYPE"
    from range({rows}) as t (i)
) to '{file}' (header)
"""

_LAND = """
from pathlib import Path
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.ingest.landing import Landing
from analytics_assets.settings import Settings
def land(folder):
    settings = Settings(_env_file=None, data_dir=Path(folder), inbox_settle_seconds=0)
    return Landing(settings, CONSENT_EVENTS).run()
assert land(sys.argv[2]).landed  # a small file first, so that all libraries are loaded
t = time.perf_counter()
report = land(sys.argv[1])
seconds = time.perf_counter() - t
assert len(report.landed) == 1, report
"""

_COPY = """
import duckdb
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
types = {"Float64": "DOUBLE", "Int64": "BIGINT", "String": "VARCHAR"}
columns = {n: types.get(str(t() if isinstance(t, type) else t), "TIMESTAMP") for n, t in CONSENT_EVENTS.columns.items()}
duckdb.execute("select $n", {"n": 1})  # so that all libraries are loaded
t = time.perf_counter()
duckdb.execute(
    f"copy (select * from read_csv($file, columns = {columns}, header = true, auto_detect = false, delim = ',',"
    " quote = '\\"', escape = '\\"', ignore_errors = true)) to $target (format parquet)",
    {"file": sys.argv[1], "target": sys.argv[2]},
)
seconds = time.perf_counter() - t
"""


def bench_landing(runs: int, gigabytes: float) -> list[Figure]:
    """Landing a large CSV, including hash and rejects, against DuckDB's copy of it to Parquet with the same types."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder, "inbox", "consent_events")
        inbox.mkdir(parents=True)
        file = inbox / "events-large.csv"
        duckdb.execute(_MAKE_CSV.format(rows=int(gigabytes * 4_250_000), file=file))
        small = Path(folder, "small", "inbox", "consent_events", "events-small.csv")
        small.parent.mkdir(parents=True)
        duckdb.execute(_MAKE_CSV.format(rows=10, file=small))
        size = file.stat().st_size / 1e9

        def ours() -> Run:
            for lake in (Path(folder, "lake"), Path(folder, "small", "lake")):
                shutil.rmtree(lake, ignore_errors=True)
            return child(_LAND, folder, str(Path(folder, "small")))

        landed, copied = in_turn(runs, ours, lambda: child(_COPY, str(file), str(Path(folder, "copy.parquet"))))
    peak = max(run.peak_mb for run in landed)
    return [
        Figure(f"landing a CSV of {size:.1f} GB / DuckDB's copy to Parquet", median(landed), median(copied), "s", 2.5),
        Figure(f"peak memory of that landing / 1,500 MB (DuckDB: {copied[0].peak_mb:,.0f} MB)", peak, 1500, "MB", 1),
    ]


# --------------------------------------------------------------------------------------------------------- step


def bench_step(runs: int) -> list[Figure]:
    """One day of the project's assets against the stock pattern; thirty days against one."""
    from datetime import UTC, datetime, timedelta

    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=29)
    day = (last - timedelta(days=10)).isoformat()
    programs = Path(sys.executable).parent
    ours = [str(programs / "analytics-assets")]
    with tempfile.TemporaryDirectory() as folder:
        env = env_of(folder, first)
        whole_process([*ours, "simulate"], env)
        whole_process([*ours, "materialize", "--from", str(first), "--to", str(last)], env)

        def days(start: str, end: str) -> Callable[[], Run]:
            return lambda: whole_process([*ours, "materialize", "--from", start, "--to", end], env)

        def stock() -> Run:
            dagster = [str(programs / "dagster"), "asset", "materialize", "-m", "benchmarks.stock", "--select", "*"]
            return whole_process([*dagster, "--partition", day], env)

        stock()  # its first run parses the project an additional time
        one, thirty, theirs = in_turn(runs, days(day, day), days(str(first), str(last)), stock)
    return [
        Figure("one day, whole process / stock dagster-dbt pattern", median(one), median(theirs), "s", 0.33),
        Figure("thirty days in one run / one day", median(thirty), median(one), "s", 1.2),
    ]


# --------------------------------------------------------------------------------------------------------- late

_HISTORY_CSV = """
copy (
    select
        'event-' || i as "EVENT_ID", 'pageview' as "TYPE", 0.1 as "RATE", null as "PARAMETERS",
        strftime(date '{first}' + to_days((i % {days})::int) + to_seconds(i % 86400), '%Y-%m-%d %H:%M:%S')
            as "EVENT_TIME",
        null as "WINDOW_START", 'company-' || (i % 10) as "APIKEY", 'empty' as "CONSENT", 1 as "COUNT",
        null as "EXPERIMENT", null as "SDK_TYPE", null as "DOMAIN", null as "DEPLOYMENT_ID", null as "COUNTRY",
        null as "REGION", null as "BROWSER_FAMILY", null as "DEVICE_TYPE"
    from range({days} * 1500) as t (i)
) to '{file}' (header)
"""


def bench_late(runs: int) -> list[Figure]:
    """A late file of one row, from drop to mart, with a month and with a year of history."""
    from datetime import UTC, datetime, timedelta

    import duckdb

    last = datetime.now(UTC).date() - timedelta(days=1)
    program = str(Path(sys.executable).parent / "analytics-assets")

    def prepared(folder: str, days: int) -> Callable[[], Run]:
        first = last - timedelta(days=days - 1)
        env = env_of(folder, first)
        inbox = Path(folder, "inbox", "consent_events")
        inbox.mkdir(parents=True)
        history = inbox / "events-history.csv"
        duckdb.execute(_HISTORY_CSV.format(first=first, days=days, file=history))
        whole_process([program, "materialize", "--new"], env)
        header = history.open().readline()
        number = iter(range(1000))

        def late() -> Run:
            n = next(number)
            row = f"late-{n},pageview,0.1,,{last - timedelta(days=15)} 12:00:00,,company-1,empty,1,,,,,,,,\n"
            (inbox / f"events-late-{n}.csv").write_text(header + row)
            return whole_process([program, "materialize", "--new", "--select", "+published_consent"], env)

        return late

    with tempfile.TemporaryDirectory() as month, tempfile.TemporaryDirectory() as year:
        year_runs, month_runs = in_turn(runs, prepared(year, 365), prepared(month, 30))
    return [Figure("a late row with 365 days of history / with 30", median(year_runs), median(month_runs), "s", 1.15)]


# ------------------------------------------------------------------------------------------------------- settle


def bench_settle(runs: int) -> list[Figure]:
    """A late file of one row under the running daemon, from drop to published mart; prints each part."""
    from benchmarks.settle import settle_times

    found = settle_times(runs)
    table = Table("part", title="From the drop of a late file to the published mart", title_justify="left")
    table.add_column("median", justify="right")
    for part in found[0]:
        table.add_row(part, f"{statistics.median(times[part] for times in found):.1f} s")
    Console(width=120).print(table)
    total = statistics.median(sum(times.values()) for times in found)
    return [Figure("a late file under the daemon, drop to published mart / 20 s", total, 20, "s", 1)]


# ----------------------------------------------------------------------------------------------------- sessions


def bench_sessions(runs: int, events: int) -> list[Figure]:
    """All sessions of a month at once, against a plain DuckDB script that writes the same tables."""
    from benchmarks import sessions

    with tempfile.TemporaryDirectory() as folder:
        sessions.write_raw_days(Path(folder, "lake", "raw"), events)
        ours, bare = in_turn(runs, lambda: child(sessions.BUILD, folder), lambda: child(sessions.BUILD_BARE, folder))
        if differing := sessions.differing_tables(Path(folder)):
            sys.exit(f"the tables are not the same, so their times say nothing: {differing}")
    peak = max(run.peak_mb for run in ours)
    return [
        Figure(f"sessions of {events:,} events, SQL / bare DuckDB", median(ours), median(bare), "s", 1.3),
        Figure(f"peak memory of that / 4,096 MB (bare DuckDB: {bare[0].peak_mb:,.0f} MB)", peak, 4096, "MB", 1),
    ]


def bench_session_day(runs: int, events_a_day: int = 20_000) -> list[Figure]:
    """A rebuild of one day of sessions, its SQL and the whole process, with a month and with a year of history."""
    from analytics_assets.defs.sessions import DOMAIN
    from benchmarks import sessions

    def write(inbox: Path, first: date, days: int) -> None:
        sessions.write_files(inbox, events_a_day * days, first, days)

    return bench_day_again(f"a day of {events_a_day:,} events", runs, DOMAIN, "clickstream", write, (365, 30), ago=15)


def bench_day_again(
    what: str,
    runs: int,
    domain: "Domain",
    source: str,
    write: Callable[[Path, date, int], None],
    days: tuple[int, int],
    ago: int = 0,
) -> list[Figure]:
    """A rebuild of one day of a domain, the whole process and its SQL, with a long and with a short history.

    Args:
        what: the day and its rows, in words.
        source: of which files are written.
        write: writes them into its inbox, for so many days from the first on.
        days: of the long and of the short history.
        ago: how many days the one is before the newest.
    """
    from datetime import UTC, datetime, timedelta

    from benchmarks import sessions

    last = datetime.now(UTC).date() - timedelta(days=1)
    day, published = last - timedelta(days=ago), f"+published_{domain.name}"
    program = str(Path(sys.executable).parent / "analytics-assets")

    def prepared(folder: str, of_days: int) -> Callable[[], Run]:
        first = last - timedelta(days=of_days - 1)
        env = env_of(folder, first)
        inbox = Path(folder, "inbox", source)
        inbox.mkdir(parents=True)
        write(inbox, first, of_days)
        whole_process([program, "materialize", "--new", "--select", published], env)
        again = [program, "materialize", "--from", str(day), "--to", str(day), "--select", published]
        return lambda: whole_process(again, env)

    long, short = days
    with tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as many:
        many_runs, few_runs = in_turn(runs, prepared(many, long), prepared(few, short))
        many_sql, few_sql = sessions.day_again([Path(many), Path(few)], day, runs, domain)
    return [
        Figure(
            f"{what} again, with {long} days of history / with {short}", median(many_runs), median(few_runs), "s", 1.15
        ),
        Figure("the SQL of that", statistics.median(many_sql), statistics.median(few_sql), "s", 1.15),
    ]


def bench_session_late(runs: int, events_a_day: int = 100_000) -> list[Figure]:
    """The SQL of the days that a late event touches, against that of the same days when their file first arrived."""
    from benchmarks import sessions

    found = sessions.late_files([3 + 5 * number for number in range(min(runs, 5))], events_a_day)
    first, late = (statistics.median(column) for column in zip(*found, strict=True))
    return [Figure("SQL of the days that a late event touches / of the same days at first", late, first, "s", 1)]


# --------------------------------------------------------------------------------------------------------- keys


def bench_keys(runs: int, payments_a_day: int, users: int, long: int, short: int) -> list[Figure]:
    """A late user from drop to mart, with a long and a short history; the SQL of what is read by key against a join."""
    from datetime import UTC, datetime, timedelta

    from benchmarks import keys

    last = datetime.now(UTC).date() - timedelta(days=1)
    program = [sys.executable, "-m", "benchmarks.keys"]

    def prepared(folder: str, days: int) -> Callable[[], Run]:
        first = last - timedelta(days=days - 1)
        env = env_of(folder, first)
        keys.write_project(Path(folder), first, keys.Scale(days, payments_a_day, users // long))
        whole_process([*program, folder], env)
        number = iter(range(1000))

        def late() -> Run:
            keys.write_late_user(Path(folder), first, days, next(number))
            paid = [str(day) for day in keys.days_of_late_users(first, days)]
            return whole_process([*program, folder, *paid], env)

        return late

    with tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as many:
        many_runs, few_runs = in_turn(runs, prepared(many, long), prepared(few, short))

        def built(first: date, days: int) -> list[list[Run]]:
            env = env_of(many, last - timedelta(days=long - 1))
            window = [str(first), str(first + timedelta(days=days))]
            return in_turn(
                min(runs, 3) if days == long else runs,
                lambda: child(keys.BUILD, many, *window, env=env),
                lambda: child(keys.BUILD_BARE, many, *window, env=env),
            )

        all_days, all_bare = built(last - timedelta(days=long - 1), long)
        one_day, one_bare = built(last - timedelta(days=short // 2), 1)
        if differing := keys.differing(Path(many)):
            sys.exit(f"the tables are not the same, so their times say nothing: {differing}")
    return [
        Figure(f"a late user with {long} days of facts / with {short}", median(many_runs), median(few_runs), "s", 1.3),
        Figure(
            f"a day of {payments_a_day:,} facts by key, SQL / bare DuckDB", median(one_day), median(one_bare), "s", 1.3
        ),
        Figure(
            f"all {long} days by key in one run, SQL / one join in bare DuckDB",
            median(all_days),
            median(all_bare),
            "s",
            2,
        ),
    ]


# -------------------------------------------------------------------------------------------------- attribution


def bench_attribution(runs: int, touches: int) -> list[Figure]:
    """Paths and the credit of all models, all days at once, against bare DuckDB that answers last touch alone."""
    from benchmarks import attribution

    with tempfile.TemporaryDirectory() as folder:
        attribution.write_raw_days(Path(folder, "lake", "raw"), touches)
        attribution.stage(Path(folder))
        ours, bare = in_turn(
            runs, lambda: child(attribution.BUILD, folder), lambda: child(attribution.BUILD_BARE, folder)
        )
        if differing := attribution.differing(Path(folder)):
            sys.exit(f"the last touches are not the same, so their times say nothing: {differing}")
    what = f"paths and eight models of {touches:,} touches, SQL / last touch in bare DuckDB"
    return [Figure(what, median(ours), median(bare), "s", 6)]


def bench_attribution_day(runs: int, touches_a_day: int, long: int, short: int) -> list[Figure]:
    """A rebuild of the newest day of credit, the whole process and its SQL, with a long and with a short history."""
    from analytics_assets.defs.attribution import DOMAIN
    from benchmarks import attribution

    def write(inbox: Path, first: date, days: int) -> None:
        attribution.write_file(inbox, touches_a_day * days, first, days)

    what = f"a day of {touches_a_day:,} touches"
    return bench_day_again(what, runs, DOMAIN, "user_touchpoints", write, (long, short))


def bench_path_models(runs: int, conversions: int) -> list[Figure]:
    """Markov chains and counterfactuals, with their intervals, of ten times as many conversions."""
    from benchmarks import attribution

    many, few = in_turn(
        runs, lambda: child(attribution.FIT, str(10 * conversions)), lambda: child(attribution.FIT, str(conversions))
    )
    what = f"models over all paths, {10 * conversions:,} conversions / {conversions:,}"
    return [Figure(what, median(many), median(few), "s", 1.3)]


# ----------------------------------------------------------------------------------------------------- commerce


def bench_commerce(runs: int, lines: int) -> list[Figure]:
    """A year of the shop's models at once, against the same queries in bare DuckDB; persons in both ways."""
    from benchmarks import commerce

    with tempfile.TemporaryDirectory() as folder:
        commerce.stage(Path(folder), lines)
        ours, bare = in_turn(runs, lambda: child(commerce.BUILD, folder), lambda: child(commerce.BUILD_BARE, folder))
        if differing := commerce.differing(Path(folder)):
            sys.exit(f"the rows are not the same, so their times say nothing: {', '.join(differing)}")
        optimized, plain = commerce.persons_after_a_new_day(Path(folder), runs)
    what = f"a year of the models of {lines:,} lines, SQL / the same queries in bare DuckDB"
    return [
        Figure(what, median(ours), median(bare), "s", 1.5),
        Figure("persons after a new day, from daily rows / from all of staging", optimized, plain, "s", 0.2),
    ]


def bench_commerce_day(runs: int, lines_a_day: int, long: int, short: int) -> list[Figure]:
    """A rebuild of the newest day of the shop, with a long and with a short history."""
    from analytics_assets.defs.commerce import DOMAIN
    from benchmarks import commerce

    def write(inbox: Path, first: date, days: int) -> None:
        commerce.write_files(inbox.parent, first, days, lines_a_day)

    what = f"a day of {lines_a_day:,} orders"
    return bench_day_again(what, runs, DOMAIN, "orders", write, (long, short))


# ------------------------------------------------------------------------------------------------ optimizations


def bench_optimizations(runs: int, orders: int) -> list[Figure]:
    """What was chosen against what it replaces, on the same rows of a shop of 90 days and in one run."""
    from analytics_assets.spec.source import Kind
    from benchmarks import optimizations
    from benchmarks.shop import SELLERS_AT_ALL

    bounds = (0.2, 1, 0.2)
    of_a_shop = optimizations.measured(runs, orders)
    figures = [
        Figure(f"{what} ({orders:,} orders a day)", after, before, "s", bound)
        for (what, (after, before)), bound in zip(of_a_shop.items(), bounds, strict=True)
    ]
    (_, delivered), (_, copied) = optimizations.sellers_as(Kind.DELIVERY), optimizations.sellers_as(Kind.SNAPSHOT)
    what = f"raw days of {SELLERS_AT_ALL:,} sellers, as deliveries / as snapshots of each day"
    return [*figures, Figure(what, delivered * 1000, copied * 1000, "kB", 0.1)]


# ------------------------------------------------------------------------------------------------------ extract


def bench_extract(runs: int, pages: int) -> list[Figure]:
    """A pull of pages of 500 records against a loop that only reads them; memory; and the use of the request budget."""
    from analytics_assets_tests.support.pages import RECORDS_PER_PAGE, pages_served
    from benchmarks import extract

    with tempfile.TemporaryDirectory() as folder, pages_served(pages) as url:
        ours, bare = in_turn(
            runs, lambda: child(extract.OURS, url, str(Path(folder, "data"))), lambda: child(extract.BARE, url)
        )
    with tempfile.TemporaryDirectory() as folder, pages_served(10) as url:
        few = child(extract.OURS, url, str(Path(folder, "data")))
    took, least = extract.use_of_budget()
    page, bare_page = (median(side) * 1000 / pages for side in (ours, bare))
    peak = max(run.peak_mb for run in ours)
    return [
        Figure(f"a page of {RECORDS_PER_PAGE} records, processor time / bare httpx loop", page, bare_page, "ms", 1.5),
        Figure(f"peak memory of {pages:,} pages / of 10 pages", peak, few.peak_mb, "MB", 1.1),
        Figure("time of a pull within its budget / the least that the budget allows", took, least, "s", 1 / 0.95),
    ]


# --------------------------------------------------------------------------------------------------------- load


def bench_load(runs: int) -> list[Figure]:
    """Loading the code location against importing the libraries that it needs."""
    timed = "t = time.perf_counter()\nimport {}\nseconds = time.perf_counter() - t"
    child(timed.format("analytics_assets.definitions"))
    ours, theirs = in_turn(
        runs,
        lambda: child(timed.format("analytics_assets.definitions")),
        lambda: child(timed.format("dagster, dagster_dbt")),
    )
    return [Figure("loading the definitions / import dagster, dagster_dbt", median(ours), median(theirs), "s", 1.3)]


# ---------------------------------------------------------------------------------------------------------- raw

_PIECES = """
from pathlib import Path
import polars as pl
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.ingest.raw_days import rows_of_pieces
pieces = sorted(Path(sys.argv[1], "lake", "landed", "consent_events").glob("*/*.parquet"))
target = Path(sys.argv[1], "raw.parquet")
assert pieces
t = time.perf_counter()
for piece in pieces:
    {rows}.sink_parquet(target, compression="zstd", compression_level=1)
seconds = time.perf_counter() - t
"""


def bench_raw(runs: int) -> list[Figure]:
    """Raw days from pieces verified against the hash in their names, against Polars' copy of the same pieces."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder, "inbox", "consent_events")
        inbox.mkdir(parents=True)
        for name, rows in (("events-0.csv", 1000), ("events-1.csv", 500_000)):
            duckdb.connect().execute(_MAKE_CSV.format(rows=rows, file=inbox / name))
            child(_LAND.replace("assert land(sys.argv[2]).landed", ""), folder)
        ours, theirs = in_turn(
            runs,
            lambda: child(_PIECES.format(rows="rows_of_pieces([piece], CONSENT_EVENTS)"), folder),
            lambda: child(_PIECES.format(rows="pl.scan_parquet(piece, glob=False)"), folder),
        )
    return [
        Figure("raw days from pieces that are checked / Polars' copy of them", median(ours), median(theirs), "s", 1.15)
    ]


# ------------------------------------------------------------------------------------------------------ domains


def bench_domains(runs: int) -> list[Figure]:
    """The same simulated domain nine times against once: the cost of additional domains."""

    def measured(number: int) -> dict[str, float]:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.domains", folder, str(number)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout[done.stdout.rindex("MEASURED") + len("MEASURED") :].splitlines()[0])

    found = {number: [measured(number) for _ in range(runs)] for number in (1, 3, 9)}
    of = {
        number: {what: statistics.median(one[what] for one in several) for what in several[0]}
        for number, several in found.items()
    }
    table = Table("work", title="So many domains in one project", title_justify="left")
    for number in of:
        table.add_column(str(number), justify="right")
    for what in of[1]:
        table.add_row(what, *(f"{times[what]:.2f} s" for times in of.values()))
    Console(width=120).print(table)
    bounds = {
        "first settle": 4,
        "load of the definitions": 1.3,
        "tick": 2,
        "look at all conditions": 9,
        "late row": 1.15,
    }
    return [Figure(f"{what}, nine domains / one", of[9][what], of[1][what], "s", bounds[what]) for what in of[1]]


# ------------------------------------------------------------------------------------------------------ history


def bench_history(runs: int) -> list[Figure]:
    """A first load of ten years, few rows a day, against one year; a late row after it; and the disk space per day."""
    from datetime import UTC, datetime, timedelta

    import duckdb

    last = datetime.now(UTC).date() - timedelta(days=1)
    program = str(Path(sys.executable).parent / "analytics-assets")
    select = ["--select", "group:consent"]

    def measured(days: int) -> tuple[float, float, float]:
        """Seconds of the first load and of a late row, and bytes of Dagster's home per asset and day."""
        with tempfile.TemporaryDirectory() as folder:
            first = last - timedelta(days=days - 1)
            env = env_of(folder, first)
            inbox = Path(folder, "inbox", "consent_events")
            inbox.mkdir(parents=True)
            history = inbox / "events-history.csv"
            duckdb.execute(_HISTORY_CSV.replace("* 1500", "* 5").format(first=first, days=days, file=history))
            load = whole_process([program, "materialize", "--new", *select], env).seconds
            header = history.open().readline()
            row = f"late,pageview,0.1,,{last - timedelta(days=15)} 12:00:00,,company-1,empty,1,,,,,,,,\n"
            (inbox / "events-late.csv").write_text(header + row)
            late = whole_process([program, "materialize", "--new", *select], env).seconds
            made = sum(1 for _ in Path(folder, "lake", "raw").glob("*/_day=*")) / 2 * ASSETS_WITH_DAYS
            home = sum(file.stat().st_size for file in Path(folder, "home").rglob("*") if file.is_file())
        return load, late, home / made

    years = {number: [measured(365 * number) for _ in range(runs)] for number in (1, 10)}
    (load, late, _), (long_load, long_late, room) = (
        tuple(statistics.median(column) for column in zip(*several, strict=True)) for several in years.values()
    )
    return [
        Figure("a first load of ten years / of one", long_load, load, "s", 3),
        Figure("a late row with ten years of history / with one", long_late, late, "s", 1.2),
        Figure("bytes of Dagster's home for each asset and day / 1,024", room, 1024, "B", 1),
    ]


ASSETS_WITH_DAYS = 12
"""How many assets with days the loaded domain has: two raw, nine models, the published copy."""

BENCHES: dict[str, Callable[[argparse.Namespace], list[Figure]]] = {
    "load": lambda chosen: bench_load(chosen.runs),
    "landing": lambda chosen: bench_landing(min(chosen.runs, 3), chosen.gigabytes),
    "raw": lambda chosen: bench_raw(chosen.runs),
    "step": lambda chosen: bench_step(chosen.runs),
    "late": lambda chosen: bench_late(chosen.runs),
    "settle": lambda chosen: bench_settle(chosen.runs),
    "sessions": lambda chosen: bench_sessions(min(chosen.runs, 3), chosen.events),
    "session_day": lambda chosen: bench_session_day(chosen.runs),
    "session_late": lambda chosen: bench_session_late(chosen.runs),
    "keys": lambda chosen: bench_keys(chosen.runs, chosen.facts, chosen.users, *chosen.days),
    "attribution": lambda chosen: [
        *bench_attribution(min(chosen.runs, 3), chosen.touches),
        *bench_attribution_day(chosen.runs, chosen.touches // 1000, *chosen.days),
        *bench_path_models(chosen.runs, chosen.touches // 100),
    ],
    "commerce": lambda chosen: [
        *bench_commerce(min(chosen.runs, 3), chosen.lines),
        *bench_commerce_day(chosen.runs, chosen.lines // 3_650, *chosen.days),
    ],
    "optimizations": lambda chosen: bench_optimizations(min(chosen.runs, 3), chosen.orders),
    "extract": lambda chosen: bench_extract(min(chosen.runs, 3), chosen.pages),
    "domains": lambda chosen: bench_domains(min(chosen.runs, 3)),
    "history": lambda chosen: bench_history(min(chosen.runs, 3)),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("which", nargs="*", metavar="|".join(BENCHES), default=list(BENCHES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=2.0, help="of the CSV that is landed")
    parser.add_argument("--events", type=int, default=20_000_000, help="of which all sessions are made at once")
    parser.add_argument("--facts", type=int, default=100_000, help="a day, which look up their users")
    parser.add_argument("--users", type=int, default=2_000_000, help="who came over the longer history")
    parser.add_argument(
        "--days",
        type=int,
        nargs=2,
        default=[365, 30],
        metavar=("LONG", "SHORT"),
        help="of the histories that are compared",
    )
    parser.add_argument("--touches", type=int, default=20_000_000, help="whose paths are made at once")
    parser.add_argument("--orders", type=int, default=3_000, help="a day, of the shop whose optimizations are measured")
    parser.add_argument("--lines", type=int, default=10_000_000, help="of orders, of a year")
    parser.add_argument("--pages", type=int, default=1_000, help="that are pulled")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.which if name not in BENCHES]:
        parser.error(f"there is no bench {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    console = Console(width=120)
    table = Table("figure", title=f"Medians on {os.cpu_count()} cores", title_justify="left")
    for heading in ("ours", "theirs", "ratio", "at most"):
        table.add_column(heading, justify="right", no_wrap=True)
    missed = 0
    for name in chosen.which:
        console.print(f"[dim]{name} …[/dim]")
        for figure in BENCHES[name](chosen):
            missed += figure.ratio > figure.bound
            colour = "red" if figure.ratio > figure.bound else "green"
            table.add_row(
                figure.what,
                f"{figure.ours:,.1f} {figure.unit}",
                f"{figure.theirs:,.1f} {figure.unit}",
                f"[{colour}]{figure.ratio:.2f}[/{colour}]",
                f"{figure.bound:.3g}",
            )
    console.print(table)
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
