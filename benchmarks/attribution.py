"""Paths and credit at scale: all days of a history at once, and a day of a long one."""

import sys
import time
from datetime import date
from itertools import product
from math import prod
from pathlib import Path

import duckdb
import numpy as np

from analytics_assets.dbt.invocation import DbtRun
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.defs.attribution import DOMAIN as ATTRIBUTION
from analytics_assets.defs.attribution.intervals import resampled
from analytics_assets.defs.attribution.models_report import PATH_MODELS
from analytics_assets.defs.attribution.paths import Paths
from analytics_assets.defs.attribution.sources import USER_TOUCHPOINTS
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.settings import Settings
from benchmarks.sessions import seconds_of_sql

DAYS, FIRST = 60, date(2025, 9, 1)
STAGED = ("lookup_channel_rules", "lookup_campaign_aliases", "src_user_touchpoints", "stg_user_touchpoints")
MODELS = ("int_path_touches", "int_conversions", "attribution_credit")

# A user has 1 to 19 touches within 20 days, ten on average; what is of no day of the history is cut off, so that all
# days are alike. One touch in ten converts; half of these rows name no channel. One in ten of the others names source
# and medium instead.
_TOUCHES = """
with users as (
    select
        md5('user-' || i) as user_id,
        timestamp '{first}' + to_seconds((hash(i, 1) % (({days} + 20) * 86400))::bigint - 20 * 86400) as first_at,
        1 + hash(i, 2) % 19 as touches
    from range({touches} // 10 * ({days} + 20) // {days}) as t (i)
),

some_touches as (
    select
        *,
        unnest(range(touches::bigint)) as n
    from users
),

timed as (
    select
        user_id,
        first_at + to_microseconds((hash(user_id, n, 3) % (20 * 86400000000))::bigint) as touched_at,
        (hash(user_id, n, 4) % 1000003)::bigint as chance,
        hash(user_id, n, 5) % 10 = 0 as converts
    from some_touches
),

named as (
    select
        *,
        case
            when converts then chance % 2 = 0
            else chance % 10 = 0
        end as is_unnamed
    from timed
)

select
    user_id,
    touched_at as touchpoint_date,
    case
        when not is_unnamed
            then ['google_ads', 'meta_ads', 'tiktok_ads', 'email', 'organic', 'affiliate', 'direct', 'podcast'][
                1 + chance % 8
            ]
    end as channel,
    case when chance % 3 > 0 then 'campaign_' || chance % 40 end as campaign,
    case
        when converts then 'purchase'
        else ['ad_click', 'ad_impression', 'email_open', 'ad_click', 'visit'][1 + chance % 5]
    end as touchpoint_type,
    case
        when is_unnamed and not converts then ['google', 'bing', 'newsletter', 'facebook'][1 + chance // 10 % 4]
    end as source,
    case when is_unnamed and not converts then ['cpc', 'email', 'referral'][1 + chance // 10 % 3] end as medium,
    converts as conversion
from named
where touched_at >= timestamp '{first}' and touched_at < timestamp '{first}' + to_days({days})
"""

# One row a conversion, with the last touch that counts; ties are broken as the project breaks them.
_LAST_TOUCH = """
create table last_touch as
with touches as (
    select
        *,
        touched_at + to_days(case touchpoint_type when 'ad_impression' then 1 else 30 end) as counts_until
    from ours.staging.stg_user_touchpoints
    where not is_conversion or channel != 'unknown'
)

select
    conversions.user_id,
    conversions.touched_at as converted_at,
    touches.touched_at,
    touches.channel,
    touches.campaign
from ours.staging.stg_user_touchpoints as conversions
left join touches
    on
        conversions.user_id = touches.user_id
        and conversions.touched_at >= touches.touched_at
        and conversions.touched_at <= touches.counts_until
where conversions.is_conversion
qualify row_number() over (
    partition by
        conversions.user_id, conversions.touched_at, conversions.channel, conversions.touchpoint_type,
        conversions.repeat_number
    order by
        touches.touched_at desc, touches.is_conversion desc, touches.channel desc, touches.touchpoint_type desc,
        touches.repeat_number desc
) = 1
"""


def write_raw_days(raw_dir: Path, touches: int) -> None:
    """Writes raw days as landing does, but with DuckDB: a few seconds for a million touches."""
    folder = raw_dir / f"raw_{USER_TOUCHPOINTS.name}"
    folder.parent.mkdir(parents=True)
    rows = _TOUCHES.format(touches=touches, days=DAYS, first=FIRST)
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '3GB'; set preserve_insertion_order = false")
        connection.execute(
            f"copy (select *, 1::bigint as _repeat, null::varchar as _extra, 'touches.parquet' as _source_file, "
            f"row_number() over () as _source_row, touchpoint_date::date + interval 26 hour as _landed_at, "
            f"touchpoint_date::date as _day from ({rows})) to '{folder}' (format parquet, partition_by (_day))"
        )
    for file in folder.glob("*/*.parquet"):
        file.rename(file.with_name("data.parquet"))


