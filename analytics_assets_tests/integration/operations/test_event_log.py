"""The event log: what Dagster is told of runs of many days is what the stock log would tell it, in less room."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
from dagster import (
    AssetCheckResult,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    BackfillPolicy,
    DagsterEventType,
    DagsterInstance,
    DailyPartitionsDefinition,
    MaterializeResult,
    asset,
    materialize,
)
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.partition_status_cache import get_partition_subsets

from analytics_assets.automation.run_grouping import span_tags
from analytics_assets.operations import event_log
from analytics_assets.operations.home import prepare_dagster_home
from analytics_assets.partitions import Window
from analytics_assets.settings import get_settings
from analytics_assets_tests.support.project import test_settings

pytestmark = pytest.mark.models_alone

FIRST = date(2025, 1, 1)
DAYS = Window.of_days(FIRST, FIRST + timedelta(119))
PARTITIONS = DailyPartitionsDefinition(str(DAYS.start), end_date=str(DAYS.end))


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    get_settings.cache_clear()
    try:
        prepare_dagster_home(test_settings(tmp_path))
        with DagsterInstance.get() as found:
            assert isinstance(found.event_log_storage, event_log.PooledSqliteEventLog)
            yield found
    finally:
        get_settings.cache_clear()


def daily(name: str, work: Callable[[], None] = lambda: None) -> AssetsDefinition:
    """An asset with a check and a day for a partition, made in one run."""

    @asset(
        name=name,
        partitions_def=PARTITIONS,
        backfill_policy=BackfillPolicy.single_run(),
        check_specs=[AssetCheckSpec("is_well", asset=name)],
    )
    def made(context: AssetExecutionContext) -> MaterializeResult:
        work()
        for day in Window.of_run(context).days():
            context.add_asset_metadata(
                asset_key=context.asset_key, partition_key=str(day), metadata={"dagster/partition_row_count": day.day}
            )
        return MaterializeResult(check_results=[AssetCheckResult(passed=True)])

    return made


def make(instance: DagsterInstance, made: AssetsDefinition, days: Window) -> str:
    return materialize([made], instance=instance, tags=span_tags(days), raise_on_error=False).run_id


def events(instance: DagsterInstance, table: str = "event_logs") -> sqlite3.Cursor:
    file = Path(instance.root_directory) / "history" / "runs" / "index.db"
    return sqlite3.connect(file).execute(f"select * from {table}")


def test_the_stock_event_log_reads_what_the_pooled_one_wrote_and_few_databases_stay_open(
    instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asset
    def number() -> int:
        return 1

    monkeypatch.setattr(event_log, "OPEN_DATABASES", 3)
    runs = [materialize([number], instance=instance).run_id for _ in range(5)]
    assert len(instance.event_log_storage._engines) <= 3  # type: ignore[attr-defined]
    assert all(instance.all_logs(run) for run in runs)
    stock = SqliteEventLogStorage(str(Path(instance.root_directory) / "history" / "runs"))
    assert set(stock.get_all_run_ids()) == set(runs)
    records = stock.get_asset_records([AssetKey("number")])
    assert records[0].asset_entry.last_run_id == runs[-1]


def test_every_day_of_a_long_run_is_known_with_its_metadata_and_the_log_of_the_run_stays_short(
    instance: DagsterInstance,
) -> None:
    run = make(instance, daily("numbers"), DAYS)
    key = AssetKey("numbers")
    assert instance.get_materialized_partitions(key) == {str(day) for day in DAYS.days()}
    newest = instance.get_latest_materialization_event(key)
    assert newest is not None and newest.asset_materialization is not None
    assert newest.asset_materialization.partition == str(DAYS.end - timedelta(1))
    (record, *_) = instance.fetch_materializations(key, limit=200).records[-1:]
    assert record.asset_materialization is not None
    assert record.asset_materialization.metadata["dagster/partition_row_count"].value == 1
    assert len(instance.fetch_materializations(key, limit=200).records) == len(DAYS)
    assert len(instance.all_logs(run, of_type=DagsterEventType.ASSET_MATERIALIZATION)) == 1
    (checked,) = events(instance, "asset_check_executions").fetchall()
    assert "SUCCEEDED" in checked


def test_days_in_progress_and_days_that_failed_are_told_from_those_that_were_made(instance: DagsterInstance) -> None:
    seen = []

    def states() -> list[set[str]]:
        """The days that were made, that failed, and that are in progress, as the UI is told."""
        of_key = get_partition_subsets(
            instance, LoadingContextForTest(instance), AssetKey("numbers"), instance, PARTITIONS
        )
        with ThreadPoolExecutor() as pool:  # a step may run within a loop
            found = pool.submit(asyncio.run, of_key).result()  # type: ignore[arg-type]
        return [set(subset.get_partition_keys()) if subset else set() for subset in found]

    def look_and_fail() -> None:
        seen.append(states()[2])
        raise RuntimeError("it was not to be")

    first, second = Window.of_days(FIRST, FIRST + timedelta(9)), Window.of_days(FIRST, FIRST + timedelta(19))
    make(instance, daily("numbers"), first)
    make(instance, daily("numbers", look_and_fail), second)
    first_days, second_days = ({str(day) for day in span.days()} for span in (first, second))
    assert seen == [second_days]
    assert states() == [first_days, second_days, set()]


def test_the_newest_run_of_a_day_is_told_though_an_earlier_one_failed(instance: DagsterInstance) -> None:
    def fail() -> None:
        raise RuntimeError("it was not to be")

    day, both = Window.of_days(FIRST, FIRST), Window.of_days(FIRST, FIRST + timedelta(1))
    make(instance, daily("numbers", fail), day)
    second = make(instance, daily("numbers"), both)
    planned = instance.event_log_storage.get_latest_planned_materialization_info(AssetKey("numbers"), str(FIRST))
    assert planned is not None and planned.run_id == second
    other = instance.event_log_storage.get_latest_planned_materialization_info(AssetKey("numbers"), str(both.end))
    assert other is None


def test_a_day_takes_little_room(instance: DagsterInstance) -> None:
    make(instance, daily("numbers"), DAYS)
    of_days = [row for row in events(instance) if "ASSET_MATERIALIZATION" in row and row[-1]]
    assert len(of_days) == len(DAYS)
    assert max(len(str(row)) for row in of_days) < 1_300
    assert not [row for row in events(instance) if "ASSET_MATERIALIZATION_PLANNED" in row]
