"""Pretraining of a language model on packed rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slamflow import runstate
from slamflow.training import launch, rank


def pretrain(
    config: Mapping[str, Any],
    packed: Path,
    folder: Path,
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
    initial: Path | None = None,
) -> None:
    """Train a language model, or restore it if it has been trained before.

    Args:
        config: `init` (see `architecture.build`) and `training` (see `launch.train`;
            `batch_tokens`: tokens of a step over all ranks, rounded to whole rows).
        packed: a table of packed rows.
        folder: gets config.json, generation_config.json, training.parquet, card.md and
            model.safetensors.
        state: entered.
        machine: see `launch.train`; `micro_batch`: rows in memory at once.
        label: for progress lines.
        initial: the folder of a text model to start from, see `initial.given`.
    """
    arguments = {
        "config": config,
        "packed": str(packed),
        "folder": str(folder),
        "initial": str(initial) if initial else None,
    }
    training = config["training"]
    outputs = launch.outputs(folder, "generation_config.json")
    launch.train(f"{__name__}:task", arguments, training, outputs, state, machine, label)


def task(arguments: Mapping[str, Any], place: rank.Place) -> Any:
    """The loop's task, made in a rank: only there is torch imported."""
    from slamflow.lm import pretraining_task

    packed, folder, initial = (arguments[name] for name in ("packed", "folder", "initial"))
    initial = Path(initial) if initial else None
    return pretraining_task.Pretraining(
        arguments["config"], Path(packed), Path(folder), place, initial
    )
