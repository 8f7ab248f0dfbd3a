"""How steady units are when what does not change what is said is done to the wave.

- `noise`, by decibels: the share of frames that keep their unit when white noise is added.
- `speed`, by factor: edit distance between the units of the original and those of the wave
  resampled to be so much faster, both without repeats, as a share of the units of the original:
  like a word error rate, it is summed over the utterances and can be above 1. The unit edit
  distance of Gat et al. 2023 ("Augmentation invariant discrete representation for generative
  spoken language modeling") is a share of the frames, so it is lower, and the mean over utterances;
  their speed changes without the pitch.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slamflow import audio
from slamflow.tokeniser import features, quality_encoding, runs
from slamflow.tokeniser.edits import edit_distance

NOISE = (20, 10)  # dB, mean power of the wave over that of the noise
SPEEDS = (0.95, 1.05)
SECONDS = 200.0  # of audio that are encoded again with each of them


def measure(
    tokeniser: quality_encoding.Tokeniser,
    speech: Sequence[Path],
    chosen: Mapping[int, quality_encoding.Utterance],
    found: Sequence[np.ndarray],
    machine: Mapping[str, Any],
) -> dict[str, dict[str, float | None]]:
    """`noise` and `speed` of a tokeniser.

    Args:
        chosen: by place, the utterances to try.
        found: the units of each utterance as it is, int64 [frames], by place.
    """
    result: dict[str, dict[str, float | None]] = {"noise": {}, "speed": {}}
    for decibels in NOISE:

        def noisy(wave: np.ndarray, name: str, decibels: int = decibels) -> np.ndarray:
            return with_noise(wave, name, decibels)

        read = quality_encoding.encode(tokeniser, speech, chosen, machine, noisy)
        result["noise"][str(decibels)] = _ratio(
            ((now == found[place]).sum(), len(now)) for place, _, now in read
        )
    for factor in SPEEDS:

        def faster(wave: np.ndarray, _: str, factor: float = factor) -> np.ndarray:
            return at_speed(wave, factor)

        read = quality_encoding.encode(tokeniser, speech, chosen, machine, faster)
        pairs = ((runs.runs(found[place])[0], runs.runs(now)[0]) for place, _, now in read)
        result["speed"][str(factor)] = _ratio(
            (edit_distance(*both), len(both[0])) for both in pairs
        )
    return result


def with_noise(wave: np.ndarray, name: str, decibels: float) -> np.ndarray:
    """A wave float32 [n] with white noise, drawn by the utterance's name.

    Args:
        decibels: mean power of the wave over that of the noise.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    noise = np.random.default_rng(seed).standard_normal(len(wave), dtype=np.float32)
    power = np.mean(np.square(wave, dtype=np.float64)) / 10 ** (decibels / 10)
    return wave + np.float32(np.sqrt(power)) * noise


def at_speed(wave: np.ndarray, factor: float) -> np.ndarray:
    """A wave float32 [n] at `factor` times its speed, and pitch: about n / factor samples."""
    rate = features.SAMPLING_RATE
    return audio.resample(wave, round(rate * factor), rate)


def _ratio(parts: Iterator[tuple[int, int]]) -> float | None:
    found = np.array(list(parts), dtype=np.int64).reshape(-1, 2).sum(0)
    return float(found[0] / found[1]) if found[1] else None
