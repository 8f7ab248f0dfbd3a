"""What a mel vocoder is trained on: units, their durations, and the log-mels of one voice.

The units may be those of other voices that say the same: then the mels are stretched phone by
phone to their pace, and the vocoder learns to say in one voice what it hears in others.

The mels lie in one file on disk, one utterance behind the other, whole frames of each. Frame t of
the units begins at sample t × hop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.vocoder import data, spectra

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
        mels = np.memmap(folder / MELS, dtype=np.float16, mode="r").reshape(-1, spectra.MELS)
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
    pace: Sequence[Path] = (),
) -> None:
    """Make the data in `folder`, unless they are there already.

    Args:
        config, units, speech, clusters: see `data.choose`.
        hop: samples a frame.
        identity: what the data are made from.
        machine: `data_root`, `workers`, `threads`.
        pace: the speech that the units were made of, one table for each, where `speech` is another
            voice's; both with phones.

    Raises:
        ValueError: see `data.choose`; frames have no whole mels; the phones of the same utterance
            are not known or not the same.
    """
    if hop % spectra.STEP:
        raise ValueError(
            f"{units[0]}: has frames of {hop} samples, and mels need a multiple of {spectra.STEP};"
            " use kind: hifigan"
        )
    if data.ready(folder, identity):
        return
    chosen = data.choose(config, units, speech, clusters)
    ratio = hop // spectra.STEP
    shape = (ratio * data.frames(chosen), spectra.MELS)
    mels = np.memmap(folder / MELS, dtype=np.float16, mode="w+", shape=shape)
    borders = _borders(pace, speech)
    for key, first, wave in data.whole_waves(chosen, speech, spectra.SAMPLING_RATE, machine, label):
        count = ratio * int(chosen[key].counts.sum())
        size = (-(-len(wave) // spectra.STEP) if pace else count) * spectra.STEP
        padded = np.pad(wave[:size], (0, max(0, size - len(wave))))
        made = spectra.log_mel(torch.from_numpy(padded)).numpy()
        if pace:
            made = stretched(made, *borders[key], count)
        mels[ratio * first : ratio * first + count] = made
    mels.flush()
    data.finish(folder, chosen, identity)


def stretched(mels: np.ndarray, ours: np.ndarray, theirs: np.ndarray, count: int) -> np.ndarray:
    """Log-mels [count, MELS] at our pace, of theirs [t, MELS], linearly interpolated.

    Args:
        ours, theirs: when the same phones begin, and the last one ends (s), [phones + 1].
    """
    times = np.arange(count) * spectra.STEP / spectra.SAMPLING_RATE
    places = np.interp(times, ours, theirs) * spectra.SAMPLING_RATE / spectra.STEP
    places = np.minimum(places, len(mels) - 1)
    below = places.astype(int)
    above = np.minimum(below + 1, len(mels) - 1)
    share = (places - below)[:, None]
    found: np.ndarray = (1 - share) * mels[below] + share * mels[above]
    return found


def _borders(
    pace: Sequence[Path], speech: Sequence[Path]
) -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
    """Key -> borders of the phones of an utterance in both voices, see `stretched`."""
    found: dict[tuple[int, str], tuple[np.ndarray, np.ndarray]] = {}
    for index, paths in enumerate(zip(pace, speech, strict=True)) if pace else ():
        ours, theirs = (_phones(path) for path in paths)
        for name in ours.keys() & theirs.keys():
            (labels, mine), (others, their) = ours[name], theirs[name]
            if labels != others:
                raise ValueError(
                    f"{paths[0]}: {name}: its phones are not those of {paths[1]}; give the same"
                    " texts, spoken by voices of one language that know their phones"
                )
            found[index, name] = mine, their
    return found


def _phones(path: Path) -> dict[str, tuple[list[str], np.ndarray]]:
    table = files.read_table(path, speech_table.SCHEMA, ("id", "phones"))
    found = {}
    for row in table.to_pylist():
        if not row["phones"]:
            raise ValueError(f"{path}: {row['id']}: its phones are not known; leave `speech` out")
        labels = [phone["label"] for phone in row["phones"]]
        ends = [phone["start"] for phone in row["phones"]] + [row["phones"][-1]["end"]]
        found[row["id"]] = labels, np.array(ends)
    return found
