"""The real files, through the whole chain. Skipped where they are not at hand."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from analytics_assets.balance import balance_of
from analytics_assets.partitions import Window
from analytics_assets.runs import group_into_runs, tied_windows
from analytics_assets_tests.conftest import REAL_DATA, Project

pytestmark = pytest.mark.skipif(not (REAL_DATA / "consent").exists(), reason="the real files are not at hand")
DAYS = Window.of_days(date(2025, 9, 5), date(2025, 9, 10))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("real") / "data", changes={"start_date": DAYS.start})
    for source, folder in (("consent_events", "events"), ("companies", "companies")):
        shutil.copytree(REAL_DATA / "consent" / folder, project.settings.inbox_dir / source)
    runner = project.runner()
    runner.land({"landed_consent_events", "landed_companies"})
    windows = tied_windows(runner.upstream, set(project.assets), DAYS, project.window)
    runner.make(group_into_runs(runner.upstream, {name: [window] for name, window in windows.items()}))
    assert runner.outcome.failures == []
    return project


def test_every_real_row_is_somewhere(real: Project) -> None:
    events, companies = (balance_of(source, real.settings, datetime.now(UTC)) for source in real.sources)
    assert events.faults == companies.faults == []
    assert (events.accepted, events.raw, events.rejected) == (4758, 4758, 0)
    assert (companies.accepted, companies.raw) == (40, 40 * 6)


def test_the_volumes_of_the_real_files_are_count_over_rate(real: Project) -> None:
    """An oracle of its own: the files read whole, and summed with Polars."""
    frames = []
    for file in sorted((REAL_DATA / "consent" / "events").iterdir()):
        frame = pl.read_csv(file, infer_schema=False) if file.suffix == ".csv" else pl.read_parquet(file)
        frames.append(frame.select(pl.col("APIKEY", "EVENT_TIME", "RATE", "COUNT").cast(pl.String)))
    volume = pl.col("COUNT").cast(pl.Float64) / pl.col("RATE").cast(pl.Float64).round(6)
    expected = (
        pl.concat(frames)
        .group_by("APIKEY", pl.col("EVENT_TIME").str.slice(0, 10).str.to_date().alias("day"))
        .agg(volume.sum().alias("volume"))
    )
    mart = real.frame("mart_company_daily").with_columns(pl.col("total_events").cast(pl.Float64))
    joined = mart.join(expected, left_on=["company_id", "event_date"], right_on=["APIKEY", "day"], how="full")
    assert joined.height == mart.height == expected.height == 19
    assert joined.select((pl.col("total_events") / pl.col("volume") - 1).abs().max()).item() < 1e-9


def test_all_real_companies_are_known_and_seven_have_no_headquarters(real: Project) -> None:
    assert real.frame("mart_company_daily").filter(pl.col("industry_front") == "unknown").height == 0
    one_day = real.frame("stg_companies").filter(pl.col("snapshot_date") == DAYS.start)
    assert one_day.filter(pl.col("hq_country") == "unknown").height == 7


def test_a_folder_of_the_real_files_is_left_as_it_was(real: Project) -> None:
    names = {file.name for file in (Path(real.settings.inbox_dir) / "consent_events").iterdir()}
    assert names == {file.name for file in (REAL_DATA / "consent" / "events").iterdir()}
