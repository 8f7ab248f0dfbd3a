"""Packed rows as tensors that a causal model takes."""

import numpy as np
import torch

from slamflow.lm.rows import Rows
from slamflow.lm.vocabulary import PAD

IGNORED = -100  # a label that is not counted


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
    counted = ~first[:, 1:] & (tokens[:, 1:] != PAD)
    labels[:, :-1] = torch.where(counted, tokens[:, 1:], IGNORED)
    inputs = {
        "input_ids": tokens,
        "position_ids": place - beginning,
        "attention_mask": mask[:, None],
    }
    return inputs, labels
