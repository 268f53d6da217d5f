"""What dbt is told, and refused, where somebody starts it by its own name."""

from datetime import date
from pathlib import Path

import pytest

from analytics_assets.partitions import UTC_DAYS
from analytics_assets.plain_dbt import newest_raw_day, why_not
from analytics_assets.settings import BigQuery
from analytics_assets_tests.support.project import YESTERDAY, day
from analytics_assets_tests.support.project import test_settings as settings_in


@pytest.mark.parametrize("command", ["show", "test", "freshness"])
def test_what_needs_rows_is_refused_without_a_warehouse_and_done_with_one(tmp_path: Path, command: str) -> None:
    settings = settings_in(tmp_path)
    assert "type `make demo`" in (why_not(command, settings, is_production=True) or "")
    settings.warehouse_file.parent.mkdir(parents=True)
    settings.warehouse_file.touch()
    assert why_not(command, settings, is_production=True) is None


@pytest.mark.parametrize("command", ["build", "run", "seed", "retry", "run-operation"])
def test_what_writes_is_refused_in_production_alone(tmp_path: Path, command: str) -> None:
    settings = settings_in(tmp_path)
    settings.warehouse_file.parent.mkdir(parents=True)
    settings.warehouse_file.touch()
    assert "analytics-assets materialize" in (why_not(command, settings, is_production=True) or "")
    assert why_not(command, settings, is_production=False) is None


def test_on_bigquery_it_is_said_what_to_type(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, warehouse="bigquery", bigquery=BigQuery(project="a-project"))
    said = why_not("generate", settings, is_production=True)
    assert "type `analytics-assets dbt -- docs generate …` instead" in (said or "")
    said = why_not("build", settings, is_production=True)
    assert "or set ANALYTICS_DBT_TARGET=dev and type `analytics-assets dbt -- build …`" in (said or "")


def test_the_newest_day_is_that_of_the_raw_days_within_the_partitions(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert newest_raw_day(settings, UTC_DAYS) == YESTERDAY, "where there is none"
    for folder in (f"raw_a/_day={day(1)}", f"raw_b/_day={day(2)}", f"raw_b/_day={date.max}", "raw_b/_day=none", "c"):
        (settings.raw_dir / folder).mkdir(parents=True)
    assert newest_raw_day(settings, UTC_DAYS) == day(2)
