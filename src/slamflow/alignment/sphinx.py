"""Words and phones by pocketsphinx, whose wheel holds a model of English and CMU's dictionary.

The first pass finds the words, their pronunciations and pauses, the second the phones in them. A
wrong text is often aligned too, but its score is low: on real speech the median is -1.2 for right
texts and -4.5 for wrong ones, on espeak-ng's -3.6, and most wrong texts are not aligned at all.

Its acoustic models hear MFCC, so its borders of phones favour units made of MFCC over others.
"""

import functools
import itertools
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pocketsphinx

from slamflow import orphans
from slamflow.alignment import texts
from slamflow.synthesis import arpabet
from slamflow.synthesis.espeak import SILENCE, Espeak, EspeakError
from slamflow.workers import in_order

SAMPLING_RATE = 16_000
FRAME_RATE = 100  # Hz
LONGEST = 60.0  # s: memory grows with its square, 260 MB here
LEAST = 3  # frames of a phone: the states of its model
BEAM = 1e-200  # the default of 1e-48 loses half of espeak-ng's speech
LOG = 1024 * math.log(1.0001)  # nats in a unit of pocketsphinx's scores
FILLERS = ("<", "[")  # first characters of what is no word in the dictionary of noises
NOISES = ("SIL", "+")  # first characters of what is no phone of a word


