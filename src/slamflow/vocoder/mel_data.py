"""What a mel vocoder is trained on: the units of one voice, their durations, and their log-mels.

The mels lie in one file on disk, one utterance behind the other, whole frames of each. Frame t of
the units begins at sample t × hop.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from slamflow import files, logs, workers
from slamflow.tables import units as units_table
from slamflow.tokeniser import utterances
from slamflow.vocoder import mel

MELS, UNITS, FACTS = "mels.float16", "units.npz", "facts.json"


@dataclass(frozen=True)
class Data:
    """Utterances in an order drawn by the seed.

    Attributes:
        mels: float16 [mel frames of all, MELS], memory-mapped.
        units, counts: of all utterances, without repeats; counts in frames.
        borders: where each utterance begins among the units, and where the last one ends.
        firsts: the same among the frames.
    """

    mels: np.ndarray
    units: np.ndarray
    counts: np.ndarray
    borders: np.ndarray
    firsts: np.ndarray

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `prepare` made."""
        mels = np.memmap(folder / MELS, dtype=np.float16, mode="r").reshape(-1, mel.MELS)
        with np.load(folder / UNITS, allow_pickle=False) as arrays:
            units, counts, sizes = (arrays[name] for name in ("units", "counts", "sizes"))
        borders = np.concatenate([[0], np.cumsum(sizes)])
        firsts = np.concatenate([[0], np.cumsum(counts)])[borders]
        return cls(mels, units, counts, borders, firsts)

    def __len__(self) -> int:
        return len(self.borders) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each utterance."""
        return np.diff(self.firsts)

    def utterance(self, index: int, ratio: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Units [n], counts [n] and log-mels [frames × ratio, MELS]."""
        span = slice(*self.borders[index : index + 2])
        first, last = ratio * self.firsts[index : index + 2]
        return self.units[span], self.counts[span], self.mels[first:last].astype(np.float32)


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
    done = folder / FACTS
    if done.exists() and json.loads(done.read_text()) == {"identity": identity}:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = _units(units, speech, config.get("voice"), clusters)
    chosen, seconds = {}, 3600 * float(config.get("hours") or "inf")
    for _, table, name, duration in utterances.drawn(speech, int(config.get("seed", 0))):
        if (table, name) in found and seconds > 0:
            chosen[table, name] = found[table, name]
            seconds -= duration
    offsets = np.cumsum([0, *(int(counts.sum()) for _, counts in chosen.values())])
    starts = dict(zip(chosen, (offsets * (hop // mel.STEP)).tolist(), strict=False))
    shape = (int(offsets[-1]) * hop // mel.STEP, mel.MELS)
    mels = np.memmap(folder / MELS, dtype=np.float16, mode="w+", shape=shape)
    progress, ready = logs.Progress(f"{label} (data)", len(chosen), "utterances"), 0
    root, threads = utterances.root(machine), workers.number(machine)
    for table, path in enumerate(speech):
        names = {name for place, name in chosen if place == table}
        for row, wave in utterances.read(path, mel.SAMPLING_RATE, root, names, workers=threads):
            samples = int(chosen[table, row["id"]][1].sum()) * hop
            whole = np.pad(wave[:samples], (0, max(0, samples - len(wave))))
            made = mel.log_mel(torch.from_numpy(whole)).numpy()
            start = starts[table, row["id"]]
            mels[start : start + len(made)] = made
            progress.update(ready := ready + 1)
    mels.flush()
    np.savez(
        folder / UNITS,
        units=np.concatenate([each for each, _ in chosen.values()]).astype(np.int64),
        counts=np.concatenate([counts for _, counts in chosen.values()]).astype(np.int64),
        sizes=np.array([len(each) for each, _ in chosen.values()]),
    )
    files.write_json({"identity": identity}, done)


def _units(
    units: Sequence[Path], speech: Sequence[Path], voice: str | None, clusters: int
) -> dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]:
    """Index of the table and id -> units and counts of the voice's utterances."""
    found, voices = {}, set()
    names = ("id", "speaker", "units", "durations")
    for index, path in enumerate(units):
        table = files.read_table(path, units_table.SCHEMA, names)
        for row in table.to_pylist():
            voices.add(row["speaker"])
            if voice not in (None, row["speaker"]) or not row["units"]:
                continue
            if row["durations"] is None:
                raise ValueError(f"{path}: {row['id']}: has no durations; give units of speech")
            if max(row["units"]) >= clusters:
                raise ValueError(
                    f"{path}: {row['id']}: has unit {max(row['units'])}, but its tokeniser has"
                    f" {clusters}; {files.REMAKE}"
                )
            found[index, row["id"]] = np.array(row["units"]), np.array(row["durations"])
    if not found:
        shown = ", ".join(sorted(map(str, voices))[:10])
        raise ValueError(f"voice: {voice} speaks in none of the corpora; there are {shown}")
    there = {(table, name) for _, table, name, _ in utterances.drawn(speech, 0)}
    if missing := sorted(found.keys() - there):
        table, name = missing[0]
        raise ValueError(f"{units[table]}: {name}: has no speech beside it; {files.REMAKE}")
    return found
