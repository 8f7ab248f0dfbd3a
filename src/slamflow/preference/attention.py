"""Attention of packed preferences: each answer sees its prompt and itself."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel

from slamflow.lm.attention import LONGEST, in_blocks, refuse

NAME = "preferences"


def by_blocks(model: PreTrainedModel) -> None:
    """From now on, the model takes one row of blocks, with `masks` that end attention at them.

    These are boolean, [blocks, tokens, tokens]: which query (row) sees which key; one for the
    first so many blocks of so many tokens, one for the next, and so on to the row's end. Positions
    are the caller's matter. Nothing of it is saved with the model.
    """
    AttentionInterface.register(NAME, _attend)
    model.set_attn_implementation(NAME)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    masks: Sequence[torch.Tensor] = (),
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it, with [1, heads, tokens, size]; keys may have fewer heads.

    Returns:
        [1, tokens, heads, size].

    Raises:
        ValueError: see `refuse`.
    """
    refuse(settings)
    assert masks and query.shape[0] == 1 and attention_mask is None
    blocks = [(mask.shape[0], mask.shape[1]) for mask in masks]
    return in_blocks(
        query, key, value, blocks, lambda q, k, v, which: _masked(q, k, v, masks[which], scaling)
    )


def _masked(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float,
) -> torch.Tensor:
    """Attention of blocks of one length, [blocks, heads, tokens, size], in their type.

    On a processor, plain products are several times faster in training than the fused kernel.
    """
    blocks, heads, length, size = query.shape
    if value.device.type != "cpu" or length > LONGEST:
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask[:, None], scale=scaling
        )
    hidden = torch.zeros_like(mask, dtype=value.dtype).masked_fill_(~mask, -torch.inf)
    query, key, value = (tensor.flatten(0, 1) for tensor in (query, key, value))
    hidden = hidden[:, None].expand(-1, heads, -1, -1).flatten(0, 1)
    weights = torch.baddbmm(hidden, query, key.mT, alpha=scaling).softmax(-1)
    return torch.bmm(weights, value).view(blocks, heads, length, size)
