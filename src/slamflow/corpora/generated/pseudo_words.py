"""Pseudo-words: strings of a language's phones that are legal, near a word, and no word."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

Phones = tuple[str, ...]  # the synthesiser's mnemonics, with stress marks
EDGE = "#"
VOWELS = "aAeEiIoO0uUV3@"  # first letters of vowels
ATTEMPTS = 150  # candidates drawn a word


def is_vowel(phone: str) -> bool:
    """Whether a mnemonic is a vowel."""
    return phone.lstrip("',")[:1] in VOWELS


def kind(phone: str) -> str:
    """What an exchange of phones keeps: vowel or consonant, and the stress."""
    return ("V" if is_vowel(phone) else "C") + (phone[0] if phone[0] in "'," else "")


class Language:
    """The phone bigrams of a vocabulary, and the likelihoods they give to a word."""

    def __init__(self, heard: Mapping[Phones, int]) -> None:
        """`heard`: how often each pronunciation was heard."""
        self._unigrams: Counter[str] = Counter()
        self._bigrams: Counter[tuple[str, str]] = Counter()
        self._ends: set[tuple[str, Phones]] = set()
        for phones, count in heard.items():
            self._ends.update(ends(phones))
            for pair in bigrams(phones):
                self._bigrams[pair] += count
                self._unigrams[pair[1]] += count
        self._total = self._unigrams.total()
        self._firsts: Counter[str] = Counter()
        for (first, _), count in self._bigrams.items():
            self._firsts[first] += count
        self.kinds: dict[str, list[str]] = defaultdict(list)
        for phone in sorted(set(self._unigrams) - {EDGE}):
            self.kinds[kind(phone)].append(phone)

    def legal(self, phones: Phones) -> bool:
        """Whether all bigrams, and the consonants at both ends, occur so in the vocabulary."""
        return all(pair in self._bigrams for pair in bigrams(phones)) and self._ends.issuperset(
            ends(phones)
        )

    def follows(self, first: str, second: str) -> bool:
        """Whether `second` comes after `first` somewhere in the vocabulary."""
        return (first, second) in self._bigrams

    def unigram(self, phones: Phones) -> float:
        """Log-likelihood of a word by its phones."""
        return sum(math.log(self._unigrams[phone] / self._total) for phone in phones)

    def bigram(self, phones: Phones) -> float:
        """Log-likelihood of a legal word by its phone bigrams."""
        return sum(
            math.log(self._bigrams[pair] / self._firsts[pair[0]]) for pair in bigrams(phones)
        )


def bigrams(phones: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Neighbouring phones, the word's edges included."""
    return zip((EDGE, *phones), (*phones, EDGE), strict=True)


def ends(phones: Phones) -> tuple[tuple[str, Phones], tuple[str, Phones]]:
    """The consonants before the first vowel and those after the last one."""
    vowels = [position for position, phone in enumerate(phones) if is_vowel(phone)]
    if not vowels:
        return ("all", phones), ("all", phones)
    return ("before", phones[: vowels[0]]), ("after", phones[vowels[-1] + 1 :])


def candidates(word: Phones, language: Language, rng: random.Random) -> list[Phones]:
    """Different legal strings that differ from `word` in two phones, or three if it is long.

    They have as many phones, and vowels, consonants and stresses at the same places.
    """
    found: dict[Phones, None] = {}
    changes = 3 if len(word) >= 6 else 2
    for _ in range(ATTEMPTS):
        changed = set(rng.sample(range(len(word)), changes))
        string = _exchange(word, changed, language, rng)
        if string and language.legal(string):
            found[string] = None
    return list(found)


def _exchange(
    word: Phones, changed: set[int], language: Language, rng: random.Random
) -> Phones | None:
    """`word` with other phones at the positions `changed`, chosen with backtracking."""

    def extend(done: Phones) -> Phones | None:
        position = len(done)
        last = done[-1] if done else EDGE
        if position == len(word):
            return done if language.follows(last, EDGE) else None
        options = [word[position]]
        if position in changed:
            same = language.kinds[kind(word[position])]
            options = [phone for phone in same if phone != word[position]]
            rng.shuffle(options)
        for phone in options:
            if language.follows(last, phone) and (whole := extend((*done, phone))):
                return whole
        return None

    return extend(())
