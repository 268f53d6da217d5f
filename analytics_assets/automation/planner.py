"""Which days of which assets belong into one run, and in which order the runs come. Pure functions."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import reduce

from analytics_assets.partitions import PartitionOffsets, Window

Upstream = Mapping[str, Mapping[str, PartitionOffsets]]
"""For each asset, those that it reads and how; every asset stands after those that it reads."""


@dataclass(frozen=True)
class PlannedRun:
    """Assets whose same days are made in one run; the window of those without days is WHOLE."""

    assets: tuple[str, ...]
    window: Window


def tied_windows(upstream: Upstream, selected: Set[str], window: Window, partitions: Window) -> dict[str, Window]:
    """The days of each selected asset that belong to a range: the range itself, what it is made from, what hangs on it.

    Args:
        window: the range that was asked for.
        partitions: all days that have a partition; no others are given back.
    """
    names = [name for name in upstream if name in selected]
    needed, changed = dict.fromkeys(names, window), dict.fromkeys(names, window)
    for name in reversed(names):
        for parent, offsets in upstream[name].items():
            if parent in needed:
                needed[parent] = _hull(needed[parent], offsets.upstream_of(needed[name]))
    for name in names:
        for parent, offsets in upstream[name].items():
            if parent in changed:
                changed[name] = _hull(changed[name], offsets.downstream_of(changed[parent]))
    found = {}
    for name in names:
        whole = _hull(needed[name], changed[name])
        found[name] = Window(max(whole.start, partitions.start), min(whole.end, partitions.end))
    return found


def same_window(windows: Mapping[str, Window]) -> dict[str, list[Window]]:
    """The days of some assets as the same days for all of them: a day more costs less than a run more."""
    if not windows:
        return {}
    whole = reduce(_hull, windows.values())
    return {name: [whole] for name in windows}


def _hull(one: Window, other: Window) -> Window:
    return Window(min(one.start, other.start), max(one.end, other.end))


def group_into_runs(upstream: Upstream, windows: Mapping[str, Sequence[Window]]) -> list[PlannedRun]:
    """As few runs as there can be, each with assets of one window, each after those that it reads from."""
    waiting = [(name, window) for name in upstream for window in windows.get(name, ())]
    runs = []
    while waiting:
        window = waiting[0][1]
        taken: list[str] = []
        blocked: set[str] = set()
        for name, its_window in waiting:
            if its_window == window and not blocked & set(upstream[name]) and name not in blocked:
                taken.append(name)
            else:
                blocked.add(name)
        runs.append(PlannedRun(tuple(taken), window))
        waiting = [(name, w) for name, w in waiting if not (w == window and name in taken)]
    return runs
