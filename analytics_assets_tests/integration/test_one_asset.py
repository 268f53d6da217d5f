"""How to test one asset: the examples of docs/test-an-asset.md."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from dagster import DagsterInstance, DailyPartitionsDefinition, asset, materialize, materialize_to_memory

from analytics_assets.dbt.runner import run_dbt
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.ingest.assets import build_source_assets
from analytics_assets.state.builds import Build
from analytics_assets.warehouse.raw_day_writer import LakeDay, ParquetByDay
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.models_alone import make_models_alone
from analytics_assets_tests.support.project import Project, day


def test_a_raw_day_in_memory(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1), count=3) + event("b", day(2)))
    project.land()
    _, raw = build_source_assets(project.declared, project.domains[0], CONSENT_EVENTS)

    result = materialize_to_memory([raw], partition_key=str(day(1)))

    rows = result.output_for_node("raw_consent_events")[str(day(1))].rows().collect()
    assert rows.select("EVENT_ID", "COUNT").rows() == [("a", 3)]


def test_a_models_sql_by_its_dbt_unit_tests(everything: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    make_models_alone(monkeypatch)
    everything.simulate(attribution=1)  # the template of the laws
    everything.settled()  # dbt takes the inputs' column types from the warehouse
    run = run_dbt(["test", "--select", "test_type:unit"], everything.settings, everything.sources)
    assert run.failures == {}
    assert len([event for event in run.events if event["info"]["name"] == "LogTestResult"]) >= 2


def test_a_models_days_by_real_runs(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1), count=3))
    project.settle()
    mart = project.frame("mart_company_daily")
    assert mart.select("event_date", "total_events", "hq_country").rows() == [(day(1), 6, "unknown")]


# ------------------------------------------------------------------------------------------- the lake's IO manager


def lake_day(rows: dict[str, list], expected: int | None = None) -> LakeDay:
    frame = pl.DataFrame(rows)
    return LakeDay(frame.lazy, frame.height if expected is None else expected, Build("inputs", "code"), CONSENT_EVENTS)


def test_the_lake_keeps_several_days_of_one_run_and_hands_them_on_as_one_frame(tmp_path: Path) -> None:
    partitions = DailyPartitionsDefinition("2025-01-01", end_date="2025-01-05")

    @asset(partitions_def=partitions, name="raw_numbers")
    def numbers() -> dict[str, LakeDay]:
        return {f"2025-01-0{n}": lake_day({"n": [n] * n}) for n in (1, 2, 3)}

    seen = []

    @asset(partitions_def=partitions)
    def total(raw_numbers: pl.LazyFrame) -> None:
        seen.extend(raw_numbers.group_by("_day").agg(pl.col("n").sum()).sort("_day").collect().rows())

    result = materialize(
        [numbers, total],
        resources={"io_manager": ParquetByDay(folder=str(tmp_path))},
        tags={"dagster/asset_partition_range_start": "2025-01-01", "dagster/asset_partition_range_end": "2025-01-03"},
        selection=[numbers],
    )
    assert result.success
    result = materialize(
        [numbers, total],
        resources={"io_manager": ParquetByDay(folder=str(tmp_path))},
        partition_key="2025-01-02",
        selection=[total],
        raise_on_error=False,
    )
    assert seen == [(date(2025, 1, 2), 4)]


def test_a_day_that_holds_another_number_of_rows_than_were_landed_is_not_replaced(tmp_path: Path) -> None:
    partitions = DailyPartitionsDefinition("2025-01-01", end_date="2025-01-05")
    held = [lake_day({"n": [1, 2]}), lake_day({"n": [1]}, expected=2)]

    @asset(partitions_def=partitions, name="raw_numbers", io_manager_key="lake")
    def numbers() -> dict[str, LakeDay]:
        return {"2025-01-02": held.pop(0)}

    lake = ParquetByDay(folder=str(tmp_path))
    for _ in range(2):
        result = materialize(
            [numbers],
            resources={"lake": lake},
            partition_key="2025-01-02",
            raise_on_error=False,
            instance=DagsterInstance.ephemeral(),
        )
    assert not result.success
    assert pl.read_parquet(lake.file("raw_numbers", "2025-01-02"))["n"].to_list() == [1, 2]
    assert not list(tmp_path.rglob("*.tmp"))
