"""Configs of transformers' causal models: our names of sizes, rotary positions, no dropout."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from slamflow.lm.vocabulary import BOUNDARY, PAD

THETA = 10_000.0
# Our names of sizes -> those of transformers' configs, the first that an architecture has.
SIZES = {
    "hidden_size": ("hidden_size",),
    "intermediate_size": ("intermediate_size", "ffn_dim", "n_inner"),
    "layers": ("num_hidden_layers",),
    "heads": ("num_attention_heads",),
    "kv_heads": ("num_key_value_heads", "num_kv_heads"),
}
IDS = {"pad_token_id": PAD, "bos_token_id": BOUNDARY, "eos_token_id": BOUNDARY}
ERRORS = (StrictDataclassError, ValueError, TypeError, KeyError, AttributeError)


def fresh(init: Mapping[str, Any], vocabulary: int, context: int) -> PreTrainedConfig:
    """The config of a model whose weights are drawn; see `architecture.build`.

    Raises:
        ValueError: an unknown architecture, a key that it does not have, or sizes that do not fit
            each other.
    """
    kind = str(init.get("architecture", "qwen2"))
    if kind not in CONFIG_MAPPING or kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ValueError(f"init: architecture {kind!r} is unknown or no causal language model")
    usual = AutoConfig.for_model(kind)
    values: dict[str, Any] = dict.fromkeys(dropouts(usual), 0.0)
    values |= {"vocab_size": vocabulary, "tie_word_embeddings": bool(init.get("tie", True)), **IDS}
    values |= _sizes(init, usual, kind)
    if _has(usual, "max_position_embeddings"):
        values["max_position_embeddings"] = context
    theta = init.get("rope_theta")
    if getattr(usual, "rope_parameters", None):
        values["rope_parameters"] = rotary(usual, float(theta or THETA))
    elif theta is not None:
        raise ValueError(f"init: rope_theta: {kind} has no rotary positions; remove it")
    options = _options(init, usual, values.keys() - dropouts(usual))
    with _refusing(kind):
        return _whole(AutoConfig.for_model(kind, **values | options), context)


def adapt(config: PreTrainedConfig, init: Mapping[str, Any], context: int) -> None:
    """Change the config of a model whose weights are known: ids, rotary base, context, no dropout.

    Learned and scaled positions stay as many as they are.

    Raises:
        ValueError: it has no rotary positions, too few others, or lacks one of the `options`.
    """
    kind, theta = config.model_type, init.get("rope_theta")
    values: dict[str, Any] = {**IDS, **dict.fromkeys(dropouts(config), 0.0)}
    if theta is not None:
        if not getattr(config, "rope_parameters", None):
            raise ValueError(f"init: rope_theta: {kind} has no rotary positions; remove it")
        values["rope_parameters"] = rotary(config, float(theta))
    fixed = {*IDS, "rope_parameters", "vocab_size", "max_position_embeddings"}
    values |= _options(init, config, fixed)
    with _refusing(kind):
        for name, value in values.items():
            setattr(config, name, value)
    if bases(config):
        config.max_position_embeddings = context
    elif context > getattr(config, "max_position_embeddings", context):
        raise ValueError(
            f"init: {kind} has {config.max_position_embeddings} positions, too few for the"
            f" mixture's context {context}"
        )
    _whole(config, context)


def rotary(config: PreTrainedConfig, theta: float) -> dict[str, Any]:
    """Plain rotary positions of base `theta`; what scales them for longer contexts is left out.

    transformers 5 reads nothing but `rope_parameters`: `rope_theta` of a config has no effect.
    """

    def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
        kept = {k: v for k, v in settings.items() if k == "partial_rotary_factor"}
        return {"rope_type": "default", "rope_theta": theta, **kept}

    if _by_layer(config):
        return {layer: plain(part) for layer, part in config.rope_parameters.items()}
    return plain(config.rope_parameters)


def bases(config: PreTrainedConfig) -> list[float]:
    """The bases of plain rotary positions; none where some are scaled, or there are none."""
    found = getattr(config, "rope_parameters", None)
    parts = list(found.values()) if found and _by_layer(config) else [found or {}]
    if any(part.get("rope_type") != "default" for part in parts):
        return []
    return [float(part["rope_theta"]) for part in parts]


def dropouts(config: PreTrainedConfig) -> set[str]:
    """The names of all shares that are dropped in training."""
    return {
        name
        for name, value in config.to_dict().items()
        if ("drop" in name and type(value) is float) or name.endswith(("dropout", "layerdrop"))
    }


def _sizes(init: Mapping[str, Any], usual: PreTrainedConfig, kind: str) -> dict[str, int]:
    heads = int(init["heads"])
    kv_heads = int(init.get("kv_heads") or heads)
    if init["hidden_size"] % heads or heads % kv_heads:
        raise ValueError(
            f"init: hidden_size {init['hidden_size']} must be a multiple of heads {heads},"
            f" and heads of kv_heads {kv_heads}"
        )
    values = {}
    for ours, names in SIZES.items():
        theirs = next((name for name in names if _has(usual, name)), None)
        value = init.get(ours)
        if ours == "kv_heads" and value is None and theirs:
            value = heads
        if value is not None and theirs is None:
            raise ValueError(
                f"init: {ours}: {kind} has no {names[0]}; remove it, or see its config's own names"
                " for `options`"
            )
        if value is not None:
            values[str(theirs)] = int(value)
    return values


def _options(
    init: Mapping[str, Any], config: PreTrainedConfig, taken: Iterable[str]
) -> dict[str, Any]:
    options = dict(init.get("options") or {})
    for name in options:
        if not _has(config, name):
            raise ValueError(f"init: options: {config.model_type} has no {name}")
        if _own(config, name) in {_own(config, other) for other in taken}:
            raise ValueError(f"init: options: {name} is set by another key of `init`, or by us")
    return options


@contextlib.contextmanager
def _refusing(kind: str) -> Iterator[None]:
    try:
        yield
    except ERRORS as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"init: {kind} refuses these values ({reason})") from None


def _whole(config: PreTrainedConfig, context: int) -> PreTrainedConfig:
    """The config, if its attention reaches over a whole row, as training's does."""
    for name in ("sliding_window", "attention_chunk_size"):
        reach = getattr(config, name, None)
        if reach and reach < context:
            raise ValueError(
                f"init: {config.model_type} has {name} {reach}, less than the mixture's context;"
                f" write `options: {{{name}: {context}}}`"
            )
    return config


def _by_layer(config: PreTrainedConfig) -> bool:
    """Each kind of layer has its own rotary positions."""
    return all(isinstance(part, Mapping) for part in config.rope_parameters.values())


def _has(config: PreTrainedConfig, name: str) -> bool:
    return name in config.to_dict() or name in config.attribute_map


def _own(config: PreTrainedConfig, name: str) -> str:
    return str(config.attribute_map.get(name, name))
