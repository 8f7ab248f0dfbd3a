"""Percentile bootstrap and sign-flip tests over clusters.

Whole clusters are drawn with replacement (Field & Welsh, 2007, "Bootstrapping clustered data"), or
change their sign: what shares a word or a story is not independent, so it moves together.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
SEED = 0
FLIPS = 9999  # with the observed one 10,000
EXACT = 1_000_000  # different means, up to which all flips are counted
TIE = 1e-9  # relative: equal sums in another order differ by rounding only
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
    sizes, means = tuple(len(part.sums) for part in strata), np.zeros(resamples)
    few = resamples * sum(sizes) <= DRAWS_AT_ONCE
    for place, rows, drawn in (_kept if few else _draws)(sizes, resamples, seed):
        part = strata[place]
        means[rows] += part.sums[drawn].sum(1) / part.counts[drawn].sum(1)
    low, high = np.quantile(means / len(strata), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _draws(
    sizes: tuple[int, ...], resamples: int, seed: int
) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Clusters [resamples, size] of each stratum's bootstrap, by its number and resamples."""
    generator = np.random.default_rng(seed)
    for place, size in enumerate(sizes):
        at_once = max(1, DRAWS_AT_ONCE // size)
        for begin in range(0, resamples, at_once):
            stop = min(begin + at_once, resamples)
            yield place, slice(begin, stop), generator.integers(size, size=(stop - begin, size))


@functools.lru_cache(maxsize=4)  # models and conventions on one benchmark draw the same
def _kept(sizes: tuple[int, ...], resamples: int, seed: int) -> list[tuple[int, slice, np.ndarray]]:
    return list(_draws(sizes, resamples, seed))


def p_value(strata: Sequence[Stratum], flips: int = FLIPS, seed: int = SEED) -> float:
    """Two-sided p of `mean(strata)` where the values are differences of two models.

    If the models were alike, a cluster's difference would be as likely with the other sign. The p
    is the share of all flips of clusters' signs that give a mean as far from 0 or farther. Of k
    clusters that differ by as much, a binomial number is flipped, so that all flips are counted
    where they have few different means. Else it is the share among `flips` drawn ones and the
    observed one (Phipson & Smyth, 2010, "Permutation P-values Should Never Be Zero").
    """
    moved = np.concatenate([part.sums / part.counts.sum() for part in strata])
    least = abs(float(moved.sum())) - TIE * float(np.abs(moved).sum())
    sizes, counts = np.unique(np.abs(moved[moved != 0]), return_counts=True)
    if np.prod(counts + 1.0) <= EXACT:
        means, chances = np.zeros(1), np.ones(1)
        for size, count in zip(sizes, counts.tolist(), strict=True):
            turned = np.arange(count + 1)
            means = np.add.outer(means, size * (count - 2 * turned)).ravel()
            chances = np.multiply.outer(chances, _halves(count)).ravel()
        return min(1.0, float(chances[np.abs(means) >= least].sum()))
    drawn, generator = np.zeros(flips), np.random.default_rng(seed)
    for size, count in zip(sizes, counts.tolist(), strict=True):
        drawn += size * (count - 2 * generator.binomial(count, 0.5, size=flips))
    return (1 + int((np.abs(drawn) >= least).sum())) / (1 + flips)


def _halves(count: int) -> np.ndarray:
    """The probabilities of 0 to `count` heads of a fair coin, [count + 1]."""
    logs = np.array([math.lgamma(number + 1) for number in range(count + 1)])
    return np.exp(logs[-1] - logs - logs[::-1] - count * math.log(2))
