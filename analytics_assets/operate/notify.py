"""Failures are heard of: a message to the owner of what failed, through a webhook.

Told once, at the first attempt. What is tried again and fails again stays in the inventory, and is told anew only when
its inputs or its code have changed.
"""

import html
import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from dagster import (
    AssetCheckSeverity,
    AssetKey,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunStatusSensorContext,
    SensorDefinition,
    run_status_sensor,
)
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    RETRY_NUMBER_TAG,
)

from analytics_assets.attempts import Attempts
from analytics_assets.automation import ATTEMPT_TAG
from analytics_assets.checks import first_finding
from analytics_assets.failures import reason_of, sentence
from analytics_assets.files import open_sqlite
from analytics_assets.partitions import contiguous
from analytics_assets.settings import Settings
from analytics_assets.versions import digest

POSTS = 3
"""How often a message is sent before it is given up."""

TOLD_AT_ONCE = 20
"""The most problems that one message names."""


TOLD_ONCE_IN = timedelta(days=1)

_SCHEMA = """
create table if not exists told (problem text primary key, told_at text not null) without rowid;
create table if not exists waiting (id integer primary key, body text not null)
"""


@dataclass(frozen=True)
class Problem:
    """What went wrong with some days of an asset; `days` is empty for an asset without partitions."""

    asset: str
    days: str
    reason: str
    is_error: bool = True


def problems_of(instance: DagsterInstance, run: DagsterRun, settings: Settings) -> list[Problem]:
    """What went wrong in a run that has ended: days, or else steps, that failed for the first time, and checks."""
    is_first = not int(run.tags.get(RETRY_NUMBER_TAG, 0)) and int(run.tags.get(ATTEMPT_TAG, 1)) == 1
    attempts = Attempts(settings.lake_dir).of_run(run.run_id)
    days_of = defaultdict(list)
    for (asset, day), attempt in attempts.items():
        if is_first and attempt.number == 1:
            days_of[asset, attempt.reason].append(day)
    found = [Problem(asset, ", ".join(map(str, contiguous(days))), reason) for (asset, reason), days in days_of.items()]
    if is_first and not attempts and run.status is DagsterRunStatus.FAILURE:
        found = _failed_steps(instance, run)
    tried = {asset for asset, _ in attempts}
    for entry in instance.all_logs(run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION):
        check = entry.dagster_event.asset_check_evaluation_data if entry.dagster_event else None
        if check is None or check.passed or (check.blocking and check.asset_key.path[-1] in tried):
            continue
        reason = f"check {check.check_name} failed{first_finding(check.metadata)}"
        is_error = check.severity is AssetCheckSeverity.ERROR
        found.append(Problem(check.asset_key.path[-1], _days_of(run), reason, is_error))
    return found


def _failed_steps(instance: DagsterInstance, run: DagsterRun) -> list[Problem]:
    """The failed steps of a run of which no days are known; of a run that was killed, its assets."""
    failures = instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_FAILURE)
    events = [entry.dagster_event for entry in failures if entry.dagster_event]
    if events:
        return [
            Problem(event.step_key or run.job_name, _days_of(run), sentence(reason_of(event.step_failure_data.error)))
            for event in events
        ]
    reason = None
    for entry in instance.all_logs(run.run_id, of_type={DagsterEventType.ENGINE_EVENT, DagsterEventType.RUN_FAILURE}):
        event = entry.dagster_event
        error = getattr(event.event_specific_data, "error", None) if event else None
        reason = reason_of(error) if error else reason or (event.message if event and event.is_run_failure else None)
    names = sorted(key.path[-1] for key in run.asset_selection or ()) or [run.job_name]
    return [Problem(name, _days_of(run), sentence(reason or "the run failed")) for name in names]


def _days_of(run: DagsterRun) -> str:
    start, end = (run.tags.get(tag) for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG))
    if start and end:
        return start if start == end else f"{start} to {end}"
    return run.tags.get(PARTITION_NAME_TAG, "")


# ------------------------------------------------------------------------------------------------------- telling


def messages(problems: Iterable[Problem], graph: BaseAssetGraph, link: str) -> list[dict[str, object]]:
    """One message an owner: `text` for people, and the same as fields for programs."""
    of_owner: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        key = AssetKey(problem.asset)
        owners = graph.get(key).owners if graph.has(key) else []
        of_owner[", ".join(owners) or "nobody"].append(problem)
    return [_message(owner, theirs, link) for owner, theirs in of_owner.items()]


