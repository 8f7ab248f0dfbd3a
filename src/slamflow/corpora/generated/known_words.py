"""Pronunciations that pseudo-words must not have: English words, in the accents used.

The words are those of the vocabulary, those of the synthesiser's own English dictionary, which
comes with it, and the common ones of `english`, all with their inflected forms. A pseudo-word must
hold a run of three phones that none of them holds, so that it is hardly a word that they lack.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import espeakng_loader

from slamflow.corpora.generated import words
from slamflow.synthesis.espeak import Espeak

BUCKETS = 1024  # hash chains of a dictionary, each ended by a zero byte
BATCH = 400  # words a request

# Mnemonics that a listener, or another accent, may take for one another.
_MERGED = {
    **dict.fromkeys(("a#", "@2", "@-", "@", "V", "3", "3:", "U"), "@"),
    **dict.fromkeys(("I", "I2", "I#", "i", "i:"), "i"),
    **dict.fromkeys(("a", "aa", "A:", "A@", "A"), "a"),
    **dict.fromkeys(("0", "O", "O2", "O:", "O@", "o@"), "o"),
    **dict.fromkeys(("E", "e@", "e", "eI"), "e"),
    **dict.fromkeys(("i@3", "i@"), "i@"),
    **dict.fromkeys(("aI@", "aI3", "aI"), "aI"),
    **dict.fromkeys(("oU", "o"), "ou"),
    **dict.fromkeys(("u:", "u"), "u"),
    **dict.fromkeys(("t#", "t2", "?", "t"), "t"),
    "@L": "@l",
    "n-": "@n",
    "r-": "r",
}


def sound(phones: Iterable[str]) -> str:
    """Phones without stress, with those merged that are easily confused: equal for homophones."""
    bare = (phone.lstrip("',%=") for phone in phones)
    return " ".join(_MERGED.get(phone, phone) for phone in bare if phone)


def runs(sound: str) -> Iterable[tuple[str, ...]]:
    """The runs of three phones in what `sound` returned, the word's edges included."""
    phones = ["#", *sound.split(), "#"]
    return zip(phones, phones[1:], phones[2:], strict=False)


def dictionary_words() -> list[str]:
    """Plain words of the synthesiser's English dictionary, sorted.

    The file holds the number of hash chains and the offset of the rules (32 bits each, little
    endian), then the chains: for each entry its length, the word's length with flags, the word
    (0x40: six bits a letter), flags and phonemes.
    """
    content = (Path(espeakng_loader.get_data_path()) / "en_dict").read_bytes()
    chains, rules = struct.unpack("<II", content[:8])
    assert chains == BUCKETS and rules <= len(content), "unknown dictionary format"
    found: set[str] = set()
    position, chain = 8, 0
    while chain < BUCKETS:
        length = content[position]
        if not length:
            position, chain = position + 1, chain + 1
            continue
        header = content[position + 1]
        raw = content[position + 2 : position + 2 + (header & 0x3F)]
        word = _unpacked(raw) if header & 0x40 else raw.decode("latin-1")
        if re.fullmatch("[a-z]{2,}", word):
            found.add(word)
        position += length
    return sorted(found)


def with_forms(bases: Iterable[str]) -> list[str]:
    """The words and all that could be their inflected and derived forms, sorted."""
    known: set[str] = set()
    for word in bases:
        endings = (words.s_form, words.past, words.ing, words.comparative, words.superlative)
        known.add(word)
        if len(word) > 2:
            known.update(ending(word) for ending in endings)
            known.update((word + "ly", word + "y", words.s_form(words.comparative(word))))
    return sorted(known)


def _unpacked(raw: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in raw)
    codes = [int(bits[start : start + 6], 2) for start in range(0, len(bits) - 5, 6)]
    return "".join(chr(ord("a") + code - 1) if 1 <= code <= 26 else "" for code in codes)


def sounds(listed: Sequence[str], accents: Sequence[str]) -> set[str]:
    """How words sound (see `sound`), each in each accent.

    Raises:
        ValueError: unknown accent.
    """
    found: set[str] = set()
    with Espeak() as espeak:
        for accent in accents:
            for start in range(0, len(listed), BATCH):
                text = ". ".join(listed[start : start + BATCH])
                found.update(sound(phones) for phones in espeak.phonemise(text, accent))
    return found
