"""A shop of ten million lines: a year of its models at once, in the project and in bare DuckDB; and its files."""

import sys
import time
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from analytics_assets.build import open_project
from analytics_assets.dbt.dry_run import compiled
from analytics_assets.dbt.invocation import DbtRun
from analytics_assets.dbt.runner import run_dbt
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.project import Project
from analytics_assets.spec.source import Kind
from benchmarks.sessions import seconds_of_sql
from benchmarks.shop import DOMAINS, SOURCES, rows_of, settings_of, write_raw_days

DAYS, FIRST = 365, date(2025, 1, 1)
YEAR = Window(FIRST, FIRST + DAYS * ONE_DAY)
LINES_AN_ORDER = 1.05
EVENTS_AN_ORDER = 1  # views are the sessions' own: this part is of orders

MODELS = (
    "int_products",
    "int_product_reviews",
    "int_order_lines",
    "int_orders",
    "int_reviews",
    "int_customer_daily",
    "mart_product_daily",
    "mart_product_trends",
    "mart_product_performance",
)

# Each runs in a process of its own and measures the seconds of its SQL.
BUILD = """
from pathlib import Path
from benchmarks.commerce import build
seconds = build(Path(sys.argv[1]))
"""

BUILD_BARE = BUILD.replace("build", "build_bare")


def stage(folder: Path, lines: int) -> None:
    """Writes raw days of so many lines, and makes what both sides begin with: all tables that the models read."""
    write_raw_days(
        settings_of(folder, FIRST, DAYS).raw_dir, FIRST, DAYS, round(lines / LINES_AN_ORDER / DAYS), EVENTS_AN_ORDER
    )
    names = [f"+{model}" for model in MODELS]
    _run(folder, ["run", "--select", *names, "--exclude", *MODELS])


def build(folder: Path) -> float:
    """Makes a year of the models in one run; returns the seconds of their SQL, by dbt's clock."""
    project = _project(folder)
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        for model in MODELS:
            node = project.manifest.made[model]
            connection.execute(f"drop table if exists {node.schema}.{node.alias}")
    return seconds_of_sql(_run(folder, ["run", "--select", *MODELS]))


def build_bare(folder: Path) -> float:
    """Makes tables of the same queries in a database of their own, without the project; returns their seconds."""
    project, file = _project(folder), folder / "bare.duckdb"
    file.unlink(missing_ok=True)
    names = {project.manifest.made[model].unique_id: model for model in MODELS}
    queries = {
        names[one.unique_id]: one.sql or ""
        for one in compiled(list(MODELS), YEAR, project).results
        if one.unique_id in names
    }
    config: dict[str, Any] = {"memory_limit": project.settings.duckdb_memory_limit}
    with duckdb.connect(str(file), config=config) as connection:
        connection.execute(f"attach '{project.settings.warehouse_file}' as analytics (read_only)")
        started = time.perf_counter()
        for model in MODELS:
            query = queries[model]
            for made in MODELS:
                node = project.manifest.made[made]
                query = query.replace(f'"analytics"."{node.schema}"."{node.alias}"', f"bare.main.{node.alias}")
            connection.execute(f"create table {model} as {query}")
        return time.perf_counter() - started


def differing(folder: Path) -> list[str]:
    """The models whose rows are not the same on both sides."""
    project, found = _project(folder), []
    with duckdb.connect() as connection:
        connection.execute(f"attach '{project.settings.warehouse_file}' as ours (read_only)")
        connection.execute(f"attach '{folder}/bare.duckdb' as bare (read_only)")
        for model in MODELS:
            node = project.manifest.made[model]
            sides = [
                connection.execute(f"select count(*), sum(hash(t)::hugeint) from {table} as t").fetchone()
                for table in (f"ours.{node.schema}.{node.alias}", f"bare.main.{model}")
            ]
            if sides[0] != sides[1] or sides[0] is None or not sides[0][0]:
                found.append(model)
    return found


def persons_after_a_new_day(folder: Path, runs: int) -> tuple[float, float]:
    """Seconds until all persons are known after a new day, in two ways.

    From the daily rows, of which that day is made first; and from all of staging.

    Raises:
        SystemExit: the rows are not the same.
    """
    project, newest = _project(folder), Window(YEAR.end - ONE_DAY, YEAR.end)
    _run(folder, ["run", "--select", "int_customer_behavior", "int_customer_behavior_optimized"])
    found = []
    for _ in range(runs):
        upkeep = ["run", "--select", "int_orders", "int_reviews", "int_customer_daily"]
        run = run_dbt(upkeep, project.settings, project.sources, newest)
        both = [_read(project, f"int_customer_behavior{way}") for way in ("_optimized", "")]
        if both[0][1] != both[1][1]:
            sys.exit(f"the persons are not the same: {both}")
        found.append((seconds_of_sql(run) + both[0][0], both[1][0]))
    return median(one[0] for one in found), median(one[1] for one in found)


def _read(project: Project, view: str) -> tuple[float, object]:
    """Reads a view in whole; returns the seconds, and a value that differs where its rows differ."""
    config: dict[str, Any] = {"memory_limit": project.settings.duckdb_memory_limit}
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True, config=config) as connection:
        started = time.perf_counter()
        rows = connection.execute(f"select count(*), sum(hash(t)::hugeint) from intermediate.{view} as t").fetchone()
        return time.perf_counter() - started, rows


def write_files(inbox: Path, first: date, days: int, orders: int) -> None:
    """Writes the files of a shop with so many orders a day: deliveries one a day, all others one."""
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '3GB'; set preserve_insertion_order = false")
        for source in SOURCES:
            folder = inbox / source.name
            folder.mkdir(parents=True, exist_ok=True)
            query = rows_of(source.name, first, days, orders, EVENTS_AN_ORDER)
            columns = ", ".join(f'"{name}"' for name in source.columns)
            if source.kind is Kind.DELIVERY:
                connection.execute(
                    f"copy (select {columns}, moment::date as day from ({query})) to '{folder}/parts'"
                    f" (format parquet, partition_by (day))"
                )
                for file in folder.glob("parts/*/*.parquet"):
                    file.rename(folder / f"{source.name}-{file.parent.name.removeprefix('day=')}.parquet")
            else:
                only = f" where moment::date = date '{first}'" if source.kind is Kind.SNAPSHOT else ""
                connection.execute(
                    f"copy (select {columns} from ({query}){only}) to '{folder}/{source.name}.parquet'"
                )  # fmt: skip


def _run(folder: Path, arguments: list[str]) -> DbtRun:
    project = _project(folder)
    run = run_dbt(arguments, project.settings, project.sources, YEAR)
    if run.failures:
        sys.exit(str(run.failures))
    return run


def _project(folder: Path) -> Project:
    return open_project(settings_of(folder, FIRST, DAYS), DOMAINS)
