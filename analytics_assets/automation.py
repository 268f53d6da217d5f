"""When a day is made again: the named automation conditions. Late data lives here.

A condition compares what is with what should be (`versions`). So it needs no memory: an old day is as good as the
newest, a tick that was missed changes nothing, and a day that is up to date is never asked for. Only a day that failed
is remembered (`attempts`), so that it is not asked for in every tick.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from dagster import (
    AssetKey,
    AssetSelection,
    AutomationCondition,
    AutomationConditionSensorDefinition,
    AutomationContext,
    AutomationResult,
    DagsterEventType,
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorEvaluationContext,
)
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.events import AssetKeyPartitionKey
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.remote_origin import CodeLocationOrigin
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    MAX_RETRIES_TAG,
    PARTITION_NAME_TAG,
    SENSOR_NAME_TAG,
)
from dagster_shared.record import copy

from analytics_assets.attempts import KILLED, WAITS, Attempts
from analytics_assets.ingest.ledger import Ledger, wanted_versions
from analytics_assets.ingest.source import Kind, Source
from analytics_assets.partitions import EVER, ONE_DAY, WHOLE, Window, contiguous, partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.versions import (
    RAW_PREFIX,
    Offsets,
    builds_of,
    days_without_partition,
    digest,
    input_versions,
    linked_assets,
    offsets_of,
    recorded_builds,
    upstream_by_asset,
    views_by_asset,
)

NO_RETRY = {MAX_RETRIES_TAG: "0"}
"""The tag of runs that Dagster need not start again when they are killed: who asked for them asks again."""

REPORT_TAG = "analytics/report"
"""The tag of assets that are as of a day: the newest is kept fresh, older ones are made on demand."""


def reports_of(graph: BaseAssetGraph) -> set[str]:
    """The names of the reports."""
    return {key.path[-1] for key in graph.get_all_asset_keys() if REPORT_TAG in graph.get(key).tags}


MAY_GO_ON = timedelta(hours=1)
"""So long an attempt of which no end is known holds a report up, and no longer."""


class Days:
    """What the days of the assets should be made from, and which of them are not."""

    def __init__(self, settings: Settings, sources: Iterable[Source]) -> None:
        self._settings, self._sources = settings, {source.name: source for source in sources}
        self._tick: tuple[object, ...] = ()
        self._unsettled: dict[str, set[date]] = {}
        self._stuck: dict[str, set[date]] = {}
        self._off: set[str] | None = None

    def inputs(self, name: str, upstream: Mapping[str, Offsets], window: Window) -> Mapping[date, str]:
        """What each day of an asset should be made from now.

        Of the first day that is different while the asset holds days that have no partition: its run takes them out.
        """
        found: Mapping[date, str]
        if name.startswith(RAW_PREFIX):
            source = self._sources[name.removeprefix(RAW_PREFIX)]
            found = wanted_versions(Ledger(self._settings.lake_dir), source, window)
        else:
            found = input_versions(upstream, window, recorded_builds(self._settings))
        first = self._settings.start_date
        if first in found and days_without_partition(name, self._settings):
            return {**found, first: digest([found[first], "days without a partition"])}
        return found

    def out_of_date(self, name: str, upstream: Mapping[str, Offsets], window: Window) -> set[date]:
        """The days that were never made, are gone, or were made from other inputs than there are now."""
        inputs, builds = self.inputs(name, upstream, window), builds_of(name, self._settings)
        built = builds.read_what_is_there(name, window)
        return {day for day in window.days() if day not in built or built[day].inputs != inputs[day]}

    def of_older_code(self, name: str, code: str, window: Window) -> set[date]:
        """The days that were made by other code than there is now."""
        return {day for day, build in builds_of(name, self._settings).read(name, window).items() if build.code != code}

    def off(self, graph: BaseAssetGraph, now: datetime) -> Set[str]:
        """The assets for which nothing ever landed, nor for any that they are linked with.

        They would be made of empty days, if a domain is there that nobody uses. The first file turns them on.
        """
        self._begin_tick(graph, now)
        if self._off is None:
            ledger, linked = Ledger(self._settings.lake_dir), linked_assets(graph)
            on, off = set[str](), set[str]()
            for source in self._sources.values():
                (on if ledger.has_landed(source) else off).update(linked[RAW_PREFIX + source.name])
            self._off = off - on
        return self._off

    def made(self, name: str, window: Window) -> set[date]:
        """The days that are recorded as made."""
        return set(builds_of(name, self._settings).read(name, window))

    def is_made(self, name: str) -> bool:
        """Whether any day of an asset was made: then its table is there."""
        return bool(builds_of(name, self._settings).read(name, EVER))

    def unsettled(self, graph: BaseAssetGraph, name: str, now: datetime) -> set[date]:
        """The days that are out of date, or are made from days that are, however far up: they will change.

        What has no days will also change where older code made it: that is made anew without anybody's doing.
        What is found is kept for the tick, since most assets of a graph ask for the same ones.
        """
        self._begin_tick(graph, now)
        if name not in self._unsettled:
            window, upstream = self._days_and_upstream(graph, name, now)
            found = self.out_of_date(name, upstream, window)
            if window == WHOLE:
                found |= self.of_older_code(name, graph.get(AssetKey(name)).code_version or "", window)
            above = _downstream(upstream, lambda parent: self.unsettled(graph, parent, now))
            self._unsettled[name] = (found | above) & set(window.days())
        return self._unsettled[name]

    def stuck(self, graph: BaseAssetGraph, name: str, now: datetime) -> set[date]:
        """The days that failed and are not yet due, or are made from days that are, however far up.

        An attempt that has not ended looks like one that was killed; while it is young it is taken to go on.
        """
        self._begin_tick(graph, now)
        if name not in self._stuck:
            window, upstream = self._days_and_upstream(graph, name, now)
            attempts = Attempts(self._settings.lake_dir).read(name, window)
            going_on = {d for d, a in attempts.items() if a.reason == KILLED and now - a.tried_at < MAY_GO_ON}
            found = self.resting(name, upstream, graph.get(AssetKey(name)).code_version or "", window, now) - going_on
            above = _downstream(upstream, lambda parent: self.stuck(graph, parent, now))
            self._stuck[name] = (found | above) & set(window.days())
        return self._stuck[name]

    def _days_and_upstream(
        self, graph: BaseAssetGraph, name: str, now: datetime
    ) -> tuple[Window, Mapping[str, Offsets]]:
        """All days of an asset and what it reads by days; where it has none, WHOLE and what has none either."""
        if graph.get(AssetKey(name)).partitions_def is not None:
            return partitioned_days(self._settings, now), upstream_by_asset(graph)[name]
        views = views_by_asset(graph)
        return WHOLE, {parent: offsets for parent, offsets in views[name].items() if parent in views}

    def _begin_tick(self, graph: BaseAssetGraph, now: datetime) -> None:
        if self._tick != (id(graph), now):
            self._tick, self._unsettled, self._stuck, self._off = (id(graph), now), {}, {}, None

    def newest(self, graph: BaseAssetGraph, name: str, now: datetime) -> date:
        """The newest day on which any facts landed that an asset is made from; yesterday where there are none."""
        window, ledger = partitioned_days(self._settings, now), Ledger(self._settings.lake_dir)
        sources = (source for source in self.sources_of(graph, name) if source.kind is Kind.FACTS)
        days = [ledger.newest_day(source, window) for source in sources]
        return max((day for day in days if day), default=max(window.days()))

    def sources_of(self, graph: BaseAssetGraph, name: str) -> list[Source]:
        """The sources that an asset is made from, however far up."""
        above, waiting = set(), {name}
        while waiting:
            above |= waiting
            waiting = {key.path[-1] for one in waiting for key in graph.get(AssetKey(one)).parent_keys} - above
        return [source for source in self._sources.values() if RAW_PREFIX + source.name in above]

    def resting(
        self, name: str, upstream: Mapping[str, Offsets], code: str, window: Window, now: datetime
    ) -> set[date]:
        """The days that failed with these very inputs and this code, and whose time to be tried again has not come."""
        attempts = Attempts(self._settings.lake_dir).read(name, window)
        if not attempts:
            return set()
        inputs = self.inputs(name, upstream, window)
        return {
            day
            for day, attempt in attempts.items()
            if (attempt.build.inputs, attempt.build.code) == (inputs[day], code)
            and ((next_at := attempt.next_at()) is None or next_at > now)
        }


def _downstream(upstream: Mapping[str, Offsets], days_of: Callable[[str], Iterable[date]]) -> set[date]:
    """The days that are made from some days of the upstream assets."""
    return {
        day
        for parent, offsets in upstream.items()
        for above in days_of(parent)
        for day in offsets.downstream_of(Window.of_days(above, above)).days()
    }


class _OfDays(AutomationCondition[AssetKey]):
    """A condition that is true for a set of days, computed from the stores of the project."""

    def __init__(self, days: Days) -> None:
        self._days = days

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        raise NotImplementedError

    def evaluate(self, context: AutomationContext[AssetKey]) -> AutomationResult[AssetKey]:
        """Of an asset without partitions, all or nothing: it counts as one day, WHOLE."""
        if context.candidate_subset.is_empty:
            return AutomationResult(context, context.get_empty_subset())
        node = context.asset_graph.get(context.key)
        upstream = {
            parent.path[-1]: offsets_of(node.partition_mappings.get(parent)) for parent in sorted(node.parent_keys)
        }
        keys = sorted(context.candidate_subset.expensively_compute_partition_keys()) if context.partitions_def else []
        window = Window.of_days(date.fromisoformat(keys[0]), date.fromisoformat(keys[-1])) if keys else WHOLE
        days = self._true_days(
            context.asset_graph, context.key.path[-1], upstream, window, context.evaluation_time.astimezone(UTC)
        )
        if window == WHOLE:
            return AutomationResult(context, context.candidate_subset if days else context.get_empty_subset())
        true = {AssetKeyPartitionKey(context.key, day.isoformat()) for day in days} & {
            AssetKeyPartitionKey(context.key, key) for key in keys
        }
        return AutomationResult(
            context, context.asset_graph_view.get_asset_subset_from_asset_partitions(context.key, true)
        )


class OutOfDate(_OfDays):
    """True for the days that were never made, or were made from other inputs than there are now."""

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "out_of_date"

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        return self._days.out_of_date(name, upstream, window)


class Unsettled(_OfDays):
    """True for the days that are out of date, or will be once what they are made from is made."""

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "unsettled"

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        return self._days.unsettled(graph, name, now)


class Pending(_OfDays):
    """True for the days that will change without anybody's doing: unsettled ones, except what failed and rests."""

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "pending"

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        return self._days.unsettled(graph, name, now) - self._days.stuck(graph, name, now)


