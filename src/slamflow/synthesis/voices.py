"""What every engine shares: texts in; audio, rate and, where it has them, alignments out.

An engine is a module of this package with two functions. `draw(synthesiser, seed, item, rendition)`
gives the voice, rate and pitch of an utterance. `speak(requests, synthesiser, machine)` yields for
each `Request`, in their order, a `Wave` or the reason why there is none.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

Label = dict[str, Any]  # label, start, end
SILENCE = "_"  # label of all that is not a phone
NOTHING = "nothing to speak in this text"
NO_PHONEMES = "phonemes, which only espeak speaks"

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Request:
    """What is to be spoken, and how.

    `text` is on one line, `phonemes` (or "") are espeak-ng's mnemonics in `[[…]]`, which stand in
    place of it. All that an engine draws at random, it draws from `seed`.
    """

    text: str
    phonemes: str
    voice: str
    rate: int | None
    pitch: int | None
    seed: str


@dataclass(frozen=True)
class Wave:
    """An utterance: float32 [n] in [-1, 1] at `sampling_rate` Hz.

    `words` and `phones` are in seconds, in order of time, and None where the engine knows none.
    Phones and silences cover the utterance without gaps.
    """

    samples: np.ndarray
    sampling_rate: int
    words: list[Label] | None = None
    phones: list[Label] | None = None


def numbers(seed: int, item: str, rendition: int) -> tuple[int, int, int]:
    """Three numbers below 2^64 for an item's rendition, independent of all others."""
    digest = hashlib.sha256(f"{seed}/{rendition}/{item}".encode()).digest()
    first, second, third = (int.from_bytes(digest[8 * i : 8 * i + 8], "big") for i in range(3))
    return first, second, third


def pick(
    voices: list[str], synthesiser: Mapping[str, Any], seed: int, item: str, rendition: int
) -> tuple[str, None, None]:
    """One of `voices` for an item's rendition; without any, the engine's name is the voice."""
    names = voices or [str(synthesiser["engine"])]
    return names[numbers(seed, item, rendition)[0] % len(names)], None, None


def pick_speaker(
    synthesiser: Mapping[str, Any], seed: int, item: str, rendition: int
) -> tuple[str, None, None]:
    """The voice `<engine>-<speaker>` of an item's rendition: one of `speakers`, or the only one."""
    names = [f"{synthesiser['engine']}-{number}" for number in synthesiser.get("speakers") or []]
    return pick(names, synthesiser, seed, item, rendition)
