"""When a day is made again: the named automation conditions. Late data lives here.

A condition compares what is with what should be (`versions`). So it needs no memory: an old day is as good as the
newest, a tick that was missed changes nothing, and a day that is up to date is never asked for.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from dagster import AssetKey, AutomationCondition, AutomationContext, AutomationResult
from dagster._core.definitions.events import AssetKeyPartitionKey

from analytics_assets.ingest.ledger import Ledger, wanted_versions
from analytics_assets.ingest.source import Source
from analytics_assets.partitions import Window
from analytics_assets.settings import Settings
from analytics_assets.versions import RAW_PREFIX, Offsets, builds_of, input_versions, offsets_of, recorded_builds


def days_out_of_date(
    name: str,
    upstream: Mapping[str, Offsets],
    window: Window,
    settings: Settings,
    sources: Mapping[str, Source],
) -> set[date]:
    """The days of an asset that were never made, or were made from other inputs than there are now."""
    if name.startswith(RAW_PREFIX):
        inputs = wanted_versions(Ledger(settings.lake_dir), sources[name.removeprefix(RAW_PREFIX)], window)
    else:
        inputs = input_versions(upstream, window, recorded_builds(settings))
    built = builds_of(name, settings).read(name, window)
    return {day for day in window.days() if day not in built or built[day].inputs != inputs[day]}


class OutOfDate(AutomationCondition[AssetKey]):
    """True for the days that were never made, or were made from other inputs than there are now."""

    def __init__(self, settings: Settings, sources: Mapping[str, Source]) -> None:
        self._settings, self._sources = settings, sources

    @property
    def name(self) -> str:
        """How the condition is called in the UI."""
        return "out_of_date"

    def evaluate(self, context: AutomationContext[AssetKey]) -> AutomationResult[AssetKey]:
        """The candidates that are out of date; of an asset without partitions, nothing."""
        keys = sorted(context.candidate_subset.expensively_compute_partition_keys()) if context.partitions_def else []
        if not keys:
            return AutomationResult(context, context.get_empty_subset())
        window = Window.of_days(date.fromisoformat(keys[0]), date.fromisoformat(keys[-1]))
        node = context.asset_graph.get(context.key)
        upstream = {
            parent.path[-1]: offsets_of(node.partition_mappings.get(parent)) for parent in sorted(node.parent_keys)
        }
        days = days_out_of_date(context.key.path[-1], upstream, window, self._settings, self._sources)
        wanted = {AssetKeyPartitionKey(context.key, day.isoformat()) for day in days}
        true_subset = context.asset_graph_view.get_asset_subset_from_asset_partitions(context.key, wanted)
        return AutomationResult(context, true_subset)


class Automation:
    """The conditions, for a set of sources."""

    def __init__(self, settings: Settings, sources: Iterable[Source]) -> None:
        self._out_of_date = OutOfDate(settings, {source.name: source for source in sources})

    def raw(self) -> AutomationCondition:
        """Makes each raw day whose pieces are not those that it was made from; quiet days too, as empty ones."""
        return ((self._out_of_date | AutomationCondition.missing()) & ~AutomationCondition.in_progress()).with_label(
            "landed rows differ"
        )

    def check_of_raw(self) -> AutomationCondition:
        """Never asks by itself: the check is made with its raw day.

        It has to have a condition all the same. Dagster asks for the checks of a run either by naming those that must
        be made with their asset, which would leave out the checks of all models in the run, or, once one of them has
        a condition, by naming every check.
        """
        first = AutomationCondition.initial_evaluation()
        return (first & ~first).with_label("with its raw day")

    def model(self) -> AutomationCondition:
        """Makes each day whose upstream days, by its partition mapping, are not those that it was made from.

        It goes along in one run with upstream days that are asked for in the same tick, and it waits for upstream
        days that are themselves out of date and are not.
        """
        requested = AutomationCondition.will_be_requested()
        upstream_is_late = AutomationCondition.any_deps_match(
            (self._out_of_date & ~requested) | AutomationCondition.in_progress()
        )
        return (
            (self._out_of_date | AutomationCondition.missing() | AutomationCondition.any_deps_match(requested))
            & ~AutomationCondition.in_progress()
            & ~upstream_is_late
        ).with_label("inputs differ")
