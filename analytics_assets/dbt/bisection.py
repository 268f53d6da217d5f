"""Finds the days that make a run of several models fail: a failed range is halved and retried, down to single days.

This module decides only the order of the tries, by names and days; the caller supplies the function that makes a part.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from analytics_assets.partitions import Read, Upstream, Window, assets_of, by_day, contiguous, downstream_days


@dataclass(frozen=True)
class Verdict:
    """The result of one asset in the run of a part.

    Attributes:
        failed: the days that failed, each with its reason; all other days of the part were made.
        halve: whether the part failed as a whole, and some of its days may succeed in a smaller part.
    """

    failed: Mapping[date, str] = field(default_factory=dict)
    halve: bool = False


Make = Callable[[Sequence[str], Window], Mapping[str, Verdict]]
"""Makes some days of some assets; returns a verdict on each asset that was reached.

Assets downstream of a failed one are not reached. The first asset always is."""


def halves(window: Window) -> list[Window]:
    """Splits a window of at least two days into two, the older one first."""
    middle = window.start + (window.end - window.start) // 2
    return [Window(window.start, middle), Window(middle, window.end)]


def make_by_halves(
    names: Sequence[str], upstream: Upstream, window: Window, make: Make
) -> Iterator[tuple[str, Window, Verdict]]:
    """Makes a window of some assets in as few runs as possible, and yields each part that needs no further run.

    If nothing fails, that is one run. For k bad days out of n, it is about 2 k log2(n) more. Days downstream of a
    failed day are not tried and get no verdict.

    Args:
        names: the assets, upstream assets first.
        upstream: what they read; upstream assets that are not in `names` are ignored.
    """
    pending = {name: [window] for name in names}
    unmade: dict[str, set[date]] = {name: set() for name in names}
    while run := _next_run(pending, upstream, unmade):
        taken, part = run
        verdicts = make(taken, part)
        for name in taken:
            verdict = verdicts.get(name)
            if verdict is None:
                continue  # wait until the failed days upstream are known
            pending[name].remove(part)
            if verdict.halve:
                pending[name] += halves(part)
            else:
                unmade[name] |= verdict.failed.keys()
                yield name, part, verdict


def _next_run(
    pending: dict[str, list[Window]],
    upstream: Upstream,
    unmade: dict[str, set[date]],
) -> tuple[list[str], Window] | None:
    """The first part of the first asset that waits for no other, and all assets that can be made in the same run."""
    taken: list[str] = []
    part: Window | None = None
    for name in pending:
        read = [parent for parent in assets_of(upstream[name]) if parent in pending]
        if not any(pending[parent] for parent in read):
            _leave_out(name, pending, upstream[name], unmade)
        is_ready = all(not pending[parent] or (parent in taken and pending[parent] == [part]) for parent in read)
        if is_ready and pending[name] and part in (None, *pending[name]):
            part = part or pending[name][0]
            taken.append(name)
    return (taken, part) if part else None


def _leave_out(
    name: str, pending: dict[str, list[Window]], reads: Sequence[Read], unmade: dict[str, set[date]]
) -> None:
    """Removes from an asset's pending days those whose whole upstream days were not made."""
    if not pending[name]:
        return
    within = Window(min(part.start for part in pending[name]), max(part.end for part in pending[name]))
    if tied := downstream_days(by_day(reads), lambda parent: unmade.get(parent, ()), within):
        unmade[name] |= {day for part in pending[name] for day in part.days() if day in tied}
        pending[name] = [
            span for part in pending[name] for span in contiguous(day for day in part.days() if day not in tied)
        ]
