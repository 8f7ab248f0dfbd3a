"""Models from a download, a folder or the Hugging Face hub: safetensors only, no remote code."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from transformers import PreTrainedModel

FILES = ("*.json", "*.safetensors")
DOWNLOADS = "downloads"  # folder below `data_root`, and no name of the hub


def fetch(
    block: Mapping[str, Any], machine: Mapping[str, Any], patterns: Sequence[str] = FILES
) -> Path:
    """The folder of a model: below `data_root`, or as it is, or else in the hub's cache.

    Args:
        block: `model`, a folder or a hub id; `revision` of the hub's, or None.
        machine: `data_root`, if it is known.
        patterns: the names of what is wanted of the hub's.

    Raises:
        ValueError: there is no such model, or no network.
    """
    model, revision = str(block["model"]), block.get("revision")
    places = [Path(model)]
    if machine.get("data_root"):
        places.insert(0, Path(machine["data_root"], model))
    for place in places:
        if place.is_dir():
            return place
    if places[-1].parts[:1] == (DOWNLOADS,):
        raise ValueError(
            f"{places[0]}: is no folder; run snakemake again, which fetches the download, on a"
            " machine that sees `data_root`"
        )
    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=list(patterns)))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"model `{model}` (revision {revision or 'main'}) is no folder and cannot be had from"
            f" the hub ({reason}); check the name and the revision, set HF_TOKEN if it is gated;"
            " where jobs have no network, add it to `downloads` and write `download: <name>` in"
            " place of `model`"
        ) from None


def load(kind: type[PreTrainedModel], folder: Path, device: str) -> Any:
    """The model in a folder in transformers' layout, in float32, for inference.

    Raises:
        ValueError: it is no such model, or has no safetensors.
    """
    try:
        model, report = kind.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"{folder}: cannot be opened as a {kind.__name__} ({reason}); it needs config.json and"
            " model.safetensors in transformers' layout"
        ) from None
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"{folder}: its weights lack {missing[0]} and {len(missing) - 1} others")
    return model.eval().to(device)


def speaker(synthesiser: Mapping[str, Any], count: int) -> None:
    """Check `speakers` (a list of numbers, or None) against the number that the model has.

    Raises:
        ValueError: the model has no such speaker, or has several and none is named.
    """
    speakers = synthesiser.get("speakers")
    if count <= 1 and speakers:
        raise ValueError(f"synthesiser: {synthesiser['model']} has one voice; remove `speakers`")
    if count > 1 and not speakers:
        raise ValueError(
            f"synthesiser: {synthesiser['model']} has {count} voices; name some of 0 to"
            f" {count - 1} in `speakers`"
        )
    for number in speakers or []:
        if not 0 <= number < count:
            raise ValueError(f"synthesiser: speakers: {number} is none of 0 to {count - 1}")
