"""Alerts: a message about each failure to the owner of the asset, through a webhook.

An alert is sent once, at the first attempt. A day that fails again on a retry stays in the list of `status`, and is
alerted again only if its inputs or its code have changed.
"""

import html
import json
import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

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
from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, select

from analytics_assets.automation.run_grouping import ATTEMPT_TAG
from analytics_assets.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    RETRY_NUMBER_TAG,
    BaseAssetGraph,
)
from analytics_assets.foundation.failures import reason_of, sentence
from analytics_assets.foundation.hashes import digest
from analytics_assets.foundation.plain_text import logger_of, plain, shortened
from analytics_assets.partitions import contiguous
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import name_of
from analytics_assets.state.attempts import Attempts
from analytics_assets.state.check_results import failed_in_its_run, first_finding
from analytics_assets.state.database import Store, insert, tuples

logger = logger_of(__name__)

POSTS = 3
"""Maximum number of attempts to send a message."""

TOLD_AT_ONCE = 20
"""Maximum number of problems in one message."""

LONGEST_REASON, LONGEST_DAYS, LONGEST_TEXT = 300, 100, 12_000
"""Maximum characters of each in a message, since a reason may quote a long cell; Mattermost accepts 16,383."""

TOLD_ONCE_IN = timedelta(days=1)

TABLES = MetaData()
_TOLD = Table(
    "told",
    TABLES,
    Column("problem", Text, primary_key=True),
    Column("told_at", Text, nullable=False),
    sqlite_with_rowid=False,
)
_WAITING = Table("waiting", TABLES, Column("id", Integer, primary_key=True), Column("body", Text, nullable=False))
_REFUSED = Table("refused", TABLES, Column("id", Integer, primary_key=True), Column("refused_at", Text, nullable=False))

_IF_DAMAGED = "delete it; what goes on failing is then told again"

_REFUSED_ITSELF = frozenset({400, 413, 415, 422})
"""Statuses that concern one message; 401, 403 or 404 concern the webhook, so any other message would get them, too."""

_ACTIVE = re.compile(r"@(?=\w)|:(?=//)|www(?=\.)", re.IGNORECASE)
"""What chats turn into a mention or a link, even on its own."""


class Refused(RuntimeError):
    """The webhook will never accept this message."""


@dataclass(frozen=True)
class Problem:
    """What went wrong with some days of an asset; `days` is empty for an asset without partitions."""

    asset: str
    days: str
    reason: str
    is_error: bool = True
    owner: str = ""
    """Set only if it differs from the asset's owner."""


def problems_of(instance: DagsterInstance, run: DagsterRun, settings: Settings) -> list[Problem]:
    """The problems of a finished run: days (or else steps) that failed for the first time, and failed checks."""
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
        if check is None or not failed_in_its_run(check):
            continue
        is_error = check.severity is AssetCheckSeverity.ERROR
        if is_error and name_of(check.asset_key) in tried:
            continue  # the check is why the days failed
        reason = f"check {check.check_name} failed{first_finding(check.metadata)}"
        found.append(Problem(name_of(check.asset_key), _days_of(run), reason, is_error))
    return found


def _failed_steps(instance: DagsterInstance, run: DagsterRun) -> list[Problem]:
    """The failed steps of a run without recorded days; for a run that was killed, its assets."""
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
    names = sorted(name_of(key) for key in run.asset_selection or ()) or [run.job_name]
    return [Problem(name, _days_of(run), sentence(reason or "the run failed")) for name in names]


def _days_of(run: DagsterRun) -> str:
    start, end = (run.tags.get(tag) for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG))
    if start and end:
        return start if start == end else f"{start} to {end}"
    return run.tags.get(PARTITION_NAME_TAG, "")


# ------------------------------------------------------------------------------------------------------- telling


def messages(
    problems: Iterable[Problem], graph: BaseAssetGraph, link: str, owner_of_job: str = ""
) -> list[dict[str, object]]:
    """One message per owner: `text` for people, and the same content as fields for programs.

    Args:
        owner_of_job: who is told of what is no asset, such as a run that died before its first step.
    """
    of_owner: dict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        key = AssetKey(problem.asset)
        owners = graph.get(key).owners if graph.has(key) else []
        of_owner[problem.owner or ", ".join(owners) or owner_of_job or "nobody"].append(problem)
    return [_message(owner, theirs, link) for owner, theirs in of_owner.items()]


def _message(owner: str, problems: Sequence[Problem], link: str) -> dict[str, object]:
    lines, told = [f"For {owner}"], problems[:TOLD_AT_ONCE]
    for number, problem in enumerate(told):
        what = " ".join(filter(None, (problem.asset, shortened(problem.days, LONGEST_DAYS))))
        reason = shortened(plain(shortened(problem.reason, LONGEST_REASON)), LONGEST_REASON)
        line = _as_code(f"{what}: {reason}")
        if sum(map(len, lines)) + len(line) > LONGEST_TEXT:
            told = told[:number]
            break
        lines.append(f"{'failed' if problem.is_error else 'warning'}: {line}")
    if len(problems) > len(told):
        lines.append(f"and {len(problems) - len(told)} more")
    return {
        "text": "\n".join([*lines, link]),
        "owner": owner,
        "link": link,
        "problems": [
            {
                "asset": problem.asset,
                "days": shortened(problem.days, LONGEST_DAYS),
                "reason": shortened(problem.reason, LONGEST_REASON),
                "severity": "error" if problem.is_error else "warning",
            }
            for problem in told
        ],
        "more": len(problems) - len(told),
    }


