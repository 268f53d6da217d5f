"""Raw days on BigQuery, by whole runs of Dagster against a stand-in of the API."""

import re
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster import AssetKey
from polars.testing import assert_frame_equal

from analytics_assets.partitions import Window
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.builds import builds_of
from analytics_assets.warehouse.bigquery import loading
from analytics_assets.warehouse.bigquery.load_jobs import Loaded, LoadRefused, LoadUnavailable, job_id_of
from analytics_assets.warehouse.bigquery.loading import load_all
from analytics_assets.warehouse.raw_day_writer import NotDelivered
from analytics_assets_tests.support.bigquery_api import BigQueryApi, HeldTable, served
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.on_bigquery import load, project_on, raw_assets
from analytics_assets_tests.support.project import ONE_DOMAIN, WITHOUT_REPORTS, YESTERDAY, Project, day

EVENTS = "raw_consent_events"
ALL_DAYS = {day(number) for number in range(5)}


@pytest.fixture
def api() -> BigQueryApi:
    return BigQueryApi(project="a-project", datasets={"analytics_raw"})


@pytest.fixture
def on_bigquery(tmp_path: Path, api: BigQueryApi) -> Iterator[Project]:
    """A project of one domain on the stand-in."""
    with served(api) as url:
        yield project_on(url, tmp_path / "data")


def built(project: Project, asset: str = EVENTS) -> set[date]:
    return set(builds_of(project.declared.catalog[asset], project.settings).read(asset, project.window))


def table(api: BigQueryApi, asset: str = EVENTS) -> HeldTable:
    return api.tables[f"analytics_raw.{asset}"]


def held(api: BigQueryApi, the_day: date, asset: str = EVENTS) -> pl.DataFrame:
    """A day as it is in BigQuery, with the types that it has in the lake."""
    rows = table(api, asset).partitions.get(f"{the_day:%Y%m%d}", pl.DataFrame())
    return rows.drop("_day", strict=False).with_columns(pl.col(pl.Datetime).dt.replace_time_zone(None))


def ids(api: BigQueryApi, the_day: date) -> list[str]:
    return sorted(held(api, the_day)["EVENT_ID"]) if f"{the_day:%Y%m%d}" in table(api).partitions else []


def said(api: BigQueryApi, since: int) -> list[str]:
    """What was asked of the API after so many requests; uploads by the partition that they are for."""
    found = []
    for one in api.requests[since:]:
        target = one.body.get("configuration", {}).get("load", {}).get("destinationTable", {}).get("tableId")
        found.append(f"load {target}" if target else str(one).replace("projects/a-project/", ""))
    return sorted(found)


# ------------------------------------------------------------------------------------------------- what is loaded


def test_every_day_of_every_source_holds_in_bigquery_what_it_holds_in_the_lake(tmp_path: Path) -> None:
    api = BigQueryApi(project="a-project", datasets=set(), location="europe-west3")
    with served(api) as url:
        project = project_on(url, tmp_path / "data", WITHOUT_REPORTS, {"location": "europe-west3"})
        project.simulate()
        runner = load(project)
        assert runner.outcome.failures == []
    assert set(runner.outcome.made) == raw_assets(project) == {name.partition(".")[2] for name in api.tables}
    days_with_rows = 0
    for asset in raw_assets(project):
        lake = project.frame(asset)
        days_with_rows += lake["the_day"].n_unique()
        assert built(project, asset) == ALL_DAYS
        for the_day in ALL_DAYS:
            expected = lake.filter(pl.col("the_day") == the_day).drop("the_day")
            found = held(api, the_day, asset)
            assert found.height == expected.height
            if expected.height:  # a load job of no rows tells no columns
                assert_frame_equal(found, expected, check_dtypes=False)
        assert sum(rows.height for rows in table(api, asset).partitions.values()) == lake.height > 0
        event = project.instance.get_latest_materialization_event(AssetKey(asset))
        assert event is not None and event.asset_materialization is not None
        said = {name: entry.value for name, entry in event.asset_materialization.metadata.items()}
        assert (said["table"], said["load_jobs"]) == (f"a-project.analytics_raw.{asset}", 5)
        assert said["rows_loaded"] == lake.height
    (made,) = [asked for asked in api.asked("POST projects/a-project/datasets") if asked.path.endswith("/datasets")]
    assert made.body["location"] == "europe-west3"
    assert {job["jobReference"]["location"] for job in api.jobs.values()} == {"europe-west3"}
    assert len(api.jobs) == days_with_rows > 4 * len(raw_assets(project))


