"""The benches find what they measure. What they print belongs on a machine that does nothing else."""

import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest
from dagster import AssetKey

from analytics_assets.dbt.runner import run_dbt
from analytics_assets.defs.commerce import DOMAIN as COMMERCE
from analytics_assets.defs.sessions.sources import CLICKSTREAM
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.settings import PROJECT_DIR
from analytics_assets.spec.source import LINEAGE_COLUMNS, Kind
from analytics_assets_tests.support.project import Project
from benchmarks import attribution, commerce, optimizations, sessions, settle, shop


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False)


def test_a_part_runs_and_prints_its_ratio() -> None:
    said = run("landing", "--runs", "1", "--gigabytes", "0.002")
    assert "landing a CSV of 0.0 GB" in said.stdout, said.stdout + said.stderr


def test_a_part_that_does_not_exist_is_an_error_that_names_those_that_do() -> None:
    said = run("everything")
    assert said.returncode == 2
    assert "there is no bench everything; there are load, landing" in said.stderr


def test_the_steps_that_are_timed_are_those_of_the_project(project: Project) -> None:
    graph = project.definitions.resolve_asset_graph()
    assert graph.get(AssetKey("published_consent")).assets_def.op.name == settle._PUBLISHES
    with sessions.seconds_of_each_run() as seconds:
        from analytics_assets.dbt import step

        assert step.run_dbt is not run_dbt, "each run is timed"
    assert seconds == []


def test_the_bare_query_finds_the_last_touches_that_the_project_finds(tmp_path: Path) -> None:
    attribution.write_raw_days(tmp_path / "lake" / "raw", touches=5_000)
    attribution.stage(tmp_path)
    assert attribution.build(tmp_path) > 0
    assert attribution.build_bare(tmp_path) > 0
    assert attribution.differing(tmp_path) == []
    with duckdb.connect(str(tmp_path / "bare.duckdb")) as connection:
        (found,) = connection.execute("select count(*) from last_touch where touched_at is not null").fetchone() or (0,)
        assert found > 100
        connection.execute("update last_touch set touched_at = touched_at - interval 1 second")
    assert attribution.differing(tmp_path) != []


def test_the_raw_days_of_a_shop_have_the_columns_of_landed_ones(tmp_path: Path) -> None:
    shop.write_raw_days(tmp_path / "raw", commerce.FIRST, days=90, orders=2, events=2)
    sources = {source.name: source for source in (*COMMERCE.sources, CLICKSTREAM)}
    written = {folder.name.removeprefix("raw_"): folder for folder in (tmp_path / "raw").iterdir()}
    assert written.keys() == sources.keys()
    for name, folder in written.items():
        found = pl.read_parquet(folder / "*" / "data.parquet", hive_partitioning=False, glob=True).columns
        assert found == [*sources[name].columns, *sources[name].derived, *LINEAGE_COLUMNS], name


def test_a_snapshot_of_sellers_is_copied_onto_each_day_and_a_delivery_is_not() -> None:
    sizes = {kind: optimizations.sellers_as(kind, days=4)[1] for kind in (Kind.DELIVERY, Kind.SNAPSHOT)}
    assert sizes[Kind.SNAPSHOT] > 2 * sizes[Kind.DELIVERY]


def test_the_queries_of_the_shop_have_the_same_rows_in_bare_duckdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commerce, "DAYS", 6)
    monkeypatch.setattr(commerce, "YEAR", Window(commerce.FIRST, commerce.FIRST + 6 * ONE_DAY))
    commerce.stage(tmp_path, lines=600)
    assert commerce.build(tmp_path) > 0
    assert commerce.build_bare(tmp_path) > 0
    assert commerce.differing(tmp_path) == []
    optimized, plain = commerce.persons_after_a_new_day(tmp_path, runs=1)
    assert min(optimized, plain) > 0
    with duckdb.connect(str(tmp_path / "bare.duckdb")) as connection:
        connection.execute("update int_orders set item_value = item_value + 1")
    assert commerce.differing(tmp_path) == ["int_orders"]
