"""Opening a trained language model."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel


def load(folder: Path) -> PreTrainedModel:
    """The causal model in `folder` (transformers' layout): float32, on the CPU, in eval mode."""
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation="sdpa",
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    ).eval()
