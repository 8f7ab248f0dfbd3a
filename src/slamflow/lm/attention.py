"""Causal attention on a processor: plain matrix products, document by document.

The processor's fused kernel is several times slower in training than the products it fuses, and
it knows no documents: given a mask, it computes all pairs of a row's tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, int], torch.Tensor]
NAME = "documents"
LONGEST = 1024  # tokens: beyond, the pairs of a document's tokens would take too much memory
WHOLE = 384  # tokens: up to here, blocks cost as much as they save
BLOCK = 128  # queries that are computed together, beyond
UNKNOWN = {  # what transformers may ask of an attention, and how to do without it
    "softcap": ": set attn_logit_softcapping to null",
    "s_aux": "",
    "position_bias": "",
}


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

    Raises:
        ValueError: see `refuse`.
    """
    refuse(settings)
    length = query.shape[2]
    if attention_mask is not None or key.shape[2] != length or (not documents and length > LONGEST):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **settings
        )
    return in_blocks(
        query, key, value, documents or (), lambda q, k, v, _: _causal(q, k, v, scaling)
    )


def in_blocks(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    blocks: Sequence[tuple[int, int]],
    attend: Attend,
) -> tuple[torch.Tensor, None]:
    """Attention within blocks of tokens; what transformers calls gives its result.

    Args:
        query: [rows, heads, tokens, size]; keys and values may have fewer heads.
        blocks: (count, length) in a single row; without any, each row is a block.
        attend: computes queries, keys and values of one length, [blocks, heads, tokens, size], in
            the type of the values; it is also given which of `blocks` they are.

    Returns:
        [rows, tokens, heads, size].
    """
    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = (tensor.repeat_interleave(shared, 1) for tensor in (key, value))
    query, key = query.to(value.dtype), key.to(value.dtype)
    with torch.autocast(value.device.type, enabled=False):
        if not blocks:
            return attend(query, key, value, 0).transpose(1, 2), None
        sizes = [count * length for count, length in blocks]
        parts = zip(*(tensor[0].split(sizes, 1) for tensor in (query, key, value)), strict=True)
        found = []
        for which, part in enumerate(parts):
            q, k, v = (tensor.unflatten(1, blocks[which]).transpose(0, 1) for tensor in part)
            found.append(attend(q, k, v, which).transpose(1, 2).flatten(0, 1))
        return torch.cat(found)[None], None


def refuse(settings: Mapping[str, Any]) -> None:
    """Some architectures have more in their attention than products and a softmax.

    Raises:
        ValueError: it is one of UNKNOWN.
    """
    for name, repair in UNKNOWN.items():
        if settings.get(name) is not None:
            raise ValueError(f"its attention has {name}, which is not computed here{repair}")


def _causal(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
) -> torch.Tensor:
    """Attention of documents of one length, [documents, heads, tokens, size], in their type."""
    count, heads, length, size = query.shape
    if length > LONGEST:
        return functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scaling
        )
    query, key, value = (tensor.flatten(0, 1) for tensor in (query, key, value))
    if length > WHOLE:
        return _Blocks.apply(query, key, value, scaling).view(count, heads, length, size)
    weights = _weights(query, key, scaling)
    return torch.bmm(weights, value).view(count, heads, length, size)


def _weights(query: torch.Tensor, key: torch.Tensor, scaling: float) -> torch.Tensor:
    """[sequences, queries, keys]; the queries are those of the last keys."""
    count, keys = query.shape[1], key.shape[1]
    later = query.new_full((count, keys), -torch.inf).triu(1 + keys - count)
    return torch.baddbmm(later, query, key.mT, alpha=scaling).softmax(-1)


class _Blocks(torch.autograd.Function):
    """Causal attention, [sequences, tokens, size]: blocks of queries with the keys up to their own.

    Of the pairs that causal attention does not want, most are not computed, nor kept for the
    backward pass.
    """

    @staticmethod
    def forward(
        context: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float
    ) -> torch.Tensor:
        found, kept = [], []
        for begin in range(0, query.shape[1], BLOCK):
            end = begin + BLOCK
            weights = _weights(query[:, begin:end], key[:, :end], scaling)
            found.append(torch.bmm(weights, value[:, :end]))
            kept.append(weights)
        context.save_for_backward(query, key, value, *kept)
        context.scaling = scaling
        return torch.cat(found, 1)

    @staticmethod
    def backward(context: Any, *given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        query, key, value, *kept = context.saved_tensors
        of_query = []
        exact = torch.promote_types(key.dtype, torch.float32)  # of sums over the blocks
        of_key, of_value = (torch.zeros_like(key, dtype=exact) for _ in range(2))
        end = 0
        for own, weights, gradient in zip(
            query.split(BLOCK, 1), kept, given[0].split(BLOCK, 1), strict=True
        ):
            end += own.shape[1]
            of_value[:, :end] += torch.bmm(weights.mT, gradient)
            of_weights = torch.bmm(gradient, value[:, :end].mT)
            of_products = torch.ops.aten._softmax_backward_data(
                of_weights, weights, -1, weights.dtype
            ).mul_(context.scaling)
            of_query.append(torch.bmm(of_products, key[:, :end]))
            of_key[:, :end] += torch.bmm(of_products.mT, own)
        return torch.cat(of_query, 1), of_key.to(key.dtype), of_value.to(value.dtype), None
