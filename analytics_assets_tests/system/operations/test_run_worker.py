"""Each run has a process of its own, which was started before it was needed and is as fresh as one that was not."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, serialize_value
from dagster._core.code_pointer import FileCodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository

from analytics_assets.dagster_internals import LaunchRunContext
from analytics_assets.operations import run_worker
from analytics_assets.operations.home import prepare_dagster_home
from analytics_assets.operations.launcher import PID_TAG, LocalRunLauncher
from analytics_assets_tests.support.live import until
from analytics_assets_tests.support.project import Project

CODE = """
import time
from dagster import Definitions, asset

@asset
def works():
    pass

@asset
def sleeps():
    time.sleep(600)

defs = Definitions([works, sleeps])
"""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    project = Project(tmp_path / "data")
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(project.settings)))
    with DagsterInstance.get() as found:
        yield found


@pytest.fixture
def launcher(instance: DagsterInstance) -> LocalRunLauncher:
    assert isinstance(instance.run_launcher, LocalRunLauncher)
    return instance.run_launcher


@pytest.fixture
def launched(tmp_path: Path, instance: DagsterInstance, launcher: LocalRunLauncher) -> Callable[[str], str]:
    """Launches a run of one asset, and returns its id."""
    file = tmp_path / "code.py"
    file.write_text(CODE)
    job = ReconstructableRepository(FileCodePointer(str(file), "defs", str(tmp_path))).get_reconstructable_job(
        "__ASSET_JOB"
    )

    def launch(asset: str) -> str:
        run = instance.create_run_for_job(
            job.get_definition(), asset_selection={AssetKey(asset)}, job_code_origin=job.get_python_origin()
        )
        launcher.launch_run(LaunchRunContext(run, None))
        return run.run_id

    return launch


def run_of(instance: DagsterInstance, run_id: str) -> DagsterRun:
    found = instance.get_run_by_id(run_id)
    assert found
    return found


def wait_for(instance: DagsterInstance, run_id: str) -> DagsterRunStatus:
    until(lambda: run_of(instance, run_id).is_finished, 90, "the run ends")
    return run_of(instance, run_id).status


def children() -> set[int]:
    """The ids of the processes that this one started and that have not ended."""
    return {one.pid for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE}


def test_the_process_that_waits_executes_the_next_run_and_ends_with_it_and_another_waits(
    instance: DagsterInstance, launcher: LocalRunLauncher, launched: Callable[[str], str]
) -> None:
    before = children()
    first = launched("works")
    assert wait_for(instance, first) is DagsterRunStatus.SUCCESS
    until(lambda: len(children() - before) == 1, 20, "only the process that waits is left")
    (waiting,) = children() - before
    second = launched("works")
    assert run_of(instance, second).tags[PID_TAG] == str(waiting)
    assert wait_for(instance, second) is DagsterRunStatus.SUCCESS

    until(lambda: len(children() - before) == 1, 20, "only the process that waits is left")
    (waiting,) = children() - before
    os.kill(waiting, signal.SIGKILL)
    # A signal takes effect some time after it was sent. A process that is handed its run before that dies with it, as
    # one that is killed in the middle of a run does.
    until(lambda: children() == before, 20, "it is dead")
    third = launched("works")
    assert wait_for(instance, third) is DagsterRunStatus.SUCCESS, "a process that was killed while it waited"

    launcher.dispose()
    until(lambda: children() == before, 20, "no process is left")


def test_a_run_is_cancelled_and_a_killed_one_is_missed(
    instance: DagsterInstance, launcher: LocalRunLauncher, launched: Callable[[str], str]
) -> None:
    cancelled, killed = launched("sleeps"), launched("sleeps")
    for run_id in (cancelled, killed):
        until(lambda: bool(instance.all_logs(run_id, of_type=DagsterEventType.STEP_START)), 90, "it begins")  # noqa: B023
    assert launcher.check_run_worker_health(run_of(instance, killed)).status.value == "RUNNING"
    assert launcher.terminate(cancelled)
    assert wait_for(instance, cancelled) is DagsterRunStatus.CANCELED
    assert not launcher.terminate(cancelled), "it has ended"
    os.kill(int(run_of(instance, killed).tags[PID_TAG]), signal.SIGKILL)
    until(
        lambda: launcher.check_run_worker_health(run_of(instance, killed)).status.value == "NOT_FOUND",
        20,
        "the killed one is missed",
    )
    launcher.dispose()


def test_it_ends_without_a_word_when_who_started_it_is_gone() -> None:
    ended = subprocess.run([sys.executable, "-m", run_worker.__name__], stdin=subprocess.DEVNULL, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    "changed",
    [
        "worker._states = iter([1, 2]).__next__",
        "worker._is_of_current_project = lambda: False",
        "worker._sets_variables = lambda instance, run_id: True",
    ],
)
def test_what_has_changed_while_it_waited_is_loaded_by_a_new_process_with_the_same_id(
    instance: DagsterInstance, changed: str
) -> None:
    code = f"""
import os, sys
from analytics_assets.operations import run_worker as worker
worker._load = lambda: None
{changed}
def execv(program, command):
    sys.exit(f"{{command[1:]}} {{os.read(0, 100_000).decode()}}")
os.execv = execv
worker.main()
"""
    told = f"a run\n{serialize_value(instance.get_ref())}\n"
    ended = subprocess.run([sys.executable, "-c", code], input=told, capture_output=True, text=True)
    assert ended.stderr == f"['-m', '{run_worker.__name__}'] {told}\n"
