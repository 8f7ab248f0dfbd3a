"""The base model's log-probabilities of both answers, taken once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from slamflow import files, logs
from slamflow.lm import saved
from slamflow.preference import borders, likelihood, packing, reading
from slamflow.tables import references as references_table
from slamflow.training.device import prepare


def score(folder: Path, pairs: Path, output: Path, machine: Mapping[str, Any], label: str) -> None:
    """Write the references table of the model in `folder` for a preferences table.

    Args:
        machine: `device` (default: cuda where there is one), `threads`.
        label: for progress lines.

    Raises:
        ValueError: units that the model does not know, an architecture that does not keep packed
            answers apart, or a likelihood that is not finite.
    """
    device = prepare(machine)
    model = saved.load(folder).to(device)
    found = reading.read(pairs, model.config.vocab_size)
    scores = of(model, found, device, label)
    for pair, answer in np.argwhere(~np.isfinite(scores)):
        name = ("chosen", "rejected")[answer]
        raise ValueError(f"{folder}: the likelihood of {found.ids[pair]} ({name}) is not finite")
    table = pa.table({"id": found.ids, "chosen": scores[:, 0], "rejected": scores[:, 1]})
    files.write_table(table, output, references_table.SCHEMA)


@torch.inference_mode()
def of(model: Any, pairs: reading.Preferences, device: str, label: str) -> np.ndarray:
    """Log-probabilities of all answers, [pairs, 2]: chosen, rejected; float64."""
    borders.by_blocks(model)
    scores, done = np.zeros((len(pairs), 2)), 0
    progress = logs.Progress(label, len(pairs), "pairs")
    place = packing.room(pairs.lengths, device, None, len(pairs))
    for index in packing.micro_batches(pairs.lengths, np.arange(len(pairs)), place.tokens):
        packed = packing.pack(pairs, index, place, device)
        scores[index] = likelihood.answers(model, packed, len(index)).T.cpu().numpy()
        done += len(index)
        progress.update(done)
    return scores
