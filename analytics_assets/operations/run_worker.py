"""A process that loads the definitions, waits for a run, executes it, and ends.

    python -m analytics_assets.operations.run_worker

It reads from its input which run that is, as two lines. It ends without one when its input is closed, which also
happens when the process that started it is killed.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from importlib import import_module

from dagster import DagsterInstance, serialize_value

from analytics_assets.dagster_internals import SLOW_MODULES_OF_RUNS, execute_run, instance_of
from analytics_assets.dbt.project import fingerprint, loaded_fingerprint
from analytics_assets.settings import PROJECT_DIR, get_settings

_MODULE = "analytics_assets.operations.run_worker"

_DEFINITIONS = "analytics_assets.definitions"


class Worker:
    """Such a process, as the one that started it sees it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-m", _MODULE], stdin=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        """The id of the process, before and while it executes its run."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def execute(self, run_id: str, instance: DagsterInstance) -> None:
        """Gives it its run.

        Raises:
            OSError: it has ended meanwhile.
        """
        assert self._process.stdin
        with self._process.stdin as told:
            told.write(_told(run_id, serialize_value(instance.get_ref())))

    def dismiss(self) -> None:
        """Ends it without a run."""
        self._process.kill()
        self._process.communicate()


def _told(run_id: str, reference: str) -> str:
    return f"{run_id}\n{reference}\n"


def main() -> None:
    """Loads what runs need, waits for a run, and executes it with the files as they are then."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word, as long as it only waits
    before = _states()
    _load()
    run_id, reference = sys.stdin.readline().strip(), sys.stdin.readline().strip()
    if not reference:
        return
    with instance_of(reference) as instance:
        if _states() != before or not _is_of_current_project() or _sets_variables(instance, run_id):
            _begin_again(_told(run_id, reference))
        os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
        signal.signal(signal.SIGINT, signal.default_int_handler)
        execute_run(run_id, instance)


def _load() -> None:
    """Imports what most runs need. What cannot be imported is left to the run, which says why."""
    for name in (_DEFINITIONS, *SLOW_MODULES_OF_RUNS):
        with suppress(Exception):
            import_module(name)


def _states() -> list[tuple[str, int, int]]:
    """The state of each file that decides what is loaded, apart from the dbt project."""
    files = [PROJECT_DIR / ".env", PROJECT_DIR / "requirements.lock", *(PROJECT_DIR / "analytics_assets").rglob("*.py")]
    found = []
    for file in files:
        with suppress(FileNotFoundError):
            stat = file.stat()
            found.append((str(file), stat.st_ino, stat.st_ctime_ns))
    return sorted(found)


def _is_of_current_project() -> bool:
    """Whether the definitions are those of the dbt project as it is now, or could not be loaded at all."""
    return _DEFINITIONS not in sys.modules or fingerprint(get_settings()) == loaded_fingerprint(get_settings())


def _sets_variables(instance: DagsterInstance, run_id: str) -> bool:
    """Whether Dagster has just set environment variables, from a `.env` file as in `dg dev`, that were not loaded."""
    before, run = dict(os.environ), instance.get_run_by_id(run_id)
    if run and run.remote_job_origin:
        instance.inject_env_vars(run.remote_job_origin.location_name)
    return dict(os.environ) != before


def _begin_again(told: str) -> None:
    """Replaces this process by a new one with the same id and the same input, which loads everything anew."""
    readable, writable = os.pipe()
    os.write(writable, told.encode())
    os.close(writable)
    os.dup2(readable, sys.stdin.fileno())
    os.execv(sys.executable, [sys.executable, "-m", _MODULE])


if __name__ == "__main__":
    main()
