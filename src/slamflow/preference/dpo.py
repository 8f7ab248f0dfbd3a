"""Direct preference optimisation of a language model (Rafailov and others 2023)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slamflow import runstate
from slamflow.training import launch, rank


def align(
    config: Mapping[str, Any],
    base: Path,
    pairs: Path,
    references: Path,
    folder: Path,
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
) -> None:
    """Align a model, or restore it if it has been aligned before.

    Args:
        config: `training` (see `launch.train`; `pairs`: of a step over all ranks; `beta`).
        base: folder of the model that it starts from.
        pairs: a preferences table.
        references: the base model's log-probabilities of its answers.
        folder: gets config.json, generation_config.json, training.parquet, card.md and
            model.safetensors.
        state: entered.
        machine: see `launch.train`; `micro_batch`: pairs of the greatest length in memory at once.
        label: for progress lines.
    """
    paths = {"base": base, "pairs": pairs, "references": references, "folder": folder}
    arguments = {"config": config, **{name: str(path) for name, path in paths.items()}}
    training = config["training"]
    outputs = launch.outputs(folder, "generation_config.json")
    launch.train(f"{__name__}:task", arguments, training, outputs, state, machine, label)


def task(arguments: Mapping[str, Any], place: rank.Place) -> Any:
    """The loop's task, made in a rank: only there is torch imported."""
    from slamflow.preference import dpo_task

    return dpo_task.Alignment(
        arguments["config"],
        Path(arguments["base"]),
        Path(arguments["pairs"]),
        Path(arguments["references"]),
        Path(arguments["folder"]),
        place,
    )
