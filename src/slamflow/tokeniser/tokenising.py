"""Waves to units: features, and the nearest centroid of each frame."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slamflow import files
from slamflow.tokeniser import codebook, encoder, kmeans
from slamflow.tokeniser.features import SAMPLING_RATE


def open_tokeniser(
    codebook_path: Path,
    hubert: Path | None,
    machine: Mapping[str, Any],
    kind: str | None = None,
    precision: str = "float32",
) -> tuple[encoder.Encoder, torch.Tensor]:
    """The encoder that a codebook was fitted on, and its centroids on the encoder's device.

    Raises:
        ValueError: codebook, HuBERT and `kind` do not belong together.
    """
    array, origin = codebook.read(codebook_path)
    if kind not in (None, origin.features):
        raise ValueError(f"{codebook_path}: was fitted on {origin.features}, not on {kind}")
    if (origin.features == "hubert") != (hubert is not None):
        codebook.check(origin, codebook_path, None if hubert is None else "")
    opened = encoder.open_encoder(
        origin.features,
        origin.layer,
        hubert,
        machine,
        precision=precision,
        padding=origin.padding,
        hop=round(SAMPLING_RATE / origin.frame_rate),
    )
    codebook.check(origin, codebook_path, opened.identity, opened.dimension)
    if opened.frame_rate != origin.frame_rate:
        raise ValueError(
            f"{codebook_path}: was fitted on {origin.frame_rate:g} frames a second, not on"
            f" {opened.frame_rate:g}; {files.REMAKE}"
        )
    return opened, torch.from_numpy(array).to(opened.device)


def tokenise(
    opened: encoder.Encoder,
    centroids: torch.Tensor,
    read: Iterable[tuple[dict[str, Any], np.ndarray]],
    path: Path,
) -> Iterator[tuple[int, dict[str, Any], np.ndarray]]:
    """Index, row and the unit of every frame (int64 [frames]) of utterances, in any order.

    A GPU has its next batch before the units of one are waited for.
    """
    last: tuple[encoder.Batch, list[int], Callable[[], np.ndarray]] | None = None
    for batch, encoded in encoder.encode_batches(opened, read, path):
        wait = _fetch(kmeans.assign(torch.cat(encoded), centroids))
        if last:
            yield from _apart(*last)
        last = batch, [len(frames) for frames in encoded], wait
    if last:
        yield from _apart(*last)


def _fetch(labels: torch.Tensor) -> Callable[[], np.ndarray]:
    """Begin to copy labels to the CPU; what is returned waits for them."""
    copied = labels.to("cpu", non_blocking=True)
    event = torch.cuda.Event() if labels.is_cuda else None
    if event:
        event.record()

    def wait() -> np.ndarray:
        if event:
            event.synchronize()
        return copied.numpy()

    return wait


def _apart(
    batch: encoder.Batch, lengths: list[int], wait: Callable[[], np.ndarray]
) -> Iterator[tuple[int, dict[str, Any], np.ndarray]]:
    parts = np.split(wait(), np.cumsum(lengths)[:-1])
    for (index, row, _), found in zip(batch, parts, strict=True):
        yield index, row, found
