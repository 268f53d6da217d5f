"""What is made one way, and could be made another way: both measured in one run, on the same rows, with equal results.

`docs/project_optimization.md` says what was chosen and why; its figures are those that this prints.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
import polars as pl

from analytics_assets.build import open_project
from analytics_assets.dbt.dry_run import compiled
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.defs.commerce.sources import SELLERS
from analytics_assets.ingest.landing import Landing
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.project import Project
from analytics_assets.spec.domain import Domain
from analytics_assets.spec.source import Kind
from analytics_assets_tests.support.project import Project as WholeProject
from benchmarks.sessions import seconds_of_sql
from benchmarks.shop import DOMAINS, SELLERS_AT_ALL, settings_of, write_raw_days

DAYS, FIRST = 90, date(2025, 9, 1)
NEWEST = FIRST + (DAYS - 1) * ONE_DAY
ALL_DAYS = Window.of_days(FIRST, NEWEST)
NEW_DAY = Window.of_days(NEWEST, NEWEST)
EVENTS_AN_ORDER = 20

_ENDS = ("int_customer_behavior", "int_customer_behavior_optimized", "mart_product_trends", "stg_clickstream")
"""The models that are read; what they are made from is made, too."""


class Shop:
    """A shop of 90 days in a folder; all days of its models are made, the newest by itself."""

    def __init__(self, folder: Path, orders: int) -> None:
        """Args: orders: on each day."""
        self.settings = settings_of(folder, FIRST, DAYS)
        self.project: Project = open_project(self.settings, DOMAINS)
        write_raw_days(self.settings.raw_dir, FIRST, DAYS, orders, EVENTS_AN_ORDER)
        self.make(Window(FIRST, NEWEST))
        self.make(NEW_DAY)

    def make(self, window: Window, *models: str) -> float:
        """Makes days of some models, or of all that is needed; returns the seconds of their SQL."""
        chosen = models or [f"+{name}" for name in _ENDS]
        run = run_dbt(["run", "--select", *chosen], self.settings, self.project.sources, window)
        if run.failures:
            sys.exit(str(run.failures))
        return seconds_of_sql(run)

    def read(self, query: str) -> tuple[float, object]:
        """Reads a query in whole; returns the seconds, and a value that differs where its rows differ."""
        config: dict[str, Any] = {
            "memory_limit": self.settings.duckdb_memory_limit,
            "file_search_path": str(self.settings.raw_dir),
        }
        with closing(duckdb.connect(str(self.settings.warehouse_file), read_only=True, config=config)) as connection:
            started = time.perf_counter()
            rows = connection.execute(f"select count(*), sum(hash(t)::hugeint) from ({query}) as t").fetchone()
            return time.perf_counter() - started, rows

    def sql_of(self, model: str, window: Window) -> str:
        """The query of a model for some days, as it would be without its table."""
        node = self.project.manifest.made[model].unique_id
        return next(one.sql or "" for one in compiled([model], window, self.project).results if one.unique_id == node)


def persons_after_a_new_day(shop: Shop) -> tuple[float, float]:
    """All persons after a new day: from all of staging, and from the daily rows, of which a day is made first."""
    # What is made for persons alone; lines and sessions are made for the marts of products and sessions.
    upkeep = shop.make(NEW_DAY, "int_orders", "int_reviews", "int_customer_daily")
    before, rows = shop.read("select * from intermediate.int_customer_behavior")
    after, same = shop.read("select * from intermediate.int_customer_behavior_optimized")
    _must_be_equal(rows, same)
    return upkeep + after, before


def trends_of_a_day(shop: Shop) -> tuple[float, float]:
    """The trends of the newest day: by a view over the daily rows, and from a table, of which the day is made first."""
    upkeep = shop.make(NEW_DAY, "mart_product_trends")
    sql = shop.sql_of("mart_product_trends", ALL_DAYS)
    before, rows = shop.read(f"select * from ({sql}) where activity_date = date '{NEWEST}'")
    after, same = shop.read(f"select * from marts.mart_product_trends where activity_date = date '{NEWEST}'")
    _must_be_equal(rows, same)
    return upkeep + after, before


def a_week_of_events(shop: Shop) -> tuple[float, float]:
    """A week of staged events: by the view that removes duplicates at each read, and from the table that keeps them."""
    week = f"select * from staging.{{}} where event_date > date '{NEWEST - 7 * ONE_DAY}'"
    before, rows = shop.read(week.format("stg_clickstream"))
    after, same = shop.read(week.format("stg_clickstream_incremental"))
    _must_be_equal(rows, same)
    return after, before


OF_A_SHOP: Mapping[str, Callable[[Shop], tuple[float, float]]] = {
    "persons after a new day, from daily rows / from all of staging": persons_after_a_new_day,
    "trends of a day, made and read / by a view": trends_of_a_day,
    "a week of staged events, from the table / by the view": a_week_of_events,
}


def measured(runs: int, orders: int) -> dict[str, tuple[float, float]]:
    """Median seconds after and before, by what was changed."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder) / "data", orders)
        found = {what: [measure(shop) for _ in range(runs)] for what, measure in OF_A_SHOP.items()}
    return {what: (median(one[0] for one in pairs), median(one[1] for one in pairs)) for what, pairs in found.items()}


def sellers_as(kind: Kind, days: int = DAYS) -> tuple[float, float]:
    """Seconds and megabytes of the raw days of 3,000 sellers that came in one file, as deliveries or as snapshots."""
    last = datetime.now(UTC).date() - ONE_DAY
    domain = Domain(name="sellers", owner="team:analytics", sources=(replace(SELLERS, kind=kind),))
    with tempfile.TemporaryDirectory() as folder:
        changes: dict[str, object] = {"start_date": last - (days - 1) * ONE_DAY, "end_date": last}
        project = WholeProject(Path(folder) / "data", (domain,), changes)
        file = project.settings.inbox_dir / SELLERS.name / "sellers.parquet"
        file.parent.mkdir(parents=True)
        numbers = range(SELLERS_AT_ALL)
        columns = {name: [f"{name}-{number}" for number in numbers] for name in SELLERS.columns}
        pl.DataFrame(columns).write_parquet(file)
        started = time.perf_counter()
        Landing(project.settings, domain.sources[0]).run()
        project.settle()
        seconds = time.perf_counter() - started
        size = sum(one.stat().st_size for one in project.settings.raw_dir.rglob("*.parquet"))
        return seconds, size / 1e6


def _must_be_equal(rows: object, same: object) -> None:
    if rows != same:
        sys.exit(f"the rows are not the same, so their times say nothing: {rows}, {same}")
