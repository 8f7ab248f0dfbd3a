"""Language models over units, made from their config."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from slamflow import pretrained
from slamflow.lm import configs, twist
from slamflow.lm.vocabulary import UNITS


def build(
    init: Mapping[str, Any],
    vocabulary: int,
    context: int,
    initial: Path | None = None,
    units: int | None = None,
) -> PreTrainedModel:
    """A causal language model with random weights or those of a text model, float32, on the CPU.

    Dropout is 0 everywhere. The same `init` and vocabulary give the same weights on every machine.

    Args:
        init: of random weights: `architecture` (a causal `model_type` of transformers),
            `hidden_size`, `intermediate_size`, `layers`, `heads`, `kv_heads` (default: as many as
            heads), `rope_theta` (default 10,000), `tie` (head and token table are one; default
            true), `seed`, `options` (further values of transformers' config, by its own names).
            With `initial`: see `twist.start`.
        vocabulary: the number of ids: units + 2, or of text and units, see `twist.start`.
        context: the longest row that it will see in training, recorded in its config.
        initial: the folder of a model in transformers' layout to start from.
        units: the number of units among the ids, recorded in its config; None: all but two.

    Raises:
        ValueError: an unknown architecture, a key that it does not have, sizes that do not fit
            each other, or what `twist.start` says.
    """
    units = vocabulary - UNITS if units is None else units
    if initial is not None:
        model = twist.start(init, vocabulary, context, initial, units)
    else:
        model = _draw(configs.fresh(init, vocabulary, context), int(init.get("seed", 0)))
    model.config.units = units
    _check_positions(model)
    return model


def _draw(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        except (*pretrained.ERRORS, TypeError, AttributeError, AssertionError) as error:
            raise ValueError(
                f"init: {config.model_type} cannot be made of these sizes"
                f" ({pretrained.reason(error)}); see its config's own names for `options`"
            ) from None


def _check_positions(model: PreTrainedModel) -> None:
    """Plain rotary positions turn as the config says: by theta^(-i/n), i of n pairs."""
    wanted = configs.bases(model.config)
    found = [angles for name, angles in model.named_buffers() if name.endswith("inv_freq")]
    for angles in found if wanted else ():
        expected = [base ** -(torch.arange(len(angles)) / len(angles)) for base in wanted]
        if not any(torch.allclose(angles, turns) for turns in expected):
            raise ValueError(f"init: rope_theta has no effect in {model.config.model_type}")
    if wanted and not found:
        raise ValueError(f"init: the rotary positions of {model.config.model_type} are not known")
