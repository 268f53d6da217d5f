"""Paths of touches as models that look at all of them read them: each once, with how often it was there."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

Path = tuple[str, ...]
"""The channels of the touches, in order; repeats stay."""

UNATTRIBUTED = "unattributed"
"""The path of a conversion without any touch. It is of no channel: no model divides it."""


def path_in(text: str) -> Path:
    """A path from its text in `rpt_paths`, where a `>` in the name of a channel stands twice."""
    return tuple(channel.replace(">>", ">") for channel in text.split(" > "))


@dataclass(frozen=True)
class Paths:
    """Paths of at least one touch, each once, in one order.

    Attributes:
        converting: how often each led to a conversion.
        others: how often it led to none.
    """

    paths: tuple[Path, ...]
    converting: Numbers
    others: Numbers

    @classmethod
    def of(cls, counts: Mapping[Path, tuple[float, float]]) -> "Paths":
        """From the counts of each path, converting and others."""
        paths = sorted(path for path, of_path in counts.items() if path and any(of_path))
        held = np.array([counts[path] for path in paths], dtype=np.float64).reshape(len(paths), 2)
        return cls(tuple(paths), held[:, 0].copy(), held[:, 1].copy())

    @classmethod
    def in_rows(cls, rows: pl.DataFrame) -> "Paths":
        """From rows of `rpt_paths`, without conversions that no touch led to."""
        counts: dict[Path, tuple[float, float]] = {}
        for text, is_converting, count in rows.select("path", "is_converting", "paths").rows():
            if text != UNATTRIBUTED:
                converting, others = counts.get(path := path_in(text), (0.0, 0.0))
                counts[path] = (converting + count, others) if is_converting else (converting, others + count)
        return cls.of(counts)

    def counted(self, converting: Numbers, others: Numbers) -> "Paths":
        """The same paths, each so many times."""
        return Paths(self.paths, converting, others)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """All channels, sorted."""
        return tuple(sorted({channel for path in self.paths for channel in path}))

    @property
    def conversions(self) -> float:
        """All conversions that touches led to."""
        return float(self.converting.sum())


def linear_shares(paths: Paths) -> Numbers:
    """The share of each channel in the conversions if each touch of a path has the same part in it; 0 without any."""
    weights = np.zeros(len(paths.channels))
    places = {channel: place for place, channel in enumerate(paths.channels)}
    for path, conversions in zip(paths.paths, paths.converting, strict=True):
        for channel in path:
            weights[places[channel]] += conversions / len(path)
    return weights / paths.conversions if paths.conversions else weights


def shares_of(effects: Numbers, paths: Paths) -> Numbers:
    """Effects, none of them negative, in proportion to their sum; where that is 0, the linear shares."""
    whole = effects.sum()
    return effects / whole if whole > 0 else linear_shares(paths)
