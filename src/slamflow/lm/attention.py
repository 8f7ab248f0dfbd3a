"""Causal attention on a processor: plain matrix products, document by document.

The processor's fused kernel is several times slower in training than the products it fuses, and
it knows no documents: given a mask, it computes all pairs of a row's tokens.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "documents"
LONGEST = 1024  # tokens: beyond, the pairs of a document's tokens would take too much memory


def by_documents(model: PreTrainedModel) -> None:
    """From now on, the model computes attention as said above, and takes `documents`.

    These are (count, length) of documents in a batch of one row: count documents of that length,
    then those of the next entry, to the row's end. Without them each row is one document. Positions
    are the caller's matter, and masks are used as before. Nothing of it is saved with the model.
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
    documents: Sequence[tuple[int, int]] | None = None,
    **settings: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it, with [rows, heads, tokens, size]; keys may have fewer heads.

    Returns:
        [rows, tokens, heads, size].
    """
    length = query.shape[2]
    if attention_mask is not None or key.shape[2] != length or (not documents and length > LONGEST):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **settings
        )
    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = (tensor.repeat_interleave(shared, 1) for tensor in (key, value))
    query, key = query.to(value.dtype), key.to(value.dtype)
    with torch.autocast(value.device.type, enabled=False):
        if not documents:
            return _causal(query, key, value, scaling).transpose(1, 2), None
        sizes = [count * length for count, length in documents]
        parts = zip(*(tensor[0].split(sizes, 1) for tensor in (query, key, value)), strict=True)
        found = []
        for part, pair in zip(parts, documents, strict=True):
            q, k, v = (tensor.unflatten(1, pair).transpose(0, 1) for tensor in part)
            found.append(_causal(q, k, v, scaling).transpose(1, 2).flatten(0, 1))
        return torch.cat(found)[None], None


def _causal(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
) -> torch.Tensor:
    """Attention of documents of one length, [documents, heads, tokens, size], in their type."""
    count, heads, length, size = query.shape
    if length > LONGEST:
        return functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling
        )
    later = torch.full((length, length), -torch.inf, dtype=value.dtype, device=value.device)
    query, key, value = (tensor.flatten(0, 1) for tensor in (query, key, value))
    weights = torch.baddbmm(later.triu(1), query, key.mT, alpha=scaling).softmax(-1)
    return torch.bmm(weights, value).view(count, heads, length, size)
