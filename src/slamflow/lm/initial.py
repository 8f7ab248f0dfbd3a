"""Where the model that training starts from lies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# of the hub's; nothing that is pickled or run
FILES = ("config.json", "model*.safetensors", "model.safetensors.index.json")


def given(
    files: Sequence[Path], config: Mapping[str, Any], machine: Mapping[str, Any]
) -> Path | None:
    """The folder of a text model in transformers' layout; None if weights are drawn.

    Args:
        files: its model.safetensors, if it was trained in this workflow or lies in a folder; of a
            download, the list of its files.
        config: the stage's block; `init.initial` is in it for one of the hub or of a download:
            `model`, a folder or a hub id, and `revision` of the hub's, or None.
        machine: `data_root`, if it is known.

    Raises:
        ValueError: there is no such model, or no network.
    """
    if "initial" in config["init"]:
        from slamflow import pretrained  # torch, which a job of random weights starts without

        return pretrained.fetch(config["init"]["initial"], machine, FILES)
    return files[0].parent if files else None
