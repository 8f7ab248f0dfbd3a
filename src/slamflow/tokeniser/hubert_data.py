"""What HuBERT's training reads: all waves in one file on disk, and a target a frame.

The utterances stand one after another, each filled up with zeros to whole frames, so that crops of
one length are cut anywhere without padding. Frame t begins at sample t × hop.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np

from slamflow import files, logs
from slamflow.tokeniser import encoder, features, tokenising, utterances
from slamflow.training import prepared

WAVES, TARGETS = "waves.int16", "targets.npy"
NONE = 65_535  # the target of frames that the tokeniser gives no unit


@dataclass(frozen=True)
class Stream:
    """The training data.

    Attributes:
        waves: int16 [frames × hop + receptive - hop], memory-mapped.
        targets: uint16 [frames], memory-mapped; NONE where there is no target.
        hop: samples a frame.
        receptive: samples that a frame sees.
    """

    waves: np.ndarray
    targets: np.ndarray
    hop: int
    receptive: int

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `prepare` made."""
        facts = files.read_json(folder / prepared.FACTS)
        waves = np.memmap(folder / WAVES, dtype=np.int16, mode="r")
        targets = np.load(folder / TARGETS, mmap_mode="r")
        return cls(waves, targets, facts["hop"], facts["receptive"])

    def crop(self, first: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples float32 [(frames - 1) × hop + receptive] and targets [frames]."""
        start = first * self.hop
        taken = self.waves[start : start + (frames - 1) * self.hop + self.receptive]
        return taken.astype(np.float32) / 32768, self.targets[first : first + frames]


def prepare(
    folder: Path,
    speech: Sequence[Path],
    codebook: Path,
    hubert: Path | None,
    hop: int,
    receptive: int,
    identity: Any,
    machine: Mapping[str, Any],
    label: str,
) -> None:
    """Make the data in `folder`, unless they are there already.

    The targets are the units of a tokeniser (Hsu et al. 2021, HuBERT, section III.A).

    Args:
        codebook: its kmeans.safetensors.
        hubert: model.safetensors of the HuBERT that it taps; None for MFCC.
        hop: samples a frame of the HuBERT that is trained.
        receptive: samples that a frame of it sees.
        identity: what the data are made from; plain data. With another one they are made anew.
        machine: `device`, `threads`, `ranks`, `data_root`.

    Raises:
        ValueError: the tokeniser has another frame rate, or audio cannot be read.
    """
    facts = {"hop": hop, "receptive": receptive, "identity": identity}
    if prepared.ready(folder, facts):
        return
    place = {name: machine.get(name) for name in ("device", "threads", "ranks")}
    opened, centroids = tokenising.open_tokeniser(codebook, hubert, place)
    if opened.hop != hop:
        raise ValueError(
            f"{codebook}: gives {opened.frame_rate:g} units a second, but the HuBERT's conv_stride"
            f" makes {features.SAMPLING_RATE / hop:g} frames a second; train it on another"
            " tokeniser's units"
        )
    if hubert is None:  # MFCC have no frames of their own
        opened = dataclasses.replace(opened, window=receptive)
    progress = logs.Progress(label + " (data)", len(utterances.drawn(speech, 0)), "utterances")
    targets: list[np.ndarray] = []
    with (folder / WAVES).open("wb") as stream:
        for table in speech:
            lengths: list[int] = []
            read = _written(table, utterances.root(machine), hop, stream, lengths)
            found: dict[int, np.ndarray] = {}
            for index, _, frames in tokenising.tokenise(opened, centroids, read, table):
                found[index] = frames.astype(np.uint16)
                progress.update(len(targets) + len(found))
            targets += [_placed(found[i], n, opened, receptive) for i, n in enumerate(lengths)]
        stream.write(bytes(2 * max(0, receptive - hop)))
    np.save(folder / TARGETS, np.concatenate([np.empty(0, dtype=np.uint16), *targets]))
    prepared.finish(folder, facts)


def _written(
    table: Path, root: Path | None, hop: int, stream: BinaryIO, lengths: list[int]
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """The utterances of a table; each is written, and its frames are added to `lengths`."""
    for row, wave in utterances.read(table, features.SAMPLING_RATE, root):
        whole = np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
        filled = np.pad(whole, (0, -len(whole) % hop))
        stream.write(filled.tobytes())
        lengths.append(len(filled) // hop)
        yield row, wave


def _placed(found: np.ndarray, frames: int, opened: encoder.Encoder, receptive: int) -> np.ndarray:
    """Targets [frames]: of each frame the unit whose centre is nearest to its own."""
    centre = receptive / 2 / features.SAMPLING_RATE
    first = round((centre - float(opened.centres(1)[0])) * opened.frame_rate)
    nearest = first + np.arange(frames)
    there = (nearest >= 0) & (nearest < len(found))
    placed = np.full(frames, NONE, dtype=np.uint16)
    placed[there] = found[nearest[there]]
    return placed
