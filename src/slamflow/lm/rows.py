"""Packed rows in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slamflow import files
from slamflow.lm.vocabulary import PAD
from slamflow.tables import packed as packed_table


@dataclass(frozen=True)
class Rows:
    """Packed rows in memory.

    Attributes:
        tokens: [rows, context], 0 where nothing is packed.
        documents: [rows, context], the index of each token's document in its row, from 0.
        corpora: of held-out rows, the corpus of each, [rows].
    """

    tokens: np.ndarray
    documents: np.ndarray
    corpora: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    def counted(self) -> np.ndarray:
        """Where the next token is predicted, [rows, context - 1]: PAD and first tokens are not."""
        same = self.documents[:, 1:] == self.documents[:, :-1]
        return same & (self.tokens[:, 1:] != PAD)

    def targets(self) -> np.ndarray:
        """The number of predicted tokens of each row, [rows]."""
        return self.counted().sum(1)

    def lengths(self, index: np.ndarray) -> np.ndarray:
        """The tokens of each document in the rows `index`."""
        place = self.documents[index] + np.arange(len(index))[:, None] * self.tokens.shape[1]
        counts = np.bincount(place[self.tokens[index] != PAD])
        return counts[counts > 0]

    def bigrams(self) -> tuple[np.ndarray, np.ndarray]:
        """All predicted tokens and, first, those before them."""
        counted = self.counted()
        return self.tokens[:, :-1][counted], self.tokens[:, 1:][counted]


def read(path: Path) -> tuple[Rows, Rows, dict[str, float]]:
    """Training rows, held-out rows, and the metadata `context`, `vocabulary`, `fill`."""
    table = files.read_table(path, packed_table.SCHEMA)
    metadata = {key.decode(): float(value) for key, value in table.schema.metadata.items()}
    context, count = int(metadata["context"]), table.num_rows
    kind = np.uint16 if metadata["vocabulary"] <= 65_536 else np.uint32
    flat = table["tokens"].combine_chunks().flatten().to_numpy()
    tokens = flat.astype(kind).reshape(count, context)
    borders = table["borders"].combine_chunks()
    begins = np.zeros((count, context), dtype=kind)
    row = np.repeat(np.arange(count), np.diff(borders.offsets.to_numpy()))
    begins[row, borders.flatten().to_numpy()] = 1
    documents = np.cumsum(begins, axis=1, dtype=kind) - 1
    held_out = table["held_out"].to_numpy(zero_copy_only=False)
    corpora = table["corpus"].filter(table["held_out"]).to_pylist()
    training = Rows(tokens[~held_out], documents[~held_out])
    return training, Rows(tokens[held_out], documents[held_out], corpora), metadata
