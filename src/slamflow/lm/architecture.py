"""Language models over units, made from their config."""

from collections.abc import Mapping
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, PreTrainedModel

from slamflow.lm.vocabulary import BOUNDARY, PAD

# Our names of sizes -> those of transformers' configs of the Llama family.
SIZES = {
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
}


def build(init: Mapping[str, Any], vocabulary: int, context: int) -> PreTrainedModel:
    """A causal language model with random weights, float32, on the CPU.

    The same `init` and vocabulary give the same weights on every machine.

    Args:
        init: `architecture` (a causal `model_type` of transformers whose config has the sizes of
            Llama's, such as qwen2, llama, mistral), `hidden_size`, `intermediate_size`, `layers`,
            `heads`, `kv_heads`, `rope_theta` (default 10,000), `tie` (head and token table are
            one; default true), `seed`.
        vocabulary: the number of ids: clusters + 2.
        context: the longest row that it will see in training, recorded in its config.

    Raises:
        ValueError: an unknown architecture, or sizes that do not fit each other.
    """
    heads, kv_heads = int(init["heads"]), int(init.get("kv_heads", init["heads"]))
    if init["hidden_size"] % heads or heads % kv_heads:
        raise ValueError(
            f"init: hidden_size {init['hidden_size']} must be a multiple of heads {heads},"
            f" and heads of kv_heads {kv_heads}"
        )
    sizes = {theirs: int(init.get(ours, heads)) for ours, theirs in SIZES.items()}
    kind = str(init.get("architecture", "qwen2"))
    if kind not in CONFIG_MAPPING:
        raise ValueError(f"init: architecture {kind!r} is unknown")
    known = AutoConfig.for_model(kind).to_dict()
    if not {*sizes, "rope_parameters"} <= known.keys():
        raise ValueError(f"init: architecture {kind!r} has other sizes than Llama's family")
    config = AutoConfig.for_model(
        kind,
        vocab_size=vocabulary,
        max_position_embeddings=context,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": float(init.get("rope_theta", 10_000.0)),
        },
        tie_word_embeddings=bool(init.get("tie", True)),
        pad_token_id=PAD,
        bos_token_id=BOUNDARY,
        eos_token_id=BOUNDARY,
        **sizes,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(init.get("seed", 0)))
        return AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, attn_implementation="sdpa"
        )
