"""Finds the days that are out of date: what each was made from is compared with what it should be made from.

The comparison needs no memory: an old day is as good as the newest, a missed tick changes nothing, and a day that is up
to date is never requested. Only failed days are remembered (`state/attempts`), so that not every tick requests them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import RLock
from typing import TypeVar

from dagster import AssetKey

from analytics_assets.automation.graph import linked_assets, upstream_by_asset, views_by_asset
from analytics_assets.automation.versions import input_versions
from analytics_assets.dagster_internals import BaseAssetGraph
from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import EVER, WHOLE, PartitionOffsets, Window, partitioned_days
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import Catalog, name_of
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state.attempts import KILLED, Attempts
from analytics_assets.state.builds import Builds, builds_of, days_without_partition, has_files, recorded_builds
from analytics_assets.state.ledger import Ledger, wanted_versions

_Found = TypeVar("_Found")

MAY_GO_ON = timedelta(hours=1)
"""How long an unfinished attempt may hold up a report."""


@dataclass(frozen=True)
class _Graph:
    """What is asked of a graph for each of its assets, found out once: what each reads, and what it is linked with."""

    graph: BaseAssetGraph
    upstream: Mapping[str, Mapping[str, PartitionOffsets]]
    views: Mapping[str, Mapping[str, PartitionOffsets]]
    linked: Mapping[str, frozenset[str]]


class Days:
    """What the days of the assets should be made from, and which of them are not.

    What was found out is kept until what is recorded changes. The files of days, which somebody may delete, are looked
    at once a tick.
    """

    def __init__(self, settings: Settings, sources: Iterable[Source], catalog: Catalog) -> None:
        self._settings, self._catalog = settings, catalog
        self._sources = {source.raw_asset: source for source in sources}
        self._stores = list({asset.kind: asset for asset in catalog.values()}.values())  # a kind has one store
        self._attempts = Attempts(settings.lake_dir)
        self._ledger = Ledger(settings.lake_dir)
        self._known_graph: _Graph | None = None
        self._state: tuple[object, ...] = ()
        self._tick: datetime | None = None
        self._lock = RLock()
        self._kept: dict[tuple[object, ...], tuple[object, ...]] = {}
        self._kept_for_tick: dict[tuple[object, ...], tuple[object, ...]] = {}

    # ---------------------------------------------------------------------------------------------- what is kept

    @contextmanager
    def looking(self, now: datetime) -> Iterator[None]:
        """One look at a time, at what is recorded now: what was kept of another state is forgotten.

        The state is told before anything is read: what changes in between is read anew at the next look.
        """
        with self._lock:
            self._begin(now)
            yield

    def recorded(self) -> tuple[object, ...]:
        """Differs after each change of what is recorded."""
        stores = [builds_of(asset, self._settings).state() for asset in self._stores]
        return self._ledger.state(), self._attempts.state(), *stores

    def _begin(self, now: datetime) -> None:
        state = self.recorded()
        if state != self._state:
            self._state = state
            self._kept.clear()
            self._kept_for_tick.clear()
        if now != self._tick:
            self._tick = now
            self._kept_for_tick.clear()

    def _keeping(self, *what: object, for_tick: bool = False, find: Callable[[], _Found]) -> _Found:
        kept = self._kept_for_tick if for_tick else self._kept
        if what not in kept:
            kept[what] = (find(),)
        return kept[what][0]  # type: ignore[return-value]

    def _of(self, graph: BaseAssetGraph) -> _Graph:
        if self._known_graph is None or self._known_graph.graph is not graph:
            self._known_graph = _Graph(graph, upstream_by_asset(graph), views_by_asset(graph), linked_assets(graph))
            self._kept.clear()
            self._kept_for_tick.clear()
        return self._known_graph

    # ---------------------------------------------------------------------------------------------- what is found

    def inputs(self, name: str, upstream: Mapping[str, PartitionOffsets], window: Window) -> Mapping[date, str]:
        """What each day of an asset should be made from now, as a hash.

        While the asset holds days without a partition, its first day has another hash, so that its next run removes
        them.
        """
        found: Mapping[date, str]
        if name in self._sources:
            found = wanted_versions(self._ledger, self._sources[name], window)
        else:
            found = input_versions(upstream, window, recorded_builds(self._catalog, self._settings))
        first = self._settings.start_date
        if first in found and days_without_partition(self._catalog[name], self._settings):
            return {**found, first: digest([found[first], "days without a partition"])}
        return found

    def _builds(self, name: str) -> Builds:
        return builds_of(self._catalog[name], self._settings)

    def out_of_date(self, name: str, upstream: Mapping[str, PartitionOffsets], window: Window) -> set[date]:
        """The days that were never made, are gone, or were made from other inputs than there are now."""
        inputs, builds = self.inputs(name, upstream, window), self._builds(name)
        built = builds.read_what_is_there(name, window)
        return {day for day in window.days() if day not in built or built[day].inputs != inputs[day]}

    def out_of_date_now(self, graph: BaseAssetGraph, name: str, now: datetime) -> Set[date]:
        """Those of all days of an asset, as of a tick."""
        window, upstream = self._days_and_upstream(graph, name, now)
        inputs = self._keeping("inputs", name, window, find=lambda: self.inputs(name, upstream, window))

        def find() -> set[date]:
            built = self._builds(name).read_what_is_there(name, window)
            return {day for day in window.days() if day not in built or built[day].inputs != inputs[day]}

        return self._keeping("out of date", name, window, for_tick=has_files(self._catalog[name].kind), find=find)

    def of_older_code(self, name: str, code: str, window: Window) -> set[date]:
        """The days that were made by other code than there is now."""

        def find() -> set[date]:
            return {day for day, build in self._builds(name).read(name, window).items() if build.code != code}

        return self._keeping("older code", name, code, window, find=find)

    def off(self, graph: BaseAssetGraph) -> Set[str]:
        """The assets for which nothing ever landed, nor for any that they are linked with.

        They would be made of empty days, if a domain is there that nobody uses. The first file turns them on.
        """

        def find() -> set[str]:
            on, off = set[str](), set[str]()
            for name, source in self._sources.items():
                (on if self._ledger.has_landed(source) else off).update(self._of(graph).linked[name])
            return off - on

        return self._keeping("off", find=find)

    def made(self, name: str, window: Window) -> set[date]:
        """The days that are recorded as made."""
        return self._keeping("made", name, window, find=lambda: set(self._builds(name).read(name, window)))

    def is_made(self, name: str) -> bool:
        """Whether any day of an asset was made: then its table is there."""
        return bool(self.made(name, EVER))

    def stale(self, graph: BaseAssetGraph, name: str, now: datetime) -> set[date]:
        """The days that are out of date, or are made from days that are, however far up: they will change.

        What has no days will also change where older code made it: that is made anew without anybody's doing.
        """

        def find() -> set[date]:
            window, _ = self._days_and_upstream(graph, name, now)
            found = set(self.out_of_date_now(graph, name, now))
            if window == WHOLE:
                found |= self.of_older_code(name, graph.get(AssetKey(name)).code_version or "", window)
            above = self._above(graph, name, now, lambda parent: self.stale(graph, parent, now))
            return (found | above) & set(window.days())

        return self._keeping("stale", name, for_tick=True, find=find)

    def failed_upstream(self, graph: BaseAssetGraph, name: str, now: datetime) -> set[date]:
        """The days that failed and are not yet due, or are made from days that are, however far up.

        An attempt that has not ended looks like one that was killed; while it is young it is taken to go on.
        """

        def find() -> set[date]:
            window, upstream = self._days_and_upstream(graph, name, now)
            attempts = self._attempts.read(name, window)
            going_on = {d for d, a in attempts.items() if a.reason == KILLED and now - a.tried_at < MAY_GO_ON}
            code = graph.get(AssetKey(name)).code_version or ""
            found = self.backing_off(name, upstream, code, window, now) - going_on
            above = self._above(graph, name, now, lambda parent: self.failed_upstream(graph, parent, now))
            return (found | above) & set(window.days())

        return self._keeping("failed upstream", name, for_tick=True, find=find)

    def _days_and_upstream(
        self, graph: BaseAssetGraph, name: str, now: datetime
    ) -> tuple[Window, Mapping[str, PartitionOffsets]]:
        """All days of an asset, WHOLE where it has none, and what it reads."""
        known = self._of(graph)
        if name in known.upstream:
            return partitioned_days(self._settings, now), known.upstream[name]
        return WHOLE, known.views[name]

    def _above(
        self, graph: BaseAssetGraph, name: str, now: datetime, days_of: Callable[[str], Iterable[date]]
    ) -> set[date]:
        """The days of an asset that are made from some days of what it reads; a view holds no rows of any day."""
        window, upstream = self._days_and_upstream(graph, name, now)
        if window == WHOLE:
            upstream = {parent: offsets for parent, offsets in upstream.items() if parent in self._of(graph).views}
        return _downstream(upstream, days_of)

    def newest(self, graph: BaseAssetGraph, name: str, now: datetime) -> date:
        """The newest day on which any facts landed that an asset is made from; yesterday where there are none."""

        def find() -> date:
            sources = (source for source in self.sources_of(graph, name) if source.kind is Kind.FACTS)
            days = [self._ledger.newest_day(source, window) for source in sources]
            return max((day for day in days if day), default=max(window.days()))

        window = partitioned_days(self._settings, now)
        return self._keeping("newest", name, window, find=find)

    def sources_of(self, graph: BaseAssetGraph, name: str) -> list[Source]:
        """The sources that an asset is made from, however far up."""
        above, waiting = set(), {name}
        while waiting:
            above |= waiting
            waiting = {name_of(key) for one in waiting for key in graph.get(AssetKey(one)).parent_keys} - above
        return [source for name, source in self._sources.items() if name in above]

    def backing_off(
        self, name: str, upstream: Mapping[str, PartitionOffsets], code: str, window: Window, now: datetime
    ) -> set[date]:
        """The days that failed with these very inputs and this code, and whose time to be tried again has not come."""
        attempts = self._attempts.read(name, window)
        if not attempts:
            return set()
        inputs = self.inputs(name, upstream, window)
        return {
            day
            for day, attempt in attempts.items()
            if (attempt.build.inputs, attempt.build.code) == (inputs[day], code)
            and ((next_at := attempt.next_at()) is None or next_at > now)
        }

    def backing_off_now(self, graph: BaseAssetGraph, name: str, now: datetime) -> Set[date]:
        """Those of all days of an asset, as of a tick."""
        window, upstream = self._days_and_upstream(graph, name, now)
        code = graph.get(AssetKey(name)).code_version or ""
        return self._keeping(
            "backing off", name, for_tick=True, find=lambda: self.backing_off(name, upstream, code, window, now)
        )


def _downstream(upstream: Mapping[str, PartitionOffsets], days_of: Callable[[str], Iterable[date]]) -> set[date]:
    """The days that are made from some days of the upstream assets."""
    return {
        day
        for parent, offsets in upstream.items()
        for above in days_of(parent)
        for day in offsets.downstream_of(Window.of_days(above, above)).days()
    }
