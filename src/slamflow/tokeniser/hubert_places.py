"""Where the weights of a HuBERT of others lie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slamflow.synthesis import pretrained

WEIGHTS = "model.safetensors"


def weights(block: Mapping[str, Any], machine: Mapping[str, Any]) -> Path:
    """model.safetensors of a HuBERT; config.json lies beside it.

    Args:
        block: `model`, a folder or a hub id; `revision` of the hub's, or None.
        machine: `data_root`, if it is known.

    Raises:
        ValueError: there is no such HuBERT, or it is not in transformers' layout.
    """
    folder = pretrained.fetch(block, machine)
    model = f"HuBERT `{block['model']}` (revision {block.get('revision') or 'main'})"
    if not (folder / "config.json").is_file():
        raise ValueError(f"{model}: {folder} has no config.json in transformers' layout")
    found = folder / WEIGHTS
    if not found.is_file():
        raise ValueError(
            f"{model}: {folder} has no {WEIGHTS}, and no other weights are read; name a `revision`"
            " that has it (the hub's conversions are pull requests, `refs/pr/N`), or convert it:"
            " HubertModel.from_pretrained(...).save_pretrained(...)"
        )
    return found
