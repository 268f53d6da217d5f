"""The real thing in a folder: code server, daemon and webserver as processes of their own, and their GraphQL."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from dagster import DagsterInstance, RunRecord, RunsFilter

from analytics_assets.dagster_internals import NOT_FINISHED_STATUSES
from analytics_assets_tests.support.project import YESTERDAY

PROGRAMS = Path(sys.executable).parent

LAUNCH_BACKFILL = """
mutation LaunchPartitionBackfill($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
    ... on PartitionKeysNotFoundError { partitionKeys }
    ... on InvalidSubsetError { message }
    ... on UnauthorizedError { message }
  }
}
"""
"""As the UI sends it when one chooses assets and days and presses Launch."""

BACKFILL_STATUS = """
query Backfill($id: String!) {
  partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } ... on PythonError { message } }
}
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@dataclass
class Live:
    """A running project."""

    folder: Path
    start_date: date
    more_env: Mapping[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.code_port, self.web_port = free_port(), free_port()
        self.env = os.environ | {
            "ANALYTICS_DATA_DIR": str(self.folder),
            "ANALYTICS_START_DATE": self.start_date.isoformat(),
            "ANALYTICS_END_DATE": YESTERDAY.isoformat(),
            "ANALYTICS_INBOX_SETTLE_SECONDS": "0.5",
            "DAGSTER_HOME": str(self.home),
            "PYTHONUNBUFFERED": "1",
            **self.more_env,
        }

    def start(self) -> None:
        subprocess.run([PROGRAMS / "analytics-assets", "prepare"], env=self.env, check=True, capture_output=True)
        workspace = self.folder / "workspace.yaml"
        workspace.write_text(f"load_from: [{{grpc_server: {{host: 127.0.0.1, port: {self.code_port}}}}}]\n")
        code = ["code-server", "start", "-m", "analytics_assets.definitions", "-p", str(self.code_port)]
        self.spawn("code server", [PROGRAMS / "dagster", *code, "-h", "127.0.0.1"])
        until(lambda: answers(self.code_port), 60, "the code server answers")
        self.start_webserver()
        self.spawn("daemon", [PROGRAMS / "dagster-daemon", "run", "-w", workspace])

    def start_webserver(self) -> None:
        where = ["-w", self.folder / "workspace.yaml", "-h", "127.0.0.1", "-p", str(self.web_port)]
        self.spawn("webserver", [sys.executable, "-m", "analytics_assets.operations.web", *where])

    def wait_for_webserver(self) -> None:
        until(lambda: answers(self.web_port), 60, "the webserver answers")

    def spawn(self, name: str, command: Sequence[str | Path]) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command, env=self.env, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
        )

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is written for as long as the block lasts."""
        for process in self.processes.values():
            os.killpg(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in self.processes.values():
                os.killpg(process.pid, signal.SIGCONT)

    def stop(self) -> None:
        for process in self.processes.values():
            os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + 20
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = httpx.post(
            f"http://127.0.0.1:{self.web_port}/graphql", json={"query": query, "variables": variables}, timeout=60
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def backfill(self, assets: Sequence[str], days: Sequence[date]) -> str:
        """Launches a backfill as the UI does; gives its id."""
        params = {
            "assetSelection": [{"path": [name]} for name in assets],
            "partitionNames": [day.isoformat() for day in days],
            "fromFailure": False,
            "tags": [],
        }
        launched = self.graphql(LAUNCH_BACKFILL, backfillParams=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return launched["backfillId"]

    def wait_for_backfill(self, backfill_id: str, seconds: float = 400) -> str:
        def status() -> str:
            return self.graphql(BACKFILL_STATUS, id=backfill_id)["partitionBackfillOrError"]["status"]

        until(lambda: status() not in ("REQUESTED", "CANCELING", "FAILING"), seconds, f"{backfill_id} ends")
        return status()

    def logs(self) -> str:
        return "\n".join(f"== {file.name}\n{file.read_text()[-4000:]}" for file in sorted(self.folder.glob("*.log")))


@contextmanager
def running(folder: Path, start_date: date, **more_env: str) -> Iterator[Live]:
    """Starts the project, and stops it whatever happens."""
    folder.mkdir(parents=True, exist_ok=True)
    live = Live(folder, start_date, more_env)
    try:
        live.start()
        live.wait_for_webserver()
        yield live
    except BaseException:
        print(live.logs())
        raise
    finally:
        live.stop()


def answers(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits for something.

    Raises:
        TimeoutError: it did not come.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s until {what}")
        time.sleep(0.2)


def is_busy(instance: DagsterInstance) -> bool:
    return instance.get_runs_count(RunsFilter(statuses=NOT_FINISHED_STATUSES)) > 0


def runs_since(instance: DagsterInstance, known: set[str]) -> list[RunRecord]:
    """The runs that came after some others, oldest first."""
    return [record for record in instance.get_run_records(ascending=True) if record.dagster_run.run_id not in known]
