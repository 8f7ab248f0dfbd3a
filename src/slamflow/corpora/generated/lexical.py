"""Lexical pairs: a word of the training stories against a pseudo-word, both spoken by phonemes.

The pseudo-word has as many phones and the same stress, all its phone bigrams occur in the
vocabulary, and it is a word in no accent used. Among the strings that fulfil this, one is chosen
whose phones are about as likely as the word's and that takes about as long to say, so that over
all items phone unigrams, phone bigrams and the shorter sound prefer the word about half of the
time, and by as much as they prefer the pseudo-word in the other half.
"""

import math
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from slamflow import logs
from slamflow.corpora.generated import known_words, pseudo_words, rows
from slamflow.corpora.generated.english import COMMON
from slamflow.corpora.generated.pseudo_words import Language, Phones
from slamflow.synthesis import phonemes
from slamflow.synthesis.espeak import Espeak

SHORTEST = 4  # phones
SPOKEN = 5  # strings a word that are spoken to compare their length
ODD = re.compile(r"[_;?-]")  # pauses, palatalisation and consonants of one word only


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
    language = Language(_sum(spoken, counts))
    known = {*counts, *COMMON, *known_words.dictionary_words()}
    english = known_words.sounds(known_words.with_forms(known), accents)
    runs = {run for sound in english for run in known_words.runs(sound)}
    rng = random.Random(f"lexical {seed}")
    eligible = [word for word, phones in spoken.items() if counts[word] >= minimum and _fit(phones)]
    rng.shuffle(eligible)
    eligible.sort(key=lambda word: -len(spoken[word]))
    made: list[rows.Row] = []
    used: set[str] = set()
    # of bigrams, unigrams and length: how often they preferred the word, and by how much in sum
    wins, sums = [0, 0, 0], [0.0, 0.0, 0.0]
    progress = logs.Progress("generate_text (lexical)", count, "pairs")
    with Espeak() as espeak:
        for word in eligible:
            progress.update(len(made) // 2)
            if len(made) == 2 * count:
                break
            phones = spoken[word]
            likelihoods = {
                string: _likelihood_leads(phones, string, language)
                for string in pseudo_words.candidates(phones, language, rng)
                if known_words.sound(string) not in used
                and not runs.issuperset(known_words.runs(known_words.sound(string)))
            }
            if not likelihoods:
                continue
            wanted = [2 * won <= len(made) // 2 for won in wins]
            likely = sorted(
                likelihoods, key=lambda it: _unfairness(likelihoods[it], wanted[:2], sums[:2])
            )
            seconds = phonemes.duration(phones, accents[0], espeak)
            leads = {
                it: (
                    *likelihoods[it],
                    math.log(phonemes.duration(it, accents[0], espeak) / seconds),
                )
                for it in likely[:SPOKEN]
            }
            string = min(leads, key=lambda it: _unfairness(leads[it], wanted, sums))
            wins = [won + (lead > 0) for won, lead in zip(wins, leads[string], strict=True)]
            sums = [total + lead for total, lead in zip(sums, leads[string], strict=True)]
            used.add(known_words.sound(string))
            item = f"lexical-{len(made) // 2:06d}"
            band = _band(counts[word])
            pair = (("positive", word, phones), ("negative", "".join(string), string))
            for role, text, said in pair:
                made.append((f"{item}-{role}", item, role, band, text, phonemes.spell([said])))
    if len(made) < 2 * count:
        raise ValueError(
            f"source.count is {count}, but only {len(made) // 2} words of {SHORTEST} phones or "
            f"more were heard {minimum} times or more and have a pseudo-word: lower the count, or "
            "make more stories"
        )
    return rows.table(made)


def count_words(heard: pa.Table) -> Counter[str]:
    """How often each word occurs in a text table."""
    counts: Counter[str] = Counter()
    for text in heard["text"].to_pylist():
        counts.update(re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower()))
    return counts


def _pronounce(words: list[str], accent: str) -> dict[str, Phones]:
    spoken = phonemes.phonemise(words, accent)
    return {word: tuple(phones) for word, phones in zip(words, spoken, strict=True)}


def _sum(spoken: Mapping[str, Phones], counts: Mapping[str, int]) -> Counter[Phones]:
    """How often each pronunciation was heard."""
    heard: Counter[Phones] = Counter()
    for word, phones in spoken.items():
        if not any(ODD.search(phone) for phone in phones):
            heard[phones] += counts[word]
    return heard


def _fit(phones: Phones) -> bool:
    return len(phones) >= SHORTEST and not any(ODD.search(phone) for phone in phones)


def _likelihood_leads(word: Phones, string: Phones, language: Language) -> tuple[float, ...]:
    """By how many nats a phone bigrams and unigrams prefer the word to the string."""
    return (
        (language.bigram(word) - language.bigram(string)) / len(word),
        (language.unigram(word) - language.unigram(string)) / len(word),
    )


def _unfairness(
    leads: Sequence[float], wanted: Sequence[bool], sums: Sequence[float]
) -> tuple[int, float]:
    """How badly a string suits: wrong winners first, then how far from a draw it leaves `sums`."""
    wrong = sum((lead > 0) != want for lead, want in zip(leads, wanted, strict=True))
    return wrong, sum(abs(total + lead) for total, lead in zip(sums, leads, strict=True))


def _band(heard: int) -> str:
    lows = (100, 20, 5, 1)
    names = ("100+", "20-99", "5-19", "1-4")
    return next(name for name, low in zip(names, lows, strict=True) if heard >= low)
