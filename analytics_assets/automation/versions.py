"""The versions of each day's inputs, and whether they changed while a run read them.

Versions are states, not events: the next tick notices an update that arrives while a run is failing or in flight,
because the recorded inputs still differ from the current ones. `staleness` compares them.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date

from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import EVER, WHOLE, Read, Window, assets_of, by_day, by_key, downstream_days
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import Catalog
from analytics_assets.state.builds import KeyVersions, ReadBuilds, builds_of


def input_versions(
    reads: Iterable[Read], window: Window, read: ReadBuilds, keys: KeyVersions | None = None
) -> dict[date, str]:
    """The inputs of each day of a window, given what an asset reads.

    Upstream days that are not built count as absent, so a day gets new inputs when one of them appears.

    Args:
        keys: the key versions of the days; what is read by key counts by them alone.
    """
    reads = list(reads)
    if window == WHOLE:
        codes = {f"{name} {build.code}" for name in assets_of(reads) for build in read(name, EVER).values()}
        return {WHOLE.start: digest(sorted(codes))}
    versions_of = [_versions_by_day(one, window, read) for one in sorted(by_day(reads), key=lambda one: one.asset)]
    keyed, keys = sorted(assets_of(by_key(reads))), keys or {}
    found = {}
    for day in window.days():
        found[day] = digest(text for versions in versions_of for text in versions(day))
        if held := [f"{name} {keys[day][name]}" for name in keyed if name in keys.get(day, ())]:
            found[day] += f" {digest(held)}"
    return found


def _versions_by_day(one: Read, window: Window, read: ReadBuilds) -> Callable[[date], Iterable[str]]:
    """A function from a day to the versions of the upstream days that it is made from."""
    builds = read(one.asset, one.days.upstream_of(window))
    if not one.days.is_open:
        return lambda day: (
            f"{one.asset} {above} {builds[above].version}"
            for above in one.days.upstream_of(Window.of_days(day, day)).days()
            if above in builds
        )
    # A digest of digests: each day costs the same, however many days it reads.
    days = sorted(builds, reverse=one.days.end is None)
    chain = [""]
    for above in days:
        chain.append(digest([chain[-1], str(above), builds[above].version]))
    if one.days.start is None and one.days.end is None:
        return lambda day: [f"{one.asset} {chain[-1]}"]

    def of_day(day: date) -> list[str]:
        span = one.days.upstream_of(Window.of_days(day, day))
        if one.days.start is None:
            return [f"{one.asset} {chain[bisect_left(days, span.end)]}"]
        return [f"{one.asset} {chain[bisect_right(days, -span.start.toordinal(), key=lambda it: -it.toordinal())]}"]

    return of_day


class Inputs:
    """The upstream days that a run reads, as they were when it began: tells whether they were written meanwhile.

    A day is recorded with the inputs that it had before the run. Upstream rows that changed meanwhile and changed back
    would look the same at the end, and the day would count as up to date for ever.
    """

    def __init__(
        self,
        assets: Iterable[tuple[str, Sequence[Read]]],
        window: Window,
        catalog: Catalog,
        settings: Settings,
    ) -> None:
        """Must be created before anything is read.

        Args:
            assets: what the run makes, upstream first, each with what it reads. What is read by key is left out: a
                change of it shows in the key versions.
        """
        self._assets, self._window = {name: by_day(reads) for name, reads in assets}, window
        self._catalog, self._settings = catalog, settings
        self._before = self._written()

    def _written(self) -> dict[tuple[str, date], str]:
        """When each day that the run reads but does not make was written. A day that is being written has no record."""
        if self._window == WHOLE:  # made from no rows
            return {}
        spans: dict[str, list[Window]] = {}
        for reads in self._assets.values():
            for read in reads:
                if read.asset not in self._assets:
                    spans.setdefault(read.asset, []).append(read.days.upstream_of(self._window))
        return {
            (name, day): written_at
            for name, windows in spans.items()
            if name in self._catalog
            for day, written_at in builds_of(self._catalog[name], self._settings)
            .written(name, Window(min(w.start for w in windows), max(w.end for w in windows)))
            .items()
        }

    def rewritten(self) -> dict[str, set[date]]:
        """By asset, the days of the run with an upstream day that was written since, however far up."""
        after, found = self._written(), {name: set[date]() for name in self._assets}
        written: dict[str, set[date]] = defaultdict(set)
        for name, day in self._before.keys() | after.keys():
            if self._before.get((name, day)) != after.get((name, day)):
                written[name].add(day)
        if written:
            for asset, reads in self._assets.items():
                found[asset] = downstream_days(
                    reads, lambda name: written.get(name, set()) | found.get(name, set()), self._window
                )
        return found