class Newest(_OfDays):
    """True for the newest day for which there is anything to report."""

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "newest_day_with_facts"

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        return {self._days.newest(graph, name, now)}


class Resting(_OfDays):
    """True for the days that failed as they are, until it is time to try them again."""

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "failed_and_not_yet_due"

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        code = graph.get(AssetKey(name)).code_version or ""
        return self._days.resting(name, upstream, code, window, now)


class OfOlderCode(_OfDays):
    """True for the days that were made by other code than there is now."""

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "made_by_older_code"

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        return self._days.of_older_code(name, graph.get(AssetKey(name)).code_version or "", window)


class Made(_OfDays):
    """True for the days that are recorded as made, from whatever inputs."""

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "made"

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        return self._days.made(name, window)


class On(_OfDays):
    """True for all days of an asset, unless nothing ever landed for it."""

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "anything_ever_landed"

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        return set() if name in self._days.off(graph, now) else set(window.days())


class NeverMade(_OfDays):
    """True for all days of an asset while none of them was made, so that its table is not there."""

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "never_made"

    def _true_days(
        self, graph: BaseAssetGraph, name: str, upstream: Mapping[str, Offsets], window: Window, now: datetime
    ) -> Set[date]:
        return set() if self._days.is_made(name) else set(window.days())


