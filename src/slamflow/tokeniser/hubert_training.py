"""Training of a HuBERT from nothing: masked prediction of the units of a tokeniser."""

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slamflow import files, runstate
from slamflow.tokeniser import codebook as codebook_file
from slamflow.tokeniser import convolutions
from slamflow.training import budget, launch, launcher, rank


def train(
    config: Mapping[str, Any],
    speech: Sequence[Path],
    codebook: Path,
    hubert: Path | None,
    folder: Path,
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
    initial: Path | None = None,
) -> None:
    """Train a HuBERT, or restore it if it has been trained before.

    Its targets are units: clusters of MFCC, or of a layer of an earlier HuBERT, so that iterations
    are a chain of tokenisers and HuBERTs.

    Args:
        config: `architecture` (see `hubert_architecture.build`); `crop_seconds`, `batch_seconds`
            (of a step, over all ranks); `mask_share` (of frames that start a masked span),
            `mask_frames` (its length); `feature_gradient` (what the gradient of the convolutions
            is multiplied by; default 1), `feature_penalty` (weight of the mean square of their
            output in the loss; default 0); and what `launch.train` takes.
        speech: speech tables.
        codebook: kmeans.safetensors of the tokeniser whose units are predicted.
        hubert: model.safetensors of the HuBERT that it taps; None for MFCC.
        folder: gets config.json, preprocessor_config.json, training.parquet, card.md and
            model.safetensors.
        state: entered; also holds the prepared audio while training goes on.
        machine: see `launch.train`; `data_root`; `micro_batch`: crops in memory at once.
        label: for progress lines.
        initial: model.safetensors of a HuBERT of the same architecture, to go on from.

    Raises:
        ValueError: the tokeniser has another frame rate, or does not belong to that HuBERT;
            `initial` has another architecture.
    """
    outputs = launch.outputs(folder, convolutions.PREPROCESSOR)
    data = state.folder / "data"
    if not state.restore(outputs):
        launcher.keep_gpus(machine)
        started = time.monotonic()  # a budget in hours has the preparation in it
        clusters = codebook_file.read(codebook)[1].clusters
        if not budget.untrained(config):
            _prepare(config, speech, codebook, hubert, data, state, machine, label)
        arguments = {
            "config": config,
            "clusters": clusters,
            "initial": str(initial) if initial else None,
            "data": str(data),
            "folder": str(folder),
        }
        launch.train(f"{__name__}:task", arguments, config, outputs, state, machine, label, started)
    shutil.rmtree(data, ignore_errors=True)


def task(arguments: Mapping[str, Any], place: rank.Place) -> Any:
    """The loop's task, made in a rank."""
    from slamflow.tokeniser import hubert_task

    return hubert_task.MaskedPrediction(
        arguments["config"],
        arguments["clusters"],
        Path(arguments["initial"]) if arguments["initial"] else None,
        Path(arguments["data"]),
        Path(arguments["folder"]),
        place,
    )


def _prepare(
    config: Mapping[str, Any],
    speech: Sequence[Path],
    codebook: Path,
    hubert: Path | None,
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
        codebook,
        hubert,
        hop=convolutions.hop(shape["conv_stride"]),
        receptive=convolutions.receptive(shape["conv_kernel"], shape["conv_stride"]),
        identity=files.sha256(state.folder / "identity.json"),
        machine=machine,
        label=label,
    )
