"""Models from a download, a folder or the Hugging Face hub: safetensors only, no remote code."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, StrictDataclassError
from safetensors import SafetensorError
from transformers.utils import logging

from slamflow import disks, weights

FILES = ("*.json", "*.safetensors")
NONE, ALL = "(?!)", ""  # patterns of names of weights
ERRORS = (
    *(OSError, SafetensorError, StrictDataclassError, ValueError, RuntimeError, KeyError),
    ImportError,  # of what quantised weights need
)
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


def load(
    kind: Any,
    folder: Path,
    device: str = "cpu",
    *,
    name: str | None = None,
    may_lack: str = NONE,
    may_hold: str = ALL,
    **settings: Any,
) -> Any:
    """The model in a folder in transformers' layout, in float32, for inference.

    Args:
        kind: its class, or an Auto class.
        name: what it should be, for messages.
        may_lack: pattern of the beginnings of weights that need not be there.
        may_hold: pattern of the beginnings of weights that may be there in vain.
        settings: further ones of `from_pretrained`.

    Raises:
        ValueError: it is no such model, has no safetensors, is damaged, or its weights are not
            what its config describes.
    """
    logging.disable_progress_bar()
    name = name or kind.__name__
    check(folder)
    _refuse_code(folder)
    try:
        model, report = kind.from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            **settings,
        )
    except ERRORS as error:
        disks.raise_known(error, folder)
        raise ValueError(
            f"{folder}: cannot be opened as a {name} ({reason(error)}); it needs config.json and"
            " model.safetensors in transformers' layout"
        ) from None
    missing = [key for key in sorted(report["missing_keys"]) if not re.match(may_lack, key)]
    if missing:
        raise ValueError(f"{folder}: its weights lack {missing[0]} and {len(missing) - 1} others")
    wrong = sorted(key for key, *_ in report["mismatched_keys"])
    wrong += [key for key in sorted(report["unexpected_keys"]) if not re.match(may_hold, key)]
    if wrong:
        raise ValueError(
            f"{folder}: {wrong[0]} and {len(wrong) - 1} others of its weights are not as its"
            " config.json says; fetch both of one revision"
        )
    return model.eval().to(device)


def check(folder: Path) -> None:
    """See that the weights in a folder, and what was sealed with them, are as they were written.

    Raises:
        ValueError: see `weights.check`.
    """
    for path in sorted(folder.glob("*.safetensors")):
        weights.check(path)


def _refuse_code(folder: Path) -> None:
    """Refuse what transformers would fetch or unpickle besides, if it were asked to.

    Raises:
        ValueError: weights in parts that are no safetensors of this folder, an adapter, or
            attention by code of the hub.
    """
    if (folder / "adapter_config.json").exists():
        raise ValueError(f"{folder}: is an adapter; merge it into its model and give that")
    parts = _json(folder / "model.safetensors.index.json").get("weight_map")
    for name in parts.values() if isinstance(parts, dict) else ():
        if not re.fullmatch(r"[\w.-]+\.safetensors", str(name)):
            raise ValueError(
                f"{folder / 'model.safetensors.index.json'}: names {str(name)!r}, and only"
                " safetensors beside it are opened; fetch the model anew, or save it anew"
            )
    config = _json(folder / "config.json")
    for each in (config, *(value for value in config.values() if isinstance(value, dict))):
        for key, value in each.items():
            if key.endswith("attn_implementation") and "/" in str(value):
                raise ValueError(
                    f"{folder / 'config.json'}: {key} asks for code ({value!r}), and none is run;"
                    " remove this key"
                )


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one if there is none, as others will say."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def reason(error: BaseException) -> str:
    """A library's error in one line, and not a long one."""
    return " ".join(str(error).split())[:300] or type(error).__name__