def align(
    utterances: Iterable[tuple[Mapping[str, Any], np.ndarray]],
    config: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> Iterator[tuple[int, texts.Aligned]]:
    """Index and alignment of each utterance, in order.

    A score is the log-probability a frame, relative to the best state of all in each frame.

    Args:
        utterances: rows with `text`, and waves, float32 [samples] at SAMPLING_RATE.
        config: `least_score`, or None.
        machine: `threads`: how many processes align.
    """
    calls = ((row["text"], wave, dict(config)) for row, wave in utterances)
    return spread(_align, calls, machine)


def spread(
    function: Callable[..., texts.Aligned],
    calls: Iterable[tuple[Any, ...]],
    machine: Mapping[str, Any],
) -> Iterator[tuple[int, texts.Aligned]]:
    """Index and result of each call of a function, in order, by `threads` processes."""
    called = functools.partial(_call, function)
    threads = int(machine.get("threads") or 1)
    return enumerate(in_order(called, calls, threads, 8, orphans.processes))


def _call(function: Callable[..., texts.Aligned], arguments: tuple[Any, ...]) -> texts.Aligned:
    return function(*arguments)


@functools.cache
def _decoder() -> Any:
    # The paths of words through the lattice that `bestpath` would seek are not those of the text.
    beams = {"beam": BEAM, "pbeam": BEAM, "wbeam": BEAM}
    return pocketsphinx.Decoder(lm=None, bestpath=False, loglevel="FATAL", **beams)


@functools.cache
def _espeak() -> Espeak:
    return Espeak()


def _align(text: str | None, wave: np.ndarray, config: Mapping[str, Any]) -> texts.Aligned:
    seconds = len(wave) / SAMPLING_RATE
    if reason := texts.refused(text, seconds, LONGEST):
        return texts.failed(reason)
    tokens = texts.spoken(text or "")
    entries = [_entries(token) for token in tokens]
    if unknown := [token for token, found in zip(tokens, entries, strict=True) if not found]:
        return texts.failed(f"words not in the dictionary: {', '.join(unknown[:3])}"[:200])
    names = [name for found in entries for name in found]
    count = sum(len(_decoder().lookup_word(name).split()) for name in names)
    if count * LEAST > seconds * FRAME_RATE:
        return texts.failed(
            f"text longer than the audio allows ({count} phones in {seconds:.2f} s)"
        )
    try:
        found = _passes(" ".join(names), wave)
    except RuntimeError as error:
        _decoder.cache_clear()  # what failed half-way is not used again
        return texts.failed(f"cannot be aligned ({error})"[:200])
    kept = [word for word in found if not word[0].startswith(FILLERS)]
    if [re.sub(r"\(\d+\)$", "", word[0]) for word in kept] != names:
        return texts.failed("cannot be aligned (its end is not reached)")
    words, rest = [], iter(kept)
    for token, parts in zip(tokens, entries, strict=True):
        those = list(itertools.islice(rest, len(parts)))
        words.append(_label(token, those[0][1], those[-1][2], seconds))
    score = sum(word[3] for word in found) * LOG / max(1, found[-1][2])
    return texts.aligned(
        words, covering([phone for word in found for phone in word[4]], seconds), score, config
    )


def _entries(token: str) -> list[str]:
    """The dictionary's words of a token; one that it lacks is added as espeak-ng says it."""
    decoder, word = _decoder(), token.lower().replace("’", "'")
    if decoder.lookup_word(word) is not None:
        return [word]
    parts = [part for part in re.split(r"[-–—/]", word) if part]
    if all(decoder.lookup_word(part) is not None for part in parts):
        return parts
    name = f"{word}/"  # no token ends so: what was added before changes no later utterance
    if decoder.lookup_word(name) is not None:
        return [name]
    if not latin(word):
        return []  # espeak-ng would name the letters
    try:
        said = _espeak().phonemise(word, arpabet.VOICE)
    except EspeakError:
        return []
    found = pronounced([mnemonic for part in said for mnemonic in part])
    if not found:
        return []
    decoder.add_word(name, " ".join(found), False)
    return [name]


def latin(word: str) -> bool:
    """Whether its letters are those of the Latin alphabet."""
    return all("LATIN" in unicodedata.name(letter, "") for letter in word if letter.isalpha())


def pronounced(mnemonics: Sequence[str]) -> list[str] | None:
    """A word of espeak-ng's mnemonics in pocketsphinx's phones, which are ARPAbet without stress.

    None if one of them is not of American English.
    """
    found: list[str] = []
    for mnemonic in mnemonics:
        heard = arpabet.phones(mnemonic)
        if heard is None:
            return None
        found += [phone.rstrip("012") for phone in heard]
    return found


def _passes(names: str, wave: np.ndarray) -> list[tuple[str, int, int, int, list[Any]]]:
    """(name, first frame, frame after the last, score, phones) of words, pauses and noises."""
    decoder = _decoder()
    decoder.set_align_text(names)
    for second in (False, True):
        if second:
            if decoder.hyp() is None:
                return []
            decoder.set_alignment()
        hear(decoder, wave)
    return [
        (word.name, word.start, word.start + word.duration, word.score,
         [(phone.name, phone.start, phone.start + phone.duration) for phone in word])
        for word in decoder.get_alignment()
    ]  # fmt: skip


def hear(decoder: Any, wave: np.ndarray) -> None:
    """Decode a wave, float32 [samples], whatever the decoder has heard before.

    Raises:
        RuntimeError: it cannot, or the wave is digital silence, of which features have no mean and
            the result is arbitrary.
    """
    samples = np.clip(np.rint(wave * 32768), -32768, 32767)
    decoder.reinit_feat()  # means and noise of the utterance before are forgotten
    decoder.start_utt()
    decoder.process_raw(samples.astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    if "nan" in decoder.get_cmn(False):
        raise RuntimeError("digital silence")


def _label(name: str, first: int, after: int, seconds: float) -> dict[str, Any]:
    start, end = first / FRAME_RATE, min(after / FRAME_RATE, seconds)
    return {"label": name, "start": start, "end": end}


def covering(found: Iterable[tuple[str, int, int]], seconds: float) -> list[dict[str, Any]]:
    """Phones and silences that cover the utterance; silences in a row are one, as are noises.

    Args:
        found: name, first frame and frame after the last of pocketsphinx's phones.
        seconds: of the utterance.
    """
    merged: list[dict[str, Any]] = []
    for phone, first, after in found:
        label = _label(SILENCE if phone.startswith(NOISES) else phone, first, after, seconds)
        if merged and label["label"] == SILENCE == merged[-1]["label"]:
            merged[-1]["end"] = label["end"]
        else:
            merged.append(label)
    merged[-1]["end"] = seconds
    return merged