class Automation:
    """The conditions, for a set of sources."""

    def __init__(self, settings: Settings, sources: Iterable[Source]) -> None:
        self._days = days = Days(settings, sources)
        self._out_of_date, self._unsettled, self._resting = OutOfDate(days), Unsettled(days), Resting(days)
        self._pending, self._newest, self._made = Pending(days), Newest(days), Made(days)
        self._of_older_code, self._never_made, self._on = OfOlderCode(days), NeverMade(days), On(days)

    def newest_day(self, graph: BaseAssetGraph, name: str, now: datetime) -> date:
        """The day that the newest report is as of."""
        return self._days.newest(graph, name, now)

    def sources_of(self, graph: BaseAssetGraph, name: str) -> list[Source]:
        """The sources that an asset is made from, however far up."""
        return self._days.sources_of(graph, name)

    def raw(self) -> AutomationCondition:
        """Makes each raw day whose pieces are not those that it was made from; quiet days too, as empty ones.

        Of a domain that is off it makes none, and so nothing is made of what reads them.
        """
        differs = self._out_of_date | AutomationCondition.missing()
        return (_and_no_run_makes_it(differs) & ~self._resting & self._on).with_label("landed rows differ")

    def with_its_asset(self) -> AutomationCondition:
        """Of a check: never asks by itself, since the check is made with its asset.

        It has to have a condition all the same. Dagster asks for the checks of a run either by naming those that must
        be made with their asset, which would leave out the checks of all models in the run, or, once one of them has
        a condition, by naming every check.
        """
        first = AutomationCondition.initial_evaluation()
        return (first & ~first).with_label("with its asset")

    def model(self, elsewhere: Sequence[AssetKey] = ()) -> AutomationCondition:
        """Makes each day whose upstream days, by its partition mapping, are not those that it was made from.

        It goes along in one run with upstream days that are asked for in the same tick. It waits for upstream days that
        will change and are not asked for yet, and for whatever is asked for of an upstream asset that is made in
        another run: one of which it reads other days than its own, and a lookup, which has no days. A lookup that is
        asked for asks for no day of what reads it.

        Args:
            elsewhere: the upstream assets that are made in another run.
        """
        return self._made_with_upstream(self._unsettled, elsewhere)

    def published(self) -> AutomationCondition:
        """Copies each day whose tables are not those that it was copied from, in one run with them.

        It does not wait for a table of which the day failed: the others are copied, and that one is left as it was.
        While some tables of the day are asked for it does, since these may be what the others failed for the lack of.
        """
        asked = AutomationCondition.will_be_requested()
        there = AutomationCondition.any_deps_match(self._made | asked)
        not_all_asked = AutomationCondition.any_deps_match(asked) & AutomationCondition.any_deps_match(
            self._unsettled & ~asked
        )
        return (self._made_with_upstream(self._pending) & there & ~not_all_asked).with_label("tables differ")

    def _made_with_upstream(
        self, will_change: AutomationCondition, elsewhere: Sequence[AssetKey] = ()
    ) -> AutomationCondition:
        requested = AutomationCondition.any_deps_match(AutomationCondition.will_be_requested())
        late: AutomationCondition = AutomationCondition.any_deps_match(
            (will_change & ~AutomationCondition.will_be_requested()) | AutomationCondition.in_progress()
        )
        if elsewhere:
            others = AssetSelection.assets(*elsewhere)
            requested = requested.ignore(others)
            late = late | AutomationCondition.any_deps_match(
                will_change | AutomationCondition.will_be_requested()
            ).allow(others)
        differs = self._out_of_date | AutomationCondition.missing() | requested
        return (_and_no_run_makes_it(differs) & ~late & ~(self._resting & ~requested)).with_label("inputs differ")

    def report(self) -> AutomationCondition:
        """Makes the newest day when what it shows has changed, or how: that takes a second, and needs no rollout.

        It waits for what will change by itself, but not for what failed: the report then says what it lacks.
        """
        late = AutomationCondition.any_deps_match(
            self._pending | AutomationCondition.will_be_requested() | AutomationCondition.in_progress()
        )
        differs = self._out_of_date | self._of_older_code | AutomationCondition.missing()
        return (self._newest & _and_no_run_makes_it(differs) & ~late & ~self._resting).with_label(
            "newest report differs"
        )

    def view(self) -> AutomationCondition:
        """Makes a model without days when it is not there as its code says, once every table that it reads is there.

        It holds no rows, so that new rows need nothing, and changed code no rollout. While what it reads is being made,
        its inputs are not known. A lookup reads nothing: it is loaded when it is not there as its file says.
        """
        not_ready: AutomationCondition = AutomationCondition.any_deps_match(
            self._never_made | AutomationCondition.in_progress()
        )
        differs = self._out_of_date | self._of_older_code | AutomationCondition.missing()
        return (_and_no_run_makes_it(differs) & ~not_ready & ~self._resting & self._on).with_label(
            "not there as its code says"
        )


