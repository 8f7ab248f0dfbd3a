"""Floating-point operations of a language model's update, in one convention for all tasks."""

from typing import Any

import torch
from transformers import PreTrainedModel


def update(model: PreTrainedModel, tokens: Any, seen: Any) -> Any:
    """6 P a token + 24 L H d a pair of tokens that is seen: forwards, and twice that backwards.

    P are the parameters of matrix products, L layers, H heads of size d. As is the custom, a
    causal mask is not counted, so each pair counts twice: a document of n tokens has 12 L H d n²
    (Chowdhery and others 2022, arXiv 2204.02311, appendix B). Nor is padding.

    Args:
        tokens: numbers of tokens, of any shape.
        seen: of the same shape: pairs of a token and one that it sees, n² / 2 in a document.
    """
    config = model.config.get_text_config()
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    pairs = config.num_hidden_layers * config.num_attention_heads * size
    return 6.0 * products(model) * tokens + 24.0 * pairs * seen


def products(model: PreTrainedModel) -> int:
    """The parameters of matrix products: all matrices, but no look-up tables."""
    modules = [m for m in model.modules() if not isinstance(m, torch.nn.Embedding)]
    return sum(p.numel() for m in modules for p in m.parameters(recurse=False) if p.ndim == 2)
