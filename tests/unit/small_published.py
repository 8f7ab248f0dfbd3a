"""Small models of units in the very layouts in which others publish theirs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn.functional import silu
from transformers import OPTConfig, OPTForCausalLM, Qwen2Config, Qwen2ForCausalLM

from slamflow import files

UNITS = 20
Logits = Callable[[torch.Tensor], torch.Tensor]  # [tokens] of the original ids -> [tokens, ids]
SPREAD = 0.3
# what transformers 4 writes of any config that is part of another one
BASE = {
    "return_dict": True, "output_hidden_states": False, "output_attentions": False,
    "torchscript": False, "use_bfloat16": False, "tf_legacy_loss": False, "pruned_heads": {},
    "chunk_size_feed_forward": 0, "is_encoder_decoder": False, "is_decoder": False,
    "cross_attention_hidden_size": None, "add_cross_attention": False,
    "tie_encoder_decoder": False, "max_length": 20, "min_length": 0, "do_sample": False,
    "early_stopping": False, "num_beams": 1, "num_beam_groups": 1, "diversity_penalty": 0.0,
    "temperature": 1.0, "top_k": 50, "top_p": 1.0, "typical_p": 1.0, "repetition_penalty": 1.0,
    "length_penalty": 1.0, "no_repeat_ngram_size": 0, "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": None, "num_return_sequences": 1, "output_scores": False,
    "return_dict_in_generate": False, "forced_bos_token_id": None, "forced_eos_token_id": None,
    "remove_invalid_values": False, "exponential_decay_length_penalty": None,
    "suppress_tokens": None, "begin_suppress_tokens": None, "finetuning_task": None,
    "id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1},
    "tokenizer_class": None, "prefix": None, "sep_token_id": None,
    "decoder_start_token_id": None, "task_specific_params": None, "problem_type": None,
    "hidden_act": "silu", "initializer_range": 0.02, "rms_norm_eps": 1e-06, "use_cache": True,
    "attention_dropout": 0.0, "_attn_implementation_autoset": True,
}  # fmt: skip


def slamkit(folder: Path) -> tuple[Logits, list[int]]:
    """As UnitLM.save_pretrained writes it with transformers 4."""
    settings = {
        "vocab_size": UNITS + 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "tie_word_embeddings": True,
    }
    torch.manual_seed(1)
    theta = {"rope_type": "default", "rope_theta": 50.0}
    network = Qwen2ForCausalLM(
        Qwen2Config(**settings, initializer_range=SPREAD, rope_parameters=theta)
    ).double()
    weights = {
        f"lm.{name}": tensor.float().contiguous()
        for name, tensor in network.state_dict().items()
        if name != "lm_head.weight"
    }
    base = {
        **BASE,
        **settings,
        "model_type": "qwen2",
        "architectures": ["Qwen2ForCausalLM"],
        "_name_or_path": "Qwen/Qwen2.5-0.5B",
        "bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0,
        "rope_scaling": None, "rope_theta": 50.0,
        "torch_dtype": "float32",
        "use_sliding_window": False, "sliding_window": None, "max_window_layers": 24,
    }  # fmt: skip
    config = {
        "architectures": ["UnitLM"],
        "base_config": base,
        "base_model_name": "Qwen/Qwen2.5-0.5B",
        "model_type": "speech_language_model",
        "torch_dtype": "float32",
        "transformers_version": "4.48.3",
        "twist_init": True,
        "vocab_size": UNITS + 2,
    }
    write(folder, config, weights)
    files.write_json({"bos_token_id": 1, "eos_token_id": 1}, folder / "generation_config.json")
    return plainly(network), [2, 1, 1]


def twist(folder: Path) -> tuple[Logits, list[int]]:
    """A text model of transformers with `offset` in its config.json, and ids to spare."""
    torch.manual_seed(2)
    config = OPTConfig(
        vocab_size=UNITS + 7,
        hidden_size=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        word_embed_proj_dim=16,
        do_layer_norm_before=False,
        max_position_embeddings=64,
        init_std=SPREAD,
        bos_token_id=2,
        eos_token_id=3,
        pad_token_id=1,
    )
    config.offset = 4
    network = OPTForCausalLM(config)
    network.save_pretrained(folder)
    return plainly(network.double().eval()), [4, 2, 3]


def slm_scaling(folder: Path) -> tuple[Logits, list[int]]:
    """As TransformerLM.save_pretrained writes it, with grouped keys, in two files."""
    heads, kv_heads, width, inner, layers = 4, 2, 32, 96, 2
    sizes = {
        "dim": width, "n_layers": layers, "n_heads": heads, "n_kv_heads": kv_heads,
        "vocab_size": UNITS + 2, "prefix_vocab_size": None, "hidden_dim": None, "multiple_of": 48,
        "norm_eps": 1e-3, "block_size": 64, "dropout": 0.0, "prefix_pad": None,
    }  # fmt: skip
    generator = torch.Generator().manual_seed(3)

    def matrix(*shape: int) -> torch.Tensor:
        return SPREAD * torch.randn(*shape, generator=generator)

    keys = width // heads * kv_heads
    weights = {"tok_embeddings.weight": matrix(UNITS + 2, width), "norm.weight": 1 + matrix(width)}
    for layer in range(layers):
        weights |= {
            f"layers.{layer}.{name}.weight": tensor
            for name, tensor in {
                "attention.wq": matrix(width, width),
                "attention.wk": matrix(keys, width),
                "attention.wv": matrix(keys, width),
                "attention.wo": matrix(width, width),
                "feed_forward.w1": matrix(inner, width),
                "feed_forward.w2": matrix(width, inner),
                "feed_forward.w3": matrix(inner, width),
                "attention_norm": 1 + matrix(width),
                "ffn_norm": 1 + matrix(width),
            }.items()
        }
    config = {
        "format_version": 1,
        "model_type": "slm",
        "architectures": ["TransformerLM"],
        "model_args": sizes,
        "torch_dtype": "float32",
        "tied_weights": ["tok_embeddings.weight", "output.weight"],
    }
    write(folder, config, weights, parts=2)
    exact = {name: tensor.double() for name, tensor in weights.items()}

    def logits(tokens: torch.Tensor) -> torch.Tensor:
        return llama(exact, tokens, layers, heads, kv_heads, eps=1e-3)

    return logits, [0, UNITS, UNITS]


def llama(
    weights: dict[str, torch.Tensor],
    tokens: torch.Tensor,
    layers: int,
    heads: int,
    kv_heads: int,
    eps: float,
) -> torch.Tensor:
    """A Llama of slm_scaling, its rotary positions as complex numbers of neighbours."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weights[f"{name}.weight"]

    def turned(x: torch.Tensor) -> torch.Tensor:
        size = x.shape[-1]
        angles = torch.outer(
            torch.arange(len(tokens)).double(), 10_000.0 ** (-torch.arange(0, size, 2) / size)
        )
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

    x = weights["tok_embeddings.weight"][tokens]
    for layer in range(layers):
        own = {
            name.removeprefix(f"layers.{layer}.").removesuffix(".weight"): tensor
            for name, tensor in weights.items()
            if name.startswith(f"layers.{layer}.")
        }
        h = norm(x, f"layers.{layer}.attention_norm")
        q, k, v = (
            (h @ own[f"attention.w{which}"].T).unflatten(-1, (count, -1)).transpose(0, 1)
            for which, count in (("q", heads), ("k", kv_heads), ("v", kv_heads))
        )
        k, v = (each.repeat_interleave(heads // kv_heads, 0) for each in (turned(k), v))
        seen = turned(q) @ k.mT / k.shape[-1] ** 0.5
        seen = seen.masked_fill(torch.ones_like(seen[0]).triu(1).bool(), -torch.inf).softmax(-1)
        x = x + (seen @ v).transpose(0, 1).flatten(1) @ own["attention.wo"].T
        h = norm(x, f"layers.{layer}.ffn_norm")
        gate = silu(h @ own["feed_forward.w1"].T) * (h @ own["feed_forward.w3"].T)
        x = x + gate @ own["feed_forward.w2"].T
    return norm(x, "norm") @ weights["tok_embeddings.weight"].T


def plainly(network: Any) -> Logits:
    def logits(tokens: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = network(tokens[None]).logits[0]
        return found

    return logits


def write(folder: Path, config: Any, weights: dict[str, torch.Tensor], parts: int = 1) -> None:
    folder.mkdir()
    files.write_json(config, folder / "config.json")
    names, size = list(weights), -(-len(weights) // parts)
    places = {}
    for part in range(parts):
        name = (
            f"model-{part + 1:05d}-of-{parts:05d}.safetensors" if parts > 1 else "model.safetensors"
        )
        chosen = names[part * size : (part + 1) * size]
        save_file({key: weights[key] for key in chosen}, folder / name, {"format": "pt"})
        places |= dict.fromkeys(chosen, name)
    if parts > 1:
        index = {"metadata": {"total_size": 1}, "weight_map": places}
        files.write_json(index, folder / "model.safetensors.index.json")


LAYOUTS = {"slamkit": slamkit, "twist": twist, "slm-scaling": slm_scaling}
