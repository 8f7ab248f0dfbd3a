"""Small HuBERTs with random weights for the tests."""

from pathlib import Path

import torch
from transformers import HubertConfig, HubertModel


def config(**changes: object) -> HubertConfig:
    settings: dict[str, object] = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "conv_dim": (16, 24, 32),
        "conv_kernel": (40, 8, 4),
        "conv_stride": (20, 8, 4),
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        **changes,
    }
    return HubertConfig(**settings)


def save(folder: Path, **changes: object) -> Path:
    torch.manual_seed(0)
    model = HubertModel(config(**changes))
    with torch.no_grad():  # no gain or offset is trivial
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder / "model.safetensors"
