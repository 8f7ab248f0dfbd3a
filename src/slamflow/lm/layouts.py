"""The layouts in which others publish models of units: names of weights, ids of units.

- `slamkit`: UnitLM of slp-rl/slamkit, a text model behind the prefix `lm.`; ids as here.
- `twist`: a model of transformers whose config.json has `offset`, the id of unit 0, as
  textlesslib's TWIST has; what begins and ends an utterance is the text model's.
- `slm-scaling`: TransformerLM of tiagoCuervo/slm_scaling, a Llama with names of its own, whose
  rotary positions turn neighbours. Unit i is id i; then come the end token, which also begins an
  utterance, and PAD.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, LlamaConfig, PreTrainedConfig, PreTrainedModel

from slamflow import pretrained
from slamflow.lm import configs, saved
from slamflow.lm.vocabulary import Layout

Opened = tuple[PreTrainedModel, Layout]
UNITLM = "speech_language_model"  # its model_type
FORMAT = 1  # of slm_scaling's config.json
THETA = 10_000.0  # that of slm_scaling's rotary positions
SIZES = {"dim", "n_layers", "n_heads", "vocab_size", "multiple_of", "norm_eps", "block_size"}
BLOCK = r"^layers\.(\d+)\."
# slm_scaling's names of weights -> those of transformers' Llama
NAMES = {
    r"^tok_embeddings\.": "model.embed_tokens.",
    r"^output\.": "lm_head.",
    r"^norm\.": "model.norm.",
    **{BLOCK + rf"attention\.w{x}\.": rf"model.layers.\1.self_attn.{x}_proj." for x in "qkvo"},
    BLOCK + r"feed_forward\.w1\.": r"model.layers.\1.mlp.gate_proj.",
    BLOCK + r"feed_forward\.w2\.": r"model.layers.\1.mlp.down_proj.",
    BLOCK + r"feed_forward\.w3\.": r"model.layers.\1.mlp.up_proj.",
    BLOCK + r"attention_norm\.": r"model.layers.\1.input_layernorm.",
    BLOCK + r"ffn_norm\.": r"model.layers.\1.post_attention_layernorm.",
}


def _slamkit(source: Path, found: Mapping[str, Any], units: int) -> Opened:
    base = found.get("base_config")
    if found.get("model_type") != UNITLM or not isinstance(base, dict):
        raise _other(source, "slamkit", f"its model_type is {UNITLM}, with a base_config")
    ids = Layout(units)
    size = found.get("vocab_size", base.get("vocab_size"))
    if size != ids.size:
        raise _of_others(source, size, ids)
    config = _config(source, {**base, "vocab_size": size})
    return _renamed(source, config, {r"^lm\.": ""}), ids


def _twist(source: Path, found: Mapping[str, Any], units: int) -> Opened:
    if not isinstance(found.get("offset"), int):
        raise _other(source, "twist", "its config.json has `offset`, the id of unit 0")
    config = _config(source, found)
    size, last = config.vocab_size, found["offset"] + units
    ends = [config.bos_token_id, config.eos_token_id]
    if size < last:
        raise ValueError(
            f"{source}: has {size} ids from which units begin at {found['offset']}, too few for the"
            f" tokeniser's {units}; name the tokeniser that it was trained on"
        )
    free = {*range(found["offset"]), *range(last, size)}
    if not free.issuperset(ends):
        raise ValueError(
            f"{source}: its config.json has bos_token_id {ends[0]} and eos_token_id {ends[1]}; both"
            f" must be ids outside of its units, {found['offset']} to {last - 1}: correct them"
        )
    pad = config.pad_token_id
    ids = Layout(units, found["offset"], ends[0], ends[1], pad if pad in free else ends[1])
    return saved.load(source, config=config), ids


def _slm_scaling(source: Path, found: Mapping[str, Any], units: int) -> Opened:
    sizes: Any = found.get("model_args")
    known = isinstance(sizes, dict) and sizes.keys() >= SIZES
    if found.get("format_version") != FORMAT or not known:
        wanted = f"its config.json has format_version {FORMAT}, and model_args with all sizes"
        raise _other(source, "slm-scaling", wanted)
    if sizes.get("prefix_vocab_size") is not None:
        raise ValueError(f"{source}: continues prefixes of other ids; no model of units alone")
    ids = Layout(units, offset=0, start=units, end=units, pad=units + 1)
    if sizes["vocab_size"] != ids.size:
        raise _of_others(source, sizes["vocab_size"], ids)
    width, heads = sizes["dim"], sizes["n_heads"]
    config = LlamaConfig(
        vocab_size=ids.size,
        hidden_size=width,
        intermediate_size=sizes.get("hidden_dim") or _inner(width, sizes["multiple_of"]),
        num_hidden_layers=sizes["n_layers"],
        num_attention_heads=heads,
        num_key_value_heads=sizes.get("n_kv_heads") or heads,
        max_position_embeddings=sizes["block_size"],
        rms_norm_eps=sizes["norm_eps"],
        rope_parameters={"rope_type": "default", "rope_theta": THETA},
        tie_word_embeddings=True,
    )
    model = _renamed(source, config, NAMES)
    for name, weights in model.named_parameters():
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            weights.data = _halves(weights.data, width // heads)
    return model, ids


LAYOUTS: dict[str, Callable[[Path, Mapping[str, Any], int], Opened]] = {
    "slamkit": _slamkit,
    "twist": _twist,
    "slm-scaling": _slm_scaling,
}


def _renamed(source: Path, config: PreTrainedConfig, names: Mapping[str, str]) -> PreTrainedModel:
    """The model whose weights have other names: patterns, and what stands for them."""
    model = saved.load(source, config=config, key_mapping=names)
    model._weight_conversions = []  # else save_pretrained would bring the other names back
    return model


def _inner(width: int, multiple: int) -> int:
    """The width of slm_scaling's feed-forward layers: 8/3 of the model's, rounded up."""
    return -(-(8 * width // 3) // multiple) * multiple


def _halves(weights: torch.Tensor, size: int) -> torch.Tensor:
    """Rows of queries or keys for rotary positions that turn i and i + size / 2 as a pair.

    Args:
        weights: [heads * size, width], for such that turn 2 i and 2 i + 1.
        size: of a head.
    """
    return weights.unflatten(0, (-1, size // 2, 2)).transpose(1, 2).flatten(0, 2)


def _config(source: Path, values: Mapping[str, Any]) -> PreTrainedConfig:
    kind = values.get("model_type")
    try:
        config = AutoConfig.for_model(**values)
    except configs.ERRORS as error:
        reason = pretrained.reason(error)
        raise ValueError(
            f"{source}: its config.json cannot be read as one of {kind} ({reason})"
        ) from None
    theta = values.get("rope_theta")
    if theta is not None and configs.bases(config) not in ([], [float(theta)]):
        raise ValueError(f"{source}: its rope_theta {theta} has no effect in {kind}")
    return config


def _other(source: Path, layout: str, wanted: str) -> ValueError:
    others = " or ".join(name for name in LAYOUTS if name != layout)
    return ValueError(f"{source}: is not of layout {layout} ({wanted}); try layout {others}")


def _of_others(source: Path, size: Any, ids: Layout) -> ValueError:
    return ValueError(
        f"{source}: has {size} ids, and with the tokeniser's {ids.units} units it would have"
        f" {ids.size}; name the tokeniser that it was trained on"
    )