def _message(owner: str, problems: Sequence[Problem], link: str) -> dict[str, object]:
    lines = [
        f"{'failed' if problem.is_error else 'warning'}: {' '.join(filter(None, (problem.asset, problem.days)))}: "
        f"{problem.reason}"
        for problem in problems[:TOLD_AT_ONCE]
    ]
    if len(problems) > TOLD_AT_ONCE:
        lines.append(f"and {len(problems) - TOLD_AT_ONCE} more")
    # What stands in a file or its name must not become a link or a mention.
    text = html.escape("\n".join([f"For {owner}", *lines]), quote=False)
    return {
        "text": f"{text}\n{link}",
        "owner": owner,
        "link": link,
        "problems": [
            {
                "asset": problem.asset,
                "days": problem.days,
                "reason": problem.reason,
                "severity": "error" if problem.is_error else "warning",
            }
            for problem in problems
        ],
    }


def post(url: str, message: dict[str, object], wait_seconds: float = 1) -> None:
    """Sends a message.

    Raises:
        RuntimeError: it could not be sent; the address, which is a secret, is not named.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it would write the address into the log
    why = ""
    for number in range(POSTS):
        try:
            status = httpx.post(url, json=message, timeout=10).status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = type(error).__name__
        else:
            if 200 <= status < 300:
                return
            why = f"status {status}"
            if status < 500 and status not in (408, 429):
                break
        if number < POSTS - 1:
            time.sleep(wait_seconds * 2**number)
    raise RuntimeError(f"the webhook of ANALYTICS_WEBHOOK_URL did not take a message: {why}") from None


class Outbox:
    """What is still to be sent, and what was told; one SQLite file in the lake.

    A message is put here before it is sent, so that one that could not be sent goes out before the next one. The same
    about the same days is told once a day at most: a file that cannot be read is found by every landing while it lies
    there.
    """

    def __init__(self, lake_dir: Path) -> None:
        self._file = lake_dir / "outbox.sqlite"

    def untold(self, problems: Iterable[Problem], now: datetime) -> list[Problem]:
        """Those of some problems that were not told lately; from now on they count as told."""
        found = []
        with open_sqlite(self._file, _SCHEMA) as connection:
            connection.execute("begin immediate")
            connection.execute("delete from told where told_at < ?", [(now - TOLD_ONCE_IN).isoformat()])
            for problem in problems:
                key = digest([problem.asset, problem.days, problem.reason])
                done = connection.execute("insert or ignore into told values (?, ?)", [key, now.isoformat()])
                if done.rowcount:
                    found.append(problem)
            connection.execute("commit")
        return found

    def put(self, bodies: Iterable[dict[str, object]]) -> None:
        """Keeps messages until they are sent."""
        with open_sqlite(self._file, _SCHEMA) as connection:
            connection.executemany("insert into waiting (body) values (?)", [[json.dumps(body)] for body in bodies])

    def send(self, url: str) -> None:
        """Sends whatever waits, the oldest first; what the webhook refuses stays."""
        with open_sqlite(self._file, _SCHEMA) as connection:
            for number, body in connection.execute("select id, body from waiting order by id").fetchall():
                post(url, json.loads(body))
                connection.execute("delete from waiting where id = ?", [number])


def build_notifiers(settings: Settings) -> list[SensorDefinition]:
    """Sensors that tell of every run that fails, and of every check that fails in one that does not."""
    default_status = DefaultSensorStatus.RUNNING if settings.webhook_url else DefaultSensorStatus.STOPPED

    def notifier(name: str, run_status: DagsterRunStatus, what: str) -> SensorDefinition:
        @run_status_sensor(
            name=name,
            run_status=run_status,
            default_status=default_status,
            minimum_interval_seconds=10,
            description=f"Tells owners {what}, through the webhook (off while ANALYTICS_WEBHOOK_URL is not set).",
        )
        def told(context: RunStatusSensorContext) -> None:
            tell(context, settings)

        return told

    return [
        notifier("tell_failed_runs", DagsterRunStatus.FAILURE, "of what failed in a run"),
        notifier("tell_failed_checks", DagsterRunStatus.SUCCESS, "of checks that failed in a run which did not"),
    ]


def tell(context: RunStatusSensorContext, settings: Settings) -> None:
    """Sends a message to each owner of what went wrong in a run."""
    if settings.webhook_url is None or context.repository_def is None:
        return
    run = context.dagster_run
    link = f"{settings.ui_url.rstrip('/')}/runs/{run.run_id}"
    outbox = Outbox(settings.lake_dir)
    problems = outbox.untold(problems_of(context.instance, run, settings), datetime.now(UTC))
    outbox.put(messages(problems, context.repository_def.asset_graph, link))
    outbox.send(settings.webhook_url.get_secret_value())
