"""Lexical pairs: a word of the training stories against a pseudo-word, both spoken by phonemes.

Neither the phones nor the length of a pseudo-word tell it from its word (see `pseudo_pairs`).
"""

import random
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from slamflow import logs
from slamflow.corpora.generated import known_words, pseudo_pairs, rows
from slamflow.corpora.generated.english import COMMON
from slamflow.corpora.generated.pseudo_words import Language, Phones
from slamflow.synthesis import phonemes
from slamflow.synthesis.espeak import Espeak

BANDS = {"100+": 100, "20-99": 20, "5-19": 5, "1-4": 1, "0": 0}  # their lowest counts, falling


def generate(source: dict[str, Any], heard: pa.Table | None = None) -> pa.Table:
    """`count` items, two rows each; the group is how often the word was heard.

    Args:
        source: `count`, `seed`, `minimum_heard` and `accents`; words are spoken with the phonemes
            of the first accent.
        heard: the text table of the training corpus.

    Raises:
        ValueError: no training corpus, an unknown accent, or a count that its words cannot make.
    """
    if heard is None:
        raise ValueError("source.heard_in is missing: lexical items need the corpus that was heard")
    count, seed = rows.counted(source)
    accents, minimum = list(source["accents"]), int(source["minimum_heard"])
    counts = count_words(heard)
    spoken = _pronounce(sorted(counts), accents[0])
    language = Language(sum_up(spoken, counts))
    known = {*counts, *COMMON, *known_words.dictionary_words()}
    english = known_words.sounds(known_words.with_forms(known), accents)
    runs = {run for sound in english for run in known_words.runs(sound)}
    rng = random.Random(f"lexical {seed}")
    eligible = [
        word
        for word, phones in spoken.items()
        if counts[word] >= minimum and pseudo_pairs.fit(phones)
    ]
    rng.shuffle(eligible)
    eligible.sort(key=lambda word: -len(spoken[word]))
    made: list[rows.Row] = []
    used: set[str] = set()

    def is_word(sound: str) -> bool:
        return sound in used or runs.issuperset(known_words.runs(sound))

    progress = logs.Progress("generate_text (lexical)", count, "pairs")
    with Espeak() as espeak:
        strings = pseudo_pairs.pair_up(
            (spoken[word] for word in eligible), language, is_word, accents[0], rng, espeak
        )
        for word, string in zip(eligible, strings, strict=True):
            if string is not None:
                used.add(known_words.sound(string))
                item = f"lexical-{len(made) // 2:06d}"
                made += pair(item, band(counts[word]), word, spoken[word], string)
            progress.update(len(made) // 2)
            if len(made) == 2 * count:
                break
    if len(made) < 2 * count:
        raise ValueError(
            f"source.count is {count}, but only {len(made) // 2} words of {pseudo_pairs.SHORTEST} "
            f"phones or more were heard {minimum} times or more and have a pseudo-word: lower the "
            "count, or make more stories"
        )
    return rows.table(made)


def count_words(heard: pa.Table) -> Counter[str]:
    """How often each word occurs in a text table."""
    counts: Counter[str] = Counter()
    for text in heard["text"].to_pylist():
        counts.update(re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower()))
    return counts


def sum_up(spoken: Mapping[str, Phones], counts: Mapping[str, int]) -> Counter[Phones]:
    """How often each pronunciation was heard; those with odd phones are left out."""
    heard: Counter[Phones] = Counter()
    for word, phones in spoken.items():
        if pseudo_pairs.plain(phones):
            heard[phones] += counts[word]
    return heard


def pair(item: str, group: str, word: str, phones: Phones, string: Phones) -> list[rows.Row]:
    """The two rows of a word and its pseudo-word, spoken by phonemes."""
    return [
        (f"{item}-positive", item, "positive", group, word, phonemes.spell([phones])),
        (f"{item}-negative", item, "negative", group, "".join(string), phonemes.spell([string])),
    ]


def band(heard: int) -> str:
    """The frequency band of a word that was heard so often."""
    return next(name for name, low in BANDS.items() if heard >= low)


def _pronounce(words: list[str], accent: str) -> dict[str, Phones]:
    spoken = phonemes.phonemise(words, accent)
    return {word: tuple(phones) for word, phones in zip(words, spoken, strict=True)}
