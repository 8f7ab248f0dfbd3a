"""Starting from a text model, as TWIST does: its body is kept, its token table made anew.

Source: "Textually Pretrained Speech Language Models", arXiv 2305.13009.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, GenerationConfig, PreTrainedConfig, PreTrainedModel

from slamflow import pretrained
from slamflow.lm import configs, saved
from slamflow.lm.vocabulary import UNITS, Interleaved

# How far drawn rows are from the mean of the text model's, in its standard deviations.
SPREAD = {"mean": 0.1, "random": 1.0}


def start(
    init: Mapping[str, Any], vocabulary: int, context: int, folder: Path, units: int
) -> PreTrainedModel:
    """The model in `folder` with a token table of another vocabulary, float32, on the CPU.

    The head is made as the table is, and stays tied to it if it was. Scaling of rotary positions
    for long contexts goes where `rope_theta` is given; learned positions stay as they are.

    Args:
        init: `table`, how its rows start: `first` (the first ones of the text model), `mean` (the
            mean of its rows and a little noise) or `random` (normal, with the mean and standard
            deviation of its rows in each dimension); `rope_theta`, or None for the model's own;
            `seed` of what is drawn; `options`, further values of transformers' config.
        vocabulary: the number of ids: units + 2 or, where text and units are interleaved,
            units + text + 4; then ids of text get the rows that they have in the text model.
        context: the longest row in training.
        folder: config.json and safetensors in transformers' layout.
        units: the number of units.

    Raises:
        ValueError: it is no such model, has too few rows, no rotary positions although
            `rope_theta` is given, or was not trained on the text that is interleaved.
    """
    config = _config(folder)
    text = 0
    if vocabulary != units + UNITS:
        text = vocabulary - Interleaved(units, 0).size
        known = getattr(config, "units", None)  # of a model trained here
        if known != text:
            raise ValueError(
                f"{folder}: was trained on {known or 'no'} entries of a text tokeniser made here,"
                f" and the mixture interleaves {text}; start from a model trained on its text"
            )
    how, rows = str(init.get("table", "first")), vocabulary - text
    if how == "first" and config.vocab_size < rows:
        raise ValueError(
            f"{folder}: has {config.vocab_size} rows in its token table, and the mixture needs"
            f" {rows}; write `table: mean`, or start from a model with a larger vocabulary"
        )
    configs.adapt(config, init, context)
    model = saved.load(folder, config=config).train()
    place = units + UNITS
    cut(model, vocabulary, slice(place, place + text), how, int(init.get("seed", 0)))
    model.generation_config = GenerationConfig.from_model_config(config)
    return model


def cut(model: PreTrainedModel, vocabulary: int, text: slice, how: str, seed: int) -> None:
    """Give a text model a token table and a head of `vocabulary` ids.

    Args:
        text: the ids that are entries of the text model's own tokeniser, if any.
        how, seed: how the other rows start, see `start`.
    """
    kept = text.stop - text.start
    generator = torch.Generator().manual_seed(seed)
    made = []
    for old in _tables(model):
        new = _begin(old, vocabulary - kept, how, generator)
        made.append(torch.cat([new[: text.start], old[UNITS : UNITS + kept], new[text.start :]]))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        model.resize_token_embeddings(vocabulary, mean_resizing=False)
        for table, new in zip(_tables(model), made, strict=True):
            table.copy_(new)


def _config(folder: Path) -> PreTrainedConfig:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except pretrained.ERRORS as error:
        raise ValueError(
            f"{folder}: its config.json cannot be read ({pretrained.reason(error)})"
        ) from None
    if config.get_text_config() is not config:
        raise ValueError(f"{folder}: {config.model_type} is no plain text model")
    return config


def _tables(model: PreTrainedModel) -> list[torch.Tensor]:
    """What has a row an id, each once: the token table, the head if it is another, its bias."""
    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    found = [table.weight, None if head.weight is table.weight else head.weight]
    found.append(getattr(head, "bias", None))
    return [tensor.detach() for tensor in found if tensor is not None]


def _begin(old: torch.Tensor, rows: int, how: str, generator: torch.Generator) -> torch.Tensor:
    """New rows from those of a table [ids, …]."""
    if how == "first":
        return old[:rows]
    deviation, mean = torch.std_mean(old, 0, correction=0)
    return mean + SPREAD[how] * deviation * torch.randn(rows, *mean.shape, generator=generator)
