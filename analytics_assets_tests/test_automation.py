"""Real ticks of the automation, over an instance of Dagster and real runs."""

from datetime import date

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    RunRequest,
    SkipReason,
    build_sensor_context,
    evaluate_automation_conditions,
)
from dagster._core.definitions.automation_tick_evaluation_context import build_run_requests

from analytics_assets.consent.sources import CONSENT_EVENTS
from analytics_assets.definitions import DOMAINS
from analytics_assets.domain import build_definitions
from analytics_assets.ingest.sensor import build_new_files_sensor
from analytics_assets.partitions import Window
from analytics_assets.warehouse import models
from analytics_assets.warehouse.dbt import DbtError
from analytics_assets_tests.conftest import YESTERDAY, Project, day

EVENTS_CHAIN = {
    "raw_consent_events",
    "src_consent_events",
    "stg_consent_events",
    "mart_company_daily",
    "published_consent",
}
HEADER = ",".join(CONSENT_EVENTS.columns) + "\n"


def event(identity: str, at: date, count: int = 1) -> str:
    values = {
        "EVENT_ID": identity,
        "TYPE": "pageview",
        "RATE": "0.5",
        "EVENT_TIME": f"{at} 12:00:00",
        "COUNT": str(count),
    }
    return ",".join(values.get(column, "") for column in CONSENT_EVENTS.columns) + "\n"


def test_quiet_days_are_made_as_empty_ones_so_that_nothing_waits_for_ever(project: Project) -> None:
    runner = project.settle()
    assert {asset: len(days) for asset, days in runner.outcome.made.items()} == dict.fromkeys(project.assets, 5)
    assert sum(sum(days.values()) for days in runner.outcome.made.values()) == 0
    assert project.requested() == {}


def test_a_late_file_is_asked_for_through_the_whole_chain_in_one_tick_and_nothing_else_is(project: Project) -> None:
    project.settle()
    project.drop("consent_events", "events-late.csv", HEADER + event("a", day(1)))
    assert project.requested() == {}, "a file that has not landed changes nothing"
    project.land()
    assert project.requested() == {asset: {str(day(1))} for asset in EVENTS_CHAIN}


def test_every_check_of_the_assets_that_are_asked_for_is_made_with_them(project: Project) -> None:
    graph = project.definitions.resolve_asset_graph()
    for number in range(2):
        project.drop("consent_events", f"events-{number}.csv", HEADER + event(f"late-{number}", day(1)))
        project.land()
        tick = evaluate_automation_conditions(project.definitions, project.instance)
        requests = build_run_requests(list(tick._requested_subsets), graph, {}, emit_backfills=False)
        assert requests
        for request in requests:
            expected = graph.get_check_keys_for_assets(set(request.asset_selection or []))
            assert request.asset_check_keys is None or set(request.asset_check_keys) == expected
        project.settle()


def test_a_day_is_asked_for_however_old_it_is(project: Project) -> None:
    project.settle()
    project.drop("consent_events", "events-old.csv", HEADER + event("a", day(0)) + event("b", day(4)))
    project.land()
    assert project.requested()["mart_company_daily"] == {str(day(0)), str(day(4))}


def test_bytes_that_were_landed_before_ask_for_nothing(project: Project) -> None:
    content = HEADER + event("a", day(1))
    project.drop("consent_events", "events-1.csv", content)
    project.settle()
    project.drop("consent_events", "events-1-again.csv", content)
    project.land()
    assert project.requested() == {}


def test_rows_of_today_wait_until_there_is_a_partition_for_them(project: Project) -> None:
    project.settle()
    project.drop("consent_events", "events-1.csv", HEADER + event("a", Window.of_days(YESTERDAY, YESTERDAY).end))
    project.land()
    assert project.requested() == {}


def test_an_update_that_comes_while_the_run_is_failing_is_not_forgotten(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settle()
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))

    def failing(*_: object, **__: object) -> None:
        project.drop("consent_events", "events-2.csv", HEADER + event("b", day(3)))
        raise DbtError("the warehouse is locked")

    monkeypatch.setattr(models, "run_dbt", failing)
    runner = project.runner()
    runner.land({"landed_consent_events"})
    runner.settle(set(project.assets))
    assert any("the warehouse is locked" in failure for failure in runner.outcome.failures)
    monkeypatch.undo()

    project.land()
    assert project.requested() == {asset: {str(day(3))} for asset in EVENTS_CHAIN}, "day 1 rests: nothing has changed"
    made = project.settle().outcome.made
    assert {asset: set(days) for asset, days in made.items()} == {
        "raw_consent_events": {day(3)},
        **{asset: {day(1), day(3)} for asset in EVENTS_CHAIN - {"raw_consent_events"}},
    }
    assert project.requested() == {}


def test_what_lands_while_a_run_is_reading_is_asked_for_afterwards(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw is replaced behind the back of a dbt run that has begun: the models must not pass for up to date."""
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    run_dbt = models.run_dbt

    def reading_slowly(*arguments: object, **named: object) -> object:
        monkeypatch.undo()
        project.drop("consent_events", "events-2.csv", HEADER + event("b", day(1)))
        runner = project.runner()
        runner.land({"landed_consent_events"})
        runner.settle({"raw_consent_events"})
        return run_dbt(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(models, "run_dbt", reading_slowly)
    project.settle()
    assert project.requested() == {}
    assert project.frame("mart_company_daily")["total_events"].to_list() == [4]


def test_the_same_data_under_a_new_dagster_home_is_shown_again(project: Project) -> None:
    project.settle()
    project.instance = DagsterInstance.ephemeral()
    assert {asset: len(days) for asset, days in project.requested().items()} == dict.fromkeys(project.assets, 5)


def test_a_warehouse_that_was_deleted_is_made_again(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.settle()
    project.settings.warehouse_file.unlink()
    made = project.settle().outcome.made
    assert made.keys() == {asset for asset in project.assets if not asset.startswith("raw_")}
    assert project.frame("mart_company_daily")["total_events"].to_list() == [2]


# --------------------------------------------------------------------------------------------------- the sensor


def test_the_sensor_asks_for_a_landing_run_once_for_the_same_files(project: Project) -> None:
    sensor = build_new_files_sensor(project.sources, project.settings)
    assert isinstance(next(iter(sensor(build_sensor_context()))), SkipReason)
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    first, again = (list(sensor(build_sensor_context())) for _ in range(2))
    assert [request.run_key for request in first] == [request.run_key for request in again]
    assert isinstance(first[0], RunRequest)
    assert first[0].asset_selection == [AssetKey("landed_consent_events")]
    project.land()
    assert isinstance(next(iter(sensor(build_sensor_context()))), SkipReason)


def test_both_sensors_are_on_from_the_start(project: Project) -> None:
    definitions = build_definitions(project.settings, DOMAINS)
    states = {sensor.name: sensor.default_status.value for sensor in definitions.sensors or []}
    assert states == {"new_files": "RUNNING", "out_of_date_days": "RUNNING"}
