"""Where the weights of a HuBERT of others lie."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WEIGHTS = "model.safetensors"


def given(
    files: Sequence[Path], config: Mapping[str, Any], machine: Mapping[str, Any]
) -> Path | None:
    """model.safetensors of the HuBERT that a stage is given; None if it needs none.

    Args:
        files: one of this workflow, if any; of a download, the list of its files.
        config: the stage's block; `hubert` is in it for one of the hub or of a download, see
            `weights`.
        machine: `data_root`, if it is known.
    """
    if "hubert" in config:
        return weights(config["hubert"], machine)
    return files[0] if files else None


def weights(block: Mapping[str, Any], machine: Mapping[str, Any]) -> Path:
    """model.safetensors of a HuBERT; config.json lies beside it.

    Args:
        block: `model`, a folder or a hub id; `revision` of the hub's, or None.
        machine: `data_root`, if it is known.

    Raises:
        ValueError: there is no such HuBERT, or it is not in transformers' layout.
    """
    from slamflow import pretrained  # torch, which most who ask do not need

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
