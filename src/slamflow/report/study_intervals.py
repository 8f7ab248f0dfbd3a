"""Means over seeds and items with their intervals, by a bootstrap over both.

Every seed of an arm meets the same items: the two are crossed. A bootstrap sample draws clusters of
items, for all seeds alike, and then for each seed one of the seeds' effects, each with replacement.
The effects are the deviations of the seeds' means, scaled to the variance that seeds have beyond
what items explain, since a seed's mean differs from another's for the items' sake, too, and that is
drawn with them already: drawing whole rows and columns (Owen, 2007, "The pigeonhole bootstrap",
Annals of Applied Statistics 1(2)) would count it three times. The variance of seeds is that of
their means less that of the means of their interaction with clusters, or nothing (the estimates of
a two-way crossed layout: Searle, Casella and McCulloch, 1992, "Variance components"); scaled
deviations are drawn as in Carpenter, Goldstein and Rasbash (2003, Applied Statistics 52(4)).

With one seed only items are drawn. What two or three seeds can say of their spread is little: see
docs/study.md for how often such intervals hold the truth.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from slamflow.benchmarks.intervals import DRAWS_AT_ONCE, LEVEL, RESAMPLES, SEED


class Part(NamedTuple):
    """Items that are averaged together: all of a benchmark, or one of its groups.

    Attributes:
        sums: float64 [seeds, clusters], the outcomes of each cluster's items, added up.
        counts: float64 [clusters], how many those are.
    """

    sums: np.ndarray
    counts: np.ndarray


class Sampled(NamedTuple):
    """The means of seeds, and what they are in samples of clusters.

    Attributes:
        means: float64 [seeds].
        samples: float64 [RESAMPLES, seeds].
    """

    means: np.ndarray
    samples: np.ndarray

    def __sub__(self, other: "Sampled") -> "Sampled":
        """The difference, seed by seed, of what was sampled from the same clusters."""
        return Sampled(self.means - other.means, self.samples - other.samples)


def part(outcomes: Sequence[np.ndarray], clusters: np.ndarray) -> Part:
    """Sum the outcomes [n] of each seed by cluster [n], in the order of the clusters' names."""
    _, which = np.unique(clusters, return_inverse=True)
    sums = np.stack([np.bincount(which, weights=values) for values in outcomes])
    return Part(sums, np.bincount(which).astype(np.float64))


def over_items(parts: Sequence[Part]) -> Sampled:
    """The mean of each seed; of several parts, the mean of their means.

    Parts of the same clusters have the same samples, so that their differences are paired.
    """
    generator = np.random.default_rng(SEED)
    samples = np.zeros((RESAMPLES, len(parts[0].sums)))
    for sums, counts in parts:
        size = len(counts)
        at_once = max(1, DRAWS_AT_ONCE // size)
        for begin in range(0, RESAMPLES, at_once):
            rows = slice(begin, min(begin + at_once, RESAMPLES))
            drawn = generator.integers(size, size=(rows.stop - begin, size))
            number = counts[drawn].sum(1)
            for seed, values in enumerate(sums):
                samples[rows, seed] += values[drawn].sum(1) / number
    means = np.mean([each.sums.sum(1) / each.counts.sum() for each in parts], axis=0)
    return Sampled(means, samples / len(parts))


def over_seeds(sampled: Sampled, stream: int = 0) -> np.ndarray:
    """The mean over seeds and items in samples of both, float64 [RESAMPLES].

    Args:
        stream: draws of seeds in two streams are independent.
    """
    means, samples = sampled
    seeds, centre = len(means), samples.mean(1)
    if seeds == 1:
        return centre
    interaction = (samples - centre[:, None]).var(axis=0).mean() * seeds / (seeds - 1)
    variance = max(0.0, means.var(ddof=1) - interaction)
    effects = means - means.mean()
    if spread := effects.std():
        effects *= np.sqrt(variance) / spread
    drawn = np.random.default_rng([SEED, stream]).integers(seeds, size=samples.shape)
    return centre + effects[drawn].mean(1)


def ends(samples: np.ndarray) -> tuple[float, float]:
    """The two ends of the percentile interval of samples [n]."""
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
