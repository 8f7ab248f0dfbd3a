"""What HuBERT's training reads: all waves in one file on disk, and a target a frame.

The utterances stand one after another, each filled up with zeros to whole frames, so that crops of
one length are cut anywhere without padding. Frame t begins at sample t × hop.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from slamflow import files, logs
from slamflow.tokeniser import features, kmeans, utterances

WAVES, TARGETS, FACTS = "waves.int16", "targets.npy", "facts.json"
FITTED = 100_000  # frames that the targets' k-means is fitted on


@dataclass(frozen=True)
class Stream:
    """The training data.

    Attributes:
        waves: int16 [frames × hop + receptive - hop], memory-mapped.
        targets: uint16 [frames], memory-mapped.
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
        facts = json.loads((folder / FACTS).read_text())
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
    hop: int,
    receptive: int,
    clusters: int,
    seed: int,
    identity: Any,
    machine: Mapping[str, Any],
    label: str,
) -> None:
    """Make the data in `folder`, unless they are there already.

    The targets are clusters of MFCC (Hsu et al. 2021, HuBERT, section III.A).

    Args:
        clusters: K of the targets.
        seed: draws the frames that k-means is fitted on.
        identity: what the data are made from; plain data. With another one they are made anew.
        machine: `data_root`.
    """
    facts = {"hop": hop, "receptive": receptive, "identity": identity}
    done = folder / FACTS
    if done.exists() and json.loads(done.read_text()) == json.loads(json.dumps(facts)):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    samples = _write_waves(folder / WAVES, speech, hop, receptive, machine, label)
    waves = np.memmap(folder / WAVES, dtype=np.int16, mode="r")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # utterances are small: threads would mostly wait for each other
    try:
        targets = _targets(waves, samples, hop, receptive, clusters, seed, label)
    finally:
        torch.set_num_threads(threads)
    np.save(folder / TARGETS, targets)
    files.write_json(facts, done)


def _write_waves(
    path: Path,
    speech: Sequence[Path],
    hop: int,
    receptive: int,
    machine: Mapping[str, Any],
    label: str,
) -> list[int]:
    """Write all waves; returns the samples of each utterance."""
    total = len(utterances.drawn(speech, 0))
    progress = logs.Progress(f"{label} (audio)", total, "utterances")
    samples = []
    with path.open("wb") as stream:
        for table in speech:
            for _, wave in utterances.read(table, features.SAMPLING_RATE, utterances.root(machine)):
                whole = np.clip(np.rint(wave * 32768), -32768, 32767).astype(np.int16)
                stream.write(np.pad(whole, (0, -len(whole) % hop)).tobytes())
                samples.append(len(whole))
                progress.update(len(samples))
        stream.write(bytes(2 * max(0, receptive - hop)))
    return samples


def _targets(
    waves: np.ndarray,
    samples: Sequence[int],
    hop: int,
    receptive: int,
    clusters: int,
    seed: int,
    label: str,
) -> np.ndarray:
    frames = [-(-count // hop) for count in samples]
    starts = np.concatenate([[0], np.cumsum(frames)])

    def mfcc(index: int) -> torch.Tensor:
        first = int(starts[index]) * hop
        wave = torch.from_numpy(waves[first : first + samples[index]].astype(np.float32) / 32768)
        return features.mfcc(wave, frames[index], receptive // 2, hop)

    fitted, count = [], 0
    for index in np.random.default_rng(seed).permutation(len(samples)):
        if count >= FITTED:
            break
        fitted.append(mfcc(int(index)).numpy())
        count += len(fitted[-1])
    if count < clusters:
        raise ValueError(f"{label}: {count} frames of speech are too few for {clusters} targets")
    centroids = torch.from_numpy(kmeans.cluster(np.concatenate(fitted), clusters, seed))
    targets = np.empty(int(starts[-1]), dtype=np.uint16)
    progress = logs.Progress(f"{label} (targets)", len(samples), "utterances")
    for index in range(len(samples)):
        found = kmeans.assign(mfcc(index), centroids).numpy()
        targets[starts[index] : starts[index + 1]] = found
        progress.update(index + 1)
    return targets
