"""The versions of each day's inputs, and whether they changed while a run read them.

Versions are states, not events: the next tick notices an update that arrives while a run is failing or in flight,
because the recorded inputs still differ from the current ones. `staleness` compares them.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from analytics_assets.foundation.hashes import digest
from analytics_assets.partitions import EVER, WHOLE, PartitionOffsets, Window
from analytics_assets.settings import Settings
from analytics_assets.spec.asset import Catalog
from analytics_assets.state.builds import ReadBuilds, builds_of


def input_versions(upstream: Mapping[str, PartitionOffsets], window: Window, read: ReadBuilds) -> dict[date, str]:
    """The inputs of each day of a window, given the names and partition offsets of an asset's upstream assets.

    Upstream days that are not built count as absent, so a day gets new inputs when one of them appears.
    """
    if window == WHOLE:
        codes = {f"{name} {build.code}" for name in upstream for build in read(name, EVER).values()}
        return {WHOLE.start: digest(sorted(codes))}
    builds_by_name = {name: read(name, offsets.upstream_of(window)) for name, offsets in sorted(upstream.items())}
    return {
        day: digest(
            f"{name} {upstream_day} {builds[upstream_day].version}"
            for name, builds in builds_by_name.items()
            for upstream_day in upstream[name].upstream_of(Window.of_days(day, day)).days()
            if upstream_day in builds
        )
        for day in window.days()
    }


class Inputs:
    """The upstream days that a run reads, as they were when it began: tells whether they were written meanwhile.

    A day is recorded with the inputs that it had before the run. Upstream rows that changed meanwhile and changed back
    would look the same at the end, and the day would count as up to date for ever.
    """

    def __init__(
        self,
        assets: Iterable[tuple[str, Mapping[str, PartitionOffsets]]],
        window: Window,
        catalog: Catalog,
        settings: Settings,
    ) -> None:
        """Must be created before anything is read.

        Args:
            assets: what the run makes, upstream first, each with its upstream assets.
        """
        self._assets, self._window = dict(assets), window
        self._catalog, self._settings = catalog, settings
        self._before = self._written()

    def _written(self) -> dict[tuple[str, date], str]:
        """When each day that the run reads but does not make was written. A day that is being written has no record."""
        if self._window == WHOLE:  # made from no rows
            return {}
        spans: dict[str, list[Window]] = {}
        for upstream in self._assets.values():
            for name, offsets in upstream.items():
                if name not in self._assets:
                    spans.setdefault(name, []).append(offsets.upstream_of(self._window))
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
        changed = {where for where in self._before.keys() | after.keys() if self._before.get(where) != after.get(where)}
        if not changed:
            return found
        for asset, upstream in self._assets.items():
            for day in self._window.days():
                if any(
                    (name, above) in changed or above in found.get(name, ())
                    for name, offsets in upstream.items()
                    for above in offsets.upstream_of(Window.of_days(day, day)).days()
                ):
                    found[asset].add(day)
        return found
