"""Phones by pocketsphinx's phone decoder, of English speech whose text is not known.

What is heard is not what is said: of the 10 ms steps of AN4's speech, 64 % have the phone that
`sphinx` finds with the text, 70 % with those of silence; of espeak-ng's, 14 to 43 % have the true
one. So these phones compare units with each other; they are no measure of their own. The weight of
the order of phones is about the best of 0.5 to 6.5 there. Models of phones in their context agree
no more or by 4 % more, at a tenth of the speed or less.

Its acoustic models hear MFCC, so its phones favour units made of MFCC over others.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pocketsphinx

from slamflow.alignment import sphinx, texts

SAMPLING_RATE = sphinx.SAMPLING_RATE
LONGEST = 300.0  # s: memory grows with it, 70 MB here
ORDER = 3.0  # weight of the trigrams of phones
BEAM = 1e-48  # 1e-15 loses 3 % of the phones, 1e-200 finds no others


def align(
    utterances: Iterable[tuple[Mapping[str, Any], np.ndarray]],
    config: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> Iterator[tuple[int, texts.Aligned]]:
    """Index and phones of each utterance, in order; there are no words.

    A score is the log-probability a frame, relative to the best state of all in each frame, with
    the weighted one of the order of the phones.

    Args:
        utterances: rows, of which nothing is used, and waves, float32 [samples] at SAMPLING_RATE.
        config: nothing of it is used.
        machine: `threads`: how many processes decode.
    """
    return sphinx.spread(_heard, ((wave,) for _, wave in utterances), machine)


@functools.cache
def _decoder() -> Any:
    order = pocketsphinx.get_model_path("en-us/en-us-phone.lm.bin")
    beams = {"beam": BEAM, "pbeam": BEAM}
    return pocketsphinx.Decoder(allphone=order, lm=None, lw=ORDER, loglevel="FATAL", **beams)


def _heard(wave: np.ndarray) -> texts.Aligned:
    seconds = len(wave) / SAMPLING_RATE
    if reason := texts.too_long(seconds, LONGEST):
        return texts.failed(reason)
    if seconds * sphinx.FRAME_RATE < sphinx.LEAST:
        return texts.failed(f"too short ({seconds:.3f} s)")
    decoder = _decoder()
    try:
        sphinx.hear(decoder, wave)
        best, found = decoder.hyp(), list(decoder.seg() or ())
    except RuntimeError as error:
        _decoder.cache_clear()  # what failed half-way is not used again
        return texts.failed(f"cannot be decoded ({error})"[:200])
    if best is None or not found or best.score <= 0:  # no phone's end is reached
        return texts.failed(f"too short ({seconds:.3f} s)")
    phones = [(phone.word, phone.start_frame, phone.end_frame + 1) for phone in found]
    score = math.log(best.score) * 1024 / phones[-1][2]  # scores are in 1024ths
    return texts.aligned(None, sphinx.covering(phones, seconds), score, {})
