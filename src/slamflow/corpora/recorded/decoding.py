"""A file decoded once, as a stream: how long, how loud, and where somebody may be speaking."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile

from slamflow import audio
from slamflow.corpora import headers

if TYPE_CHECKING:
    from slamflow.corpora.recorded.voice_activity import Detector

FRAME = 0.032  # s, of loudness and of probability
BLOCK = 1000  # frames at a time: 32 s, so that at any rate a block is whole frames at 16 kHz
CHUNK = 1 << 20  # samples of all channels that are decoded at a time
RATES = (4_000, 384_000)  # Hz; another rate is a broken header
SILENT = 1e-4  # -80 dB of full scale: what stays below is three steps of 16 bits at most


@dataclass(frozen=True)
class Heard:
    """A decoded file: `frames` samples a channel at `rate` Hz, `promised` by its header.

    `peaks` is the largest magnitude in each FRAME, NaN or infinite where a sample is; `speech`
    the probability of speech in it, or None where nobody listened.
    """

    rate: int
    frames: int
    promised: int
    peaks: np.ndarray
    speech: np.ndarray | None

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.frames / self.rate

    def peak(self, start: float, end: float) -> float:
        """The largest magnitude between two times (s)."""
        part = self.peaks[int(start / FRAME) : int(np.ceil(end / FRAME))]
        return float(part.max()) if len(part) else 0.0


def fault(duration: float, peak: float, minimum: float, maximum: float | None) -> str | None:
    """Why an utterance of a duration (s) and a largest magnitude is left out, if it is."""
    if duration < minimum or duration <= 0:
        return f"too short ({duration:.2f} s)"
    if maximum is not None and duration > maximum:
        return f"too long ({duration:.2f} s)"
    if not math.isfinite(peak):
        return "not finite"
    return "silent" if peak < SILENT else None


def shown(error: Exception) -> str:
    """An error of decoding, without the file's name."""
    if isinstance(error, soundfile.LibsndfileError):
        return f"libsndfile error {error.code}: {error.error_string}"
    return str(error)


def hear(
    path: Path | BinaryIO,
    listener: "Callable[[], Detector] | None" = None,
    longer_than: float = 0.0,
) -> Heard:
    """Decode a file of any rate and any number of channels; a block of it is in memory at a time.

    Args:
        listener: gives who listens to a file that is longer than `longer_than` seconds.

    Raises:
        OSError: the file cannot be opened.
        soundfile.SoundFileError: it is no audio, or is damaged.
        ValueError: its sampling rate is none.
    """
    peaks, speech, frames = [], [], 0
    with soundfile.SoundFile(path) as file:
        rate, promised = file.samplerate, file.frames
        if not RATES[0] <= rate <= RATES[1]:
            raise ValueError(f"a sampling rate of {rate} Hz")
        detector = listener() if listener and promised > longer_than * rate else None
        if detector is not None:
            detector.reset()
        borders = np.rint(np.arange(BLOCK) * FRAME * rate).astype(np.int64)
        for block in _blocks(file):
            frames += len(block)
            peaks.append(np.maximum.reduceat(np.abs(block), borders[borders < len(block)]))
            if detector is not None:
                finite = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
                heard = audio.resample(finite.clip(-1, 1), rate, detector.rate)
                speech.append(detector.hear(heard))
    return Heard(
        rate,
        frames,
        promised if promised < headers.LONGEST else frames,
        np.concatenate([np.zeros(0, np.float32), *peaks]),
        None if detector is None else np.concatenate([np.zeros(0, np.float32), *speech]),
    )


def _blocks(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """The mean of the channels, float32, in blocks that have nothing to do with their number.

    Resampling a block by itself touches less than a millisecond at its ends.
    """
    size = round(BLOCK * FRAME * file.samplerate)
    chunk = max(1, CHUNK // file.channels)
    parts: list[np.ndarray] = []
    held = 0
    whole = True
    while whole:
        wanted = min(chunk, size - held)
        samples = file.read(wanted, dtype="float32", always_2d=True)
        whole = len(samples) == wanted  # behind a hole more may follow, but not in its place
        with np.errstate(all="ignore"):  # what is not finite is found later
            parts.append(samples.mean(axis=1, dtype=np.float32))
        held += len(samples)
        if held and (held == size or not whole):
            yield np.concatenate(parts)
            parts, held = [], 0
