"""A pseudo-word for each of many words, such that no count tells which is which.

The pseudo-word has as many phones and the same stress, all its phone bigrams occur in the
language, and it is a word in no accent used. Among the strings that fulfil this, one is chosen
whose phones are about as likely as the word's and that takes about as long to say, so that over
all items phone unigrams, phone bigrams and the shorter sound prefer the word about half of the
time, and by as much as they prefer the pseudo-word in the other half.
"""

import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from slamflow.corpora.generated import known_words, pseudo_words
from slamflow.corpora.generated.pseudo_words import Language, Phones
from slamflow.synthesis import phonemes
from slamflow.synthesis.espeak import Espeak

SHORTEST = 4  # phones
SPOKEN = 5  # strings a word that are spoken to compare their length
ODD = re.compile(r"[_;?-]")  # pauses, palatalisation and consonants of one word only


def plain(phones: Phones) -> bool:
    """Whether no phone is one that belongs to a single word or to no word."""
    return not any(ODD.search(phone) for phone in phones)


def fit(phones: Phones) -> bool:
    """Whether a word is long and plain enough to be asked for."""
    return len(phones) >= SHORTEST and plain(phones)


def pair_up(
    words: Iterable[Phones],
    language: Language,
    is_word: Callable[[str], bool],
    accent: str,
    rng: random.Random,
    espeak: Espeak,
) -> Iterator[Phones | None]:
    """The pseudo-word of each word in turn, None where there is none.

    Args:
        words: their phones, which `language` knows.
        is_word: whether what `known_words.sound` returns sounds like a word, or is used already.
        accent: the voice that both are spoken with to compare their length.
    """
    pairs = 0
    # of bigrams, unigrams and length: how often they preferred the word, and by how much in sum
    wins, sums = [0, 0, 0], [0.0, 0.0, 0.0]
    for phones in words:
        likelihoods = {
            string: _likelihood_leads(phones, string, language)
            for string in pseudo_words.candidates(phones, language, rng)
            if not is_word(known_words.sound(string))
        }
        if not likelihoods:
            yield None
            continue
        wanted = [2 * won <= pairs for won in wins]
        likely = sorted(
            likelihoods, key=lambda it: _unfairness(likelihoods[it], wanted[:2], sums[:2])
        )
        seconds = phonemes.duration(phones, accent, espeak)
        leads = {
            it: (*likelihoods[it], math.log(phonemes.duration(it, accent, espeak) / seconds))
            for it in likely[:SPOKEN]
        }
        string = min(leads, key=lambda it: _unfairness(leads[it], wanted, sums))
        pairs += 1
        wins = [won + (lead > 0) for won, lead in zip(wins, leads[string], strict=True)]
        sums = [total + lead for total, lead in zip(sums, leads[string], strict=True)]
        yield string


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
