"""ABX: are two utterings of a triphone nearer to each other than to one with another centre?

Schatz et al. 2013, "Evaluating speech features with the minimal-pair ABX task", as the ZeroSpeech
challenges ask it: A and X are the same triphone, B has the same outer phones and another centre.
It is an error if X is nearer to B than to A, half a one if it is as near. `within`: all three are
one speaker's; `across`: A and B are one speaker's, X another's. Distances are `quality_warping`'s.

A cell is a context (the outer phones), a speaker and the two centres, one of them X's. The error is
the mean over contrasts (pairs of centres) of the mean over cells of the mean over triples, each
contrast by TRIPLES draws of a cell and of a triple in it. The challenges take the mean over the
contexts of a speaker before that over speakers, and all triples of a cell, or those of some X: of
the units of 80 utterances that is 0.209 within and 0.317 across speakers, this 0.206 and 0.313.
Triphones longer than LONGEST are left out.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from slamflow.tokeniser import quality_phones, quality_warping

KINDS = ("within", "across")  # speakers
TRIPLES = 50  # a contrast
LONGEST = 1.0  # s, of a triphone
_GAP = 1e-3  # s between two phones that follow each other

Cell = tuple[list[int], list[int], list[int]]  # tokens for A, B and X


class Token(NamedTuple):
    """A triphone in an utterance; `first` to `stop` are its frames."""

    utterance: int
    speaker: str
    context: tuple[int, int]
    centre: int
    first: int
    stop: int


class Triples(NamedTuple):
    """Places of A, B and X among the tokens, int64 [n, 3], and the contrast of each, int64 [n]."""

    tokens: np.ndarray
    contrasts: np.ndarray


def tokens(
    utterance: int, speaker: str, intervals: Sequence[Mapping[str, Any]], centres: np.ndarray
) -> list[Token]:
    """The triphones of an utterance, without those that silence or unknown labels are part of.

    Args:
        intervals: its phones.
        centres: s, of its frames.
    """
    found = []
    phones = quality_phones.indices(intervals).tolist()
    known = [0 <= phone < quality_phones.SILENT for phone in phones]
    for place in range(1, len(intervals) - 1):
        left, middle, right = intervals[place - 1 : place + 2]
        gaps = (middle["start"] - left["end"], right["start"] - middle["end"])
        begin, end = left["start"], right["end"]
        if not all(known[place - 1 : place + 2]) or max(gaps) > _GAP:
            continue
        first, stop = (int(place) for place in np.searchsorted(centres, (begin, end)))
        if first < stop and end - begin <= LONGEST:
            context = (phones[place - 1], phones[place + 1])
            found.append(Token(utterance, speaker, context, phones[place], first, stop))
    return found


def draw(found: Sequence[Token], kind: str, seed: int) -> Triples:
    """Triples of tokens drawn by seed, none if there are none that could be asked.

    Args:
        kind: one of KINDS.
    """
    across = kind == "across"
    groups: dict[Any, dict[str, dict[int, list[int]]]] = defaultdict(lambda: defaultdict(dict))
    for place, token in enumerate(found):
        groups[token.context][token.speaker].setdefault(token.centre, []).append(place)
    contrasts: dict[tuple[int, int], list[Cell]] = defaultdict(list)
    for _, speakers in sorted(groups.items()):
        for speaker, centres in sorted(speakers.items()):
            for centre, alike in sorted(centres.items()):
                others = alike
                if across:
                    rest = (made for name, made in speakers.items() if name != speaker)
                    others = [place for made in rest for place in made.get(centre, ())]
                if len(others) < (1 if across else 2):
                    continue
                for another, different in centres.items():
                    if another != centre:
                        pair = (min(centre, another), max(centre, another))
                        contrasts[pair].append((alike, different, others))
    generator = np.random.default_rng(seed)
    drawn = [
        _triple(contrasts[pair], generator) for pair in sorted(contrasts) for _ in range(TRIPLES)
    ]
    return Triples(
        np.array(drawn, dtype=np.int64).reshape(-1, 3),
        np.repeat(np.arange(len(contrasts)), TRIPLES),
    )


def _triple(cells: Sequence[Cell], generator: np.random.Generator) -> tuple[int, int, int]:
    alike, different, others = cells[int(generator.integers(len(cells)))]
    b = different[int(generator.integers(len(different)))]
    if others is alike:  # within: X is not A
        a, x = generator.permutation(len(alike))[:2]
        return alike[int(a)], b, alike[int(x)]
    return (
        alike[int(generator.integers(len(alike)))],
        b,
        others[int(generator.integers(len(others)))],
    )


def error(frames: Mapping[int, torch.Tensor], triples: Triples, seed: int) -> dict[str, Any]:
    """`error`, its 95 % `interval` (contrasts are drawn with replacement), `contrasts`, `triples`.

    Args:
        frames: by token: features float [frames, dimension], or units int [frames].

    Returns:
        `error` and `interval` are None where there are no triples, `interval` where all are of one
        contrast.
    """
    contrasts = int(triples.contrasts.max()) + 1 if len(triples.contrasts) else 0
    counted = {"contrasts": contrasts, "triples": len(triples.tokens)}
    if not contrasts:
        return {"error": None, "interval": None, **counted}
    a, b, x = triples.tokens.T
    pairs = np.concatenate([np.stack([a, x], 1), np.stack([b, x], 1)])
    different, places = np.unique(pairs, axis=0, return_inverse=True)
    to_a, to_b = quality_warping.distances(frames, different)[places.reshape(2, -1)]
    wrong = (to_a > to_b) + 0.5 * (to_a == to_b)
    means = np.bincount(triples.contrasts, wrong) / np.bincount(triples.contrasts)
    drawn = np.random.default_rng(seed).integers(
        contrasts, size=(quality_phones.RESAMPLES, contrasts)
    )
    value = float(means.mean())
    around = quality_phones.interval(value, means[drawn].mean(1)) if contrasts > 1 else None
    return {"error": value, "interval": around, **counted}
