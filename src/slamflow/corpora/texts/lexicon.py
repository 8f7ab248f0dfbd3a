"""Which words of a pronouncing dictionary people use, how often, and how they are pronounced."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow.corpora.generated import words
from slamflow.corpora.generated.english import COMMON
from slamflow.corpora.generated.pseudo_words import Phones
from slamflow.corpora.texts import inputs, outputs
from slamflow.synthesis.espeak import Espeak
from slamflow.tables.gathered import Gathered

BATCH = 500  # words a request
USED = 1e-6  # share of all words that a word has at least
LETTERS = re.compile("[a-z]{2,}")
# Endings that names hardly take; a plural would not do, for there are Smiths.
ENDINGS = (
    words.past,
    words.ing,
    words.comparative,
    words.superlative,
    lambda word: word + "ly",
    lambda word: re.sub("y$", "i", word) + "ly",
    lambda word: word + "ness",
    lambda word: word + "ful",
    lambda word: word + "less",
    lambda word: word + "ment",
)


def read_words(
    config: Mapping[str, Any], sources: pa.Table, data_root: Path, rejected: Gathered
) -> tuple[set[str], set[str], dict[str, int]]:
    """The words of a dictionary, those of them that are set apart, and the counts of a list.

    The dictionary has the layout of CMUdict: a word and its phones a line, `word(2)` for other
    pronunciations, `;;;` before comments, and `# name`, `# abbrev` and so on behind words of a
    kind: these are set apart. The list has a word and its count a line. Lines that are broken go
    to `rejected`.

    Raises:
        ValueError: a file cannot be read (see `inputs.parts`).
    """
    known: set[str] = set()
    apart: set[str] = set()
    counts: dict[str, int] = {}
    roles = dict(zip(sources["path"].to_pylist(), sources["role"].to_pylist(), strict=True))
    for part in inputs.parts(config, sources, data_root):
        for number, line in enumerate(part.lines):
            text, _, comment = line.partition("#")
            fields = text.split()
            if not fields or line.startswith(";;;"):
                continue
            reason = outputs.flaw(line, {})
            if roles[part.source] == "dictionary":
                word = re.sub(r"\(\d+\)$", "", fields[0]).lower()
                reason = reason or (None if fields[1:] else "no pronunciation")
                if not reason:
                    (apart if comment.strip() else known).add(word)
            else:
                reason = reason or (None if _counted(fields) else "no count")
                if not reason:
                    word = fields[0].lower()
                    counts[word] = counts.get(word, 0) + int(fields[1])
            if reason:
                outputs.reject(rejected, f"{part.prefix}-{number:06d}", part.source, reason)
    return known, apart, counts


def used_words(known: set[str], counts: Mapping[str, int]) -> list[str]:
    """Words of letters that people use and that are hardly names or abbreviations, sorted.

    They are in the dictionary and in the list, there at least once in a million words, and either
    one of `english.COMMON` or its plural, or have kin: another word of both that is made by an
    ending which names hardly take, as `quickly` of `quick`.
    """
    both = {word for word in counts if word in known and LETTERS.fullmatch(word)}
    rare = USED * sum(counts.values())
    accepted = both.intersection((*COMMON, *map(words.s_form, COMMON)))
    for word in both:
        for kin in (ending(word) for ending in ENDINGS if len(word) > 2):
            if kin in both and kin != word:
                accepted.update((word, kin))
    return sorted(word for word in accepted if counts[word] >= rare)


def pronounce(listed: Sequence[str], accent: str, espeak: Espeak) -> Iterator[tuple[str, Phones]]:
    """How words of letters are pronounced, each alone, hundreds a request.

    What espeak-ng reads as several words is left out.

    Raises:
        ValueError: unknown accent.
    """
    for start in range(0, len(listed), BATCH):
        batch = listed[start : start + BATCH]
        yield from _pronounced(batch, accent, espeak)


def _pronounced(batch: Sequence[str], accent: str, espeak: Espeak) -> Iterable[tuple[str, Phones]]:
    # A line and sentence each: without the line's end, espeak-ng takes words for abbreviations.
    said = espeak.phonemise(".\n".join(batch), accent)
    if len(said) == len(batch):
        return zip(batch, map(tuple, said), strict=True)
    if len(batch) == 1:
        return []
    middle = len(batch) // 2
    return [
        *_pronounced(batch[:middle], accent, espeak),
        *_pronounced(batch[middle:], accent, espeak),
    ]


def _counted(fields: Sequence[str]) -> bool:
    return len(fields) == 2 and fields[1].isdecimal() and len(fields[1]) < 19