def _as_code(text: str) -> str:
    """A text as inline code: Slack and Mattermost then make no mention, link or format of it, whatever a cell holds.

    Other chats, and notifications, may make them all the same; a word joiner inside each prevents that.
    """
    text = _ACTIVE.sub("\\g<0>\u2060", plain(text).replace("`", "'"))
    return f"`{html.escape(text, quote=False)}`"


def post(url: str, message: dict[str, object], wait_seconds: float = 1) -> None:
    """Sends a message.

    Raises:
        Refused: the webhook accepts messages, but not this one.
        RuntimeError: the message could not be sent. Neither error names the address, which is a secret.
    """
    import httpx  # the definitions are loaded without it

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
            if status in _REFUSED_ITSELF:
                raise Refused(f"the webhook of ANALYTICS_WEBHOOK_URL refused a message: {why}")
            if status < 500 and status not in (408, 429):
                break
        if number < POSTS - 1:
            time.sleep(wait_seconds * 2**number)
    raise RuntimeError(f"the webhook of ANALYTICS_WEBHOOK_URL did not take a message: {why}") from None


class Outbox:
    """The messages still to be sent, and the problems already told; one SQLite file in the lake.

    A message is stored before it is sent, so that one that could not be sent goes out before the next one. The same
    problem with the same days is told at most once a day: every landing finds an unreadable file again while it is
    there.
    """

    def __init__(self, lake_dir: Path) -> None:
        self._store = Store(lake_dir / "outbox.sqlite", TABLES, _IF_DAMAGED)

    def put(
        self,
        problems: Iterable[Problem],
        now: datetime,
        messages_of: Callable[[list[Problem]], Iterable[Mapping[str, object]]],
    ) -> None:
        """Stores the messages about those problems that were not told within the last day, until they are sent."""
        added = insert(_TOLD).on_conflict_do_nothing()
        with self._store.writing() as connection:
            connection.execute(delete(_TOLD).where(_TOLD.c.told_at < (now - TOLD_ONCE_IN).isoformat()))
            untold = []
            for problem in problems:
                key = digest([problem.asset, problem.days, problem.reason])
                if connection.execute(added, {"problem": key, "told_at": now.isoformat()}).rowcount:
                    untold.append(problem)
            for body in messages_of(untold):
                connection.execute(insert(_WAITING), {"body": json.dumps(body)})

    def send(self, url: str) -> None:
        """Sends all waiting messages, oldest first.

        A message that the webhook refuses stays, is retried a day later, and does not hold up the others.

        Raises:
            Refused: some messages were refused; all others were sent.
            RuntimeError: the webhook accepts no message now; the unsent ones stay.
        """
        now = datetime.now(UTC)
        refusals = []
        rests = select(_REFUSED.c.id).where(_REFUSED.c.refused_at > (now - TOLD_ONCE_IN).isoformat())
        with self._store.reading() as connection:
            due = select(_WAITING).where(_WAITING.c.id.not_in(rests)).order_by(_WAITING.c.id)
            waiting = tuples(connection.execute(due))
        for number, body in waiting:
            try:
                post(url, json.loads(body))
            except Refused as error:
                refusals.append(error)
                refused = insert(_REFUSED).values(id=number, refused_at=now.isoformat())
                at = {"refused_at": refused.excluded.refused_at}
                with self._store.writing() as connection:
                    connection.execute(refused.on_conflict_do_update(index_elements=[_REFUSED.c.id], set_=at))
            else:
                with self._store.writing() as connection:
                    connection.execute(delete(_WAITING).where(_WAITING.c.id == number))
                    connection.execute(delete(_REFUSED).where(_REFUSED.c.id == number))
        if refusals:
            raise Refused(
                f"{refusals[0]}; {len(refusals)} of {len(waiting)} messages were refused, and are tried again in a day"
            )


def build_notifiers(settings: Settings) -> list[SensorDefinition]:
    """Sensors that alert on every failed run, and on every failed check of a successful run."""
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
    """Sends the problems of a run to the owners of the assets, or else of the job."""
    if settings.webhook_url is None or context.repository_def is None:
        return
    problems = problems_of(context.instance, context.dagster_run, settings)
    repository, name = context.repository_def, context.dagster_run.job_name
    owner = ", ".join(repository.get_job(name).owners or ()) if repository.has_job(name) else ""
    _send(problems, repository.asset_graph, f"runs/{context.dagster_run.run_id}", settings, owner)


def tell_owner(problems: Iterable[Problem], graph: BaseAssetGraph, settings: Settings) -> None:
    """Sends problems that were found outside any run; if that fails, they go out before the next message."""
    try:
        _send(problems, graph, "deployment", settings)
    except RuntimeError as error:
        logger.warning(str(error))


def _send(
    problems: Iterable[Problem], graph: BaseAssetGraph, page: str, settings: Settings, owner_of_job: str = ""
) -> None:
    if settings.webhook_url is not None:
        outbox, link = Outbox(settings.lake_dir), f"{settings.ui_url.rstrip('/')}/{page}"
        outbox.put(problems, datetime.now(UTC), lambda untold: messages(untold, graph, link, owner_of_job))
        outbox.send(settings.webhook_url.get_secret_value())
