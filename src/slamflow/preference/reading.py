"""Preferences in memory."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from slamflow import files
from slamflow.lm.vocabulary import UNITS
from slamflow.tables import preferences as preferences_table


@dataclass(frozen=True)
class Preferences:
    """Preferences in memory: `ids`, the units of each part, and whether each answer is whole.

    What is not whole has been cut, and no `<S>` follows it.
    """

    ids: list[str]
    prompts: list[np.ndarray]
    chosen: list[np.ndarray]
    rejected: list[np.ndarray]
    whole: np.ndarray  # [pairs, 2]: chosen, rejected

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def common(self) -> np.ndarray:
        """How many units both answers begin with, [pairs]."""
        return np.array([_common(*pair) for pair in zip(self.chosen, self.rejected, strict=True)])

    @cached_property
    def counted(self) -> np.ndarray:
        """Tokens whose likelihood counts, the end token too, [pairs, 2]: chosen, rejected."""
        sizes = [list(map(len, parts)) for parts in (self.chosen, self.rejected)]
        return np.array(sizes, dtype=np.int64).T + self.whole

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of a pair: `<S>`, the prompt, what both answers begin with, and their rests."""
        answers = (self.counted - self.whole).sum(1)
        return np.array([1 + len(prompt) for prompt in self.prompts]) + answers - self.common


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
    columns = (table[name] for name in ("chosen_cut", "rejected_cut"))
    cut = np.stack([column.to_numpy(zero_copy_only=False) for column in columns], axis=1)
    return Preferences(ids, parts[0], parts[1], parts[2], whole=~cut)


def _common(first: np.ndarray, second: np.ndarray) -> int:
    length = min(len(first), len(second))
    different = np.flatnonzero(first[:length] != second[:length])
    return int(different[0]) if len(different) else length
