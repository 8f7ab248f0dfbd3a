"""espeak-ng's American English phonemes as ARPAbet, the phones of CMUdict."""

import re

from slamflow.synthesis.espeak import SILENCE, STRESS

VOICE = "en-us"
# Mnemonics of this voice without marks of stress, by what CMUdict has in words that both know.
# Vowels have a 0 for their stress; r- is the second half of an ER.
_PHONES = {
    "0": "AA0", "3": "ER0", "3:": "ER0", "?": "T", "@": "AH0", "@-": "AH0", "@2": "AH0",
    "@5": "AH0", "@L": "AH0 L", "A:": "AA0", "A@": "AA0 R", "A~": "AA0 N", "D": "DH", "E": "EH0",
    "I": "IH0", "I#": "IH0", "I2": "IH0", "IR": "IH0 R", "N": "NG", "O": "AO0", "O2": "AO0",
    "O:": "AO0", "O@": "AO0 R", "OI": "OY0", "O~": "AA0 N", "S": "SH", "T": "TH", "U": "UH0",
    "U@": "UH0 R", "V": "AH0", "VR": "AH0 R", "Z": "ZH", "a": "AE0", "a#": "AH0", "a:": "AA0",
    "aI": "AY0", "aI3": "AY0 ER0", "aI@": "AY0 AH0", "aU": "AW0", "aU@": "AW0 ER0", "aa": "AE0",
    "b": "B", "d": "D", "d#": "D", "dZ": "JH", "e": "EH0", "e@": "EH0 R", "eI": "EY0", "f": "F",
    "g": "G", "h": "HH", "i": "IY0", "i:": "IY0", "i::": "IY0", "i@": "IY0 AH0", "i@3": "IH0 R",
    "j": "Y", "k": "K", "l": "L", "l#": "L", "m": "M", "n": "N", "n-": "AH0 N", "o:": "OW0",
    "o@": "AO0 R", "oU": "OW0", "p": "P", "r": "R", "r-": "", "s": "S", "t": "T", "t#": "T",
    "t2": "T", "tS": "CH", "u": "UW0", "u:": "UW0", "v": "V", "w": "W", "x": "K", "z": "Z",
    "": "", ";": "", "|": "", "||": "", "-": "",
}  # fmt: skip
_STRESSES = {"'": "1", ",": "2"}


def phones(mnemonic: str) -> list[str] | None:
    """The phones of a mnemonic, its stress on the first; None if it is of another language."""
    name = mnemonic.lstrip(STRESS)
    if name.startswith(SILENCE):
        return []
    if name not in _PHONES:
        return None
    marks = mnemonic[: len(mnemonic) - len(name)]
    stress = next((_STRESSES[mark] for mark in marks if mark in _STRESSES), "0")
    first, *others = _PHONES[name].split() or [""]
    return [phone for phone in (re.sub("0$", stress, first), *others) if phone]
