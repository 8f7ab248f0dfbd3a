"""Training of a vocoder on speech and its units."""

import importlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slamflow import files, runstate
from slamflow.tokeniser import codebook as codebook_file
from slamflow.training import launch, rank
from slamflow.vocoder import origins

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
    pace: Sequence[Path] = (),
) -> None:
    """Train a vocoder, or restore it if it has been trained before.

    Args:
        config: `voice` (whose speech is taken; None: all), `hours` (of it, at most; None: all),
            `held_out` (share of the utterances), `architecture` and `training` (see
            `launch.train`; `batch_seconds` of a step over all ranks), and what the task of this
            `kind` reads.
        units, speech: tables of the same utterances.
        codebook: kmeans.safetensors of the units' tokeniser.
        folder: gets config.json, training.parquet, card.md and model.safetensors.
        state: entered; also holds the prepared mels while training goes on.
        machine: see `launch.train`; `data_root`; `micro_batch`: utterances in memory at once.
        label: for progress lines.
        pace: see `mel_data.prepare`.

    Raises:
        ValueError: the tables do not fit each other or the tokeniser, or lack the voice.
    """
    outputs = launch.outputs(folder)
    data, training = state.folder / "data", config["training"]
    if not state.restore(outputs):
        _, origin = codebook_file.read(codebook)
        identity = files.sha256(state.folder / "identity.json")
        chosen = {**config, "seed": training.get("seed", 0)}
        told = {"pace": pace} if pace else {}
        module = importlib.import_module(f"slamflow.vocoder.{config['kind']}_data")
        hop = origins.hop(origin)
        sources = (units, speech, origin.clusters, hop)
        module.prepare(data, chosen, *sources, identity, machine, label, **told)
        arguments = {
            "config": config,
            "codebook": str(codebook),
            "data": str(data),
            "folder": str(folder),
        }
        launch.train(f"{__name__}:task", arguments, training, outputs, state, machine, label)
    shutil.rmtree(data, ignore_errors=True)


def task(arguments: Mapping[str, Any], place: rank.Place) -> Any:
    """The loop's task, made in a rank."""
    config, kind = arguments["config"], arguments["config"]["kind"]
    codebook, data, folder = (Path(arguments[name]) for name in ("codebook", "data", "folder"))
    make = getattr(importlib.import_module(f"slamflow.vocoder.{kind}_task"), TASKS[kind])
    if kind == "mel":
        return make(config, codebook, data, folder, place)
    _, origin = codebook_file.read(codebook)
    described = (origin.clusters, origins.hop(origin), files.sha256(codebook))
    return make(config, *described, data, folder, place)
