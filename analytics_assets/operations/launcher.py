"""Runs whose process is gone: Dagster's own launcher, which can tell, and a cleanup for when no daemon is running.

Dagster believes that a run goes on until somebody says otherwise. One whose process was killed would keep its days "in
progress" and its place in the pool for ever, and whatever waits for them would wait for ever, too.
"""

from datetime import UTC, datetime

import psutil
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, DefaultRunLauncher, RunsFilter

from analytics_assets.dagster_internals import CheckRunHealthResult, EngineEventData, WorkerStatus

LAUNCH_SECONDS = 300
"""A run that has named no process after so long has none."""

CLOCK_SECONDS = 60
"""A clock may have been set meanwhile; a process that is younger than its run by more than that is another one."""

PID_TAG = "analytics/pid"
"""The process that executes a run in itself, known before the run says anything."""

_BEGUN = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED)


class LocalRunLauncher(DefaultRunLauncher):
    """Starts runs as Dagster's own, a process a run on this machine, and knows whether that process still lives."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes: so the daemon fails a run that was killed, which frees its days, and `run_retries` starts it again."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a run is there."""
        if is_abandoned(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the process of the run is gone; it was killed")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def is_abandoned(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether the process that executed a run is gone, and the run has not ended."""
    record = instance.get_run_record_by_id(run.run_id)
    if record is None or record.dagster_run.status not in _BEGUN:
        return False
    pid = _process_id(instance, run)
    if pid is None:
        return datetime.now(UTC).timestamp() - record.update_timestamp.timestamp() > LAUNCH_SECONDS
    started = record.start_time or record.create_timestamp.timestamp()
    try:
        process = psutil.Process(pid)
        # The number may have been given anew, after a restart of the machine for one.
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > started + CLOCK_SECONDS
    except psutil.NoSuchProcess:
        return True


def _process_id(instance: DagsterInstance, run: DagsterRun) -> int | None:
    """The process that last said that it executes a run."""
    found = int(run.tags[PID_TAG]) if PID_TAG in run.tags else None
    for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
        data = entry.dagster_event.event_specific_data if entry.dagster_event else None
        if isinstance(data, EngineEventData) and "pid" in data.metadata:
            found = int(str(data.metadata["pid"].value))
    return found


def end_abandoned_runs(instance: DagsterInstance) -> list[str]:
    """Fails the runs of which the process is gone, and gives back their places in the pools; gives their ids."""
    ended = []
    for run in instance.get_runs(RunsFilter(statuses=list(_BEGUN))):
        if is_abandoned(instance, run):
            instance.report_run_failed(run, "The process of the run is gone: it was killed.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            ended.append(run.run_id)
    return ended
