"""Real ticks of the automation, over an instance of Dagster and real runs."""

import os
import shutil
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import sleep

import pytest
import time_machine
from dagster import (
    AssetKey,
    DagsterInstance,
    RunRequest,
    SensorResult,
    build_sensor_context,
    evaluate_automation_conditions,
)
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions.automation_tick_evaluation_context import build_run_requests

from analytics_assets.automation.run_grouping import PlannedRun
from analytics_assets.dagster_internals import requested_partitions
from analytics_assets.dbt import step
from analytics_assets.dbt.invocation import DbtError
from analytics_assets.defs.consent.sources import CONSENT_EVENTS
from analytics_assets.ingest import inbox
from analytics_assets.ingest import new_files_sensor as sensor_module
from analytics_assets.ingest.landing import Landing
from analytics_assets.ingest.new_files_sensor import build_new_files_sensor
from analytics_assets.operations.health import Health, check_health
from analytics_assets.operations.reconciliation import reconcile
from analytics_assets.partitions import ONE_DAY, Window
from analytics_assets.state.ledger import Ledger
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.project import DOMAINS, ONE_DOMAIN, YESTERDAY, Project, day

pytestmark = pytest.mark.models_alone


def test_quiet_days_are_made_as_empty_ones_so_that_nothing_waits_for_ever(project: Project) -> None:
    runner = project.settle()
    assert {asset: len(days) for asset, days in runner.outcome.made.items()} == dict.fromkeys(project.assets, 5)
    assert sum(sum(days.values()) for days in runner.outcome.made.values()) == 0
    assert project.requested() == {}


def test_a_domain_of_which_nothing_ever_came_is_off_until_its_first_file(tmp_path: Path) -> None:
    # With the analyses: a seed that only they read belongs to what they are made from.
    project = Project(tmp_path / "data", [replace(domain, reports=()) for domain in DOMAINS], on=False)
    assert project.requested() == {}
    health = health_of(project)
    assert (health.findings, health.off, health.assets) == ([], sorted(domain.name for domain in DOMAINS), 0)
    assert project.runner().on(set(project.assets) | set(project.seeds)) == set()

    project.drop("consent_events", "events-1.csv", HEADER)
    project.land()
    asked = project.requested()
    assert asked["raw_consent_events"] == asked["raw_companies"] == {str(day) for day in project.window.days()}
    assert not any("clickstream" in name or "campaigns" in name or "lookup" in name for name in asked)
    health = health_of(project)
    assert health.off == sorted({domain.name for domain in DOMAINS} - {"consent"})
    assert not {"raw_clickstream", "raw_campaigns", "lookup_regions"} & {finding.asset for finding in health.findings}


def health_of(project: Project) -> Health:
    graph = project.definitions.resolve_asset_graph()
    return check_health(graph, project.declared, project.instance, datetime.now(UTC))


def test_a_late_file_is_asked_for_through_the_whole_chain_and_nothing_else_is(project: Project) -> None:
    """In one tick what has one window; what reads other days waits until those are made, and is made once."""
    project.settled()
    project.drop("consent_events", "events-late.csv", HEADER + event("a", day(1)))
    assert project.requested() == {}, "a file that has not landed changes nothing"
    project.land()
    assert project.requested() == {asset: {str(day(1))} for asset in project.first_layer()}
    runner = project.settle()
    assert {asset: set(days) for asset, days in runner.outcome.made.items()} == project.tied_to(day(1))
    assert len(project.instance.get_runs()) == 3 + 1 + 2, "two layers and the views; the landing; two layers again"


def test_a_tick_by_hand_asks_for_what_dagsters_own_does(project: Project) -> None:
    project.settled()
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.land()
    keys = {AssetKey(name) for name in (*project.assets, *project.views, *project.seeds)}
    found = requested_partitions(project.definitions, project.instance, keys)
    asked = {key.path[-1]: {str(partition) for partition in partitions} for key, partitions in found.items()}
    assert asked == project.requested() != {}


