"""Small HuBERTs with random weights for the tests."""

from pathlib import Path

import torch
from transformers import HubertConfig, HubertModel

BASE = {"conv_kernel": (10, 3, 3, 3, 3, 2, 2), "conv_stride": (5, 2, 2, 2, 2, 2, 2)}
POSITIONS = {"num_conv_pos_embeddings": 128, "num_conv_pos_embedding_groups": 16}
# Those in use, narrowed: their kernels, strides, norms and biases are the real ones.
IN_USE: dict[str, dict[str, object]] = {
    "base": {**BASE, **POSITIONS, "conv_dim": (16,) * 7, "feat_extract_norm": "group"},
    "multilingual 25 Hz": {
        "conv_kernel": (*BASE["conv_kernel"], 2),
        "conv_stride": (*BASE["conv_stride"], 2),
        **POSITIONS,
        "conv_dim": (16,) * 8,
        "feat_extract_norm": "group",
        "conv_pos_batch_norm": True,
    },
    "large": {
        **BASE,
        **POSITIONS,
        "conv_dim": (16,) * 7,
        "feat_extract_norm": "layer",
        "do_stable_layer_norm": True,
        "conv_bias": True,
    },
}


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
        for name, buffer in model.named_buffers():  # of batch norms
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))
    model.save_pretrained(folder)
    return folder / "model.safetensors"
