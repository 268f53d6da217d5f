"""Which days are requested: the automation conditions of raw days, models, reports and the published copy.

A late file is no special case: it changes the inputs of a day. A condition compares these with the recorded inputs
(`staleness`), so it needs no memory of earlier ticks. `run_grouping` turns the requested days into runs.
"""

from collections.abc import Iterable, Sequence, Set
from datetime import UTC, date, datetime

from dagster import AssetKey, AssetSelection, AutomationCondition, AutomationContext, AutomationResult

from analytics_assets.automation.staleness import Days
from analytics_assets.dagster_internals import AssetKeyPartitionKey, BaseAssetGraph
from analytics_assets.partitions import WHOLE, Window
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import Catalog, name_of
from analytics_assets.spec.source import Source


class _OfDays(AutomationCondition[AssetKey]):
    """A condition that is true for a set of days, computed from the project's stores."""

    def __init__(self, days: Days) -> None:
        self._days = days

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        """The days for which the condition is true; the window holds all days of the asset."""
        raise NotImplementedError

    def evaluate(self, context: AutomationContext[AssetKey]) -> AutomationResult[AssetKey]:
        """An asset without partitions counts as one day, WHOLE: the condition is true for all of it or for nothing."""
        candidates, now = context.candidate_subset, context.evaluation_time.astimezone(UTC)
        if candidates.is_empty:
            return AutomationResult(context, candidates)
        window = self._days.partitioned(name_of(context.key), now) if context.partitions_def else WHOLE
        with self._days.looking(now):
            days = self._true_days(context.asset_graph, name_of(context.key), window, now)
        if len(days) == len(window):
            return AutomationResult(context, candidates)
        if not days:
            return AutomationResult(context, context.get_empty_subset())
        true = context.asset_graph_view.get_asset_subset_from_asset_partitions(
            context.key, {AssetKeyPartitionKey(context.key, day.isoformat()) for day in days}
        )
        return AutomationResult(context, candidates.compute_intersection(true))


class OutOfDate(_OfDays):
    """True for the days that were never made, or were made from inputs that have changed since."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "out_of_date"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return self._days.out_of_date_now(graph, name, now)


class Stale(_OfDays):
    """True for the days that are out of date, or will be once their upstream days are made."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "stale"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return self._days.stale(graph, name, now)


class Pending(_OfDays):
    """True for the days that will change by themselves: stale ones, except those that failed upstream."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "pending"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return self._days.pending(graph, name, now)


class Waiting(_OfDays):
    """True for the days that wait for upstream assets of which Dagster's mapping names more days than they read."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "waits_for_upstream"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return self._days.waiting(graph, name, now)


class Newest(_OfDays):
    """True for the newest day that has facts to report."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "newest_day_with_facts"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return {self._days.newest(graph, name, now)}


class BackingOff(_OfDays):
    """True for the days that failed with their current inputs and code, until their next attempt is due."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "backing_off"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return self._days.backing_off_now(graph, name, now)


class OfOlderCode(_OfDays):
    """True for the days that were made by other code than the current one."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "made_by_older_code"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return self._days.of_older_code(name, graph.get(AssetKey(name)).code_version or "", window)


class Made(_OfDays):
    """True for the days that are recorded as made, whatever their inputs."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "made"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return self._days.made(name, window)


class Supposed(_OfDays):
    """True for the days that a plan supposes to be made: Dagster has no record of them. Else true for none."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "supposed_in_a_plan"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return self._days.supposed(name, window)


class On(_OfDays):
    """True for all days of an asset, unless nothing has ever landed for it."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "anything_ever_landed"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return set() if name in self._days.off(graph) else set(window.days())


class NeverMade(_OfDays):
    """True for all days of an asset while none of them is made, so that its table does not exist."""

    @property
    def name(self) -> str:
        """Its name in the UI."""
        return "never_made"

    def _true_days(self, graph: BaseAssetGraph, name: str, window: Window, now: datetime) -> Set[date]:
        return set() if self._days.is_made(name) else set(window.days())


