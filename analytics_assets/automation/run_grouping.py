"""Which runs make the requested days: one run per span of days for the sensor, ordered runs for one process.

`conditions` decides which days are requested. The sensor requests one run per span of days, and skips runs that have
just died. Runs in this process (`operations/runner`) follow the order of the graph, upstream first.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime

from dagster import AssetKey, DagsterEventType, DagsterInstance, DagsterRunStatus, RunRequest, RunsFilter

from analytics_assets.dagster_internals import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    MAX_RETRIES_TAG,
    PARTITION_NAME_TAG,
)
from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import (
    ONE_DAY,
    UTC_DAYS,
    WHOLE,
    Calendar,
    Upstream,
    Window,
    assets_of,
    by_day,
    contiguous,
)
from analytics_assets.spec.asset import name_of
from analytics_assets.state.attempts import WAITS

# ---------------------------------------------------------------------------------------------------- for the sensor

NO_RETRY = {MAX_RETRIES_TAG: "0"}
"""Turns Dagster's own retries off: whatever requested the run will request it again."""

REQUEST_TAG, ATTEMPT_TAG = "analytics/request", "analytics/attempt"


def one_run_per_span(requests: Sequence[RunRequest]) -> list[RunRequest]:
    """Merges requests for the same assets on consecutive days, one day each, into one request for the span.

    Requests for assets without days stay requests of their own.
    """
    of_days: dict[tuple[frozenset[AssetKey], frozenset[object]], dict[date, RunRequest]] = {}
    others = []
    for request in requests:
        if request.partition_key is None:
            others.append(request.with_replaced_attrs(tags={**request.tags, **NO_RETRY}))
        else:
            same = (frozenset(request.asset_selection or ()), frozenset(request.asset_check_keys or ()))
            of_days.setdefault(same, {})[date.fromisoformat(request.partition_key)] = request
    spans = [of_span(days[span.start], span) for days in of_days.values() for span in contiguous(days)]
    return [*others, *spans]


def of_span(request: RunRequest, span: Window) -> RunRequest:
    """Widens a request for one day to a span of days."""
    tags = {name: value for name, value in request.tags.items() if name != PARTITION_NAME_TAG}
    return RunRequest(
        run_key=request.run_key,
        job_name=request.job_name,
        asset_selection=request.asset_selection,
        asset_check_keys=request.asset_check_keys,
        tags={**tags, **span_tags(span), **NO_RETRY},
    )


def span_tags(span: Window) -> dict[str, str]:
    """The tags that make a run cover a span of days."""
    return {
        ASSET_PARTITION_RANGE_START_TAG: span.start.isoformat(),
        ASSET_PARTITION_RANGE_END_TAG: (span.end - ONE_DAY).isoformat(),
    }


def unless_just_died(instance: DagsterInstance, request: RunRequest, loaded: str) -> RunRequest | None:
    """The request; None if its last runs died before their first step and it is too early for another.

    Such runs leave no attempt: for example, their process could not load the project. `attempts` remembers all other
    failures. Newly loaded definitions may have fixed the cause, so only deaths under the same `loaded` count.
    """
    names = sorted(name_of(key) for key in request.asset_selection or ())
    span = [request.tags.get(tag, "") for tag in (ASSET_PARTITION_RANGE_START_TAG, ASSET_PARTITION_RANGE_END_TAG)]
    identity = digest([loaded, *names, *span])
    deaths = 0
    for record in instance.get_run_records(RunsFilter(tags={REQUEST_TAG: identity}), limit=len(WAITS) + 1):
        run = record.dagster_run
        is_dead = run.status is DagsterRunStatus.FAILURE
        if not is_dead or instance.all_logs(run.run_id, of_type=DagsterEventType.STEP_START):
            break
        ended = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
        if deaths == 0:
            last_ended = ended
        deaths += 1
    if deaths > len(WAITS) or (deaths and datetime.now(UTC) < last_ended + WAITS[deaths - 1]):
        return None
    return request.with_replaced_attrs(tags={**request.tags, REQUEST_TAG: identity, ATTEMPT_TAG: str(deaths + 1)})


# -------------------------------------------------------------------------------------------------- for one process

CalendarOf = Callable[[str], Calendar]
"""Returns the days of an asset."""


@dataclass(frozen=True)
class PlannedRun:
    """Assets that one run makes for the same days; the window of assets without days is WHOLE."""

    assets: tuple[str, ...]
    window: Window


def tied_windows(
    upstream: Upstream, selected: Set[str], window: Window, partitions: Callable[[str], Window]
) -> dict[str, Window]:
    """The days of each selected asset that belong to a range: the range itself, and its upstream and downstream days.

    What is read by key ties no days: which ones share a key is known only once the rows are there.

    Args:
        window: the requested range.
        partitions: returns all days of an asset that have a partition; no others are returned.
    """
    names = [name for name in upstream if name in selected]
    needed, changed = dict.fromkeys(names, window), dict.fromkeys(names, window)
    for name in reversed(names):
        for read in by_day(upstream[name]):
            if read.asset in needed:
                needed[read.asset] = _hull(needed[read.asset], read.days.upstream_of(needed[name]))
    for name in names:
        for read in by_day(upstream[name]):
            if read.asset in changed:
                changed[name] = _hull(changed[name], read.days.downstream_of(changed[read.asset]))
    found = {}
    for name in names:
        if days := _hull(needed[name], changed[name]).within(partitions(name)):
            found[name] = days
    return found


def same_window(windows: Mapping[str, Window], calendar_of: CalendarOf = lambda _: UTC_DAYS) -> dict[str, list[Window]]:
    """Widens the windows of assets with the same days to one window: an extra day costs less than an extra run."""
    widest: dict[Calendar, Window] = {}
    for name, window in windows.items():
        widest[calendar_of(name)] = _hull(window, widest.get(calendar_of(name), window))
    return {name: [widest[calendar_of(name)]] for name in windows}


def _hull(one: Window, other: Window) -> Window:
    return Window(min(one.start, other.start), max(one.end, other.end))


def group_into_runs(
    upstream: Upstream, windows: Mapping[str, Sequence[Window]], calendar_of: CalendarOf = lambda _: UTC_DAYS
) -> list[PlannedRun]:
    """As few runs as possible: each makes assets of one window, and comes after the runs that it reads from.

    Dagster partitions a run as a whole, so the assets of one have the same calendar.
    """
    waiting = [(name, window) for name in upstream for window in windows.get(name, ())]
    runs = []
    while waiting:
        calendar, window = calendar_of(waiting[0][0]), waiting[0][1]
        taken: list[str] = []
        blocked: set[str] = set()
        for name, its_window in waiting:
            alike = its_window == window and (window == WHOLE or calendar_of(name) == calendar)
            if alike and not blocked & assets_of(upstream[name]) and name not in blocked:
                taken.append(name)
            else:
                blocked.add(name)
        runs.append(PlannedRun(tuple(taken), window))
        waiting = [(name, w) for name, w in waiting if not (w == window and name in taken)]
    return runs
