"""What is read by key: a small project whose payments look up their users, who may have come on any day.

python -m benchmarks.keys FOLDER [DAY …]    lands and makes whatever is new; fails unless the joined days made are these
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
from dagster import DagsterInstance

from analytics_assets.build import build_definitions, open_project
from analytics_assets.dbt import project as dbt
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.operations.home import prepare_dagster_home
from analytics_assets.operations.runner import Runner
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.settings import Settings
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import Source
from benchmarks.domains import copy_dbt_settings
from benchmarks.sessions import seconds_of_sql

USERS = Source(
    name="users",
    description="Users of an app, by the day on which they came.",
    patterns=("users-*.parquet",),
    columns={"user_id": pl.String, "came_at": pl.Datetime("us"), "channel": pl.String},
    time="came_at",
    primary_key=("user_id",),
)

PAYMENTS = Source(
    name="payments",
    description="Payments of the users.",
    patterns=("payments-*.parquet",),
    columns={"payment_id": pl.String, "paid_at": pl.Datetime("us"), "user_id": pl.String, "amount": pl.Int64},
    time="paid_at",
    primary_key=("payment_id",),
)

APP = Domain(name="app", owner="team:app", sources=(USERS, PAYMENTS))

_SRC = """{{{{ config(materialized='view') }}}}
select {columns}, _day as the_date, {{{{ duplicate_rank('{source}') }}}} as duplicate_rank
from {{{{ raw('{source}') }}}}
"""

_STG = """select {columns}, the_date from {{{{ ref('src_{source}') }}}}
where {{{{ in_window('the_date') }}}} and duplicate_rank = 1
"""

_JOINED = """
select
    payments.payment_id, payments.user_id, payments.amount, payments.paid_at, users.channel, users.came_at,
    payments.the_date
from {{ ref('stg_payments') }} as payments
left join {{ by_key('stg_users') }} as users
    on payments.the_date = users._for_day and payments.user_id = users.user_id
where {{ in_window('payments.the_date') }}
"""

_DAILY = """
select the_date, channel, count(*) as payments, sum(amount) as amount from {{ ref('int_payments') }}
where {{ in_window('the_date') }} group by the_date, channel
"""

_YML = """version: 2
sources: [{name: raw, tables: [{name: users}, {name: payments}]}]
models:
  - {name: src_users, config: {meta: {day: the_date}}}
  - {name: src_payments, config: {meta: {day: the_date}}}
  - {name: stg_users, config: {meta: {day: the_date}}}
  - {name: stg_payments, config: {meta: {day: the_date}}}
  - name: int_payments
    config:
      meta:
        day: the_date
        reads: [{model: stg_users, days: [~, ~], key: user_id, of: stg_payments, columns: [channel, came_at]}]
  - {name: mart_payments_daily, config: {meta: {day: the_date}}}
"""

MODELS = {
    **{
        f"models/staging/app/{layer}_{source.name}.sql": text.format(
            source=source.name, columns=", ".join(source.columns)
        )
        for source in APP.sources
        for layer, text in (("src", _SRC), ("stg", _STG))
    },
    "models/intermediate/app/int_payments.sql": _JOINED,
    "models/marts/app/mart_payments_daily.sql": _DAILY,
    "models/staging/app/_app.yml": _YML,
}

_PLAIN_JOIN = """
select
    payments.payment_id, payments.user_id, payments.amount, payments.paid_at, users.channel, users.came_at,
    payments.the_date
from ours.staging.stg_payments as payments
left join ours.staging.stg_users as users on payments.user_id = users.user_id
"""
"""The rows of int_payments, as one would write them for DuckDB alone."""


@dataclass(frozen=True)
class Scale:
    """How many rows the files hold; the users come evenly over the days."""

    days: int
    payments_a_day: int
    users_a_day: int


# -------------------------------------------------------------------------------------------------------- files

_USERS = """
select
    md5('user-' || i) as user_id,
    timestamp '{first}' + to_days((i % {days})::int) + to_seconds(hash(i, 1) % 86400) as came_at,
    ['search', 'social', 'email', 'none'][1 + (hash(i, 2) % 4)::int] as channel