def test_a_late_file_loads_its_day_again_and_asks_for_nothing_else(on_bigquery: Project, api: BigQueryApi) -> None:
    on_bigquery.simulate()
    load(on_bigquery)
    asked = len(api.requests)
    before = {the_day: held(api, the_day) for the_day in ALL_DAYS}
    on_bigquery.drop("consent_events", "events-late.csv", HEADER + event("late", day(1)))
    assert load(on_bigquery).outcome.made == {EVENTS: {day(1): before[day(1)].height + 1}}
    assert said(api, asked) == [
        "GET datasets/analytics_raw",
        "GET datasets/analytics_raw/tables",
        f"GET datasets/analytics_raw/tables/{EVENTS}",
        f"load {EVENTS}${day(1):%Y%m%d}",
    ]
    changed = [the_day for the_day in ALL_DAYS if not held(api, the_day).equals(before[the_day])]
    assert changed == [day(1)]
    asked = len(api.requests)
    assert load(on_bigquery).outcome.made == {}
    assert said(api, asked) == ["GET datasets/analytics_raw/tables"], "whether the tables are still there"


def test_days_of_a_table_that_somebody_dropped_are_loaded_again(on_bigquery: Project, api: BigQueryApi) -> None:
    on_bigquery.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)) + event("b", day(2)))
    load(on_bigquery)
    del api.tables[f"analytics_raw.{EVENTS}"]
    on_bigquery.drop("consent_events", "events-late.csv", HEADER + event("late", day(1)))
    load(on_bigquery)
    assert (ids(api, day(1)), ids(api, day(2))) == (["a", "late"], ["b"])
    assert built(on_bigquery) == ALL_DAYS


def test_a_table_that_goes_while_a_run_is_under_way_takes_its_records_with_it(
    on_bigquery: Project, api: BigQueryApi
) -> None:
    """The daemon's runs do not look before they are asked for."""
    on_bigquery.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)) + event("b", day(2)))
    load(on_bigquery)
    del api.tables[f"analytics_raw.{EVENTS}"]
    on_bigquery.runner()._execute([EVENTS], Window.of_days(day(1), day(1)))
    assert built(on_bigquery) == {day(1)}
    load(on_bigquery)
    assert (ids(api, day(1)), ids(api, day(2))) == (["a"], ["b"])


def test_a_day_that_has_become_empty_ends_up_empty_and_all_days_are_there_from_the_first(
    on_bigquery: Project, api: BigQueryApi
) -> None:
    on_bigquery.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)) + event("b", day(2)))
    load(on_bigquery)
    assert (ids(api, day(1)), ids(api, day(2))) == (["a"], ["b"])
    assert built(on_bigquery) == ALL_DAYS, "days of which nothing came are made, too"
    asked = len(api.requests)
    on_bigquery.drop("consent_events", "events-1.csv", HEADER + event("b", day(2)))
    load(on_bigquery)
    assert (ids(api, day(1)), ids(api, day(2))) == ([], ["b"])
    of_table = f"datasets/analytics_raw/tables/{EVENTS}"
    assert said(api, asked) == [
        f"DELETE {of_table}${day(1):%Y%m%d}",
        "GET datasets/analytics_raw",
        "GET datasets/analytics_raw/tables",
        f"GET {of_table}",
        f"load {EVENTS}${day(2):%Y%m%d}",  # what else is in the file has come anew, too
    ]


# -------------------------------------------------------------------------------------------- two warehouses, one lake


def asked_for(project: Project) -> set[str]:
    """The raw assets of which the automation asks for days."""
    return raw_assets(project) & set(project.requested())


def test_each_warehouse_asks_for_what_it_lacks_and_leaves_the_other_alone(on_bigquery: Project) -> None:
    on_duckdb = Project(on_bigquery.folder, ONE_DOMAIN)
    on_bigquery.instance = on_duckdb.instance
    on_duckdb.simulate()
    load(on_duckdb)
    assert asked_for(on_duckdb) == set()
    assert asked_for(on_bigquery) == raw_assets(on_bigquery)
    assert on_bigquery.requested()[EVENTS] == {str(the_day) for the_day in ALL_DAYS}
    load(on_bigquery)
    folder = on_bigquery.settings.data_dir / "warehouse" / "bigquery" / "a-project.analytics.EU.emulator"
    assert folder == on_bigquery.settings.warehouse_dir
    assert (folder / "builds.sqlite").exists()
    assert asked_for(on_bigquery) == asked_for(on_duckdb) == set()

    on_duckdb.drop("consent_events", "events-late.csv", HEADER + event("late", day(1)))
    load(on_bigquery)
    assert asked_for(on_duckdb) == set(), "the day lies in the lake as it should"
    assert "late" in set(on_duckdb.frame(EVENTS)["EVENT_ID"])