def _and_no_run_makes_it(differs: AutomationCondition) -> AutomationCondition:
    """Asks twice whether days differ: a run that made them may have ended after the first look, and be no more in
    progress when that is asked.
    """
    return differs & ~AutomationCondition.in_progress() & differs


# ---------------------------------------------------------------------------------------------------- the sensor


class OutOfDateDaysSensor(AutomationConditionSensorDefinition):
    """Dagster's own sensor for conditions, which makes a run of every span of days instead of one of every day.

    Attributes:
        hindrance: says what keeps it from asking for anything; None when nothing does. So it is while runs, which load
            the project anew, would be made by other code than the conditions know of: they would then find every day
            made by the wrong code, and ask for failed ones without end. It is given the code server's address.
        loaded: another text each time that the definitions are loaded.
    """

    hindrance: Callable[[CodeLocationOrigin | None], str | None]
    loaded: str

    def evaluate_tick(self, context: SensorEvaluationContext) -> SensorExecutionData:
        """Evaluates the conditions of all assets, and asks for runs.

        It asks for none that would be made by other code, nor for more while some that it asked for wait in the queue:
        what is out of date by then becomes fewer runs of longer spans. States are compared, so nothing is forgotten.
        """
        if hindrance := self.hindrance(context.code_location_origin):
            return SensorExecutionData(skip_message=hindrance, cursor=context.cursor)
        queue = RunsFilter(tags={SENSOR_NAME_TAG: self.name}, statuses=[DagsterRunStatus.QUEUED])
        if waiting := context.instance.get_runs_count(queue):
            queued = f"Of the runs that were asked for, {waiting} wait in the queue; when they have begun, more are."
            return SensorExecutionData(skip_message=queued, cursor=context.cursor)
        context.log.setLevel(logging.WARNING)  # a line an asset and tick; the UI shows the same, better
        data = super().evaluate_tick(context)
        spans = one_run_a_span(data.run_requests or [])
        requests = (unless_it_died(context.instance, span, self.loaded) for span in spans)
        return copy(data, run_requests=[request for request in requests if request])


