"""95 % intervals of what models credit.

They tell how far a figure would differ if the same users had come in other numbers by chance. They do not tell whether
the model is right: only a test of lift can.
"""

import math
from collections.abc import Callable

import numpy as np

from analytics_assets.defs.attribution.paths import Numbers, Paths

Z = 1.96
"""The normal quantile of a 95 % interval."""

RESAMPLES = 200

SEED = 20_260_101
"""The same paths give the same intervals in each run."""


def interval_of_sum(value: float, squares: float) -> tuple[float, float]:
    """The interval of a sum of independent parts, whose number is a Poisson one: value ± 1.96 × √Σ part².

    Σ part² estimates the variance of a compound Poisson sum. The interval holds where many parts add up, roughly from
    30 on. Its lower end is not below 0 unless the value is.
    """
    half = Z * math.sqrt(squares)
    return (value - half if value < 0 else max(value - half, 0.0)), value + half


def resampled(
    paths: Paths, shares: Callable[[Paths], Numbers], resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[Numbers, Numbers]:
    """The interval of the conversions of each channel, by a bootstrap over the paths.

    Each count of a path is drawn from a Poisson distribution with the count as its mean, and the shares are computed
    anew. The ends are the 2.5 % and 97.5 % quantiles of share × conversions; the value itself always lies between them.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. Poisson counts stand for drawing
    the users one by one: the time that it takes does not depend on their number.

    Args:
        shares: the shares of the channels of these paths, when they are counted in some way.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    drawn = []
    for _ in range(resamples):
        counted = paths.counted(
            random.poisson(paths.converting).astype(np.float64), random.poisson(paths.others).astype(np.float64)
        )
        drawn.append(shares(counted) * counted.conversions)
    value = shares(paths) * paths.conversions
    low, high = np.quantile(np.array(drawn), (0.025, 0.975), axis=0)
    return np.minimum(low, value), np.maximum(high, value)
