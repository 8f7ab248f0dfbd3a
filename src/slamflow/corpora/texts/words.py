"""Lexical pairs: words that people use against pseudo-words, both spoken by phonemes.

As `generated.lexical`, but the words are those of a pronouncing dictionary and of a list of word
frequencies, which also give the phone bigrams; the training text only says how often each was
heard. Words that were never heard can be asked for, too.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow import logs
from slamflow.corpora.generated import known_words, lexical, pseudo_pairs, rows
from slamflow.corpora.generated.english import COMMON
from slamflow.corpora.generated.pseudo_words import Language, Phones
from slamflow.corpora.texts import lexicon, outputs
from slamflow.synthesis.espeak import Espeak
from slamflow.tables.gathered import Gathered


def read(
    config: Mapping[str, Any],
    sources: pa.Table,
    data_root: Path,
    rejected: Gathered,
    heard: pa.Table | None = None,
) -> Iterator[list[rows.Row]]:
    """`count` pairs, two rows each; the group is how often the word was heard.

    The bands get equally many pairs each; what one lacks goes to the fuller ones. In each of them
    by itself, phone unigrams, phone bigrams and the length prefer the word about half of the time.

    Args:
        config: `folder`, `count`, `seed`, `minimum_heard` (0: also words that never were) and
            `accents`, in none of which a pseudo-word is a word; the first one speaks.
        sources: the dictionary and the list of frequencies, which their `role` tells apart.
        rejected: of the rejected schema, gets broken lines, and words that were tried and have no
            pseudo-word. The other words are not part of the corpus.
        heard: the text that the model is trained on.

    Yields:
        The two rows of each pair.

    Raises:
        ValueError: a file cannot be read (see `inputs.parts`), no training text, an unknown accent,
            or a count that the words cannot make.
    """
    if heard is None:
        raise ValueError("source.heard_in is missing: words are grouped by how often it has them")
    known, apart, counts = lexicon.read_words(config, sources, data_root, rejected)
    times = lexical.count_words(heard)
    accents, minimum = list(config["accents"]), int(config["minimum_heard"])
    with Espeak() as espeak:
        listed = [word for word in counts if word in known and lexicon.LETTERS.fullmatch(word)]
        spoken = dict(lexicon.pronounce(sorted(listed), accents[0], espeak))
        bands: defaultdict[str, list[str]] = defaultdict(list)
        for word in lexicon.used_words(known, counts):
            if word in spoken and pseudo_pairs.fit(spoken[word]) and times[word] >= minimum:
                bands[lexical.band(times[word])].append(word)
        _check(sum(map(len, bands.values())), config)
        taken = _sounds({*known, *apart, *times}, accents, espeak)
        language = Language(lexical.sum_up(spoken, counts))
        made = _made(bands, spoken, language, taken, config, espeak, rejected)
    _check(len(made), config)
    yield from made


def _check(found: int, config: Mapping[str, Any]) -> None:
    if found < int(config["count"]):
        raise ValueError(
            f"source.count is {config['count']}, but only {found} words of {pseudo_pairs.SHORTEST} "
            f"phones or more are in both files, were heard {config['minimum_heard']} times or more "
            "and have a pseudo-word: lower `source.count` or `source.minimum_heard`"
        )


def _sounds(listed: set[str], accents: list[str], espeak: Espeak) -> set[str]:
    """How all known words sound, those of `known_words` and their forms included."""
    forms = known_words.with_forms({*COMMON, *known_words.dictionary_words()})
    english = sorted(word for word in {*forms, *listed} if lexicon.LETTERS.fullmatch(word))
    return {
        known_words.sound(phones)
        for accent in accents
        for _, phones in lexicon.pronounce(english, accent, espeak)
    }


def _made(
    bands: Mapping[str, list[str]],
    spoken: Mapping[str, Phones],
    language: Language,
    taken: set[str],
    config: Mapping[str, Any],
    espeak: Espeak,
    rejected: Gathered,
) -> list[list[rows.Row]]:
    """The pairs of all bands, frequent words first; the sounds of pseudo-words join `taken`."""
    count, accent = int(config["count"]), config["accents"][0]
    progress = logs.Progress("read_text (words)", count, "pairs")
    made: dict[str, list[list[rows.Row]]] = {}
    for place, (band, words) in enumerate(sorted(bands.items(), key=lambda it: (len(it[1]), it))):
        done = sum(map(len, made.values()))
        wanted = (count - done) // (len(bands) - place)
        rng = random.Random(f"words {config['seed']} {band}")
        rng.shuffle(words)
        made[band] = []
        strings = pseudo_pairs.pair_up(
            (spoken[word] for word in words), language, taken.__contains__, accent, rng, espeak
        )
        for word, string in zip(words, strings, strict=False):
            if string is None:
                outputs.reject(rejected, word, config["dictionary"], "no pseudo-word")
            else:
                taken.add(known_words.sound(string))
                pair = lexical.pair(f"word-{word}", band, word, spoken[word], string)
                made[band].append(pair)
            progress.update(done + len(made[band]))
            if len(made[band]) >= wanted:
                break
    return [pair for band in lexical.BANDS for pair in made.get(band, [])]
