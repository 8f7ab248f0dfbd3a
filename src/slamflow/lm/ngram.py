"""N-gram models of units: baselines without a network, counted over the packed training rows.

Order 0 holds all tokens alike, so that the sequence with fewer units is likelier. Order 1 is the
add-one estimate. Order 2 is interpolated absolute discounting (Ney, Essen and Kneser 1994):
p(b | a) = max(c(ab) − D, 0) / c(a) + D · t(a) / c(a) · p1(b), where c counts, t(a) is the number
of different tokens seen after a, p1 is order 1, and D = n1 / (n1 + 2 n2) with the numbers n1 and
n2 of bigrams seen once and twice.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from slamflow import files, weights
from slamflow.lm import rows
from slamflow.lm.vocabulary import PAD


def count(config: Mapping[str, Any], packed: Path, folder: Path) -> None:
    """Write config.json and model.safetensors of an n-gram model into `folder`.

    The tensor `log_probabilities` (float64, in nats) is [vocabulary] for the orders 0 and 1, and
    [vocabulary, vocabulary] for order 2, by the preceding token. PAD has -inf, `<S>` counts as
    the end token.

    Args:
        config: `order`, 0, 1 or 2.
        packed: packed rows; held-out ones are not counted.
    """
    order = int(config["order"])
    training, _, metadata = rows.read(packed)
    size = int(metadata["vocabulary"])
    probabilities = estimate(training, size, order)
    with np.errstate(divide="ignore"):
        logs = np.log(probabilities)
    description = {
        "model_type": "ngram",
        "order": order,
        "vocab_size": size,
        "tokens": int(training.targets().sum()),
    }
    files.write_json(description, folder / "config.json")
    with files.replacing(folder / "model.safetensors") as temporary:
        source = io.BytesIO(save({"log_probabilities": logs}))
        weights.seal(source, temporary, [folder / "config.json"])


def estimate(training: rows.Rows, size: int, order: int) -> np.ndarray:
    """Probabilities, [size] or, for order 2, [size, size] with the preceding token first."""
    if order == 0:
        uniform = np.full(size, 1.0 / (size - 1))
        uniform[PAD] = 0.0
        return uniform
    unigram, pairs = np.ones(size), np.zeros(size * size if order == 2 else 0, dtype=np.int64)
    for portion in training.portions():
        before, after = training.bigrams(portion)
        unigram += np.bincount(after, minlength=size)
        if order == 2:
            pairs += np.bincount(before.astype(np.int64) * size + after, minlength=size * size)
    unigram[PAD] = 0.0
    unigram /= unigram.sum()
    if order == 1:
        return unigram
    if order != 2:
        raise ValueError(f"order: {order} is none of 0, 1, 2")
    counts = pairs.reshape(size, size).astype(np.float64)
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    discount = once / (once + 2 * twice) if once else 0.5
    totals = np.maximum(counts.sum(1, keepdims=True), 1.0)
    kinds = (counts > 0).sum(1, keepdims=True)
    spared = np.where(kinds > 0, discount * kinds / totals, 1.0)
    return np.maximum(counts - discount, 0.0) / totals + spared * unigram