def build_out_of_date_sensor(
    hindrance: Callable[[CodeLocationOrigin | None], str | None],
) -> AutomationConditionSensorDefinition:
    """The sensor that asks for the days that are out of date, while there is no hindrance."""
    sensor = OutOfDateDaysSensor(
        "out_of_date_days",
        target=AssetSelection.all(),
        use_user_code_server=True,  # the conditions are Python of this project
        emit_backfills=False,  # a backfill would wait for its daemon, and say less about why a day was asked for
        default_status=DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=5,
        description="Asks for the days that are not made from what there is now.",
    )
    sensor.hindrance, sensor.loaded = hindrance, uuid4().hex
    return sensor


def one_run_a_span(requests: Sequence[RunRequest]) -> list[RunRequest]:
    """Requests of one day each, for the same assets on consecutive days, as one request for the span.

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
    """A request for one day as the same request for a span of days."""
    tags = {name: value for name, value in request.tags.items() if name != PARTITION_NAME_TAG}
    return RunRequest(
        run_key=request.run_key,
        job_name=request.job_name,
        asset_selection=request.asset_selection,
        asset_check_keys=request.asset_check_keys,
        tags={**tags, **span_tags(span), **NO_RETRY},
    )


def span_tags(span: Window) -> dict[str, str]:
    """The tags by which a run is one of a span of days."""
    return {
        ASSET_PARTITION_RANGE_START_TAG: span.start.isoformat(),
        ASSET_PARTITION_RANGE_END_TAG: (span.end - ONE_DAY).isoformat(),
    }


REQUEST_TAG, ATTEMPT_TAG = "analytics/request", "analytics/attempt"


def unless_it_died(instance: DagsterInstance, request: RunRequest, loaded: str) -> RunRequest | None:
    """A request, unless runs of the same died before they began their first step and it is too early for another.

    Such runs leave no attempt: their process could not load the project, say. What else fails, `attempts` remembers.
    Definitions that were loaded anew may have mended that, so it holds only for those that were `loaded` as now.
    """
    names = sorted(key.path[-1] for key in request.asset_selection or ())
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
