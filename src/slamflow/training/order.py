"""In which order a loop takes its examples, and how many at once."""

import functools
import itertools
import math
from typing import Any

import numpy as np


def batch(step: int, size: int, examples: int, seed: int) -> np.ndarray:
    """The examples of global batch `step` (from 0), [size].

    Each epoch is a permutation of all examples drawn from the seed; batches run on across epochs.
    """
    places = np.arange(step * size, (step + 1) * size)
    epochs, within = np.divmod(places, examples)
    chosen = np.empty(size, dtype=np.int64)
    for epoch in range(epochs[0], epochs[-1] + 1):
        mask = epochs == epoch
        chosen[mask] = _permutation(epoch, examples, seed)[within[mask]]
    return chosen


def parts(batch: Any, most: int, ranks: int) -> list[Any]:
    """A global `batch` (an array or a list) cut into micro-batches of at most `most` examples.

    There are equally many for each of `ranks`, as far as there are examples, and their sizes
    differ by one at most: with [32, 32, 14] on two ranks, one would wait for the other.
    """
    count = ranks * math.ceil(math.ceil(len(batch) / ranks) / most)
    size, larger = divmod(len(batch), count)
    ends = [i * size + min(i, larger) for i in range(count + 1)]
    return [batch[begin:end] for begin, end in itertools.pairwise(ends) if begin < end]


@functools.lru_cache(maxsize=2)
def _permutation(epoch: int, examples: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(examples)
