"""Training of a mel vocoder on the speech of one voice and its units."""

import importlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slamflow import files, runstate
from slamflow.tokeniser import codebook as codebook_file
from slamflow.tokeniser import convolutions
from slamflow.training import launch, rank

# kind -> class in {kind}_task, imported by name: it is in the code digest of this kind only
TASKS = {"mel": "UnitsToMels", "hifigan": "UnitsToWaves"}


def train(
    config: Mapping[str, Any],
    units: Sequence[Path],
    speech: Sequence[Path],
    codebook: Path,
    folder: Path,
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
) -> None:
    """Train a vocoder, or restore it if it has been trained before.

    Args:
        config: `voice` (whose speech is taken; None: all), `hours` (of it, at most; None: all),
            `held_out` (share of the utterances), `architecture` (`size`, `layers` over units,
            `mel_layers` over mels, `kernel`), and `training` (see `launch.train`; `batch_seconds`
            of a step over all ranks; `duration_weight` in the loss, default 1).
        units, speech: tables of the same utterances.
        codebook: kmeans.safetensors of the units' tokeniser.
        folder: gets config.json, training.parquet, card.md and model.safetensors.
        state: entered; also holds the prepared mels while training goes on.
        machine: see `launch.train`; `data_root`; `micro_batch`: utterances in memory at once.
        label: for progress lines.

    Raises:
        ValueError: the tables do not fit each other or the tokeniser, or lack the voice.
    """
    outputs = launch.outputs(folder)
    data, training = state.folder / "data", config["training"]
    if not state.restore(outputs):
        _, origin = codebook_file.read(codebook)
        hop = round(convolutions.SAMPLING_RATE / origin.frame_rate)
        _prepare(config, units, speech, origin.clusters, hop, data, state, machine, label)
        arguments = {
            "config": config,
            "units": origin.clusters,
            "hop": hop,
            "tokeniser": files.sha256(codebook),
            "data": str(data),
            "folder": str(folder),
        }
        launch.train(f"{__name__}:task", arguments, training, outputs, state, machine, label)
    shutil.rmtree(data, ignore_errors=True)


def task(arguments: Mapping[str, Any], place: rank.Place) -> Any:
    """The loop's task, made in a rank."""
    config, units, hop, tokeniser = (
        arguments[name] for name in ("config", "units", "hop", "tokeniser")
    )
    data, folder = Path(arguments["data"]), Path(arguments["folder"])
    kind = config.get("kind", "mel")
    make = getattr(importlib.import_module(f"slamflow.vocoder.{kind}_task"), TASKS[kind])
    return make(config, units, hop, tokeniser, data, folder, place)


def _prepare(
    config: Mapping[str, Any],
    units: Sequence[Path],
    speech: Sequence[Path],
    clusters: int,
    hop: int,
    data: Path,
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
) -> None:
    identity = files.sha256(state.folder / "identity.json")
    chosen = {**config, "seed": config["training"].get("seed", 0)}
    module = importlib.import_module(f"slamflow.vocoder.{config.get('kind', 'mel')}_data")
    module.prepare(data, chosen, units, speech, clusters, hop, identity, machine, label)