class Automation:
    """The conditions of all declared assets, for a set of sources."""

    def __init__(self, settings: Settings, sources: Iterable[Source], catalog: Catalog) -> None:
        self._days = days = Days(settings, sources, catalog)
        self._out_of_date, self._stale = OutOfDate(days), Stale(days)
        self._backing_off, self._pending = BackingOff(days), Pending(days)
        self._waiting = Waiting(days)
        self._newest, self._made, self._on = Newest(days), Made(days), On(days)
        self._missing = AutomationCondition.missing() & ~Supposed(days)
        self._of_older_code, self._never_made = OfOlderCode(days), NeverMade(days)

    def recorded(self) -> tuple[object, ...]:
        """A value that changes whenever the input of the conditions does, except for the files of days."""
        return self._days.recorded(), self._days.todays(datetime.now(UTC))

    def newest_day(self, graph: BaseAssetGraph, name: str, now: datetime) -> date:
        """The day that the newest report is as of."""
        with self._days.looking(now):
            return self._days.newest(graph, name, now)

    def sources_of(self, graph: BaseAssetGraph, name: str) -> list[Source]:
        """The sources that an asset is made from, however far up."""
        return self._days.sources_of(graph, name)

    def raw(self) -> AutomationCondition:
        """Makes each raw day whose pieces have changed since it was made. A quiet day is made, too: as an empty day.

        For a domain that is off, it makes no raw days, so nothing downstream is made either.
        """
        differs = self._out_of_date | self._missing
        return (_and_no_run_makes_it(differs) & ~self._backing_off & self._on).with_label("landed rows differ")

    def with_its_asset(self) -> AutomationCondition:
        """For a check: never requests anything, since the check runs with its asset.

        The check still needs a condition. Without any, Dagster names only the checks that must run with their asset,
        which would leave out the checks of all models in the run. Once one check has a condition, Dagster names all.
        """
        first = AutomationCondition.initial_evaluation()
        return (first & ~first).with_label("with its asset")

    def model(self, elsewhere: Sequence[AssetKey] = (), loose: Sequence[AssetKey] = ()) -> AutomationCondition:
        """Makes each day whose upstream days, by its partition mapping, have changed since it was made.

        The day joins the run of upstream days that are requested in the same tick. It waits for upstream days that
        will change but are not requested yet. It also waits for any request of an upstream asset that is made in
        another run: a model that it reads with partition offsets, or a seed, which has no days. Requesting a seed
        requests no day of its downstream models.

        Args:
            elsewhere: the upstream assets that are made in another run.
            loose: others that are made in another run, of which Dagster's mapping names more than is read: by key, by
                an open span, or where another model of the step reads other days of them.
        """
        return self._made_with_upstream(self._stale, elsewhere, loose)

    def published(self) -> AutomationCondition:
        """Copies each day whose tables have changed since they were copied, in the run that makes them.

        It does not wait for a table whose day failed: the others are copied, and that one stays as it was. While some
        tables of a day are requested and others are stale, it waits: the failed ones may depend on the requested ones.
        """
        asked = AutomationCondition.will_be_requested()
        there = AutomationCondition.any_deps_match(self._made | asked)
        not_all_asked = AutomationCondition.any_deps_match(asked) & AutomationCondition.any_deps_match(
            self._stale & ~asked
        )
        return (self._made_with_upstream(self._pending) & there & ~not_all_asked).with_label("tables differ")

    def _made_with_upstream(
        self,
        will_change: AutomationCondition,
        elsewhere: Sequence[AssetKey] = (),
        loose: Sequence[AssetKey] = (),
    ) -> AutomationCondition:
        asked, running = AutomationCondition.will_be_requested(), AutomationCondition.in_progress()
        requested = AutomationCondition.any_deps_match(asked)
        upstream_changes = AutomationCondition.any_deps_match(will_change & ~asked)
        pending_upstream: AutomationCondition = AutomationCondition.any_deps_match(running)
        if apart := [*elsewhere, *loose]:
            requested = requested.ignore(AssetSelection.assets(*apart))
            upstream_changes = upstream_changes.ignore(AssetSelection.assets(*apart))
        if elsewhere:
            others = AssetSelection.assets(*elsewhere)
            pending_upstream = pending_upstream | AutomationCondition.any_deps_match(will_change | asked).allow(others)
        if loose:
            pending_upstream = pending_upstream | self._waiting
        differs = self._out_of_date | self._missing | requested
        return (
            _and_no_run_makes_it(differs) & ~(upstream_changes | pending_upstream) & ~(self._backing_off & ~requested)
        ).with_label("inputs differ")

    def report(self) -> AutomationCondition:
        """Makes the newest day when its inputs or its code have changed: that takes a second, and needs no rollout.

        It waits for upstream days that will change by themselves, but not for failed ones: the report then says what
        it lacks.
        """
        pending_upstream = AutomationCondition.any_deps_match(
            self._pending | AutomationCondition.will_be_requested() | AutomationCondition.in_progress()
        )
        differs = self._out_of_date | self._of_older_code | self._missing
        return (self._newest & _and_no_run_makes_it(differs) & ~pending_upstream & ~self._backing_off).with_label(
            "newest report differs"
        )

    def view(self) -> AutomationCondition:
        """Makes a model without days when it is missing or its code has changed, once every table that it reads exists.

        It holds no rows: new rows require nothing, and changed code requires no rollout. While an upstream asset is
        being made, its inputs are unknown. A seed reads nothing: it is loaded when it is missing or its file has
        changed.
        """
        not_ready: AutomationCondition = AutomationCondition.any_deps_match(
            self._never_made | AutomationCondition.in_progress()
        )
        differs = self._out_of_date | self._of_older_code | self._missing
        return (_and_no_run_makes_it(differs) & ~not_ready & ~self._backing_off & self._on).with_label(
            "missing, or made by older code"
        )


def _and_no_run_makes_it(differs: AutomationCondition) -> AutomationCondition:
    """Evaluates `differs` twice: a run may end between the first evaluation and the check for runs in progress."""
    return differs & ~AutomationCondition.in_progress() & differs
