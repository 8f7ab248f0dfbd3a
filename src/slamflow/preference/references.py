"""The base model's log-probabilities of both answers, taken once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from slamflow import files, logs
from slamflow.lm import saved
from slamflow.preference import likelihood
from slamflow.tables import references as references_table
from slamflow.training.device import prepare

MICRO_BATCH = 16  # pairs


def score(folder: Path, pairs: Path, output: Path, machine: Mapping[str, Any], label: str) -> None:
    """Write the references table of the model in `folder` for a preferences table.

    Args:
        machine: `device` (default: cuda where there is one), `threads`.
        label: for progress lines.

    Raises:
        ValueError: units that the model does not know, or a likelihood that is not finite.
    """
    device = prepare(machine)
    model = saved.load(folder).to(device)
    found = likelihood.read(pairs, model.config.vocab_size)
    scores = {"chosen": np.zeros(len(found)), "rejected": np.zeros(len(found))}
    order = np.argsort(found.lengths(), kind="stable")
    progress = logs.Progress(label, len(found), "pairs")
    with torch.inference_mode():
        for start in range(0, len(order), MICRO_BATCH):
            index = order[start : start + MICRO_BATCH]
            prompts = [found.prompts[i] for i in index]
            for name, values in scores.items():
                responses = [getattr(found, name)[i] for i in index]
                values[index] = likelihood.answers(model, prompts, responses, device).cpu().numpy()
            progress.update(min(start + MICRO_BATCH, len(order)))
    for name, values in scores.items():
        if not np.isfinite(values).all():
            bad = found.ids[int(np.flatnonzero(~np.isfinite(values))[0])]
            raise ValueError(f"{folder}: the likelihood of {bad} ({name}) is not finite")
    table = pa.table({"id": found.ids, **scores})
    files.write_table(table, output, references_table.SCHEMA)