def test_a_run_that_ends_while_the_automation_looks_is_not_asked_for_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settled()
    project.drop("consent_events", "events-late.csv", HEADER + event("a", day(1)))
    project.land()
    in_progress, the_day = AssetGraphView.compute_run_in_progress_subset, Window.of_days(day(1), day(1))

    async def after_a_run_has_ended(self: AssetGraphView, **named: object) -> object:
        monkeypatch.setattr(AssetGraphView, "compute_run_in_progress_subset", in_progress)
        assert project.runner().make([PlannedRun(("raw_consent_events",), the_day)])
        return await in_progress(self, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(AssetGraphView, "compute_run_in_progress_subset", after_a_run_has_ended)
    assert "raw_consent_events" not in project.requested()


@pytest.mark.with_checks
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
    project.settled()
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


def test_rows_of_today_wait_until_there_is_a_partition_for_them(tmp_path: Path) -> None:
    today = YESTERDAY + ONE_DAY
    with time_machine.travel(datetime.combine(today, time(23), UTC), tick=False) as clock:
        project = Project(tmp_path / "data", ONE_DOMAIN, {"end_date": None})
        project.drop("consent_events", "events-1.csv", HEADER + event("a", today))
        project.settle()
        assert project.requested() == {}
        clock.shift(timedelta(hours=1))
        assert project.requested()["raw_consent_events"] == {str(today)}


def test_rows_after_the_end_of_a_closed_history_wait_until_it_is_moved(tmp_path: Path) -> None:
    project = Project(tmp_path / "data", ONE_DOMAIN, {"end_date": day(2)})
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(2)) + event("b", day(3)))
    runner = project.settle()
    assert set(runner.outcome.made["raw_consent_events"]) == {day(0), day(1), day(2)}
    assert reconcile(CONSENT_EVENTS, project.declared, datetime.now(UTC)).waiting == 1
    assert project.requested() == {}
    longer = Project(project.folder, ONE_DOMAIN, {"end_date": day(3)})
    longer.instance = project.instance
    assert longer.requested()["raw_consent_events"] == {str(day(3))}
    assert longer.settle().outcome.made["raw_consent_events"] == {day(3): 1}


def test_an_update_that_comes_while_the_run_is_failing_is_not_forgotten(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.settled()
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))

    def failing(*_: object, **__: object) -> None:
        project.drop("consent_events", "events-2.csv", HEADER + event("b", day(3)))
        raise DbtError("the warehouse is locked")

    monkeypatch.setattr(step, "run_dbt", failing)
    runner = project.runner()
    runner.land({"landed_consent_events"})
    runner.settle(set(project.assets))
    assert any("the warehouse is locked" in failure for failure in runner.outcome.failures)
    monkeypatch.undo()

    project.land()
    wanted = {asset: {str(day(3))} for asset in project.first_layer()}
    assert project.requested() == wanted, "day 1 rests: nothing has changed"
    made = project.settle().outcome.made
    assert {asset: set(days) for asset, days in made.items()} == {
        **project.tied_to(day(1), day(3)),
        "raw_consent_events": {day(3)},
    }
    assert project.requested() == {}


