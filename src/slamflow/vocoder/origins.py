"""What a vocoder must know of the codebook whose units it speaks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slamflow import files
from slamflow.tokeniser import codebook, convolutions


def hop(origin: codebook.Origin) -> int:
    """Samples from frame to frame."""
    return round(convolutions.SAMPLING_RATE / origin.frame_rate)


def features(origin: codebook.Origin) -> dict[str, str | int | float]:
    """What two codebooks of the same features have in common."""
    names = ("features", "hubert", "layer", "dimension", "frame_rate", "padding")
    return {name: getattr(origin, name) for name in names}


def check_features(wanted: Mapping[str, Any], folder: Path, path: Path) -> None:
    """Refuse a codebook of other features than those that a vocoder was trained with.

    Args:
        wanted: `features` of the vocoder's config.
        folder: of the vocoder, for the message.
        path: of the codebook.

    Raises:
        ValueError: they are others.
    """
    found = features(codebook.read(path)[1])
    for name, value in found.items():
        if value != wanted.get(name):
            raise ValueError(
                f"{folder}: speaks units of {name} {_short(wanted.get(name))}, but those of {path}"
                f" are of {name} {_short(value)}; give a vocoder of the same HuBERT and layer"
            )


def check_units(config: Any, folder: Path, path: Path) -> None:
    """Refuse a codebook of other units than a vocoder of numbered units speaks.

    Args:
        config: the vocoder's.
        folder, path: as for `check_features`.

    Raises:
        ValueError: they are others.
    """
    origin = codebook.read(path)[1]
    if (origin.clusters, hop(origin)) != (config.units, config.hop):
        raise ValueError(
            f"{folder}: speaks {config.units} units of {config.hop} samples, but those of {path}"
            f" are {origin.clusters} of {hop(origin)}; give another vocoder"
        )
    wanted = getattr(config, "tokeniser", None)  # of one trained here
    if wanted is not None and wanted != files.sha256(path):
        raise ValueError(f"{folder}: was trained on units of another tokeniser than {path}")


def _short(value: Any) -> str:
    return str(value)[:12] or "none"
