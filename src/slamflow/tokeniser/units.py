"""Speech to units: features, the nearest centroid, repeats removed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slamflow import files, logs
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import codebook, encoder, features, kmeans, runs, utterances


def extract(
    config: Mapping[str, Any],
    codebook_path: Path,
    hubert: Path | None,
    speech: Path,
    output: Path,
    machine: Mapping[str, Any],
    label: str = "extract_units",
) -> None:
    """Write the units table of a speech table, in its order.

    Args:
        config: `features`, as a check on the codebook.
        codebook_path: kmeans.safetensors; it says which layer is tapped.
        hubert: model.safetensors; None for MFCC.
        machine: see `encoder.open_encoder`; `data_root`.

    Raises:
        ValueError: the codebook was fitted on other features, or audio cannot be read.
    """
    opened, centroids = open_tokeniser(codebook_path, hubert, machine, config.get("features"))
    table = files.read_table(speech, speech_table.SCHEMA, runs.COPIED)
    read = utterances.read(speech, features.SAMPLING_RATE, utterances.root(machine))
    units: list[np.ndarray] = [np.empty(0, dtype=np.uint16)] * table.num_rows
    durations = list(units)
    progress = logs.Progress(label, table.num_rows, "utterances")
    for done, (index, _, found) in enumerate(tokenise(opened, centroids, read, speech), start=1):
        units[index], durations[index] = runs.runs(found)
        progress.update(done)
    files.write_table(runs.table(table, units, durations), output, units_table.SCHEMA)


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
        padding=getattr(origin, "padding", 0),
        hop=round(features.SAMPLING_RATE / origin.frame_rate),
    )
    codebook.check(origin, codebook_path, opened.identity, opened.dimension)
    if opened.frame_rate != origin.frame_rate:
        raise ValueError(
            f"{codebook_path}: was fitted on {origin.frame_rate:g} frames a second, not on"
            f" {opened.frame_rate:g}; {codebook.REPAIR}"
        )
    return opened, torch.from_numpy(array).to(opened.device)


def tokenise(
    opened: encoder.Encoder,
    centroids: torch.Tensor,
    read: Iterator[tuple[dict[str, Any], np.ndarray]],
    path: Path,
) -> Iterator[tuple[int, dict[str, Any], np.ndarray]]:
    """Index, row and the unit of every frame (int64 [frames]) of utterances, in any order."""
    for index, row, frames in encoder.encode_all(opened, read, path):
        yield index, row, kmeans.assign(frames, centroids).cpu().numpy()
