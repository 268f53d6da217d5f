"""Finds the days that are out of date: compares the inputs that each day was made from with its current inputs.

The comparison needs no memory: old days are treated like new ones, a missed tick changes nothing, and an up-to-date day
is never requested. Only failed days are remembered (`state/attempts`), so that not every tick requests them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
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
from analytics_assets.partitions import (
    EVER,
    UTC_DAYS,
    WHOLE,
    Read,
    Upstream,
    Window,
    by_day,
    by_key,
    downstream_days,
    is_exact,
    partitioned_days,
)
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import AssetKind, Catalog, name_of
from analytics_assets.spec.source import Kind, Source
from analytics_assets.state.attempts import KILLED, Attempts
from analytics_assets.state.builds import Build, Builds, builds_of, days_without_partition, has_files, recorded_builds
from analytics_assets.state.ledger import Ledger, wanted_versions

_Found = TypeVar("_Found")

MAY_GO_ON = timedelta(hours=1)
"""How long an unfinished attempt may hold up a report."""


@dataclass(frozen=True)
class _Graph:
    """What is derived from a graph, once: the upstream assets of each asset, and the assets that it is linked to."""

    graph: BaseAssetGraph
    upstream: Upstream
    views: Upstream
    linked: Mapping[str, frozenset[str]]


class Days:
    """The current inputs of the assets' days, and the days that were made from others.

    Results are cached until a record changes. The files of days are looked at once a tick, since somebody may delete
    them.
    """

    def __init__(self, settings: Settings, sources: Iterable[Source], catalog: Catalog) -> None:
        self._settings, self._catalog = settings, catalog
        self._sources = {source.raw_asset: source for source in sources}
        self._calendars = {UTC_DAYS, *(asset.calendar for asset in catalog.values())}
        records = [builds_of(asset, settings) for asset in catalog.values()]
        self._stores = list({one.place: one for one in records}.values())  # many assets share a store
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
        """Lets one thread look at a time, and drops results that were cached for an older state.

        The state is read before anything else: the next look notices what changes in between.
        """
        with self._lock:
            self._begin(now)
            yield

    def recorded(self) -> tuple[object, ...]:
        """A value that changes whenever a record does."""
        return self._ledger.state(), self._attempts.state(), *(store.state() for store in self._stores)

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

    def inputs(self, name: str, reads: Sequence[Read], window: Window) -> Mapping[date, str]:
        """The current inputs of each day of an asset, as a hash.

        While the asset holds days without a partition, its first day has another hash, so that its next run removes
        them.
        """
        found: Mapping[date, str]
        if name in self._sources:
            found = wanted_versions(self._ledger, self._sources[name], window)
        else:
            keys = self._builds(name).key_versions(name, window) if by_key(reads) else None
            found = input_versions(reads, window, recorded_builds(self._catalog, self._settings), keys)
        first = self._catalog[name].calendar.first_day(self._settings)
        if first in found and days_without_partition(self._catalog[name], self._settings):
            return {**found, first: digest([found[first], "days without a partition"])}
        return found

    def _builds(self, name: str) -> Builds:
        return builds_of(self._catalog[name], self._settings)

    def _inputs_now(self, graph: BaseAssetGraph, name: str, now: datetime) -> Mapping[date, str]:
        """`inputs` for all days of an asset, as of a tick."""
        window, reads = self._days_and_reads(graph, name, now)
        return self._keeping("inputs", name, window, find=lambda: self.inputs(name, reads, window))

    def out_of_date_now(self, graph: BaseAssetGraph, name: str, now: datetime) -> Set[date]:
        """The days that were never made, are gone, or were made from inputs that have changed since, as of a tick."""
        window, _ = self._days_and_reads(graph, name, now)
        inputs = self._inputs_now(graph, name, now)

        def find() -> set[date]:
            built = self._builds(name).read_what_is_there(name, window)
            return {day for day in window.days() if day not in built or built[day].inputs != inputs[day]}

        return self._keeping("out of date", name, window, for_tick=has_files(self._catalog[name].kind), find=find)

    def of_older_code(self, name: str, code: str, window: Window) -> set[date]:
        """The days that were made by other code than `code`."""

        def find() -> set[date]:
            return {day for day, build in self._builds(name).read(name, window).items() if build.code != code}

        return self._keeping("older code", name, code, window, find=find)

    def off(self, graph: BaseAssetGraph) -> Set[str]:
        """The assets for which nothing has ever landed, and nothing for any asset that they are linked to.

        Without this, a domain that nobody uses would be made, all of empty days. The first file turns it on.
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

    def supposed(self, name: str, window: Window) -> set[date]:
        """The days that a plan supposes to be made."""
        return set(self._builds(name).supposed(name, window))

    def is_made(self, name: str) -> bool:
        """Whether any day of an asset is made: then its table exists."""
        return bool(self.made(name, EVER))

    def stale(self, graph: BaseAssetGraph, name: str, now: datetime) -> set[date]:
        """The days that are out of date, or have an upstream day that is, however far up: they will change.

        What is read by key counts unless it failed: a reader does not wait for that. An asset without days, and a
        report, is also stale when older code made it: it is made again by itself.
        """

        def find() -> set[date]:
            window, _ = self._days_and_reads(graph, name, now)
            found = set(self.out_of_date_now(graph, name, now))
            if window == WHOLE or self._is_report(name):
                found |= self.of_older_code(name, graph.get(AssetKey(name)).code_version or "", window)
            above = self._above(graph, name, now, lambda parent: self.stale(graph, parent, now))
            return found | above | self.waiting(graph, name, now)

        return self._keeping("stale", name, for_tick=True, find=find)

    def failed_upstream(self, graph: BaseAssetGraph, name: str, now: datetime) -> set[date]:
        """The days that are backing off, or have an upstream day that is, however far up.

        An attempt that has not ended looks like a killed one; while it is younger than MAY_GO_ON, it counts as running.
        """

        def find() -> set[date]:
            window, _ = self._days_and_reads(graph, name, now)
            attempts = self._attempts.read(name, window)
            going_on = {d for d, a in attempts.items() if a.reason == KILLED and now - a.tried_at < MAY_GO_ON}
            found = set(self.backing_off_now(graph, name, now)) - going_on
            above = self._above(graph, name, now, lambda parent: self.failed_upstream(graph, parent, now))
            return found | above

        return self._keeping("failed upstream", name, for_tick=True, find=find)

    def partitioned(self, name: str, now: datetime) -> Window:
        """All days of an asset that have a partition."""
        known = self._catalog.get(name)  # a domain may have assets of its own making
        return partitioned_days(self._settings, now, known.calendar if known else UTC_DAYS)

    def requestable(self, graph: BaseAssetGraph, name: str, now: datetime) -> Window:
        """All days of an asset that may be requested: of a report the newest; WHOLE if it has none."""
        return self._days_and_reads(graph, name, now)[0]

    def todays(self, now: datetime) -> frozenset[date]:
        """The dates that it is now, in the time zones of the assets' days."""
        return frozenset(calendar.today(now) for calendar in self._calendars)

    def _days_and_reads(self, graph: BaseAssetGraph, name: str, now: datetime) -> tuple[Window, Sequence[Read]]:
        """All days of an asset (WHOLE if it has none), and what it reads."""
        known = self._of(graph)
        if name in known.upstream:
            if self._catalog[name].kind is AssetKind.REPORT:  # only the newest is ever requested
                newest = self.newest(graph, name, now)
                return Window.of_days(newest, newest), known.upstream[name]
            return self.partitioned(name, now), known.upstream[name]
        return WHOLE, known.views[name]

    def waiting(self, graph: BaseAssetGraph, name: str, now: datetime) -> set[date]:
        """The days that wait for upstream assets of which Dagster's mapping names more than is read.

        They wait for whole days that are stale. By key, they wait for pending ones only: one failed day would hold up
        every reader of all days for ever.
        """

        def find() -> set[date]:
            window, reads = self._days_and_reads(graph, name, now)
            mappings = graph.get(AssetKey(name)).partition_mappings
            loose = [read for read in reads if not is_exact(mappings.get(AssetKey(read.asset)), reads, read.asset)]
            if any(not self.is_made(read.asset) for read in by_key(loose)):  # there is no table to look into
                return set(window.days())
            by_stale = downstream_days(by_day(loose), lambda parent: self.stale(graph, parent, now), window)
            return by_stale | downstream_days(by_key(loose), lambda parent: self.pending(graph, parent, now), window)

        return self._keeping("waiting", name, for_tick=True, find=find)

    def pending(self, graph: BaseAssetGraph, name: str, now: datetime) -> set[date]:
        """The days that will change by themselves: stale ones, except those that failed upstream."""
        return self.stale(graph, name, now) - self.failed_upstream(graph, name, now)

    def _above(
        self, graph: BaseAssetGraph, name: str, now: datetime, days_of: Callable[[str], Iterable[date]]
    ) -> set[date]:
        """The days of an asset downstream of whole days of its upstream assets; a view holds no rows of any day."""
        window, reads = self._days_and_reads(graph, name, now)
        if window == WHOLE:
            reads = [read for read in reads if read.asset in self._of(graph).views]
        return downstream_days(by_day(reads), days_of, window)

    def newest(self, graph: BaseAssetGraph, name: str, now: datetime) -> date:
        """The newest day with landed facts that an asset is made from; the last partition if there are none.

        Reports that show the same analysis are as of one day, and so is the analysis.
        """

        def find() -> date:
            names = self._as_of_one_day(graph, name)
            sources = (
                source for one in names for source in self.sources_of(graph, one) if source.kind is not Kind.SNAPSHOT
            )
            days = [self._ledger.newest_day(source, window) for source in sources]
            return max((day for day in days if day), default=max(window.days()))

        window = self.partitioned(name, now)
        return self._keeping("newest", name, window, find=find)

    def _as_of_one_day(self, graph: BaseAssetGraph, name: str) -> Set[str]:
        """An asset; with a report, all reports that are linked to it, up or down, through reports alone."""
        found, waiting = set[str](), {name}
        while waiting:
            found |= waiting
            nodes = [graph.get(AssetKey(one)) for one in waiting if self._is_report(one)]
            linked = {name_of(key) for node in nodes for key in node.parent_keys | node.child_keys}
            waiting = {one for one in linked if self._is_report(one)} - found
        return found

    def _is_report(self, name: str) -> bool:
        return name in self._catalog and self._catalog[name].kind is AssetKind.REPORT

    def sources_of(self, graph: BaseAssetGraph, name: str) -> list[Source]:
        """The sources that an asset is made from, however far up."""
        above, waiting = set(), {name}
        while waiting:
            above |= waiting
            waiting = {name_of(key) for one in waiting for key in graph.get(AssetKey(one)).parent_keys} - above
        return [source for name, source in self._sources.items() if name in above]

    def backing_off_now(self, graph: BaseAssetGraph, name: str, now: datetime) -> Set[date]:
        """The days that failed with their current inputs and code, and whose next attempt is not due, as of a tick."""
        window, _ = self._days_and_reads(graph, name, now)
        code = graph.get(AssetKey(name)).code_version or ""

        def find() -> set[date]:
            attempts = self._attempts.read(name, window)
            inputs = self._inputs_now(graph, name, now) if attempts else {}
            return {
                day
                for day, attempt in attempts.items()
                if attempt.build == Build(inputs[day], code)
                and ((next_at := attempt.next_at()) is None or next_at > now)
            }

        return self._keeping("backing off", name, for_tick=True, find=find)
