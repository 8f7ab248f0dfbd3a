"""In which order a loop takes its examples."""

import functools

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


@functools.lru_cache(maxsize=2)
def _permutation(epoch: int, examples: int, seed: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(examples)
