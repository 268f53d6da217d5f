"""Runs whose process is gone: a launcher that detects them, and a cleanup for when no daemon is running.

Dagster assumes that a run goes on until it is told otherwise. A run whose process was killed would keep its days "in
progress" and its slot in the pool for ever, and everything that waits for them would wait for ever, too.
"""

from datetime import UTC, datetime

import psutil
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, DefaultRunLauncher, RunsFilter

from analytics_assets.dagster_internals import CheckRunHealthResult, EngineEventData, WorkerStatus

LAUNCH_SECONDS = 300
"""How long a run may take to name its process; after that it has none."""

CLOCK_SECONDS = 60
"""Tolerance for a clock that was set meanwhile: a process that started later than this after its run is another one."""

PID_TAG = "analytics/pid"
"""The tag with the process that executes a run in itself; it is known before the run's first event."""

_BEGUN = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED)


class LocalRunLauncher(DefaultRunLauncher):
    """Starts one process per run on this machine, as Dagster's own launcher, and knows whether it is still alive."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True, so that the daemon fails a killed run, which frees its days, and `run_retries` starts it again."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a run is alive."""
        if is_abandoned(self._instance, run):
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the process of the run is gone; it was killed")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def is_abandoned(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether a run has not ended, but its process is gone."""
    record = instance.get_run_record_by_id(run.run_id)
    if record is None or record.dagster_run.status not in _BEGUN:
        return False
    pid = _process_id(instance, run)
    if pid is None:
        return datetime.now(UTC).timestamp() - record.update_timestamp.timestamp() > LAUNCH_SECONDS
    started = record.start_time or record.create_timestamp.timestamp()
    try:
        process = psutil.Process(pid)
        # The process id may have been reused, for example after a restart of the machine.
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > started + CLOCK_SECONDS
    except psutil.NoSuchProcess:
        return True


def _process_id(instance: DagsterInstance, run: DagsterRun) -> int | None:
    """The id of the process that last reported to execute a run."""
    found = int(run.tags[PID_TAG]) if PID_TAG in run.tags else None
    for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
        data = entry.dagster_event.event_specific_data if entry.dagster_event else None
        if isinstance(data, EngineEventData) and "pid" in data.metadata:
            found = int(str(data.metadata["pid"].value))
    return found


def end_abandoned_runs(instance: DagsterInstance) -> list[str]:
    """Fails the runs whose process is gone, and frees their slots in the pools; returns their ids."""
    ended = []
    for run in instance.get_runs(RunsFilter(statuses=list(_BEGUN))):
        if is_abandoned(instance, run):
            instance.report_run_failed(run, "The process of the run is gone: it was killed.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            ended.append(run.run_id)
    return ended
