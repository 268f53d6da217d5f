"""A tick with nothing to do costs next to nothing, and sees whatever has changed."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Timer

import pytest
from dagster import AssetKey, AssetMaterialization, build_sensor_context

from analytics_assets.automation import out_of_date_sensor
from analytics_assets.automation.out_of_date_sensor import OutOfDateDaysSensor
from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.ingest.landing import Landing
from analytics_assets.ingest.new_files_sensor import SOURCE_TAG
from analytics_assets.state.builds import raw_file
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import ONE_DOMAIN, Project, day

pytestmark = pytest.mark.models_alone

NOTHING = (set(), "Sensor function returned an empty result")
"""What a look says that finds nothing to do: Dagster's own words."""

Tick = Callable[[], tuple[set[str], str]]


@pytest.fixture
def tick(project: Project) -> Tick:
    """One tick of the sensor: the assets of which it asks for days, and what it says."""
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.settle()
    sensor = project.definitions.resolve_sensor_def("out_of_date_days")
    assert isinstance(sensor, OutOfDateDaysSensor)
    repository = project.definitions.get_repository_def()

    def once() -> tuple[set[str], str]:
        with build_sensor_context(
            instance=project.instance, repository_def=repository, sensor_name=sensor.name
        ) as context:
            data = sensor.evaluate_tick(context)
        asked = {key.path[-1] for request in data.run_requests or [] for key in request.asset_selection or ()}
        return asked, data.skip_message or ""

    return once


def test_nothing_is_looked_at_again_until_something_changes(
    project: Project, tick: Tick, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing_changed = (set(), "Nothing has changed since the last look.")
    assert tick() == NOTHING
    assert tick() == nothing_changed
    project.drop("consent_events", "events-2.csv", HEADER + event("b", day(2)))
    project.land()
    asked, _ = tick()
    assert "raw_consent_events" in asked
    asked, _ = tick()
    assert "raw_consent_events" in asked, "for as long as it is not made"
    project.settle()
    assert tick() == NOTHING
    assert tick() == nothing_changed
    project.instance.report_runless_asset_event(AssetMaterialization(AssetKey("health")))
    assert tick() == NOTHING, "an event may say that a partition is there, or no more"
    assert tick() == nothing_changed
    raw_file(project.settings.raw_dir, "raw_consent_events", day(1)).unlink()
    assert tick() == nothing_changed
    monkeypatch.setattr(out_of_date_sensor, "LOOKS_EVERY", timedelta(0))
    asked, _ = tick()
    assert "raw_consent_events" in asked, "of which somebody deleted a day"


def test_a_tick_watches_for_days_that_become_out_of_date_within_its_time(project: Project, tick: Tick) -> None:
    assert tick() == NOTHING
    sensor = project.definitions.resolve_sensor_def("out_of_date_days")
    assert isinstance(sensor, OutOfDateDaysSensor)
    sensor.watch_seconds = 120
    project.drop("consent_events", "events-2.csv", HEADER + event("b", day(2)))
    source = next(source for source in project.sources if source.name == "consent_events")
    Timer(1.0, Landing(project.settings, source).run).start()
    started = time.monotonic()
    asked, _ = tick()
    assert "raw_consent_events" in asked
    assert time.monotonic() - started < sensor.watch_seconds, "it waits no longer than it must"
    sensor.watch_seconds = 1
    project.settle()
    assert tick() == NOTHING


def test_a_tick_watches_for_files_that_come_within_its_time(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN, changes={"sensor_watch_seconds": 30})
    sensor = project.definitions.resolve_sensor_def("new_files")
    row = HEADER + event("a", day(1))
    Timer(1.0, project.drop, ("consent_events", "events-1.csv", row)).start()
    started = time.monotonic()
    repository = project.definitions.get_repository_def()
    with build_sensor_context(instance=project.instance, repository_def=repository, sensor_name=sensor.name) as context:
        requests = sensor.evaluate_tick(context).run_requests or []
    assert [request.tags[SOURCE_TAG] for request in requests] == ["consent_events"]
    assert time.monotonic() - started < project.settings.sensor_watch_seconds, "it waits no longer than it must"


def test_what_was_kept_of_an_older_state_is_not_told(project: Project, tick: Tick) -> None:
    """The conditions of one process look, another process writes, and they look again."""
    assert tick()[0] == set()
    project.drop("consent_events", "events-late.csv", HEADER + event("late", day(0)))
    project.land()
    assert project.requested()["raw_consent_events"] == {str(day(0))}
    assert project.runner().make([PlannedRun(("raw_consent_events",), project.window)])
    requested = project.requested()
    assert "raw_consent_events" not in requested
    assert str(day(0)) in requested["stg_consent_events"]
