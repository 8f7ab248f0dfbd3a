"""Log-probabilities of answers after their prompts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from slamflow import files
from slamflow.lm.vocabulary import BOUNDARY, PAD, UNITS
from slamflow.tables import preferences as preferences_table


@dataclass(frozen=True)
class Preferences:
    """Preferences in memory: `ids`, and the units of each part."""

    ids: list[str]
    prompts: list[np.ndarray]
    chosen: list[np.ndarray]
    rejected: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)

    def lengths(self) -> np.ndarray:
        """Units of the prompt and the longer answer, [pairs]."""
        parts = zip(self.prompts, self.chosen, self.rejected, strict=True)
        return np.array([len(p) + max(len(c), len(r)) for p, c, r in parts], dtype=np.int64)


def read(path: Path, vocabulary: int) -> Preferences:
    """Read a preferences table.

    Raises:
        ValueError: no rows, or units that a model of this vocabulary does not know.
    """
    table = files.read_table(path, preferences_table.SCHEMA)
    if not table.num_rows:
        raise ValueError(f"{path}: has no preferences")
    ids = table["id"].to_pylist()
    parts = []
    for name in ("prompt", "chosen", "rejected"):
        column = table[name].combine_chunks()
        values = column.flatten().to_numpy()
        if len(values) and int(values.max()) + UNITS >= vocabulary:
            raise ValueError(
                f"{path}: has unit {values.max()}, but the model knows {vocabulary - UNITS};"
                " both must come from one tokeniser"
            )
        offsets = column.offsets.to_numpy() - column.offsets[0].as_py()
        parts.append(np.split(values, offsets[1:-1]))
    return Preferences(ids, *parts)


def answers(
    model: torch.nn.Module,
    prompts: Sequence[np.ndarray],
    responses: Sequence[np.ndarray],
    device: str,
) -> torch.Tensor:
    """Sums of ln p over each response's units and its end token, given `<S>` and its prompt.

    Sequences are padded on the right, where causal attention does not see it.

    Args:
        prompts: units of each prompt, [n] arrays.
        responses: units of each response.

    Returns:
        [n], float32, differentiable.
    """
    lengths = [len(p) + len(r) + 1 for p, r in zip(prompts, responses, strict=True)]
    tokens = np.full((len(lengths), max(lengths) + 1), PAD, dtype=np.int64)
    wanted = np.zeros((len(lengths), max(lengths)), dtype=bool)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        whole = np.concatenate([prompt, response]).astype(np.int64) + UNITS
        tokens[row, : len(whole) + 2] = [BOUNDARY, *whole, BOUNDARY]
        wanted[row, len(prompt) : lengths[row]] = True
    ids = torch.from_numpy(tokens).to(device)
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits.float()
    terms = functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    return -(terms * torch.from_numpy(wanted).to(device)).sum(1)
