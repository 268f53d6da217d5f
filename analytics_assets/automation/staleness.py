"""Which days are not made from what there is: what is recorded, held against what should be.

It needs no memory: an old day is as good as the newest, a look that was missed changes nothing, and a day that is up to
date is never named. Only a day that failed is remembered (`state/attempts`), so that it is not asked for at every look.
"""

from collections.abc import Callable, Iterable, Mapping, Set
from datetime import date, datetime, timedelta

from dagster import AssetKey

from analytics_assets.automation.graph import linked_assets, upstream_by_asset, views_by_asset
from analytics_assets.automation.versions import input_versions
from analytics_assets.dagster_internals import BaseAssetGraph
from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import EVER, WHOLE, Offsets, Window, partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import Catalog, name_of
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state.attempts import KILLED, Attempts
from analytics_assets.state.builds import Builds, builds_of, days_without_partition, recorded_builds
from analytics_assets.state.ledger import Ledger, wanted_versions

MAY_GO_ON = timedelta(hours=1)
"""So long an attempt of which no end is known holds a report up, and no longer."""


class Days:
    """What the days of the assets should be made from, and which of them are not."""

    def __init__(self, settings: Settings, sources: Iterable[Source], catalog: Catalog) -> None:
        self._settings, self._catalog = settings, catalog
        self._sources = {source.raw_asset: source for source in sources}
        self._tick: tuple[object, ...] = ()
        self._unsettled: dict[str, set[date]] = {}
        self._stuck: dict[str, set[date]] = {}
        self._off: set[str] | None = None

    def inputs(self, name: str, upstream: Mapping[str, Offsets], window: Window) -> Mapping[date, str]:
        """What each day of an asset should be made from now.

        Of the first day that is different while the asset holds days that have no partition: its run takes them out.
        """
        found: Mapping[date, str]
        if name in self._sources:
            found = wanted_versions(Ledger(self._settings.lake_dir), self._sources[name], window)
        else:
            found = input_versions(upstream, window, recorded_builds(self._catalog, self._settings))
        first = self._settings.start_date
        if first in found and days_without_partition(self._catalog[name], self._settings):
            return {**found, first: digest([found[first], "days without a partition"])}
        return found

    def _builds(self, name: str) -> Builds:
        return builds_of(self._catalog[name], self._settings)

    def out_of_date(self, name: str, upstream: Mapping[str, Offsets], window: Window) -> set[date]:
        """The days that were never made, are gone, or were made from other inputs than there are now."""
        inputs, builds = self.inputs(name, upstream, window), self._builds(name)
        built = builds.read_what_is_there(name, window)
        return {day for day in window.days() if day not in built or built[day].inputs != inputs[day]}

    def of_older_code(self, name: str, code: str, window: Window) -> set[date]:
        """The days that were made by other code than there is now."""
        return {day for day, build in self._builds(name).read(name, window).items() if build.code != code}

    def off(self, graph: BaseAssetGraph, now: datetime) -> Set[str]:
        """The assets for which nothing ever landed, nor for any that they are linked with.

        They would be made of empty days, if a domain is there that nobody uses. The first file turns them on.
        """
        self._begin_tick(graph, now)
        if self._off is None:
            ledger, linked = Ledger(self._settings.lake_dir), linked_assets(graph)
            on, off = set[str](), set[str]()
            for name, source in self._sources.items():
                (on if ledger.has_landed(source) else off).update(linked[name])
            self._off = off - on
        return self._off

    def made(self, name: str, window: Window) -> set[date]:
        """The days that are recorded as made."""
        return set(self._builds(name).read(name, window))

    def is_made(self, name: str) -> bool:
        """Whether any day of an asset was made: then its table is there."""
        return bool(self._builds(name).read(name, EVER))

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
            waiting = {name_of(key) for one in waiting for key in graph.get(AssetKey(one)).parent_keys} - above
        return [source for name, source in self._sources.items() if name in above]

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
