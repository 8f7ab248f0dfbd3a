"""Which words of a document are speech and which are text."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

DRAWS = ("poisson", "word")


def draw(config: Mapping[str, Any], words: int, rng: np.random.Generator) -> np.ndarray:
    """Which words are speech, bool [words].

    Args:
        config: `draw`. `poisson`: spans of speech have Poisson(`span`) words and together `share`
            of them, rounded at random; the last one drawn ends where that is reached. They lie
            anywhere with text between them. (Maimon et al. 2025, arXiv 2504.02398, with 10 words
            and 30 %.) `word`: the first word is either, and with each further one the modality
            changes with probability `switch`.
        words: how many, one at least.
    """
    if config["draw"] == "word":
        changes = rng.random(words) < np.array([0.5, *[float(config["switch"])] * (words - 1)])
        return np.cumsum(changes) % 2 == 1
    if config["draw"] != "poisson":
        raise ValueError(f"interleaving: draw is {config['draw']!r} and none of {', '.join(DRAWS)}")
    wanted = int(float(config["share"]) * words + rng.random())
    lengths: list[int] = []
    while (left := wanted - sum(lengths)) > 0:
        if length := int(rng.poisson(float(config["span"]))):
            lengths.append(min(length, left))
    places = words - wanted + 1  # before, between and behind the words of text
    sizes = np.zeros(min(len(lengths), places), dtype=np.int64)
    # more spans than places: those that share one are one
    order = rng.permutation(len(lengths))
    for number, index in enumerate(order.tolist()):
        sizes[number % len(sizes)] += lengths[index]
    before = np.sort(rng.choice(places, len(sizes), replace=False))
    starts = before + np.cumsum(sizes) - sizes
    speech = np.zeros(words, dtype=bool)
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        speech[start : start + size] = True
    return speech


def runs(speech: np.ndarray) -> list[tuple[bool, int, int]]:
    """The spans of words of one modality: whether it is speech, the first word, the one behind."""
    borders = [0, *(np.flatnonzero(speech[1:] != speech[:-1]) + 1).tolist(), len(speech)]
    return [(bool(speech[a]), a, b) for a, b in pairwise(borders)]