from range({days} * {users_a_day}) as t (i)
"""

_PAYMENTS = """
select
    i::varchar as payment_id,
    timestamp '{first}' + to_days((i // {payments_a_day})::int) + to_seconds(hash(i, 3) % 86400) as paid_at,
    md5('user-' || hash(i, 4) % ({days} * {users_a_day})) as user_id,
    1 + (hash(i, 5) % 1000)::bigint as amount
from range({start} * {payments_a_day}, {end} * {payments_a_day}) as t (i)
"""

_PAYMENTS_OF_LATE_USERS = """
select 'late-' || i || '-' || day as payment_id, day::timestamp as paid_at, 'late-' || i as user_id, 1::bigint as amount
from range(1000) as t (i), (select unnest({days}::date[]) as day)
"""

_LATE_USER = "select 'late-{number}' as user_id, timestamp '{at} 08:00:00' as came_at, 'email' as channel"


def write_project(folder: Path, first: date, scale: Scale) -> None:
    """Writes the dbt project and the files of the inbox: one of all users, and one a month of payments."""
    copy_dbt_settings(folder / "dbt")
    for name, text in MODELS.items():
        (folder / "dbt" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "dbt" / name).write_text(text)
    said = {"first": first, "days": scale.days, "users_a_day": scale.users_a_day}
    _write(folder, "users", "history", _USERS.format(**said))
    for start in range(0, scale.days, 30):
        span = {"start": start, "end": min(start + 30, scale.days), "payments_a_day": scale.payments_a_day}
        _write(folder, "payments", f"from-day-{start}", _PAYMENTS.format(**said, **span))
    days = [str(day) for day in days_of_late_users(first, scale.days)]
    _write(folder, "payments", "of-late-users", _PAYMENTS_OF_LATE_USERS.format(days=days))


def days_of_late_users(first: date, days: int) -> list[date]:
    """The two days on which each late user paid: as many in a long history as in a short one."""
    last = first + (days - 1) * ONE_DAY
    return [last - 4 * ONE_DAY, last - 2 * ONE_DAY]


def write_late_user(folder: Path, first: date, days: int, number: int) -> None:
    """Drops a file with one user whose payments are there, and who is not."""
    at = days_of_late_users(first, days)[0] - timedelta(1)
    _write(folder, "users", f"late-{number}", _LATE_USER.format(number=number, at=at))


def _write(folder: Path, source: str, name: str, rows: str) -> None:
    inbox = folder / "inbox" / source
    inbox.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"memory_limit": "3GB"}) as connection:
        connection.execute(f"copy ({rows}) to '{inbox}/{source}-{name}.parquet'")


# ---------------------------------------------------------------------------------------- from drop to mart


def settle(folder: Path) -> set[date]:
    """Lands and makes whatever is new; returns the days of the joined model that were made.

    Raises:
        RuntimeError: something failed.
    """
    settings = _settings(folder)
    project = open_project(settings, [APP])
    definitions = build_definitions(project)
    prepare_dagster_home(settings)
    with DagsterInstance.get() as instance:
        runner = Runner(definitions, project, instance)
        names = {key.path[-1] for key in definitions.resolve_asset_graph().get_all_asset_keys()}
        runner.land(names)
        runner.settle(names)
    if runner.outcome.failures:
        raise RuntimeError(runner.outcome.failures)
    return set(runner.outcome.made.get("int_payments", ()))


def _settings(folder: Path) -> Settings:
    """The settings that the environment gives, for the dbt project of a folder."""
    dbt.DBT_PROJECT_DIR = folder / "dbt"
    return Settings(_env_file=None)


# ------------------------------------------------------------------------------------------- the SQL of the join

# Each runs in a process of its own and measures the seconds of its SQL.
BUILD = """
from pathlib import Path
from benchmarks.keys import build
seconds = build(Path(sys.argv[1]), *sys.argv[2:])
"""

BUILD_BARE = BUILD.replace("build", "build_bare")


def build(folder: Path, start: str, end: str) -> float:
    """Makes the joined model's days in one run; returns the seconds of their SQL, by dbt's clock.

    If they are all the days of the project, the table is dropped before. Another day is made first: dbt compiles its
    macros only once in a process.
    """
    settings = _settings(folder)

    def seconds(window: Window) -> float:
        run = run_dbt(["run", "--select", "int_payments"], settings, APP.sources, window)
        if run.failures:
            sys.exit(str(run.failures))
        return seconds_of_sql(run)

    window = Window(date.fromisoformat(start), date.fromisoformat(end))
    seconds(_another_day(window, settings))
    if window.start == settings.start_date:
        with duckdb.connect(str(settings.warehouse_file)) as connection:
            connection.execute("drop table intermediate.int_payments")
    return seconds(window)


def _another_day(window: Window, settings: Settings) -> Window:
    day = window.start - ONE_DAY if window.start > settings.start_date else window.start
    return Window.of_days(day, day)


def build_bare(folder: Path, start: str, end: str) -> float:
    """Makes the same rows with a plain join in a database of their own, without the project; returns its seconds.

    Another day is made first, as above.
    """
    settings = _settings(folder)
    file = folder / "bare.duckdb"

    def seconds(script: str) -> float:
        with duckdb.connect(str(file), config={"memory_limit": settings.duckdb_memory_limit}) as connection:
            connection.execute(f"attach '{settings.warehouse_file}' as ours (read_only)")
            started = time.perf_counter()  # as dbt's clock: without opening and closing the database
            connection.execute(script)
            return time.perf_counter() - started

    def of_days(window: Window) -> str:
        where = f"where {{}}the_date >= date '{window.start}' and {{}}the_date < date '{window.end}'"
        rows = f"{_PLAIN_JOIN} {where.format('payments.', 'payments.')}"
        return f"begin; delete from payments {where.format('', '')}; insert into payments {rows}; commit"

    window = Window(date.fromisoformat(start), date.fromisoformat(end))
    if window.start != settings.start_date:
        seconds(of_days(_another_day(window, settings)))
        return seconds(of_days(window))
    if file.exists():
        seconds(of_days(_another_day(window, settings)))
        file.unlink()
    return seconds(f"create table payments as {_PLAIN_JOIN}")


def differing(folder: Path) -> list[tuple[object, ...]]:
    """Counts and hashes of all rows of both tables, if they differ."""
    row = "payment_id, user_id, amount, paid_at, channel, came_at, the_date"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{folder}/warehouse/analytics.duckdb' as ours (read_only)")
        connection.execute(f"attach '{folder}/bare.duckdb' as bare (read_only)")
        sides = [
            connection.execute(f"select count(*), bit_xor(hash({row})), sum(hash({row})) from {table}").fetchone() or ()
            for table in ("ours.intermediate.int_payments", "bare.payments")
        ]
    return sides if sides[0] != sides[1] else []


def main(arguments: Sequence[str]) -> None:
    folder, *days = arguments
    made = settle(Path(folder))
    if days and made != {date.fromisoformat(day) for day in days}:
        sys.exit(f"the days that were made are {sorted(map(str, made))}, and not {days}")


if __name__ == "__main__":
    main(sys.argv[1:])
