"""Lexical pairs: words that were heard, and pseudo-words that no count gives away."""

from collections import Counter
from functools import cache

import pytest
from pocket_corpora import block, generate, pairs, preferred, table

from slamflow.corpora.generated import known_words, lexical, pseudo_words
from slamflow.corpora.generated.pseudo_words import Phones
from slamflow.synthesis import phonemes
from slamflow.synthesis.espeak import Espeak

SOURCE = block("generate_text", "lexical")
ACCENT = SOURCE["accents"][0]


@cache
def counts() -> Counter[str]:
    """How often `pocket` hears each word."""
    return lexical.count_words(table("stories"))


@cache
def heard() -> Counter[Phones]:
    """How often it hears each pronunciation."""
    found = Counter[Phones]()
    words = sorted(counts())
    for word, phones in zip(words, phonemes.phonemise(words, ACCENT), strict=True):
        found[tuple(phones)] += counts()[word]
    return found


def phones_of(spelled: str) -> Phones:
    return tuple(spelled.removeprefix("[[").removesuffix("]]").split("|"))


def spoken() -> list[tuple[Phones, Phones]]:
    """(word, pseudo-word) of each item."""
    return [(phones_of(a), phones_of(b)) for a, b in pairs("lexical", "phonemes")]


def test_words_are_different_and_were_heard_often_enough() -> None:
    texts = [text for pair in pairs("lexical") for text in pair]
    assert len(set(texts)) == len(texts) >= 2 * 300
    for (word, _), (group, _) in zip(pairs("lexical"), pairs("lexical", "group"), strict=True):
        low, _, high = group.partition("-")
        assert counts()[word] >= max(5, SOURCE["minimum_heard"], int(low.rstrip("+")))
        assert not high or counts()[word] <= int(high)


def test_pseudo_words_are_legal_near_and_no_words() -> None:
    bigrams = {pair for word in heard() for pair in pseudo_words.bigrams(word)}
    known = {known_words.sound(word) for word in heard()}
    for word, pseudo in spoken():
        assert word in heard() and known_words.sound(pseudo) not in known
        assert len(word) == len(pseudo) >= 4
        assert [pseudo_words.kind(it) for it in word] == [pseudo_words.kind(it) for it in pseudo]
        assert 1 <= sum(a != b for a, b in zip(word, pseudo, strict=True)) <= 3
        assert bigrams.issuperset(pseudo_words.bigrams(pseudo))


def test_neither_phones_nor_length_tell() -> None:
    language = pseudo_words.Language(heard())
    for score in (language.unigram, language.bigram):
        assert 0.45 <= preferred([(score(a), score(b)) for a, b in spoken()]) <= 0.55
    with Espeak() as espeak:
        seconds = [[phonemes.duration(it, ACCENT, espeak) for it in pair] for pair in spoken()]
    assert 0.45 <= preferred([(a, b) for a, b in seconds]) <= 0.55


def test_pseudo_words_are_words_in_no_accent() -> None:
    accents = ["en-us", "en-gb"]
    made = generate(SOURCE | {"count": 40, "accents": accents}, table("stories")).to_pylist()
    pseudo = {known_words.sound(phones_of(row["phonemes"])) for row in made[1::2]}
    english = [*counts(), *known_words.dictionary_words(), "friendly", "stories", "cooking"]
    assert len(pseudo) == 40 and not pseudo & known_words.sounds(sorted(english), accents)


def test_dictionary_of_the_synthesiser_is_read() -> None:
    listed = known_words.dictionary_words()
    assert len(listed) > 4000 and {"abdomen", "opossum", "only"} <= set(listed)
    forms = known_words.with_forms(["cook", "story"])
    assert {"cooking", "cooks", "stories", "cooked", "cooker"} <= set(forms)


def test_errors_say_what_to_do() -> None:
    with pytest.raises(ValueError, match="heard_in is missing"):
        generate(SOURCE)
    with pytest.raises(ValueError, match="lower the count"):
        generate(SOURCE, table("stories").slice(0, 40))
