"""Small text models with random weights for the tests, as they lie on the hub."""

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    PhiConfig,
    PreTrainedModel,
    Qwen2Config,
)

TEXT = 300  # ids
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": TEXT}
LLAMA = {**SIZES, "intermediate_size": 64, "num_key_value_heads": 1}
LONG = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0}
LONG |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 128}
KINDS: dict[str, Any] = {
    "qwen2": lambda: Qwen2Config(
        **LLAMA,
        tie_word_embeddings=True,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        attention_dropout=0.1,
        bos_token_id=298,
        eos_token_id=299,
    ),
    "llama": lambda: LlamaConfig(**LLAMA, tie_word_embeddings=False, rope_parameters=LONG),
    "phi": lambda: PhiConfig(**SIZES, intermediate_size=64, resid_pdrop=0.1),  # head with a bias
    "opt": lambda: OPTConfig(**SIZES, ffn_dim=64, max_position_embeddings=128, dropout=0.1),
    "gpt2": lambda: GPT2Config(**{**SIZES, "n_positions": 128}),
}


def save(folder: Path, kind: str, **changes: Any) -> Path:
    """A text model with nothing trivial in it, in bfloat16 as those in use."""
    torch.manual_seed(0)
    config = KINDS[kind]()
    for name, value in changes.items():
        setattr(config, name, value)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.generation_config = GenerationConfig(eos_token_id=299, temperature=0.7, do_sample=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder


def tables(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The parameters with a row an id."""
    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    found = {"table": table.weight, "head": head.weight}
    return found | ({"bias": head.bias} if getattr(head, "bias", None) is not None else {})


def body(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    outside = {id(tensor) for tensor in tables(model).values()}
    return {name: p for name, p in model.named_parameters() if id(p) not in outside}
