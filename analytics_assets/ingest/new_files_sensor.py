"""The sensor that notices new files. It opens none; it requests a landing run."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from dagster import (
    AssetKey,
    AssetSelection,
    DagsterInstance,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from analytics_assets.automation.run_grouping import ATTEMPT_TAG, NO_RETRY
from analytics_assets.dagster_internals import NOT_FINISHED_STATUSES
from analytics_assets.foundation.watching import looks
from analytics_assets.foundation.words import plural
from analytics_assets.ingest.inbox import InboxFile, Mark
from analytics_assets.ingest.landing import Landing
from analytics_assets.project import Project
from analytics_assets.spec.source import Source
from analytics_assets.state.attempts import WAITS

SOURCE_TAG = "analytics/landing"
BATCH_TAG = "analytics/batch"
_LOOKS_EVERY_SECONDS = 1.0


def build_new_files_sensor(project: Project) -> SensorDefinition:
    """One sensor for all sources: one run request per source with new files.

    The cursor holds one mark per source; what has not changed since is skipped. A mark advances only when nothing new
    is left, so that no file is forgotten.
    """

    @sensor(
        name="new_files",
        asset_selection=AssetSelection.assets(*(source.landed_asset for source in project.sources)),
        minimum_interval_seconds=1,  # at each turn of the daemon, which takes five seconds
        default_status=DefaultSensorStatus.RUNNING,
        description="Asks for a landing run when files lie in the inbox that are new or have changed.",
    )
    def new_files(context: SensorEvaluationContext) -> SensorResult:
        found = Looked(marks=_marks(context.cursor))
        for _ in looks(project.settings.sensor_watch_seconds, _LOOKS_EVERY_SECONDS):
            found = look_at_inboxes(context.instance, project, found.marks)
            if found.requests or found.failed:
                break
        for name, error in found.failed.items():
            context.log.error(f"{name}: {error}")
        if found.failed and not found.requests:  # if there are requests, make them; the next tick raises
            raise ExceptionGroup("some sources could not be looked at", list(found.failed.values()))
        reason = SkipReason("; ".join(found.waiting) or "Nothing new in the inbox.")
        return SensorResult(
            run_requests=found.requests,
            skip_reason=None if found.requests else reason,
            cursor=json.dumps({name: asdict(mark) for name, mark in found.marks.items()}),
        )

    return new_files


@dataclass
class Looked:
    """What a look at the inboxes of all sources found.

    Attributes:
        requests: the landing runs to request, one per source with new files.
        waiting: one sentence for each source whose new files wait, and for each folder that cannot be read.
        marks: by source, where the next look may begin.
        failed: by source, the error that kept it from being looked at; it does not stop the others.
    """

    requests: list[RunRequest] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    marks: dict[str, Mark] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)


def look_at_inboxes(instance: DagsterInstance, project: Project, marks: Mapping[str, Mark]) -> Looked:
    """Looks for new files of every source; without marks, at all files.

    Args:
        marks: what the last look returned.
    """
    looked, settings = Looked(), project.settings
    for source in project.sources:
        try:
            found = Landing(settings, source).look(marks.get(source.name), settings.landing_files_per_run)
            asked = request_landing(instance, source, found.new) if found.new else None
        except Exception as error:
            error.add_note(f"in the inbox of {source.name}")
            looked.failed[source.name] = error
            continue
        if found.mark:
            looked.marks[source.name] = found.mark
        if isinstance(asked, RunRequest):
            looked.requests.append(asked)
        elif asked:
            looked.waiting.append(asked)
        looked.waiting += [f"{source.name}: {path}: {why}" for path, why in found.closed.items()]
    return looked


def _marks(cursor: str | None) -> dict[str, Mark]:
    """The mark of each source; none if another version wrote the cursor: then everything is looked at."""
    try:
        return {name: Mark(**mark) for name, mark in json.loads(cursor or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def request_landing(instance: DagsterInstance, source: Source, new: Iterable[InboxFile]) -> RunRequest | str:
    """A run request that lands some files; if a run is in progress or has just failed, the reason to skip instead.

    Its tag and run key hold a hash of the files: the same files are requested again only if the run that should have
    landed them has ended and they are still there.
    """
    if instance.get_runs_count(RunsFilter(tags={SOURCE_TAG: source.name}, statuses=NOT_FINISHED_STATUSES)):
        return f"{source.name}: a run is landing files; what is left is asked for after it."
    files = "\n".join(f"{file.path} {file.seen(source.reading)}" for file in new)
    batch = hashlib.sha256(f"{source.name} v{source.reading}\n{files}".encode()).hexdigest()[:32]
    runs = instance.get_run_records(RunsFilter(tags={BATCH_TAG: batch}))
    number, landed = len(runs) + 1, source.landed_asset
    if len(runs) > len(WAITS):
        return f"{source.name}: what is new did not land in {plural(len(runs), 'run')}; see those of {landed}."
    if runs:
        ended = datetime.fromtimestamp(max(record.end_time or 0 for record in runs), UTC)
        again_at = ended + WAITS[len(runs) - 1]
        if datetime.now(UTC) < again_at:
            return f"{source.name}: what is new did not land; it is tried again at {again_at:%Y-%m-%d %H:%M:%S} UTC."
    return RunRequest(
        run_key=f"{source.name}-{batch}-{number}",
        asset_selection=[AssetKey(landed)],
        tags={SOURCE_TAG: source.name, BATCH_TAG: batch, ATTEMPT_TAG: str(number), **NO_RETRY},
    )
