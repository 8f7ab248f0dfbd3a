"""What the card of a language model says that it is."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slamflow import pretrained
from slamflow.lm.vocabulary import layout
from slamflow.training import artefacts

USE = """\
import torch
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("results/models/{name}")
units = torch.tensor([[3, 1, 4]])  # of its tokeniser, without repeats
tokens = torch.cat([torch.tensor([[{start}]]), units + {offset}], dim=1)
settings = {{"do_sample": True, "temperature": 0.8, "top_k": 25}}
continued = model.generate(tokens, max_new_tokens=20, eos_token_id={end}, **settings)
print(continued[0, tokens.shape[1] :] - {offset})"""


def about(
    config: Any,
    folder: Path,
    text: str,
    place: Mapping[str, Any] | None = None,
    start: Path | None = None,
) -> artefacts.About:
    """Of a causal model of units.

    Args:
        config: the model's own.
        folder: the model's.
        text: how it came about, a sentence.
        place: `model`, by which what it started from was asked for, if it was.
        start: the folder where that was found.
    """
    ids, model = layout(config), str((place or {}).get("model"))
    fetched = start is not None and start.parent.name == "snapshots"  # of the hub's cache
    found = (
        f"{text} It is a causal language model ({config.model_type}) of {ids.units:,} units, which"
        " a tokeniser makes of speech or, in some models, of phones or text. Unit i is id"
        f" i + {ids.offset}; id {ids.start} begins an utterance, {ids.end} ends it, and {ids.pad}"
        " fills up. It gives likelihoods of units and continues them; only units of the tokeniser"
        " that it was trained on mean anything to it."
    )
    return artefacts.About(
        text=found,
        use=USE.format(name=Path(folder).name, start=ids.start, offset=ids.offset, end=ids.end),
        library="transformers",
        task="text-generation",
        tags=("speech-language-model",),
        base=on_hub(model) if fetched else None,
    )


def on_hub(model: str) -> str | None:
    """The name of a model if it is one of the hub's, and no folder."""
    named = re.fullmatch(r"[\w.-]+/[\w.-]+", model) and not Path(model).is_dir()
    return model if named and not model.startswith(f"{pretrained.DOWNLOADS}/") else None
