"""Audio in and out: the one way in which waves are read, resampled and written."""

import functools
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


@functools.lru_cache(maxsize=16)
def _low_pass(up: int, down: int) -> np.ndarray:
    from scipy.signal import firwin  # half a second to import, and often not needed

    largest = max(up, down)
    return firwin(20 * largest + 1, 1 / largest, window=("kaiser", 5.0)).astype(np.float32)


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Polyphase resampling of float32 [n] from `rate` Hz to ceil(n * wanted / rate) samples."""
    if rate == wanted or len(samples) == 0:
        return samples
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, wanted)
    up, down = wanted // divisor, rate // divisor
    return resample_poly(samples, up, down, window=_low_pass(up, down))


def encode_flac(samples: np.ndarray, sampling_rate: int) -> bytes:
    """FLAC of 16 bits of float samples [n] in [-1, 1); what lies outside is clipped."""
    whole = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    stream = io.BytesIO()
    soundfile.write(stream, whole, sampling_rate, format="FLAC", subtype="PCM_16")
    return stream.getvalue()


def read_audio(row: Mapping[str, Any], data_root: Path | None, sampling_rate: int) -> np.ndarray:
    """The samples of a row of a speech table.

    Args:
        row: `audio` as {bytes, path}, and for a path `start` and `end` in seconds (or null).
        data_root: folder that paths are relative to; not needed for bytes.
        sampling_rate: Hz of the result.

    Returns:
        float32 [n], mono (the mean of the channels).

    Raises:
        ValueError: the file is missing or cannot be decoded, or the part lies outside it.
    """
    audio = row["audio"]
    if audio["bytes"] is not None:
        name, source, start, end = row.get("id", "bytes"), io.BytesIO(audio["bytes"]), None, None
    else:
        if data_root is None:
            raise ValueError(f"{audio['path']}: a relative path; set data_root")
        name = source = Path(data_root) / audio["path"]
        start, end = row.get("start"), row.get("end")
    try:
        with soundfile.SoundFile(source) as file:
            rate = file.samplerate
            first = round((start or 0.0) * rate)
            last = file.frames if end is None else min(round(end * rate), file.frames)
            if not 0 <= first < last:
                raise ValueError(f"{name}: {start} s to {end} s lies outside the file")
            file.seek(first)
            samples = file.read(last - first, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise ValueError(f"{name}: cannot be read as audio ({error})") from None
    return resample(samples.mean(axis=1, dtype=np.float32), rate, sampling_rate)
