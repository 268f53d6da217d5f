"""Which days make a run of several models fail: what fails for a range is tried on its halves, down to single days.

Only the order of the tries is decided here, by names and days; what makes a part is given.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from analytics_assets.partitions import PartitionOffsets, Window, contiguous


@dataclass(frozen=True)
class Verdict:
    """What became of an asset in the run of a part.

    Attributes:
        failed: the days that failed, each with its reason; all others of the part were made.
        halve: whether it failed for the part as a whole, of which fewer days may succeed.
    """

    failed: Mapping[date, str] = field(default_factory=dict)
    halve: bool = False


Make = Callable[[Sequence[str], Window], Mapping[str, Verdict]]
"""Makes some days of some assets; gives a verdict on each that was reached.

Assets that read a failed one are not reached. The first asset always is."""


def halves(window: Window) -> list[Window]:
    """A window of at least two days as two, the older one first."""
    middle = window.start + (window.end - window.start) // 2
    return [Window(window.start, middle), Window(middle, window.end)]


def make_by_halves(
    names: Sequence[str], upstream: Mapping[str, Mapping[str, PartitionOffsets]], window: Window, make: Make
) -> Iterator[tuple[str, Window, Verdict]]:
    """Makes a window of some assets in as few runs as it takes, and gives each part that needs no other run.

    When all goes well that is one run. For k bad days of n it is about 2 k log2(n) more. Days that are made from one
    that failed are not tried: no verdict is given on them.

    Args:
        names: every asset after those that it reads.
        upstream: how each reads the others; of those that are not in `names` nothing is known.
    """
    pending = {name: [window] for name in names}
    unmade: dict[str, set[date]] = {name: set() for name in names}
    while run := _next_run(pending, upstream, unmade):
        taken, part = run
        verdicts = make(taken, part)
        for name in taken:
            verdict = verdicts.get(name)
            if verdict is None:
                continue  # until what failed above it is known by day
            pending[name].remove(part)
            if verdict.halve:
                pending[name] += halves(part)
            else:
                unmade[name] |= verdict.failed.keys()
                yield name, part, verdict


def _next_run(
    pending: dict[str, list[Window]],
    upstream: Mapping[str, Mapping[str, PartitionOffsets]],
    unmade: dict[str, set[date]],
) -> tuple[list[str], Window] | None:
    """The first part of the first asset that waits for no other, with all assets that can be made in the same run."""
    taken: list[str] = []
    part: Window | None = None
    for name in pending:
        read = [parent for parent in upstream[name] if parent in pending]
        if not any(pending[parent] for parent in read):
            _leave_out(name, pending, upstream[name], unmade)
        is_ready = all(not pending[parent] or (parent in taken and pending[parent] == [part]) for parent in read)
        if is_ready and pending[name] and part in (None, *pending[name]):
            part = part or pending[name][0]
            taken.append(name)
    return (taken, part) if part else None


def _leave_out(
    name: str, pending: dict[str, list[Window]], upstream: Mapping[str, PartitionOffsets], unmade: dict[str, set[date]]
) -> None:
    """Takes the days from an asset that are made from days which were not made."""
    tied = {
        day
        for parent, offsets in upstream.items()
        for span in contiguous(unmade.get(parent, ()))
        for day in offsets.downstream_of(span).days()
    }
    if tied:
        unmade[name] |= {day for part in pending[name] for day in part.days() if day in tied}
        pending[name] = [
            span for part in pending[name] for span in contiguous(day for day in part.days() if day not in tied)
        ]