def write_file(folder: Path, touches: int, first: date, days: int) -> None:
    """Writes all touches as a Parquet file for the inbox."""
    rows = _TOUCHES.format(touches=touches, days=days, first=first)
    with duckdb.connect() as connection:
        connection.execute(f"copy ({rows}) to '{folder}/{USER_TOUCHPOINTS.name}-history.parquet'")


# ------------------------------------------------------------------------------------- all days at once

# Each runs in a process of its own and measures the seconds of its SQL.
BUILD = """
from pathlib import Path
from benchmarks.attribution import build
seconds = build(Path(sys.argv[1]))
"""

BUILD_BARE = BUILD.replace("build", "build_bare")


def stage(folder: Path) -> None:
    """Makes what both sides begin with: the staged touches, and the rules by which channels are derived."""
    _run(folder, ["build", "--exclude-resource-type", "test", "--select", *STAGED])


def build(folder: Path) -> float:
    """Makes paths and credit of all days in one run; returns the seconds of their SQL, by dbt's clock."""
    with duckdb.connect(str(_settings(folder).warehouse_file)) as connection:
        for table in ("intermediate.int_path_touches", "intermediate.int_conversions", "marts.attribution_credit"):
            connection.execute(f"drop table if exists {table}")
    return seconds_of_sql(_run(folder, ["run", "--select", *MODELS]))


def build_bare(folder: Path) -> float:
    """Finds the last touch of each conversion in a database of its own, without the project; returns its seconds."""
    settings, file = _settings(folder), folder / "bare.duckdb"
    file.unlink(missing_ok=True)
    with duckdb.connect(str(file), config={"memory_limit": settings.duckdb_memory_limit}) as connection:
        connection.execute(f"attach '{settings.warehouse_file}' as ours (read_only)")
        started = time.perf_counter()
        connection.execute(_LAST_TOUCH)
        return time.perf_counter() - started


def differing(folder: Path) -> list[tuple[object, ...]]:
    """Counts and hashes of all conversions with their last touch on both sides, if they differ."""
    row = "user_id, converted_at, touched_at"
    with duckdb.connect() as connection:
        connection.execute(f"attach '{_settings(folder).warehouse_file}' as ours (read_only)")
        connection.execute(f"attach '{folder}/bare.duckdb' as bare (read_only)")
        sides = [
            connection.execute(f"select count(*), bit_xor(hash({row})), sum(hash({row})) from {rows}").fetchone() or ()
            for rows in ("ours.marts.attribution_credit where last_touch = 1", "bare.last_touch")
        ]
    return sides if sides[0] != sides[1] else []


def _run(folder: Path, arguments: list[str]) -> DbtRun:
    window = Window(FIRST, FIRST + DAYS * ONE_DAY)
    run = run_dbt(arguments, _settings(folder), ATTRIBUTION.sources, window)
    if run.failures:
        sys.exit(str(run.failures))
    return run


def _settings(folder: Path) -> Settings:
    return Settings(_env_file=None, data_dir=folder)


# ------------------------------------------------------------------------------- models that look at all paths

_CHANNELS = {"search": 0.35, "social": 0.25, "email": 0.15, "organic": 0.12, "affiliate": 0.08, "video": 0.05}
_TOUCHES_OF_A_PATH = {1: 0.5, 2: 0.25, 3: 0.125, 4: 0.075, 5: 0.05}
_CONVERTS = 0.1

FIT = """
from benchmarks.attribution import fit
seconds = fit(int(sys.argv[1]))
"""


def fit(conversions: int) -> float:
    """Fits all models that look at all paths, with their intervals; returns the seconds.

    Both sides draw from the same some 9,000 paths, as `rpt_paths` counts them.
    """
    paths = drawn_paths(conversions)
    started = time.perf_counter()
    for fitted in PATH_MODELS.values():
        shares = fitted(paths)
        shares(paths)
        resampled(paths, shares)
    return time.perf_counter() - started


def drawn_paths(conversions: int) -> Paths:
    """Paths of a simulated span with about so many conversions, one in ten of the paths."""
    random = np.random.default_rng(1)
    counts = {}
    for touches, share in _TOUCHES_OF_A_PATH.items():
        for path in product(_CHANNELS, repeat=touches):
            expected = conversions / _CONVERTS * share * prod(_CHANNELS[channel] for channel in path)
            counts[path] = (
                float(random.poisson(expected * _CONVERTS)), float(random.poisson(expected * (1 - _CONVERTS)))
            )  # fmt: skip
    return Paths.of(counts)