def test_a_day_that_the_other_warehouse_wrote_otherwise_meanwhile_is_written_again(
    on_bigquery: Project, api: BigQueryApi
) -> None:
    """A file is replaced, made on BigQuery, and replaced again by what it was: to DuckDB nothing has changed."""
    on_duckdb = Project(on_bigquery.folder, ONE_DOMAIN)
    for project, content in ((on_duckdb, event("a", day(1))), (on_bigquery, event("b", day(1)))):
        project.drop("consent_events", "events-1.csv", HEADER + content)
        load(project)
    on_duckdb.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    load(on_duckdb)
    assert on_duckdb.frame(EVENTS)["EVENT_ID"].to_list() == ["a"]
    load(on_bigquery)
    assert ids(api, day(1)) == ["a"]


# -------------------------------------------------------------------------------------------------- what goes wrong


def drop_every_day(project: Project) -> None:
    for the_day in ALL_DAYS:
        project.drop("consent_events", f"events-{the_day}.csv", HEADER + event(f"of {the_day}", the_day))


def test_a_day_that_is_refused_fails_alone_with_a_sentence_and_nothing_of_it_is_recorded(
    on_bigquery: Project, api: BigQueryApi
) -> None:
    drop_every_day(on_bigquery)
    on_bigquery.drop("companies", f"companies-{day(0)}.csv", "apikey,company_name\nk,Shop\n")
    bad = day(2)
    api.endings = {f"{EVENTS}${bad:%Y%m%d}": "invalid"}
    failures = load(on_bigquery).outcome.failures
    assert len(failures) == 1
    assert f"{EVENTS} for {day(0)} to {YESTERDAY}" in failures[0]
    assert f"{bad} keeps the rows that it had" in failures[0] and "Parquet column 'a' has type" in failures[0]

    assert built(on_bigquery) == ALL_DAYS - {bad}, "the others are loaded in runs of their own"
    assert built(on_bigquery, "raw_companies") == ALL_DAYS
    assert [ids(api, the_day) for the_day in sorted(ALL_DAYS)] == [
        [f"of {the_day}"] if the_day != bad else [] for the_day in sorted(ALL_DAYS)
    ]
    attempts = Attempts(on_bigquery.settings.lake_dir).read(EVENTS, on_bigquery.window)
    assert set(attempts) == {bad}
    assert attempts[bad].permanent
    assert f"{bad} keeps the rows that it had" in attempts[bad].reason
    assert EVENTS not in on_bigquery.requested(), "what cannot succeed is not asked for again"

    api.endings = {}
    assert load(on_bigquery).outcome.made[EVENTS] == {bad: 1}
    assert ids(api, bad) == [f"of {bad}"]
    assert Attempts(on_bigquery.settings.lake_dir).read(EVENTS, on_bigquery.window) == {}


def test_what_may_pass_is_tried_again_by_the_step_with_jobs_of_other_ids(
    on_bigquery: Project, api: BigQueryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "PATIENCE_SECONDS", 0.0)
    on_bigquery.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    on_bigquery.land()
    api.endings = {1: "backendError"}
    runner = on_bigquery.runner()
    assert runner._execute([EVENTS], Window.of_days(day(1), day(1)))
    assert ids(api, day(1)) == ["a"]
    assert built(on_bigquery) == {day(1)}
    assert Attempts(on_bigquery.settings.lake_dir).read(EVENTS, on_bigquery.window) == {}
    version = (
        builds_of(on_bigquery.declared.catalog[EVENTS], on_bigquery.settings)
        .read(EVENTS, on_bigquery.window)[day(1)]
        .version
    )
    name = f"a-project.analytics_raw.{EVENTS}"
    assert list(api.jobs) == [
        f"{job_id_of(name, day(1), version, runner._last_run_id, retry_number)}-1" for retry_number in (0, 1)
    ]
    assert all(re.fullmatch(rf"load-{EVENTS}-{day(1):%Y%m%d}-[0-9a-f]{{32}}-1", job) for job in api.jobs)


def test_without_bigquery_all_days_wait_and_are_not_given_up(
    on_bigquery: Project, api: BigQueryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "PATIENCE_SECONDS", 0.0)
    drop_every_day(on_bigquery)
    api.faults = {number: "503" for number in range(100) if number != 1}
    on_bigquery.land()
    runner = on_bigquery.runner()
    runner.settle({EVENTS})
    (failure,) = runner.outcome.failures
    assert "The service is currently unavailable" in failure
    attempts = Attempts(on_bigquery.settings.lake_dir).read(EVENTS, on_bigquery.window)
    assert set(attempts) == ALL_DAYS
    assert not any(attempt.permanent for attempt in attempts.values())
    api.faults = {}
    assert set(load(on_bigquery).outcome.made[EVENTS]) == ALL_DAYS


