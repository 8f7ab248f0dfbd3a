"""Percentile bootstrap over clusters.

Whole clusters are drawn with replacement (Field & Welsh, 2007, "Bootstrapping clustered data"):
what shares a word or a story is not independent, so it moves together.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
SEED = 0
DRAWS_AT_ONCE = 4_000_000  # bounds the memory, 32 MB an array


class Stratum(NamedTuple):
    """What is resampled by itself: the sum of the values of each cluster and how many they are.

    Both are float64 [clusters].
    """

    sums: np.ndarray
    counts: np.ndarray


def stratum(values: np.ndarray, clusters: np.ndarray) -> Stratum:
    """Sum values [n] by cluster [n]; clusters are sorted, so the order of rows does not matter."""
    _, which = np.unique(clusters, return_inverse=True)
    return Stratum(np.bincount(which, weights=values), np.bincount(which).astype(np.float64))


def mean(strata: Sequence[Stratum]) -> float:
    """Mean over strata of the mean over all values of a stratum."""
    return float(np.mean([part.sums.sum() / part.counts.sum() for part in strata]))


def interval(
    strata: Sequence[Stratum],
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> tuple[float, float]:
    """The two ends of the percentile interval of `mean(strata)`.

    Args:
        strata: clusters are drawn within each; one stratum gives a micro average, a stratum a
            group gives a macro average over groups.
        resamples: number of bootstrap samples.
        level: coverage, between 0 and 1.
        seed: the same seed draws the same clusters, so that two models on the same items meet
            the same resamples.
    """
    generator = np.random.default_rng(seed)
    means = np.zeros(resamples)
    for part in strata:
        size = len(part.sums)
        at_once = max(1, DRAWS_AT_ONCE // size)
        for begin in range(0, resamples, at_once):
            stop = min(begin + at_once, resamples)
            drawn = generator.integers(size, size=(stop - begin, size))
            means[begin:stop] += part.sums[drawn].sum(1) / part.counts[drawn].sum(1)
    low, high = np.quantile(means / len(strata), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
