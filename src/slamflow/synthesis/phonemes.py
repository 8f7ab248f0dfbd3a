"""Words as the synthesiser's phoneme mnemonics, and back into something it can speak."""

from collections.abc import Sequence

from slamflow.synthesis.espeak import Espeak

USUAL_RATE, USUAL_PITCH = 175, 50


def phonemise(words: Sequence[str], voice: str) -> list[list[str]]:
    """espeak-ng's phoneme mnemonics of each word spoken alone, with stress marks: `h @ l 'oU`.

    A word's mnemonics do not depend on the other words of the call. What espeak-ng reads as
    several words (a number, an abbreviation) gives the phonemes of all of them.

    Raises:
        ValueError: unknown voice.
        EspeakError: espeak-ng failed on a word.
    """
    with Espeak() as espeak:
        espeak.resolve(voice)
        return [[phone for part in espeak.phonemise(word, voice) for phone in part]
                for word in words]  # fmt: skip


def spell(words: Sequence[Sequence[str]]) -> str:
    """The text that speaks words given as mnemonics: `[[h|@|l|'oU w|'3:|l|d]]`."""
    return "[[" + " ".join("|".join(phones) for phones in words) + "]]"


def duration(phones: Sequence[str], voice: str, espeak: Espeak) -> float:
    """Seconds that a word given as mnemonics takes, spoken alone at espeak-ng's usual rate.

    Raises:
        ValueError: unknown voice.
        EspeakError: espeak-ng failed on it.
    """
    spoken = espeak.speak(spell([phones]), voice, USUAL_RATE, USUAL_PITCH, phonemes=True)
    return len(spoken.samples) / spoken.sampling_rate
