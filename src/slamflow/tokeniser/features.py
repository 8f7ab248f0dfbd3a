"""MFCC at the frame rate of a HuBERT: its first targets, and what its units are compared with."""

import torch
from torch.nn import functional
from torchaudio.compliance import kaldi
from torchaudio.functional import compute_deltas

from slamflow.tokeniser import convolutions

SAMPLING_RATE = convolutions.SAMPLING_RATE
COEFFICIENTS = 13
DIMENSION = 3 * COEFFICIENTS
HOP = 640  # samples a frame where no HuBERT gives another one: 25 Hz
_STEP = 160  # samples between two analyses
_WINDOW = 400  # samples of an analysis
_ANALYSES = 1 << 14  # at once; each takes some 10 kB


def mfcc(wave: torch.Tensor, frames: int, centre: int, hop: int = HOP) -> torch.Tensor:
    """13 MFCC with their first and second differences, every 10 ms, averaged over each frame.

    They are HuBERT's first targets (Hsu et al. 2021, section IV.B): Kaldi's MFCC with the zeroth
    coefficient instead of the energy, without dither, and differences over five analyses.

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
    first = centre - (parts - 1) * _STEP // 2 - _WINDOW // 2
    last = first + (frames * parts - 1) * _STEP + _WINDOW
    taken = functional.pad(wave.float(), (-first, last - len(wave)))  # where negative, it cuts
    static = _static(taken).T
    delta = compute_deltas(static)
    stacked = torch.cat([static, delta, compute_deltas(delta)]).T
    return stacked.reshape(frames, parts, DIMENSION).mean(1)


def _static(wave: torch.Tensor) -> torch.Tensor:
    """The 13 coefficients of every analysis of a wave [samples], [analyses, 13]."""
    last = len(wave) - _WINDOW
    parts = [
        kaldi.mfcc(
            wave[None, start : min(last, start + (_ANALYSES - 1) * _STEP) + _WINDOW],
            num_ceps=COEFFICIENTS,
            use_energy=False,
            sample_frequency=SAMPLING_RATE,
        )
        for start in range(0, last + 1, _ANALYSES * _STEP)
    ]
    return torch.cat(parts)
