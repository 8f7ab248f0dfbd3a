"""MFCC: fairseq's, at the centres of a HuBERT's frames."""

import math

import pytest
import torch
from torchaudio.compliance import kaldi
from torchaudio.functional import compute_deltas

from slamflow.tokeniser import features


@pytest.fixture(scope="module")
def wave() -> torch.Tensor:
    """Three seconds of a tone whose pitch rises, in noise."""
    time = torch.arange(3 * features.SAMPLING_RATE) / features.SAMPLING_RATE
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    return 0.3 * torch.sin(2 * math.pi * (200 + 100 * time) * time) + 0.01 * noise


@pytest.mark.parametrize("hop", [160, 320, 640])
def test_mfcc_are_those_of_fairseq_averaged_over_each_frame(wave: torch.Tensor, hop: int) -> None:
    static = kaldi.mfcc(wave[None], sample_frequency=16_000, use_energy=False).T
    delta = compute_deltas(static)
    every = torch.cat([static, delta, compute_deltas(delta)]).T  # centred at 200, 360, …
    parts = hop // 160
    centre = 200 + (parts - 1) * 80  # of the first `parts` of them
    frames = len(every) // parts
    found = features.mfcc(wave, frames, centre, hop)
    assert found.shape == (frames, features.DIMENSION) and found.dtype == torch.float32
    wanted = every[: frames * parts].reshape(frames, parts, -1).mean(1)
    inside = slice(0, frames - 4 // parts - 1)  # differences look four analyses ahead
    torch.testing.assert_close(found[inside], wanted[inside], rtol=1e-4, atol=1e-4)
    later = features.mfcc(wave, frames - 2, centre + hop, hop)
    torch.testing.assert_close(later[4:-4], found[5:-5], rtol=1e-4, atol=1e-4)


def test_the_wave_counts_as_zero_outside(wave: torch.Tensor) -> None:
    filled = torch.cat([torch.zeros(640), wave, torch.zeros(6400)])
    found = features.mfcc(wave, 80, 100)
    torch.testing.assert_close(found, features.mfcc(filled, 80, 740))
    assert found.isfinite().all()


def test_frames_are_whole_analyses(wave: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="multiples of 160 samples, not of 200"):
        features.mfcc(wave, 10, 100, 200)
