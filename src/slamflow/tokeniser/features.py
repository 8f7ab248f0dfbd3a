"""MFCC at the frame rate of a HuBERT: its first targets, and what its units are compared with."""

import functools

import torch
import torchaudio

SAMPLING_RATE = 16_000  # Hz
COEFFICIENTS = 13
DIMENSION = 3 * COEFFICIENTS
HOP = 640  # samples a frame where no HuBERT gives another one: 25 Hz
_STEP = 160  # samples between two analyses
_WINDOW = 400  # samples
_FFT = 512


def mfcc(wave: torch.Tensor, frames: int, centre: int, hop: int = HOP) -> torch.Tensor:
    """13 MFCC with their first and second differences, every 10 ms, averaged over each frame.

    Frame t is centred at sample `centre` + t × `hop`; the wave counts as zero outside.

    Args:
        wave: float [samples] at 16 kHz in [-1, 1].
        frames: how many.
        hop: samples a frame, a multiple of 160.

    Returns:
        float32 [frames, 39].
    """
    if hop % _STEP:
        raise ValueError(f"MFCC are made for frames of multiples of {_STEP} samples, not of {hop}")
    parts = hop // _STEP
    first = centre - (parts - 1) * _STEP // 2 - _FFT // 2
    needed = (frames * parts - 1) * _STEP + _FFT
    before, after = max(0, -first), max(0, first + needed - len(wave))
    padded = torch.nn.functional.pad(wave, (before, after))
    taken = padded[first + before : first + before + needed]
    static = _transform()(taken)
    delta = torchaudio.functional.compute_deltas(static, 5)
    delta2 = torchaudio.functional.compute_deltas(delta, 5)
    stacked = torch.cat([static, delta, delta2]).T
    return stacked.reshape(frames, parts, DIMENSION).mean(1)


@functools.cache
def _transform() -> torchaudio.transforms.MFCC:
    settings = {
        "n_fft": _FFT,
        "win_length": _WINDOW,
        "hop_length": _STEP,
        "n_mels": 40,
        "f_min": 20.0,
        "center": False,
    }
    return torchaudio.transforms.MFCC(SAMPLING_RATE, COEFFICIENTS, melkwargs=settings)