def test_where_the_dataset_may_not_be_made_the_days_say_who_has_to_make_it(
    on_bigquery: Project, api: BigQueryApi
) -> None:
    api.datasets.clear()
    api.faults = {2: "403 accessDenied"}
    drop_every_day(on_bigquery)
    on_bigquery.land()
    runner = on_bigquery.runner()
    runner.settle({EVENTS})
    (failure,) = runner.outcome.failures
    assert "a-project.analytics_raw: Access Denied" in failure
    assert "docs/bigquery.md lists" in failure
    assert api.jobs == {}


def test_a_kill_between_load_and_record_loads_the_day_once_more(
    on_bigquery: Project, api: BigQueryApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop_every_day(on_bigquery)
    on_bigquery.land()

    def killed(*arguments: Any) -> list[Loaded]:
        load_all(*arguments)
        raise RuntimeError("here it was killed")

    with monkeypatch.context() as patch:
        patch.setattr(loading, "load_all", killed)
        on_bigquery.runner().settle({EVENTS})
    assert built(on_bigquery) == set()
    assert len(api.jobs) == 5
    left = on_bigquery.settings.raw_dir / EVENTS / f"_day={day(1)}" / ".load.4711.tmp"
    left.write_text("what a load that was killed leaves behind")
    assert load(on_bigquery).outcome.failures == []
    assert built(on_bigquery) == ALL_DAYS
    assert len(api.jobs) == 10, "with ids of their own, though the rows are the same"
    assert [ids(api, the_day) for the_day in sorted(ALL_DAYS)] == [[f"of {the_day}"] for the_day in sorted(ALL_DAYS)]
    assert not list(on_bigquery.settings.data_dir.rglob("*.tmp"))
    assert {file.name for file in on_bigquery.settings.raw_dir.iterdir() if file.is_dir()} == {
        EVENTS,
        "raw_companies",
    }


def test_two_runs_at_once_load_one_after_the_other(on_bigquery: Project, api: BigQueryApi) -> None:
    drop_every_day(on_bigquery)
    on_bigquery.land()
    other = Project(on_bigquery.folder, on_bigquery.domains, on_bigquery.changes)
    outcomes: list[bool] = []

    def run(project: Project) -> None:
        outcomes.append(project.runner()._execute([EVENTS], project.window))

    threads = [threading.Thread(target=run, args=(project,)) for project in (on_bigquery, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True, True]
    assert len(api.jobs) == 10
    days = [job.split("-")[2] for job in api.jobs]
    assert set(days[:5]) == set(days[5:]) == {f"{the_day:%Y%m%d}" for the_day in ALL_DAYS}
    assert built(on_bigquery) == ALL_DAYS
    assert [ids(api, the_day) for the_day in sorted(ALL_DAYS)] == [[f"of {the_day}"] for the_day in sorted(ALL_DAYS)]


# --------------------------------------------------------------------------------------------------- many days at once

LOADED = Loaded("job", 1, 1, 1)
DAYS = [f"2025-01-{number:02}" for number in range(1, 31)]


def test_it_is_said_how_many_of_how_many_days_are_loaded(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "analytics_assets"):
        assert len(load_all(lambda day: LOADED, DAYS, EVENTS)) == 30
    assert [record.message for record in caplog.records] == [
        f"{EVENTS}: {number} of 30 days are loaded" for number in range(1, 31)
    ]


def test_days_that_are_refused_hold_up_no_other() -> None:
    begun = []

    def load(day: str) -> Loaded:
        begun.append(day)
        if day.endswith(("02", "07")):
            raise LoadRefused(f"{day} is no good")
        return LOADED

    with pytest.raises(NotDelivered, match=r"2025-01-0[27] is no good; 1 more day failed") as raised:
        load_all(load, DAYS, EVENTS)
    assert sorted(begun) == DAYS
    assert set(raised.value.by_day) == {"2025-01-02", "2025-01-07"}


def test_when_bigquery_cannot_be_had_no_further_day_is_begun() -> None:
    begun = []

    def load(day: str) -> Loaded:
        begun.append(day)
        if day == DAYS[0]:
            raise LoadUnavailable("the service is currently unavailable")
        time.sleep(0.05)
        return LOADED

    with pytest.raises(NotDelivered, match="currently unavailable") as raised:
        load_all(load, DAYS, EVENTS)
    assert len(begun) <= 2 * loading.AT_ONCE
    assert set(DAYS) - set(begun) <= set(raised.value.by_day)
    assert {type(error) for error in raised.value.by_day.values()} == {LoadUnavailable}
