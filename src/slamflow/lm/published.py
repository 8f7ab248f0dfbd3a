"""Models of units that others published: their weights, once, in transformers' own layout.

What `layouts` knows of each is then in config.json, see `vocabulary.layout`. Only safetensors are
opened.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import GenerationConfig

from slamflow import files, pretrained
from slamflow.lm import cards, layouts
from slamflow.tables import training as training_table
from slamflow.training import artefacts


def convert(config: Mapping[str, Any], source: Path, units: int, folder: Path, code: str) -> None:
    """Write a published model into `folder`, as one that was trained here, in no steps.

    Args:
        config: `layout` (one of `layouts.LAYOUTS`); `model` and `revision`, for the card.
        source: the folder that it was published as.
        units: K of the tokeniser whose units it reads.
        folder: gets config.json, generation_config.json, training.parquet (without rows), card.md
            and model.safetensors.
        code: the digest of the code, for the card.

    Raises:
        ValueError: it has no safetensors, another layout, or another number of units.
    """
    model, ids = load(str(config["layout"]), source, units)
    facts = {
        "parameters": sum(weights.numel() for weights in model.parameters()),
        "units": ids.units,
        "context": int(getattr(model.config, "max_position_embeddings", 0)),
    }
    given = [source / "config.json", *sorted(source.glob("model*.safetensors"))]
    origin = {"code": code, "inputs": {path.name: files.sha256(path) for path in given}}
    log = training_table.schema(("loss",)).empty_table()
    text = "Trained by others; Slamflow has brought its weights to transformers' own layout."
    about = cards.about(model.config, folder, text, config, source)
    title = "Published model of speech units"
    card = artefacts.card(title, facts, config, log, "loss", origin, about)
    artefacts.write(model, folder, log, card)


def load(layout: str, source: Path, units: int) -> layouts.Opened:
    """A published model, float32, on the CPU, and its ids, which its config says, too.

    Args and errors: see `convert`.
    """
    found = _description(source)
    if not list(source.glob("model*.safetensors")):
        raise ValueError(
            f"{source}: has no model.safetensors, and nothing that is pickled is opened here; if"
            " you trust its weights, save them as safetensors (transformers' save_pretrained) in a"
            " folder, and name that as `model`"
        )
    model, ids = layouts.LAYOUTS[layout](source, found, units)
    config = model.config
    config.units, config.unit_offset = ids.units, ids.offset
    config.boundary, config.end, config.pad = ids.start, ids.end, ids.pad
    config.bos_token_id, config.eos_token_id, config.pad_token_id = ids.start, ids.end, ids.pad
    model.generation_config = GenerationConfig.from_model_config(config)
    return model, ids


def _description(source: Path) -> dict[str, Any]:
    path = source / "config.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read ({pretrained.reason(error)})") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path}: is no JSON object; fetch it anew")
    return found
