"""Training of a HuBERT from nothing: masked prediction of MFCC clusters."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slamflow import files, runstate
from slamflow.tokeniser import convolutions
from slamflow.training import launch, rank


def train(
    config: Mapping[str, Any],
    speech: Sequence[Path],
    folder: Path,
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
) -> None:
    """Train a HuBERT, or restore it if it has been trained before.

    Args:
        config: `architecture` (see `hubert_architecture.build`); `target_clusters`;
            `crop_seconds`, `batch_seconds` (of a step, over all ranks); `mask_share` (of frames
            that start a masked span), `mask_frames` (its length); and what `launch.train` takes.
        speech: speech tables.
        folder: gets config.json, preprocessor_config.json, training.parquet, card.md and
            model.safetensors.
        state: entered; also holds the prepared audio while training goes on.
        machine: see `launch.train`; `data_root`; `micro_batch`: crops in memory at once.
        label: for progress lines.
    """
    outputs = launch.outputs(folder, convolutions.PREPROCESSOR)
    data = state.folder / "data"
    if not state.restore(outputs):
        if int(config["steps"]):
            _prepare(config, speech, data, state, machine, label)
        arguments = {"config": config, "data": str(data), "folder": str(folder)}
        launch.train(f"{__name__}:task", arguments, config, outputs, state, machine, label)
    shutil.rmtree(data, ignore_errors=True)


def task(arguments: Mapping[str, Any], place: rank.Place) -> Any:
    """The loop's task, made in a rank."""
    from slamflow.tokeniser import hubert_task

    return hubert_task.MaskedPrediction(
        arguments["config"], Path(arguments["data"]), Path(arguments["folder"]), place
    )


def _prepare(
    config: Mapping[str, Any],
    speech: Sequence[Path],
    data: Path,
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
) -> None:
    from slamflow.tokeniser import hubert_data  # torch, which a restored run does not need

    shape = config["architecture"]
    hubert_data.prepare(
        data,
        speech,
        hop=convolutions.hop(shape["conv_stride"]),
        receptive=convolutions.receptive(shape["conv_kernel"], shape["conv_stride"]),
        clusters=int(config["target_clusters"]),
        seed=int(config.get("seed", 0)),
        identity=files.sha256(state.folder / "identity.json"),
        machine=machine,
        label=label,
    )
