"""What a mel vocoder is trained on: the units of one voice, their durations, and their log-mels.

The mels lie in one file on disk, one utterance behind the other, whole frames of each. Frame t of
the units begins at sample t × hop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from slamflow.vocoder import data, mel

MELS = "mels.float16"


@dataclass(frozen=True)
class Data(data.Units):
    """Utterances in an order drawn by the seed.

    Attributes:
        mels: float16 [mel frames of all, MELS], memory-mapped.
    """

    mels: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `prepare` made."""
        mels = np.memmap(folder / MELS, dtype=np.float16, mode="r").reshape(-1, mel.MELS)
        return cls(**data.read(folder), mels=mels)

    def utterance(self, index: int, ratio: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Units [n], counts [n] and log-mels [frames × ratio, MELS]."""
        first, last = ratio * self.firsts[index : index + 2]
        return *self.said(index), self.mels[first:last].astype(np.float32)


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
        config: `voice`, the speaker whose utterances are taken; None takes all. `hours` of speech
            at most, or None. `seed` draws which.
        units, speech: tables of the same utterances, one by one.
        clusters: number of different units.
        hop: samples a frame.
        identity: what the data are made from.
        machine: `data_root`, `workers`, `threads`.

    Raises:
        ValueError: the tables are not about the same utterances, the voice is in none of them,
            or units are of another tokeniser or have frames of no whole mels.
    """
    if hop % mel.STEP:
        raise ValueError(
            f"{units[0]}: has frames of {hop} samples, and mels need a multiple of {mel.STEP}"
        )
    if data.ready(folder, identity):
        return
    chosen = data.choose(config, units, speech, clusters)
    ratio = hop // mel.STEP
    shape = (ratio * data.frames(chosen), mel.MELS)
    mels = np.memmap(folder / MELS, dtype=np.float16, mode="w+", shape=shape)
    for first, wave in data.waves(chosen, speech, hop, mel.SAMPLING_RATE, machine, label):
        made = mel.log_mel(torch.from_numpy(wave)).numpy()
        mels[ratio * first : ratio * first + len(made)] = made
    mels.flush()
    data.finish(folder, chosen, identity)
