"""Waves to the features that a codebook is made of: of a HuBERT's layer, or MFCC."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slamflow import logs, workers
from slamflow.tokeniser import features, hubert
from slamflow.training.device import compute_type, prepare

SECONDS = {"cpu": 48.0, "cuda": 1200.0}  # of audio in a batch, unless the machine says otherwise
POOL = 8  # batches of audio among which utterances of like length are sought
PRECISIONS = ("float32", "bfloat16", "float16")

Batch = list[tuple[int, dict[str, Any], np.ndarray]]  # index, row and wave


@dataclass(frozen=True)
class Encoder:
    """What makes features of waves.

    Attributes:
        hubert: None for MFCC.
        layer: of the HuBERT.
        seconds: of audio in a batch, each utterance filled up to the longest; 0: one by one.
        hop: samples from frame to frame.
        window: samples that the first frame sees.
        precision: of a HuBERT's matrix products and convolutions: one of PRECISIONS.
        padding: samples of zeros before and after each wave.
    """

    hubert: hubert.Hubert | None
    layer: int
    seconds: float
    hop: int = features.HOP
    window: int = features.HOP
    precision: str = "float32"
    padding: int = 0

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return features.SAMPLING_RATE / self.hop

    @property
    def dimension(self) -> int:
        return self.hubert.dimension if self.hubert else features.DIMENSION

    @property
    def device(self) -> str:
        return self.hubert.device if self.hubert else "cpu"

    @property
    def identity(self) -> str | None:
        """SHA-256 of the HuBERT's weights."""
        return self.hubert.sha256 if self.hubert else None

    def frames(self, samples: int) -> int:
        """The number of frames of a wave without its padding."""
        return max(0, (samples + 2 * self.padding - self.window) // self.hop + 1)

    def centres(self, frames: int) -> np.ndarray:
        """Seconds from the start of a wave without its padding to each frame's centre, [frames]."""
        first = self.window / 2 - self.padding
        return (first + np.arange(frames) * self.hop) / features.SAMPLING_RATE

    def encode(self, waves: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """Features of waves [samples] at 16 kHz, as one batch: float32 [frames, dimension]."""
        sizes = [len(wave) + 2 * self.padding for wave in waves]
        flat = torch.zeros(sum(sizes), pin_memory=self.device == "cuda")
        padded = flat.split(sizes)
        for whole, wave in zip(padded, waves, strict=True):
            whole[self.padding : self.padding + len(wave)] = torch.from_numpy(wave)
        if self.hubert is None:
            centre = self.window // 2
            frames = [self.frames(len(wave)) for wave in waves]
            pairs = zip(padded, frames, strict=True)
            return [features.mfcc(wave, count, centre, self.hop) for wave, count in pairs]
        there = flat.to(self.device, non_blocking=True).split(sizes)
        dtype = getattr(torch, self.precision)
        return hubert.features(self.hubert, there, self.layer, dtype, self.padding)


def open_encoder(
    kind: str,
    layer: int,
    weights: Path | None,
    machine: Mapping[str, Any],
    *,
    precision: str = "float32",
    padding: int = 0,
    hop: int = features.HOP,
    window: int | None = None,
) -> Encoder:
    """The encoder of these features.

    Args:
        kind: hubert or mfcc.
        weights: model.safetensors of the HuBERT.
        machine: `device` (default: cuda where there is one), `threads`, `micro_batch` (seconds of
            audio in a batch).
        precision: one of PRECISIONS; MFCC are made in float32, as is all on a processor that has
            no instructions for bfloat16 where that is asked for.
        padding: samples of zeros before and after each wave.
        hop: samples from frame to frame, for MFCC; a HuBERT has its own.
        window: samples that the first frame sees, for MFCC (default: `hop`).

    Raises:
        ValueError: there is no such HuBERT, layer or precision.
    """
    device = prepare(machine)
    seconds = float(machine.get("micro_batch") or SECONDS[torch.device(device).type])
    if precision not in PRECISIONS:
        raise ValueError(f"precision: {precision!r} is none of {', '.join(PRECISIONS)}")
    if kind == "mfcc":
        if precision != "float32":
            raise ValueError(f"precision: MFCC are made in float32, not in {precision}")
        return Encoder(None, 0, seconds, hop, window or hop, padding=padding)
    if kind != "hubert":
        raise ValueError(f"features: {kind!r} is neither hubert nor mfcc")
    if weights is None:
        raise ValueError("features: hubert needs a HuBERT")
    if precision == "float16" and torch.device(device).type == "cpu":
        logs.say("precision: float16 is about 30 times as slow as float32 on a processor")
    if precision == "bfloat16":
        precision = str(compute_type(precision, device)).removeprefix("torch.")
    model = hubert.load(weights, device)
    if not 0 <= layer <= model.layers:
        raise ValueError(f"layer: {layer} is none of 0 to {model.layers}, those of {weights}")
    return Encoder(model, layer, seconds, model.hop, model.receptive, precision, padding)


def encode_all(
    encoder: Encoder, utterances: Iterable[tuple[dict[str, Any], np.ndarray]], path: Path
) -> Iterator[tuple[int, dict[str, Any], torch.Tensor]]:
    """Index, row and features [frames, dimension] of each utterance, in any order.

    See `encode_batches`.
    """
    for batch, encoded in encode_batches(encoder, utterances, path):
        for (index, row, _), found in zip(batch, encoded, strict=True):
            yield index, row, found


def encode_batches(
    encoder: Encoder, utterances: Iterable[tuple[dict[str, Any], np.ndarray]], path: Path
) -> Iterator[tuple[Batch, list[torch.Tensor]]]:
    """Batches of utterances of like length, and the features of each utterance.

    The next batches are read while one is encoded.

    Args:
        utterances: rows and their waves; of these, three times POOL batches are in memory at most.
        path: where they come from, for messages.

    Raises:
        ValueError: an utterance is too short to give a frame.
    """
    for pool in workers.ahead(_pools(encoder, utterances, path), 1):
        for batch in pool:
            yield batch, encoder.encode([wave for *_, wave in batch])


def _pools(
    encoder: Encoder, utterances: Iterable[tuple[dict[str, Any], np.ndarray]], path: Path
) -> Iterator[list[Batch]]:
    """POOL batches at a time."""
    budget = encoder.seconds * features.SAMPLING_RATE
    shortest = encoder.window - 2 * encoder.padding
    pool: Batch = []
    samples = 0
    for index, (row, wave) in enumerate(utterances):
        if not encoder.frames(len(wave)):
            raise ValueError(
                f"{path}: {row['id']} lasts {len(wave) / features.SAMPLING_RATE:.3f} s, less than a"
                f" frame ({shortest / features.SAMPLING_RATE:.3f} s); leave it out of the corpus"
            )
        row["audio"] = None  # only its wave is needed from now on
        pool.append((index, row, wave))
        samples += len(wave)
        if samples >= POOL * budget:
            yield _batches(pool, budget)
            pool, samples = [], 0
    yield _batches(pool, budget)


def _batches(pool: Batch, budget: float) -> list[Batch]:
    """Batches of which none, filled up to its longest, has more samples than `budget`."""
    batches: list[Batch] = []
    for entry in sorted(pool, key=lambda entry: -len(entry[2])):
        if not batches or (len(batches[-1]) + 1) * len(batches[-1][0][2]) > budget:
            batches.append([])
        batches[-1].append(entry)
    return batches
