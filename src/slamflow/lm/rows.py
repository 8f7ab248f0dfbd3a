"""Packed rows as batches of tensors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from slamflow import files
from slamflow.tables import packed as packed_table

IGNORED = -100  # a label that is not counted


@dataclass(frozen=True)
class Rows:
    """Packed rows in memory.

    Attributes:
        tokens: [rows, context], 0 where nothing is packed.
        documents: [rows, context], the index of each token's document in its row, from 0.
    """

    tokens: np.ndarray
    documents: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    def targets(self) -> np.ndarray:
        """Counted tokens of each row: all but PAD and the first of each document, [rows]."""
        same = self.documents[:, 1:] == self.documents[:, :-1]
        return (same & (self.tokens[:, 1:] != 0)).sum(1)


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
    parts = [Rows(tokens[mask], documents[mask]) for mask in (~held_out, held_out)]
    return parts[0], parts[1], metadata


def tensors(
    rows: Rows, index: np.ndarray, device: str
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The rows `index` as inputs of a causal model, and their labels [rows, context].

    Attention is causal and ends at document borders; positions begin at 0 with each document.
    The label at a position is the next token, or IGNORED where the document ends there.
    """
    tokens = torch.from_numpy(rows.tokens[index].astype(np.int64)).to(device)
    documents = torch.from_numpy(rows.documents[index].astype(np.int32)).to(device)
    context = tokens.shape[1]
    place = torch.arange(context, device=device)
    first = torch.ones_like(documents, dtype=torch.bool)
    first[:, 1:] = documents[:, 1:] != documents[:, :-1]
    beginning = torch.where(first, place, 0).cummax(1).values
    causal = place[:, None] >= place[None]
    mask = (documents[:, :, None] == documents[:, None]) & causal
    labels = torch.full_like(tokens, IGNORED)
    counted = ~first[:, 1:] & (tokens[:, 1:] != 0)
    labels[:, :-1] = torch.where(counted, tokens[:, 1:], IGNORED)
    inputs = {
        "input_ids": tokens,
        "position_ids": place - beginning,
        "attention_mask": mask[:, None],
    }
    return inputs, labels
