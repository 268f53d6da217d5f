"""The real thing, running: files appear, the right days refresh, a person backfills from the UI."""

import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunRecord

from analytics_assets.defs.consent import DOMAIN as CONSENT
from analytics_assets.operations.health import State, check_health
from analytics_assets.spec.domain import Domain
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.live import Live, is_busy, running, runs_since, until
from analytics_assets_tests.support.project import ALL_OF_ONE, DOMAINS, IN_FULL, YESTERDAY, Project

DAYS = 30 if IN_FULL else 10
FIRST = YESTERDAY - timedelta(days=DAYS - 1)
ALL_DAYS = [FIRST + timedelta(days=number) for number in range(DAYS)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Files of one domain. In full, the others have quiet days, which are made all the same; else they are off."""
    domains = DOMAINS if IN_FULL else ALL_OF_ONE
    project = Project(tmp_path_factory.mktemp("live") / "data", domains, {"start_date": FIRST})
    CONSENT.simulate(project.settings.inbox_dir, project.window, 0.02, Random(1))
    return project


@pytest.fixture(scope="module")
def live(project: Project) -> Iterator[Live]:
    patched = pytest.MonkeyPatch()
    with running(project.folder, FIRST) as found:
        patched.setenv("DAGSTER_HOME", str(found.home))
        with DagsterInstance.get() as instance:
            project.instance = instance
            yield found
    patched.undo()


def reports_of(*domains: Domain) -> set[str]:
    """The names of the reports' assets."""
    return {f"{report.name}_{kind}" for one in domains for report in one.reports for kind in ("dashboard", "workbook")}


def wait_until_settled(project: Project, seconds: float = 400) -> None:
    graph = project.definitions.resolve_asset_graph()

    def is_settled() -> bool:
        if is_busy(project.instance):
            return False
        found = check_health(graph, project.declared, project.instance, datetime.now(UTC))
        return not [finding for finding in found.findings if finding.state not in (State.CHECK_FAILED, State.WARNING)]

    until(is_settled, seconds, "everything is made")


def known_runs(project: Project) -> set[str]:
    return {record.dagster_run.run_id for record in project.instance.get_run_records()}


def materialized(project: Project, runs: list[RunRecord]) -> dict[str, set[str | None]]:
    """What some runs materialized: days, by asset."""
    found: dict[str, set[str | None]] = defaultdict(set)
    for record in runs:
        for entry in project.instance.all_logs(
            record.dagster_run.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION
        ):
            assert entry.dagster_event is not None
            found[entry.dagster_event.asset_key.path[-1]].add(entry.dagster_event.partition)  # type: ignore[union-attr]
    return dict(found)


def rebuilt(live: Live, project: Project, folder: Path) -> Project:
    """Raw, warehouse and published copy made anew from the ledger and the landed pieces."""
    with live.paused():  # stores that its sensors are reading have files beside them that come and go
        copy = project.copy_to(folder)
    copy.forget_builds()
    copy.settle()
    return copy


def days_of(record: RunRecord) -> tuple[str | None, str | None]:
    tags = record.dagster_run.tags
    return tags.get("dagster/asset_partition_range_start"), tags.get("dagster/asset_partition_range_end")


def test_files_that_lie_there_at_the_start_are_landed_and_every_day_of_everything_is_made(
    live: Live, project: Project
) -> None:
    wait_until_settled(project)
    made = materialized(project, runs_since(project.instance, set()))
    days = {str(day) for day in ALL_DAYS}
    assert {name: made[name] for name in project.assets} == dict.fromkeys(project.assets, days)
    statuses = {record.dagster_run.status for record in project.instance.get_run_records()}
    assert statuses == {DagsterRunStatus.SUCCESS}


def test_a_late_file_refreshes_exactly_the_days_that_it_touches_and_then_all_equals_a_rebuild(
    live: Live, project: Project, tmp_path: Path
) -> None:
    wait_until_settled(project)
    known, touched = known_runs(project), [ALL_DAYS[3], ALL_DAYS[DAYS * 2 // 3]]
    project.drop("consent_events", "events-late.csv", HEADER + "".join(event(f"late-{day}", day) for day in touched))
    until(lambda: len(runs_since(project.instance, known)) > 0, 60, "a landing run is asked for")
    wait_until_settled(project)
    made = materialized(project, runs_since(project.instance, known))
    assert made.pop("landed_consent_events") == {None}
    tied = {name: {str(day) for day in days} for name, days in project.tied_to(*touched).items()}
    assert made == tied | {name: {str(YESTERDAY)} for name in reports_of(CONSENT)} | {"report_index": {None}}
    assert project.tables() == rebuilt(live, project, tmp_path / "rebuilt").tables()


@pytest.mark.proof  # all days of everything once more
def test_backfills_from_the_ui_are_one_run_a_range_and_a_restart_of_the_webserver_does_not_touch_them(
    live: Live, project: Project
) -> None:
    """All days of everything, and beside it one day in the middle.

    What has one window is one layer and one run; what has no days has a run before.
    """
    wait_until_settled(project)
    before, known, middle = project.tables(), known_runs(project), ALL_DAYS[DAYS // 2]
    everything = [key.path[-1] for key in project.definitions.resolve_asset_graph().get_all_asset_keys()]
    all_days, one_day = live.backfill(everything, ALL_DAYS), live.backfill(project.assets, [middle])
    until(lambda: len(runs_since(project.instance, known)) > 0, 60, "a backfill has a run")
    live.kill("webserver")
    live.start_webserver()
    live.wait_for_webserver()
    assert [live.wait_for_backfill(one) for one in (all_days, one_day)] == ["COMPLETED_SUCCESS"] * 2
    wait_until_settled(project)
    runs: dict[str, list[RunRecord]] = defaultdict(list)
    for record in runs_since(project.instance, known):
        runs[record.dagster_run.tags.get("dagster/backfill", "by itself")].append(record)
    assert materialized(project, runs.pop("by itself", [])).keys() <= {*reports_of(*DOMAINS), "report_index"}, (
        "which follow what changed"
    )

    spans = [days_of(record) for record in runs[all_days] if days_of(record)[0]]
    assert set(spans) == {(str(FIRST), str(YESTERDAY))}
    assert len(spans) <= 3, "there are three layers"
    made = materialized(project, runs[all_days])
    assert made.keys() == set(everything)
    days = {str(day) for day in ALL_DAYS}
    assert {name: made[name] for name in project.assets} == dict.fromkeys(project.assets, days)

    reports = {file.name for file in project.settings.exports_dir.glob("[!.]*/*")}
    assert reports and all(f"-{YESTERDAY}." in name for name in reports), "one of each, not one a day"

    assert len(runs[one_day]) <= 5, "so many layers have other windows"
    tied: dict[str, set[str | None]] = defaultdict(set)
    for source in project.sources:
        for name, days_of_it in project.tied_to(middle, source=source.name).items():
            tied[name] |= {str(day) for day in days_of_it}
    made = materialized(project, runs[one_day])
    assert made.keys() == set(project.assets)
    assert all({str(middle)} <= made[name] <= tied[name] for name in made), (made, tied)
    assert project.tables() == before


@pytest.mark.proof  # it waits for more than a minute; test_kills.py and test_operate.py show its parts
def test_a_run_whose_process_is_killed_is_asked_for_again(live: Live, project: Project, tmp_path: Path) -> None:
    wait_until_settled(project)
    known = known_runs(project)
    project.drop("consent_events", "events-killed.csv", HEADER + event("killed", ALL_DAYS[5]))

    def of_models() -> list[RunRecord]:
        return [record for record in runs_since(project.instance, known) if days_of(record)[0]]

    until(lambda: bool(of_models()), 60, "there is a run of models")
    run_id = of_models()[0].dagster_run.run_id
    until(lambda: process_of(project, run_id) is not None, 60, "it has a process")
    os.kill(process_of(project, run_id) or 0, signal.SIGKILL)
    until(lambda: len(of_models()) > 1, 120, "it is asked for again")
    wait_until_settled(project)
    first, *others = [record.dagster_run.status for record in of_models()]
    assert first is DagsterRunStatus.FAILURE
    assert set(others) == {DagsterRunStatus.SUCCESS}
    assert project.tables() == rebuilt(live, project, tmp_path / "rebuilt").tables()


def process_of(project: Project, run_id: str) -> int | None:
    for entry in project.instance.all_logs(run_id, of_type=DagsterEventType.ENGINE_EVENT):
        metadata = entry.dagster_event.event_specific_data.metadata  # type: ignore[union-attr]
        if "pid" in metadata:
            return int(metadata["pid"].value)
    return None
