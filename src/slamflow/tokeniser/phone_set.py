"""One set of phones for all labels: CMUdict's 39, without stress.

Speech of espeak-ng is labelled with its mnemonics, aligned speech with ARPAbet. The two use some
letters differently, `S` is ARPAbet's SH for the one and its S for the other, so a label is read
with its alphabet, which is that of its utterance.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from slamflow.synthesis import arpabet
from slamflow.synthesis.espeak import SILENCE, STRESS

Alphabet = Literal["arpabet", "espeak"]

PHONES = tuple(
    "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W"
    " Y Z ZH".split()
)
# Of pocketsphinx and CMUdict; what is spoken, but no known phone, is none of the set.
_NOISES = {"SIL": SILENCE, "<sil>": SILENCE, "+NSN+": SILENCE, "++NOISE++": SILENCE}
# Mnemonics as they sound where `arpabet` has no phone of their own (`;` is a glide between vowels,
# `r-` an R that links to one), and those of other English voices than its one.
_OTHERS = {
    ";": "Y", "r-": "R", "": None, "0#": "AA", "02": "AA", "@#": "AH", "A#": "AA", "E#": "EH",
    "E2": "EH", "I2#": "IH", "a#2": "AH", "a/": "AE", "a2": "AE", "aI2": "AY", "d[": "D",
    "e#": "EH", "e:": "EY", "l/2": "L", "l-": "L", "m-": "M", "N-": "NG", "oU#": "OW", "r/": "R",
    "t[": "T", "w#": "W", "z#": "S", "z/2": "Z",
}  # fmt: skip


def alphabet(labels: Iterable[str]) -> Alphabet:
    """What the labels of an utterance are written in; a few phones are enough to tell."""
    written = all(phone(label, "arpabet") or label.startswith("+") for label in labels)
    return "arpabet" if written else "espeak"


def phones(labels: Sequence[str]) -> list[str | None]:
    """`phone` of each label of an utterance, in the alphabet that they are written in."""
    found = alphabet(labels)
    return [phone(label, found) for label in labels]


def phone(label: str, written: Alphabet) -> str | None:
    """The phone of a label with or without stress, the first if it is two: AA of espeak's `A@`.

    SILENCE of pauses and noises, None of what is unknown.
    """
    if written == "arpabet":
        name = label.rstrip("012")
        if label.startswith(SILENCE):
            return SILENCE
        return name if name in PHONES else _NOISES.get(label)
    name = label.lstrip(STRESS)
    if name.startswith(SILENCE):
        return SILENCE
    if name in _OTHERS:
        return _OTHERS[name]
    heard = arpabet.phones(name)
    return heard[0].rstrip("012") if heard else None
