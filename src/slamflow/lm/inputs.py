"""Packed rows as tensors that a causal model takes."""

from typing import Any

import numpy as np
import torch

from slamflow.lm.rows import Rows
from slamflow.lm.vocabulary import PAD
from slamflow.training.device import send

IGNORED = -100  # a label that is not counted
MULTIPLE = 32  # odd sizes make matrix products slow, and each new one costs some preparation


def tensors(
    rows: Rows, index: np.ndarray, device: str
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The rows `index` as inputs of a causal model, and their labels [rows, context].

    Attention is causal and ends at document borders; positions begin at 0 with each document.
    The label at a position is the next token, or IGNORED where the document ends there.
    """
    tokens = send(rows.tokens[index].astype(np.int64), device)
    documents = send(rows.documents[index].astype(np.int32), device)
    context = tokens.shape[1]
    place = torch.arange(context, device=device)
    first = torch.ones_like(documents, dtype=torch.bool)
    first[:, 1:] = documents[:, 1:] != documents[:, :-1]
    beginning = torch.where(first, place, 0).cummax(1).values
    causal = place[:, None] >= place[None]
    mask = (documents[:, :, None] == documents[:, None]) & causal
    labels = torch.full_like(tokens, IGNORED)
    counted = ~first[:, 1:] & (tokens[:, 1:] != PAD)
    labels[:, :-1] = torch.where(counted, tokens[:, 1:], IGNORED)
    inputs = {
        "input_ids": tokens,
        "position_ids": place - beginning,
        "attention_mask": mask[:, None],
    }
    return inputs, labels


def in_one_row(rows: Rows, index: np.ndarray) -> tuple[dict[str, Any], torch.Tensor]:
    """The documents of the rows `index` one behind the other, on the CPU.

    They are sorted by length, and each is padded to a multiple of MULTIPLE tokens.

    Returns:
        Inputs of a causal model after `attention.by_documents`, and the labels, [1, tokens]: the
        next token, or IGNORED at a document's end and in its padding.
    """
    kept = rows.tokens[index] != PAD
    given, row, number = rows.tokens[index][kept], np.nonzero(kept)[0], rows.documents[index][kept]
    begins = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(number, prepend=0) != 0))
    lengths = np.diff(begins, append=len(given))
    padded = -(-lengths // MULTIPLE) * MULTIPLE
    order = np.argsort(padded, kind="stable")
    begins, lengths, padded = begins[order], lengths[order], padded[order]
    ends = np.cumsum(padded)
    within = np.arange(ends[-1]) - np.repeat(ends - padded, padded)
    tokens = np.full(ends[-1], PAD, dtype=np.int64)
    real = within < np.repeat(lengths, padded)
    tokens[real] = given[np.repeat(begins, padded)[real] + within[real]]
    labels = np.full_like(tokens, IGNORED)
    predicted = within + 1 < np.repeat(lengths, padded)
    labels[:-1][predicted[:-1]] = tokens[1:][predicted[:-1]]
    kinds, counts = np.unique(padded, return_counts=True)
    inputs = {
        "input_ids": torch.from_numpy(tokens)[None],
        # in the padding the last one again: a learned position ends with the context
        "position_ids": torch.from_numpy(np.minimum(within, np.repeat(lengths, padded) - 1))[None],
        "documents": list(zip(counts.tolist(), kinds.tolist(), strict=True)),
    }
    return inputs, torch.from_numpy(labels)[None]
