"""Tables of speech to tables of units, repeats removed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slamflow import files, logs, workers
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import encoder, runs, tokenising, utterances
from slamflow.tokeniser.features import SAMPLING_RATE as RATE

GATE = 300.0  # seconds of a shard's audio on which a lower precision is measured


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
        config: `features`, as a check on the codebook; `precision` (float32, bfloat16 or float16)
            and `agreement`, the least share of frames that must have the unit of float32.
        codebook_path: kmeans.safetensors; it says which layer is tapped.
        hubert: model.safetensors; None for MFCC.
        machine: see `encoder.open_encoder`; `data_root`, `workers` (threads that decode).

    Raises:
        ValueError: the codebook was fitted on other features, audio cannot be read, or units in
            this precision differ too much from those in float32.
    """
    precision = str(config.get("precision", "float32"))
    kind, root = config.get("features"), utterances.root(machine)
    opened, centroids = tokenising.open_tokeniser(codebook_path, hubert, machine, kind, precision)
    precision, agreed = opened.precision, 1.0
    if precision != "float32":
        agreed = agreement(opened, centroids, utterances.read(speech, RATE, root), speech)
        if agreed < float(config["agreement"]):
            raise ValueError(
                f"{speech}: in {precision}, {agreed:.2%} of its first units are those of float32,"
                f" fewer than `agreement` ({config['agreement']}); set `precision: float32`, or"
                " lower `agreement`"
            )
    table = files.read_table(speech, speech_table.SCHEMA, runs.COPIED)
    read = utterances.read(speech, RATE, root, workers=workers.number(machine))
    units: list[np.ndarray] = [np.empty(0, dtype=np.uint16)] * table.num_rows
    durations = list(units)
    progress = logs.Progress(label, table.num_rows, "utterances")
    found = tokenising.tokenise(opened, centroids, read, speech)
    for done, (index, _, frames) in enumerate(found, start=1):
        units[index], durations[index] = runs.runs(frames)
        progress.update(done)
    schema = units_table.schema(precision, agreed)
    files.write_table(runs.table(table, units, durations), output, schema)


def agreement(
    opened: encoder.Encoder,
    centroids: torch.Tensor,
    read: Iterable[tuple[dict[str, Any], np.ndarray]],
    path: Path,
) -> float:
    """The share of frames that have the unit of float32, of the first GATE seconds of audio."""
    first, room = [], round(GATE * RATE)
    for row, wave in read:
        first.append((row, wave[:room]))
        room -= len(wave)
        if not opened.frames(room):
            break
    if not first:
        return 1.0
    found = []
    for precision in (opened.precision, "float32"):
        made = tokenising.tokenise(replace(opened, precision=precision), centroids, first, path)
        ordered = sorted(made, key=lambda entry: entry[0])
        found.append(np.concatenate([frames for *_, frames in ordered]))
    return float((found[0] == found[1]).mean())
