"""espeak-ng's American English phonemes as those of CMU's dictionary."""

from collections.abc import Sequence

from slamflow.synthesis.espeak import SILENCE, STRESS

VOICE = "en-us"
# Mnemonic and phones, by what CMU's dictionary has in words that both know.
_PHONES = {
    mnemonic: phones.split()
    for mnemonic, phones in (
        line.strip().split(" ", 1)
        for line in """
        p P|t T|t2 T|t# T|? T|k K|b B|d D|d# D|g G|tS CH|dZ JH|x K
        f F|v V|T TH|D DH|s S|z Z|S SH|Z ZH|h HH|m M|n N|N NG|n- AH N
        l L|@L AH L|r R|r- R|w W|j Y|i: IY|i IY|I IH|I# IH|I2 IH|E EH|a AE|aa AE
        A: AA|a: AA|A~ AA N|0 AA|O2 AO|O: AO|O AO|V AH|@ AH|@2 AH|@5 AH|@- AH|a# AH|U UH|u: UW|u UW
        3: ER|3 ER|eI EY|aI AY|OI OY|oU OW|aU AW|A@ AA R|O@ AO R|o@ AO R|e@ EH R
        i@ IY AH|i@3 IH R|U@ UH R|aI@ AY AH|aI3 AY ER|aU@ AW ER|IR IH R|VR AH R
        """.replace("\n", "|").split("|")
        if line.strip()
    )
}
_LINKS = {"", ";", "|", "||", "-"}


def phones(mnemonics: Sequence[str]) -> list[str] | None:
    """ARPAbet without stress of espeak-ng's mnemonics; None if one is not of American English."""
    found: list[str] = []
    for mnemonic in mnemonics:
        plain = mnemonic.lstrip(STRESS)
        if plain in _LINKS or plain.startswith(SILENCE):
            continue
        if plain not in _PHONES:
            return None
        found += _PHONES[plain]
    return found or None
