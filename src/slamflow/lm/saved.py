"""Opening a trained language model."""

from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, PreTrainedModel

from slamflow import pretrained

BUFFERS = r".*(rotary_emb\.inv_freq|attn\.(masked_)?bias)$"  # that old files have


def load(folder: Path, **settings: Any) -> PreTrainedModel:
    """The causal model in `folder` (transformers' layout): float32, on the CPU, in eval mode.

    Args:
        settings: further ones of `from_pretrained`.

    Raises:
        ValueError: it is no such model, or its weights are not what its config describes.
    """
    found: PreTrainedModel = pretrained.load(
        AutoModelForCausalLM,
        folder,
        name="causal language model",
        may_hold=BUFFERS,
        **settings,
    )
    return found
