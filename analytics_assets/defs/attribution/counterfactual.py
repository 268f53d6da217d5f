"""Attribution by comparison: how much more often paths convert than those that have all their channels but one.

Source: the difference in conversion with and without a channel, given the other channels, as in Dalessandro, Perlich,
Stitelman and Provost, Causally motivated attribution for online advertising, ADKDD (2012). There it is averaged over
all orders in which channels could be added; here the channel is taken out of what the path has in the end.

With S as the set of the channels of a path, n(S) as the number of paths of that set, converting or not, and v(S) as the
share of them that converted (0 for the empty set, and for a set that no path has):

    effect of c = Σ over the sets S with c of n(S) × max(0, v(S) - v(S without c))

These are the conversions that would be missing if such paths converted as those without c do. The conversions are
divided in proportion to them. Order and repeats of touches make no difference.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from analytics_assets.defs.attribution.paths import Numbers, Paths, shares_of

_Places = NDArray[np.int64]


@dataclass(frozen=True)
class Sets:
    """The sets of channels that paths have; the counts come with the paths."""

    paths: Paths

    @cached_property
    def _of_paths(self) -> tuple[dict[frozenset[str], int], _Places]:
        """The place of each set, and that of each path's."""
        places: dict[frozenset[str], int] = {}
        return places, np.array(
            [places.setdefault(frozenset(path), len(places)) for path in self.paths.paths], np.int64
        )

    @cached_property
    def _pairs(self) -> tuple[_Places, _Places, _Places]:
        """Each set and channel of it: the places of the set, of the set without the channel, and of the channel.

        The place of a set that no path has is one behind the last.
        """
        places, _ = self._of_paths
        channels = {channel: place for place, channel in enumerate(self.paths.channels)}
        pairs = [
            (place, places.get(one - {channel}, len(places)), channels[channel])
            for one, place in places.items()
            for channel in sorted(one)
        ]
        sets, without, channel = np.array(pairs, dtype=np.int64).reshape(len(pairs), 3).T
        return sets, without, channel

    def effects(self, paths: Paths) -> Numbers:
        """The effect of each channel, in conversions; none is negative.

        Args:
            paths: those of the sets, counted in any way.
        """
        places, of_path = self._of_paths
        converting = np.bincount(of_path, paths.converting, minlength=len(places))
        whole = np.bincount(of_path, paths.converting + paths.others, minlength=len(places))
        rates = np.append(converting / np.where(whole > 0, whole, 1.0), 0.0)
        sets, without, channel = self._pairs
        gained = whole[sets] * np.maximum(rates[sets] - rates[without], 0.0)
        return np.bincount(channel, gained, minlength=len(self.paths.channels)).astype(np.float64)

    def shares(self, paths: Paths) -> Numbers:
        """The share of each channel in the conversions: its effect over the sum of all; linear where that is 0."""
        return shares_of(self.effects(paths), paths)
