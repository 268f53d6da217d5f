"""The time from the drop of a late file to the published mart, under the running daemon, by parts."""

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dagster import DagsterEventType, DagsterInstance, RunRecord

from analytics_assets.settings import Settings
from analytics_assets_tests.support.consent_events import HEADER, event
from analytics_assets_tests.support.live import is_busy, running, runs_since, until
from analytics_assets_tests.support.project import Project

DAYS = 30
QUIET_SECONDS = 20

_PUBLISHES = "published"
"""The step that writes the published copy."""


def settle_times(runs: int) -> list[dict[str, float]]:
    """Seconds of each part, in order, for each of `runs` late files."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=DAYS - 1)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        project = Project(Path(folder) / "data", changes={"start_date": first})
        project.simulate(scale=1.0)
        with running(project.folder, first, ANALYTICS_INBOX_SETTLE_SECONDS=_default_settle_seconds()) as live:
            patched.setenv("DAGSTER_HOME", str(live.home))
            with DagsterInstance.get() as instance:
                project.instance = instance
                _wait_until_published(project, set(), 300)
                return [_one(project, number) for number in range(runs)]


def _default_settle_seconds() -> str:
    return str(Settings.model_fields["inbox_settle_seconds"].default)


def _one(project: Project, number: int) -> dict[str, float]:
    _wait_until_quiet(project)
    known = {record.dagster_run.run_id for record in project.instance.get_run_records()}
    at = datetime.now(UTC).date() - timedelta(days=16)
    dropped = time.time()
    project.drop("consent_events", f"events-late-{number}.csv", HEADER + event(f"late-{number}", at))
    _wait_until_published(project, known, 120)
    runs = sorted(runs_since(project.instance, known), key=lambda record: record.create_timestamp)
    landed = "landed_consent_events"
    landing = next(record for record in runs if landed in _steps(project.instance, record))
    landing_step = _steps(project.instance, landing)[landed]
    parts, now = {}, dropped

    def until_(name: str, moment: float) -> None:
        nonlocal now
        parts[name], now = moment - now, moment

    until_("the file settles, and a tick of new_files sees it", landing.create_timestamp.timestamp())
    until_("the landing run starts", landing_step[0])
    until_("landing", landing_step[1])
    for layer, record in enumerate(runs[runs.index(landing) + 1 :], start=1):
        steps = _steps(project.instance, record)
        until_(f"a tick of out_of_date_days asks for layer {layer}", record.create_timestamp.timestamp())
        until_(f"the run of layer {layer} starts", min(start for start, _ in steps.values()))
        for name, (_, end) in sorted(steps.items(), key=lambda step: step[1][1]):
            until_(f"step {name} of layer {layer}", end)
        if _PUBLISHES in steps:
            break  # reports come after it
    return parts


def _steps(instance: DagsterInstance, record: RunRecord) -> dict[str, tuple[float, float]]:
    """When each step of a run started and ended."""
    times: dict[str, list[float]] = {}
    for kind in (DagsterEventType.STEP_START, DagsterEventType.STEP_SUCCESS):
        for entry in instance.all_logs(record.dagster_run.run_id, of_type=kind):
            times.setdefault(entry.step_key or "", []).append(entry.timestamp)
    return {name: (start, end) for name, (start, end) in times.items()}


def _wait_until_published(project: Project, known: set[str], seconds: float) -> None:
    """Waits until a run that published something has ended, and nothing else runs."""

    def is_published() -> bool:
        runs = runs_since(project.instance, known)
        return not is_busy(project.instance) and any(_PUBLISHES in _steps(project.instance, record) for record in runs)

    until(is_published, seconds, "the marts are published")


def _wait_until_quiet(project: Project) -> None:
    """Waits until nothing has run for some ticks: leftover work would otherwise be counted for this file."""

    def is_quiet() -> bool:
        ended = [record.end_time or time.time() for record in project.instance.get_run_records()]
        return not is_busy(project.instance) and time.time() - max(ended) > QUIET_SECONDS

    until(is_quiet, 300, "nothing runs any more")
