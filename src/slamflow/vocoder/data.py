"""Which utterances a vocoder is trained on, and their units."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from slamflow import files, logs, workers
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import utterances
from slamflow.training import prepared

UNITS = "units.npz"


class Utterance(NamedTuple):
    """Units without repeats [n], how many frames each lasts [n], and whose they are."""

    units: np.ndarray
    counts: np.ndarray
    speaker: str | None


Chosen = Mapping[tuple[int, str], Utterance]  # by the index of the table, and the id


@dataclass(frozen=True)
class Units:
    """Units of utterances, one utterance behind the other.

    Attributes:
        units, counts: of all utterances, without repeats; counts in frames.
        borders: where each utterance begins among the units, and where the last one ends.
        firsts: the same among the frames.
        speakers: of each utterance.
    """

    units: np.ndarray
    counts: np.ndarray
    borders: np.ndarray
    firsts: np.ndarray
    speakers: np.ndarray

    def __len__(self) -> int:
        return len(self.borders) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Frames of each utterance."""
        return np.diff(self.firsts)

    def said(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Units [n] and counts [n] of an utterance."""
        span = slice(*self.borders[index : index + 2])
        return self.units[span], self.counts[span]


def padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays one above the other, filled up with zeros."""
    tensors = [torch.from_numpy(array) for array in arrays]
    return pad_sequence(tensors, batch_first=True).numpy()


def read(folder: Path) -> dict[str, np.ndarray]:
    """The attributes of `Units` that `finish` has written."""
    with np.load(folder / UNITS, allow_pickle=False) as arrays:
        units, counts, sizes, speakers = (
            arrays[name] for name in ("units", "counts", "sizes", "speakers")
        )
    borders = np.concatenate([[0], np.cumsum(sizes)])
    firsts = np.concatenate([[0], np.cumsum(counts)])[borders]
    found = {"units": units, "counts": counts, "borders": borders, "firsts": firsts}
    return found | {"speakers": speakers}


def ready(folder: Path, identity: str) -> bool:
    """Whether the data in `folder` are finished and made from `identity`; else it is emptied."""
    return prepared.ready(folder, {"identity": identity})


def finish(folder: Path, chosen: Chosen, identity: str) -> None:
    """Write the units of the chosen utterances; with this the data are finished."""
    said = list(chosen.values())
    np.savez(
        folder / UNITS,
        units=np.concatenate([each.units for each in said]).astype(np.int64),
        counts=np.concatenate([each.counts for each in said]).astype(np.int64),
        sizes=np.array([len(each.units) for each in said]),
        speakers=np.array([each.speaker or "" for each in said]),
    )
    prepared.finish(folder, {"identity": identity})


def choose(
    config: Mapping[str, Any], units: Sequence[Path], speech: Sequence[Path], clusters: int
) -> Chosen:
    """The utterances that are taken, in an order drawn by the seed.

    Args:
        config: `voice`, the speaker in `speech` whose utterances are taken; None takes all.
            `hours` of speech at most, or None. `seed` draws which.
        units, speech: tables of the same utterances, one by one.
        clusters: number of different units.

    Raises:
        ValueError: the tables are not about the same utterances, the voice is in none of them,
            or units are of another tokeniser.
    """
    found = _units(units, speech, config.get("voice"), clusters)
    drawn = utterances.drawn(speech, int(config.get("seed", 0)))
    chosen, seconds = {}, 3600 * float(config.get("hours") or "inf")
    for _, table, name, duration in drawn:
        if (table, name) in found and seconds > 0:
            chosen[table, name] = found[table, name]
            seconds -= duration
    return chosen


def frames(chosen: Chosen) -> int:
    """The frames of all together."""
    return sum(int(each.counts.sum()) for each in chosen.values())


def waves(
    chosen: Chosen,
    speech: Sequence[Path],
    hop: int,
    sampling_rate: int,
    machine: Mapping[str, Any],
    label: str,
) -> Iterator[tuple[int, np.ndarray]]:
    """The first frame of each utterance, in their order, and its wave, float32 [frames × hop].

    They come as they lie in the tables; a wave that ends before its last frame ends with zeros.

    Args:
        machine: `data_root`, `workers`, `threads`.
    """
    for key, first, wave in whole_waves(chosen, speech, sampling_rate, machine, label):
        samples = int(chosen[key].counts.sum()) * hop
        yield first, np.pad(wave[:samples], (0, max(0, samples - len(wave))))


def whole_waves(
    chosen: Chosen,
    speech: Sequence[Path],
    sampling_rate: int,
    machine: Mapping[str, Any],
    label: str,
) -> Iterator[tuple[tuple[int, str], int, np.ndarray]]:
    """Key and first frame of each utterance, and its wave as it is; see `waves`."""
    sizes = [int(each.counts.sum()) for each in chosen.values()]
    firsts = dict(zip(chosen, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    progress, done = logs.Progress(f"{label} (data)", len(chosen), "utterances"), 0
    root, threads = utterances.root(machine), workers.number(machine)
    for table, path in enumerate(speech):
        names = {name for place, name in chosen if place == table}
        for row, wave in utterances.read(path, sampling_rate, root, names, workers=threads):
            key = table, row["id"]
            yield key, firsts[key], wave
            progress.update(done := done + 1)


def _units(
    units: Sequence[Path], speech: Sequence[Path], voice: str | None, clusters: int
) -> Chosen:
    """The voice's utterances of which there are units."""
    found, voices = {}, set()
    names = ("id", "units", "durations")
    for index, (path, spoken) in enumerate(zip(units, speech, strict=True)):
        heard = files.read_table(spoken, speech_table.SCHEMA, ("id", "speaker"))
        speakers = dict(zip(heard["id"].to_pylist(), heard["speaker"].to_pylist(), strict=True))
        table = files.read_table(path, units_table.SCHEMA, names)
        for row in table.to_pylist():
            if row["id"] not in speakers:
                raise ValueError(f"{path}: {row['id']}: is not spoken in {spoken}; {files.REMAKE}")
            speaker = speakers[row["id"]]
            voices.add(speaker)
            if voice not in (None, speaker) or not row["units"]:
                continue
            if row["durations"] is None:
                raise ValueError(f"{path}: {row['id']}: has no durations; give units of speech")
            if max(row["units"]) >= clusters:
                raise ValueError(
                    f"{path}: {row['id']}: has unit {max(row['units'])}, but its tokeniser has"
                    f" {clusters}; {files.REMAKE}"
                )
            said = np.array(row["units"]), np.array(row["durations"])
            found[index, row["id"]] = Utterance(*said, speaker)
    if not found:
        shown = ", ".join(sorted(map(str, voices))[:10])
        raise ValueError(f"voice: {voice} speaks in none of the corpora; there are {shown}")
    return found