def test_what_lands_while_a_run_is_reading_is_asked_for_afterwards(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw is replaced behind the back of a dbt run that has begun: the models must not pass for up to date."""
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    run_dbt = step.run_dbt

    def reading_slowly(*arguments: object, **named: object) -> object:
        monkeypatch.undo()
        project.drop("consent_events", "events-2.csv", HEADER + event("b", day(1)))
        runner = project.runner()
        runner.land({"landed_consent_events"})
        runner.settle({"raw_consent_events"})
        return run_dbt(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(step, "run_dbt", reading_slowly)
    project.settle()
    assert project.requested() == {}
    assert project.frame("mart_company_daily")["total_events"].to_list() == [4]


def test_the_same_data_under_a_new_dagster_home_is_shown_again(project: Project) -> None:
    project.settled()
    project.instance = DagsterInstance.ephemeral()
    made = project.settle().outcome.made
    assert {asset: len(days) for asset, days in made.items()} == dict.fromkeys(project.assets, 5)


def test_a_warehouse_that_was_deleted_is_made_again(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.settle()
    project.settings.warehouse_file.unlink()
    made = project.settle().outcome.made
    assert made.keys() == {asset for asset in project.assets if not asset.startswith("raw_")}
    assert project.frame("mart_company_daily")["total_events"].to_list() == [2]


# --------------------------------------------------------------------------------------------------- the sensor


def tick(project: Project, cursor: str | None = None) -> SensorResult:
    sensor = build_new_files_sensor(project.declared)
    result = sensor(build_sensor_context(instance=project.instance, cursor=cursor))
    assert isinstance(result, SensorResult)
    return result


def bites(result: SensorResult) -> list[str | None]:
    return [request.run_key for request in result.run_requests or []]


def test_the_sensor_asks_for_a_landing_run_once_for_the_same_files(project: Project) -> None:
    first = tick(project)
    assert bites(first) == []
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    second = tick(project, first.cursor)
    assert bites(second) == bites(tick(project, second.cursor)) != []
    (request,) = second.run_requests or []
    assert request.asset_selection == [AssetKey("landed_consent_events")]
    project.land()
    assert bites(tick(project, second.cursor)) == []


def test_while_a_run_is_landing_files_of_a_source_no_other_is_asked_for(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    (request,) = tick(project).run_requests or []
    run = project.instance.create_run_for_job(
        project.definitions.resolve_implicit_global_asset_job_def(),
        asset_selection=frozenset(request.asset_selection or ()),
        tags=request.tags,
    )
    project.drop("consent_events", "events-2.csv", HEADER + event("b", day(1)))
    assert bites(tick(project)) == []
    project.instance.report_run_failed(run)
    assert bites(tick(project)) != [], "other files are waiting now than those that did not land"


def test_files_that_did_not_land_are_asked_for_again_but_not_at_once_and_not_for_ever(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    job = project.definitions.resolve_implicit_global_asset_job_def()

    def fail(request: RunRequest) -> None:
        run = project.instance.create_run_for_job(
            job, asset_selection=frozenset(request.asset_selection or ()), tags=request.tags
        )
        project.instance.report_run_failed(run)

    (request,) = tick(project).run_requests or []
    fail(request)
    assert bites(tick(project)) == [], "it rests"
    monkeypatch.setattr(sensor_module, "WAITS", (timedelta(0), timedelta(0)))
    keys = [request.run_key]
    while requests := tick(project).run_requests:
        keys.append(requests[0].run_key)
        fail(requests[0])
    assert len(set(keys)) == len(keys) == 3


@pytest.mark.parametrize(
    ("files", "batch"), [(90, 20), pytest.param(10_000, 500, marks=pytest.mark.proof)], ids=["90", "10,000"]
)
def test_files_are_taken_in_bounded_bites_none_twice_and_none_forgotten(files: int, batch: int, tmp_path: Path) -> None:
    """While they are being taken, more come."""
    project = Project(tmp_path / "data", ONE_DOMAIN, changes={"landing_files_per_run": batch})
    job = project.definitions.resolve_implicit_global_asset_job_def()

    def drop(number: int) -> None:
        project.drop("consent_events", f"events-{number}.csv", HEADER + event(f"e{number}", day(number % 5)))

    for number in range(files):
        drop(number)
    cursor, ticks = None, 0
    while (result := tick(project, cursor)).run_requests:
        cursor, ticks = result.cursor, ticks + 1
        (request,) = result.run_requests
        run = job.execute_in_process(
            instance=project.instance, asset_selection=list(request.asset_selection or ()), tags=request.tags
        )
        (landed,) = run.asset_materializations_for_node("landed_consent_events")
        assert landed.metadata["files_landed"].value <= batch
        assert landed.metadata["files_known"].value == 0
        if ticks == 2:
            drop(files)
    assert ticks == -(-(files + 1) // batch)
    assert result.cursor is not None
    project.settle()
    raw = project.frame("raw_consent_events")
    assert sorted(raw["EVENT_ID"]) == sorted(f"e{number}" for number in range(files + 1))


def test_a_tick_after_the_mark_asks_the_ledger_only_about_what_has_changed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("old", "new"):
        project.drop("consent_events", f"{folder}/events-{folder}.csv", HEADER + event(folder, day(1)))
    project.land()
    source = project.sources[0]
    monkeypatch.setattr(inbox, "_SLACK_NS", 0)
    landing = Landing(project.settings, source)
    mark = landing.look().mark
    assert mark is not None
    asked: list[str] = []
    seen = Ledger.seen
    monkeypatch.setattr(Ledger, "seen", lambda self, source, paths: asked.extend(paths) or seen(self, source, paths))
    assert landing.look(mark).new == []
    assert asked == []

    # Moved in with the times that it had elsewhere: only the folder tells of it.
    elsewhere = tmp_file(project, HEADER + event("moved", day(2)))
    os.utime(elsewhere, ns=(1, 1))
    sleep(0.01)
    elsewhere.rename(project.settings.inbox_dir / source.name / "new" / "events-moved.csv")
    assert [file.path for file in landing.look(mark).new] == ["new/events-moved.csv"]
    assert sorted(asked) == ["new/events-moved.csv", "new/events-new.csv"]

    (project.settings.inbox_dir / source.name / "old" / "events-old.csv").write_text(HEADER + event("other", day(3)))
    assert "old/events-old.csv" in [file.path for file in landing.look(mark).new]


def test_a_mark_does_not_outlive_the_ledger_that_it_rests_on(project: Project) -> None:
    project.drop("consent_events", "events-1.csv", HEADER + event("a", day(1)))
    project.land()
    mark = Landing(project.settings, project.sources[0]).look().mark
    shutil.rmtree(project.settings.lake_dir)
    assert len(Landing(project.settings, project.sources[0]).look(mark).new) == 1


def tmp_file(project: Project, content: str) -> Path:
    file = project.folder / "elsewhere.csv"
    file.write_text(content)
    return file
