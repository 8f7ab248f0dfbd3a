"""Small language models of units with random weights."""

import torch
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

CONTEXT = 64


def qwen2(vocabulary: int, spread: float, **settings: int) -> PreTrainedModel:
    """The same weights every time; `spread` is their standard deviation."""
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        initializer_range=spread,
        **settings,
    )
    return Qwen2ForCausalLM(config).eval()
