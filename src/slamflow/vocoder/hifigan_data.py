"""What a Code-HiFi-GAN is trained on: units of one voice or of many, and their waves.

The waves lie in one file on disk, one utterance behind the other, whole frames of each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from slamflow.tokeniser import convolutions
from slamflow.vocoder import data, hifigan_settings

WAVES = "waves.int16"
SCALE = 32768
PEAK = 0.95  # of each utterance: units do not say how loud it was


@dataclass(frozen=True)
class Data(data.Units):
    """Utterances in an order drawn by the seed.

    Attributes:
        waves: int16 [frames of all, samples a frame], memory-mapped.
    """

    waves: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `prepare` made."""
        units = data.read(folder)
        waves = np.memmap(folder / WAVES, dtype=np.int16, mode="r")
        return cls(**units, waves=waves.reshape(units["firsts"][-1], -1))

    def segment(self, index: int, first: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """A unit a frame [frames] and samples, float32 [frames × hop], from frame `first` on."""
        units = np.repeat(*self.said(index))[first : first + frames]
        start = int(self.firsts[index]) + first
        return units, self.waves[start : start + len(units)].reshape(-1).astype(np.float32) / SCALE


def prepare(
    folder: Path,
    config: Mapping[str, Any],
    units: Sequence[Path],
    speech: Sequence[Path],
    clusters: int,
    hop: int,
    identity: str,
    machine: Mapping[str, Any],
    label: str,
) -> None:
    """Make the data in `folder`, unless they are there already.

    Args:
        config: see `data.choose`; `voices`: many takes all; `architecture`.
        units, speech, clusters: see `data.choose`.
        hop: samples a frame.
        identity: what the data are made from.
        machine: `data_root`, `workers`, `threads`.

    Raises:
        ValueError: see `data.choose` and `hifigan_settings.check`.
    """
    hifigan_settings.check(config["architecture"], hop)
    if data.ready(folder, identity):
        return
    if config.get("voices") == "many":
        config = {**config, "voice": None}
    chosen = data.choose(config, units, speech, clusters)
    shape = data.frames(chosen), hop
    samples = np.memmap(folder / WAVES, dtype=np.int16, mode="w+", shape=shape)
    for first, wave in data.waves(chosen, speech, hop, convolutions.SAMPLING_RATE, machine, label):
        loudest = max(float(np.abs(wave).max()), 1 / SCALE)
        whole = np.rint(wave * (PEAK * SCALE / loudest)).astype(np.int16)
        samples[first : first + len(wave) // hop] = whole.reshape(-1, hop)
    samples.flush()
    data.finish(folder, chosen, identity)
