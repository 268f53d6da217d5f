"""Attribution by a Markov chain: how many conversions would be missing if each touch of a channel ended its path.

Source: Anderl, Becker, von Wangenheim and Schumann, Mapping the customer journey: Lessons learned from graph-based
online attribution modeling, International Journal of Research in Marketing 33 (2016). On absorbing chains: Kemeny and
Snell, Finite Markov Chains (1960), chapter 3.

The chain. A state is what a path has touched last: its newest k channels, in order k (fewer at its beginning). A path
goes from the empty state through its touches into *conversion* or *null*. With c(s, t) as how often paths go from s to
t, the probability of that step is p(s, t) = c(s, t) / Σ c(s, ·).

With Q as these probabilities between the states, and r as those of converting next, the chances x to convert from each
state solve (I - Q) x = r: x = N r with the fundamental matrix N = (I - Q)⁻¹, which is never computed.

Removal. Without channel c, whoever would touch it is lost: every state that holds c leads to null. The equations of the
other states alone then give the chance x_c(start), and the removal effect is 1 - x_c(start) / x(start): the share of
the converting walks that touch c. It lies between 0 and 1. The conversions are divided in proportion to the effects.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from analytics_assets.defs.attribution.paths import Numbers, Path, Paths, shares_of

MOST_STATES_AT_ONCE = 400
"""Above it the equations are solved step by step: a solution takes the cube of the number of states."""

PRECISION = 1e-13
"""Of the chances that are found step by step."""

_START: Path = ()


@dataclass(frozen=True)
class Chain:
    """The states of paths, and the steps between them; the counts come with the paths.

    Attributes:
        paths: for which it was made; the same paths may be counted otherwise.
        order: how many of the newest channels a state holds.
    """

    paths: Paths
    order: int

    def __post_init__(self) -> None:
        if self.order < 1:
            raise ValueError(f"a chain is of order 1 or more, not {self.order}")

    @cached_property
    def _steps(self) -> tuple[tuple[Path, ...], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """The states, the start first; and the steps of all paths: from where, to where, and of which path.

        The last step of a path goes to no state: -1.
        """
        places: dict[Path, int] = {_START: 0}
        sources, targets, owners = [], [], []
        for number, path in enumerate(self.paths.paths):
            state = _START
            for channel in path:
                following = (*state, channel)[-self.order :]
                sources.append(places[state])
                targets.append(places.setdefault(following, len(places)))
                owners.append(number)
                state = following
            sources.append(places[state])
            targets.append(-1)
            owners.append(number)
        return tuple(places), *(np.array(one, dtype=np.int64) for one in (sources, targets, owners))  # type: ignore[return-value]

    @cached_property
    def _edges(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Each step between two states once, sorted: from where, and to where; and which of them each step is."""
        states, sources, targets, _ = self._steps
        inner = targets >= 0
        keys, edges = np.unique(sources[inner] * len(states) + targets[inner], return_inverse=True)
        return keys // len(states), keys % len(states), edges

    @cached_property
    def _holding(self) -> NDArray[np.bool_]:
        """By channel and state, whether the state holds the channel."""
        states = self._steps[0]
        held = [[channel in state for state in states] for channel in self.paths.channels]
        return np.array(held, dtype=bool).reshape(len(held), len(states))

    def removal_effects(self, paths: Paths) -> Numbers:
        """The removal effect of each channel, between 0 and 1; 0 for all if nothing converts.

        Args:
            paths: those of the chain, counted in any way.
        """
        states, sources, targets, owners = self._steps
        begins, ends, edge_of_step = self._edges
        of_path, inner = paths.converting + paths.others, targets >= 0
        left = np.bincount(sources, of_path[owners], minlength=len(states))
        left = np.where(left > 0, left, 1.0)  # nobody is there
        converting = np.bincount(sources[~inner], paths.converting[owners[~inner]], minlength=len(states)) / left
        chances = np.bincount(edge_of_step, of_path[owners[inner]], minlength=len(begins)) / left[begins]
        stays = np.vstack([np.ones((1, len(states)), dtype=bool), ~self._holding])  # nothing removed, then each channel
        walks = _Walks(begins, ends, chances, converting)
        found = walks.at_once(stays) if len(states) <= MOST_STATES_AT_ONCE else walks.step_by_step(stays)
        if found[0] <= 0:
            return np.zeros(len(self.paths.channels))
        return np.clip(1 - found[1:] / found[0], 0.0, 1.0)

    def shares(self, paths: Paths) -> Numbers:
        """The share of each channel in the conversions: its effect over the sum of all; linear where that is 0."""
        return shares_of(self.removal_effects(paths), paths)


@cache
def _libraries() -> ThreadpoolController:
    """The libraries of linear algebra that are loaded; to look for them takes longer than to solve a system."""
    return ThreadpoolController()


@dataclass(frozen=True)
class _Walks:
    """The equations of a chain.

    Attributes:
        begins, ends: of each step between two states, sorted.
        chances: of each of these steps.
        converting: by state, the chance to convert next.
    """

    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    chances: Numbers
    converting: Numbers

    def at_once(self, stays: NDArray[np.bool_]) -> Numbers:
        """The chance to convert from the start, for each choice of the states that stay."""
        system = np.eye(len(self.converting))
        system[self.begins, self.ends] -= self.chances
        # Threads gain nothing at this size, and wait for each other where processors are busy: 71 s instead of 0.3 s.
        with _libraries().limit(limits=1, user_api="blas"):
            return np.array(
                [
                    np.linalg.solve(system[np.ix_(kept, kept)], self.converting[kept])[0]
                    for kept in map(np.flatnonzero, stays)
                ]
            )

    def step_by_step(self, stays: NDArray[np.bool_]) -> Numbers:
        """The same by x = r + Q x, repeated until nothing changes: each step adds the walks that are a touch longer.

        It ends, since each state lies on a path that does.
        """
        is_first = np.r_[True, self.begins[1:] != self.begins[:-1]] if len(self.begins) else np.array([], dtype=bool)
        firsts = np.flatnonzero(is_first)
        kept = stays.T.astype(np.float64)
        gained = self.converting[:, None] * kept
        found = gained.copy()
        while gained.max(initial=0.0) > PRECISION:
            following = np.zeros_like(gained)
            if len(firsts):
                of_steps = self.chances[:, None] * gained[self.ends]
                following[self.begins[firsts]] = np.add.reduceat(of_steps, firsts, axis=0)
            gained = following * kept
            found += gained
        return found[0]
