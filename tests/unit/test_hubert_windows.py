"""Long utterances go through the transformer in windows; memory stays bounded."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from small_huberts import IN_USE, save

from slamflow import audio
from slamflow.synthesis.espeak import Espeak
from slamflow.tokeniser import hubert, hubert_windows, kmeans
from slamflow.tokeniser.convolutions import SAMPLING_RATE

POCKET = Path(__file__).parents[2] / "resources" / "hubert-pocket" / "model.safetensors"


@pytest.mark.parametrize(
    ("frames", "size", "overlap"),
    [(11, 10, 1), (1000, 100, 20), (101, 100, 49), (15_000, 1000, 200), (997, 31, 15)],
)
def test_windows_keep_every_frame_once_with_enough_around_it(
    frames: int, size: int, overlap: int
) -> None:
    found = list(hubert_windows.windows(frames, size, overlap))
    assert found[0][2] == 0 and found[-1][3] == frames
    for (*_, end), (_, _, first, _) in pairwise(found):
        assert first == end
    for start, stop, first, end in found:
        assert 0 <= start <= first < end <= stop <= frames
        assert stop - start == size
        assert start == 0 or first - start >= overlap
        assert stop == frames or stop - end >= overlap


@pytest.mark.parametrize("architecture", IN_USE)
def test_windows_change_nothing_before_the_layers_and_little_after(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = hubert.load(save(tmp_path, **IN_USE[architecture]))
    generator = torch.Generator().manual_seed(0)
    loudness = torch.linspace(0.01, 0.3, 320_000)  # statistics of a part are not those of the whole
    long = torch.randn(320_000, generator=generator) * loudness
    short = long[:40_000]
    for layer, limit in ((0, 1e-5), (2, 0.2)):
        whole = hubert.features(model, [long], layer)[0]
        with monkeypatch.context() as patch:
            patch.setattr(hubert, "WINDOW", 8.0)
            patch.setattr(hubert, "OVERLAP", 2.0)
            cut, beside, again = hubert.features(model, [long, short, long], layer)
        size = whole.square().mean().sqrt()
        assert cut.shape == whole.shape
        assert (cut - whole).square().mean().sqrt() < limit * size
        assert (cut - again).abs().max() < 1e-5 * size
        alone = hubert.features(model, [short], layer)[0]
        assert (beside - alone).abs().max() < 1e-5 * size


@pytest.mark.parametrize("extra", [0, 1])
def test_the_shortest_that_has_windows(
    extra: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no whole number of frames fits into one."""
    monkeypatch.setattr(hubert, "WINDOW", 20.6 * 640 / 16_000)
    monkeypatch.setattr(hubert, "OVERLAP", 0.2)
    model = hubert.load(save(tmp_path))
    wave = torch.randn(model.receptive + (20 + extra) * model.hop)
    assert len(hubert.features(model, [wave], 2)[0]) == 21 + extra


@pytest.mark.slow
def test_ten_minutes_of_speech_have_the_stated_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = hubert.load(POCKET)
    wanted, parts = 600 * SAMPLING_RATE, []
    voices = ["en-us", "en-gb", "en-gb-scotland", "en-us+f3", "en-gb+m3", "en-029"]
    with Espeak() as espeak:
        while sum(map(len, parts)) < wanted:
            place = len(parts)
            text = f"The baker sold {place} loaves and {place * 37} cakes before the rain came."
            said = espeak.speak(text, voices[place % 6], 140 + place % 50, 40 + place % 20)
            wave = said.samples.astype(np.float32) / 32768
            parts.append(audio.resample(wave, said.sampling_rate, SAMPLING_RATE))
    long = torch.from_numpy(np.concatenate(parts)[:wanted])
    cut = hubert.features(model, [long], 3)[0]
    monkeypatch.setattr(hubert, "WINDOW", 1000.0)
    whole = hubert.features(model, [long], 3)[0]
    error = (cut - whole).square().mean().sqrt() / whole.square().mean().sqrt()
    centroids = torch.from_numpy(kmeans.cluster(whole, 500, 0))
    others = kmeans.assign(cut, centroids) != kmeans.assign(whole, centroids)
    assert 0 < error < 0.08
    assert 0 < others.float().mean() < 0.12


LONG = """
import resource, sys
from pathlib import Path
import torch
from slamflow.tokeniser import hubert

def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

torch.set_num_threads(1)
model = hubert.load(Path(sys.argv[1]))
wave = torch.randn(1200 * 16_000)
before = megabytes()
found = hubert.features(model, [wave], model.layers)[0]
assert len(found) == model.frames(len(wave)) and bool(found.isfinite().all())
print(megabytes() - before)
"""


def test_memory_for_twenty_minutes_is_bounded(tmp_path: Path) -> None:
    weights = save(tmp_path, conv_dim=(192, 24, 32), num_hidden_layers=1)
    command = [sys.executable, "-c", LONG, str(weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    whole = 1200 * 16_000 // 20 * 192 * 4 / 2**20  # MB that only the first convolution gives
    assert float(done.stdout) < 200 < whole / 3
