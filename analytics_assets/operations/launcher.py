"""The processes of runs: started before they are needed, and missed when they are gone, with or without a daemon.

A process needs seconds to load Dagster, dbt and the definitions. So the launcher keeps one that has loaded them.

Dagster assumes that a run goes on until it is told otherwise. A run whose process was killed would keep its days "in
progress" and its slot in the pool for ever, and everything that waits for them would wait for ever, too.
"""

import os
import signal
from datetime import UTC, datetime
from threading import Lock

import psutil
from dagster import DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, DefaultRunLauncher, RunsFilter

from analytics_assets.dagster_internals import (
    CheckRunHealthResult,
    ConfigurableClassData,
    EngineEventData,
    LaunchRunContext,
    WorkerStatus,
)
from analytics_assets.operations.run_worker import Worker

LAUNCH_SECONDS = 300
"""How long a run may take to name its process; after that it has none."""

CLOCK_SECONDS = 60
"""Tolerance for a clock that was set meanwhile: a process that started later than this after its run is another one."""

PID_TAG = "analytics/pid"
"""The tag with the process that executes a run in itself; it is known before the run's first event."""

_BEGUN = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED)


class LocalRunLauncher(DefaultRunLauncher):
    """Gives each run a process of its own on this machine, and knows whether it is still alive.

    With the first run, it starts the process of the next one, and so on. A process that waits ends with its launcher.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._waiting: Worker | None = None
        self._begun: list[Worker] = []
        self._lock = Lock()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hands the run to the process that waits, and starts another one."""
        with self._lock:
            self._begun = [worker for worker in self._begun if worker.is_alive()]
            worker, self._waiting = self._waiting or Worker(), None
            try:
                self._hand_over(context.dagster_run, worker)
            except OSError:  # it was killed while it waited
                self._hand_over(context.dagster_run, Worker())
            self._waiting = Worker()

    def _hand_over(self, run: DagsterRun, worker: Worker) -> None:
        self._instance.add_run_tags(run.run_id, {PID_TAG: str(worker.pid)})
        worker.execute(run.run_id, self._instance)
        self._begun.append(worker)

    def terminate(self, run_id: str) -> bool:
        """Interrupts a run, as Ctrl-C does; returns whether it was going on."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        pid = _process_id(self._instance, run)
        if pid is None or is_abandoned(self._instance, run):
            return False
        os.kill(pid, signal.SIGINT)
        return True

    def dispose(self) -> None:
        """Ends the process that waits."""
        with self._lock:
            if self._waiting:
                self._waiting.dismiss()
            self._waiting = None

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
