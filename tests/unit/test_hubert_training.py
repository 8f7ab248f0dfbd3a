"""HuBERT's training: its batches, its loss, and a killed run that ends in the same weights."""

import json
import math
import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import training_job
from hubert_trainings import CLUSTERS, CONFIG, HOP, ONE, RECEPTIVE, fit
from transformers import HubertModel

from slamflow import files
from slamflow.tokeniser import hubert, hubert_data, hubert_task
from slamflow.training.rank import Place


def make(
    data: Path, folder: Path, changes: dict[str, Any] | None = None, **machine: int
) -> hubert_task.MaskedPrediction:
    place = Place(0, 1, "cpu", None, machine, "test")
    return hubert_task.MaskedPrediction(
        {**CONFIG, **(changes or {})}, CLUSTERS, None, data, folder, place
    )


def test_frames_without_a_target_do_not_count(prepared: Path, tmp_path: Path) -> None:
    task = make(prepared, tmp_path)
    (batch,) = task.micro_batches(0)
    stream = hubert_data.Stream.open(prepared)
    masked = np.unique(np.concatenate([first + np.flatnonzero(mask) for first, mask in batch]))
    lost = np.array(stream.targets)
    lost[masked[::2]] = hubert_data.NONE
    before = [task.weight(0), float(task.forward(task.model, batch)["loss"].detach())]
    task.__dict__["_stream"] = replace(stream, targets=lost)
    after = [task.weight(0), float(task.forward(task.model, batch)["loss"].detach())]
    assert after[0] == sum((lost[f : f + task.crop] != hubert_data.NONE)[m].sum() for f, m in batch)
    assert after[0] < 0.6 * before[0] and after[1] < 0.6 * before[1]


def test_loss_does_not_depend_on_micro_batches(prepared: Path, tmp_path: Path) -> None:
    sums = []
    for crops in (1, 4, 6):
        task = make(prepared, tmp_path, micro_batch=crops)
        parts = [task.forward(task.model, part) for part in task.micro_batches(3)]
        assert len(parts) == math.ceil(6 / crops)
        sums.append([sum(float(part[name].detach()) for part in parts) for name in task.measures])
    np.testing.assert_allclose(sums, np.tile(sums[0], (3, 1)), rtol=1e-5)


def test_the_loss_sees_masked_frames_only(prepared: Path, tmp_path: Path) -> None:
    task = make(prepared, tmp_path)
    (batch,) = task.micro_batches(0)
    before = float(task.forward(task.model, batch)["loss"].detach())
    stream = hubert_data.Stream.open(prepared)
    other = (np.where(stream.targets == hubert_data.NONE, 3, stream.targets) + 1) % 8
    masked = np.concatenate([first + np.flatnonzero(mask) for first, mask in batch])
    other[masked] = stream.targets[masked]
    task.__dict__["_stream"] = replace(stream, targets=other)
    assert float(task.forward(task.model, batch)["loss"].detach()) == before
    task.__dict__["_stream"] = replace(stream, targets=(other + 1) % 8)
    assert float(task.forward(task.model, batch)["loss"].detach()) != before


def test_penalty_and_gradient_of_the_convolutions(prepared: Path, tmp_path: Path) -> None:
    plain = make(prepared, tmp_path)
    (batch,) = plain.micro_batches(0)
    first, last = "feature_extractor.conv_layers.0.conv.weight", "project.weight"

    def gradients(task: hubert_task.MaskedPrediction) -> list[torch.Tensor]:
        loss = task.forward(task.model, batch)["loss"]
        loss.backward()
        return [
            loss.detach(),
            *(p.grad for n, p in task.model.named_parameters() if first in n),
        ] + [p.grad for n, p in task.model.named_parameters() if n == last]

    loss, convolution, head = gradients(plain)
    scaled = gradients(make(prepared, tmp_path, {"feature_gradient": 0.1}))
    torch.testing.assert_close(scaled, [loss, 0.1 * convolution, head])
    waves = np.stack([plain._stream.crop(frame, plain.crop)[0] for frame, _ in batch])
    with torch.no_grad():
        hidden = plain.model.hubert.feature_extractor(torch.from_numpy(waves))
    none = [plain._stream.crop(frame, plain.crop)[1] == hubert_data.NONE for frame, _ in batch]
    counted = [(mask & ~without).sum() for (_, mask), without in zip(batch, none, strict=True)]
    penalty = 10 * (hidden.square().mean((1, 2)) * torch.tensor(counted)).sum()
    penalised = gradients(make(prepared, tmp_path, {"feature_penalty": 10.0}))
    torch.testing.assert_close(penalised[0], loss + penalty)
    assert not torch.allclose(penalised[1], convolution)


def test_left_out_layers_have_gradients_of_zero(prepared: Path, tmp_path: Path) -> None:
    architecture = {**CONFIG["architecture"], "layer_drop": 1.0, "final_size": 6}
    task = make(prepared, tmp_path, {"architecture": architecture})
    task.forward(task.model, task.micro_batches(0)[0])["loss"].backward()
    for name, parameter in task.model.named_parameters():
        assert parameter.grad is not None, name
        assert (".layers." in name) == (not parameter.grad.any()), name
    assert task.model.targets.shape == (CLUSTERS, 6)


def test_spans() -> None:
    drawn = np.random.default_rng(0).random((200, 100))
    mask = hubert_task.spans(drawn, CONFIG)
    assert mask.any(1).all()
    assert mask.mean() == pytest.approx(1 - 0.92**5, abs=0.02)
    for row in mask[:, : -CONFIG["mask_frames"]]:
        runs = "".join(str(int(masked)) for masked in row).split("0")[:-1]
        assert all(len(run) >= CONFIG["mask_frames"] for run in runs if run)


def test_frames_of_crops_are_those_of_transformers(prepared: Path, tmp_path: Path) -> None:
    task = make(prepared, tmp_path)
    wave = torch.from_numpy(hubert_data.Stream.open(prepared).crop(10, 25)[0])[None]
    none = torch.zeros(1, 25, dtype=torch.bool)
    with torch.no_grad():
        hidden = task.model.eval().hubert(wave).last_hidden_state
        wanted = torch.nn.functional.normalize(task.model.project(hidden), dim=-1)
        found = task.model(wave, none, torch.arange(25))[0][None]
    targets = torch.nn.functional.normalize(task.model.targets, dim=-1)
    torch.testing.assert_close(found, wanted @ targets.T * 10, rtol=1e-4, atol=1e-4)


RECIPE: dict[str, Any] = {**CONFIG, "feature_gradient": 0.1, "feature_penalty": 10.0}
RECIPE["architecture"] = {**CONFIG["architecture"], "dropout": 0.1, "layer_drop": 0.5}


def run(folder: Path, machine: dict[str, Any], **paths: Path) -> Any:
    return training_job.start("hubert_job:train", folder, machine, config=RECIPE, **paths)


@pytest.fixture(scope="module")
def first(trained_on: Path, targets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training on clusters of MFCC."""
    folder = tmp_path_factory.mktemp("first")
    assert (
        run(folder, {**ONE, "checkpoint_steps": 10}, speech=trained_on, codebook=targets).wait()
        == 0
    )
    return folder


def test_killed_and_resumed_training_ends_in_the_same_weights(
    trained_on: Path, targets: Path, first: Path, tmp_path: Path
) -> None:
    machine, paths = {**ONE, "checkpoint_steps": 10}, {"speech": trained_on, "codebook": targets}
    job = run(tmp_path, machine, **paths)
    checkpoints = tmp_path / "state" / "checkpoints"
    while job.poll() is None and not list(checkpoints.glob("0*")):
        time.sleep(0.02)
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    assert run(tmp_path, machine, **paths).wait() == 0
    folders = [first, tmp_path]
    unbroken, log = [(folder / "log.txt").read_text() for folder in folders]
    assert "goes on" not in unbroken
    assert 0 < int(re.findall(r"goes on after step (\d+) of", log)[0]) < CONFIG["budget"]["steps"]
    weights = [files.sha256(folder / "model" / "model.safetensors") for folder in folders]
    assert weights[0] == weights[1]
    model = hubert.load(folders[0] / "model" / "model.safetensors")
    assert model.hop == HOP and model.receptive == RECEPTIVE and not model.normalised
    assert isinstance(HubertModel.from_pretrained(folders[0] / "model"), HubertModel)
    assert not (folders[0] / "state" / "data").exists()


def test_the_time_of_a_job_begins_before_its_preparation(
    trained_on: Path, targets: Path, tmp_path: Path
) -> None:
    """So that a budget in hours has it in it."""
    job = run(tmp_path, ONE, speech=trained_on, codebook=targets)
    while not (found := tmp_path / "state" / "job.json").exists():
        assert job.poll() is None
        time.sleep(0.02)
    prepared = min(path.stat().st_mtime for path in (tmp_path / "state" / "data").rglob("*"))
    job.kill()
    job.wait()
    started = json.loads(found.read_text())["started"] - time.monotonic() + time.time()
    assert started < prepared


def test_a_second_iteration_on_two_ranks_learns_the_units_of_the_first(
    trained_on: Path, first: Path, tmp_path: Path
) -> None:
    weights = first / "model" / "model.safetensors"
    codebook = fit(trained_on, tmp_path, weights, layer=1)
    paths = {"speech": trained_on, "codebook": codebook, "hubert": weights, "initial": weights}
    assert run(tmp_path, {**ONE, "threads": 2, "ranks": 2}, **paths).wait() == 0
    found = hubert.load(tmp_path / "model" / "model.safetensors")
    assert found.sha256 != files.sha256(weights)
    log = pq.read_table(tmp_path / "model" / "training.parquet").to_pylist()
    accuracy = [row["accuracy"] for row in log]
    assert len(log) == CONFIG["budget"]["steps"] and np.mean(accuracy[-5:]) > np.mean(accuracy[:5])


def test_going_on_from_weights(prepared: Path, first: Path, tmp_path: Path) -> None:
    weights = first / "model" / "model.safetensors"
    place = Place(0, 1, "cpu", None, {}, "test")
    parts = (CLUSTERS, weights, prepared, tmp_path, place)
    task = hubert_task.MaskedPrediction(CONFIG, *parts)
    for name, tensor in hubert.load(weights).model.state_dict().items():
        assert torch.equal(task.model.hubert.state_dict()[name], tensor)
    other = {**CONFIG, "architecture": {**CONFIG["architecture"], "intermediate_size": 48}}
    with pytest.raises(ValueError, match=r"of another architecture .* go on from one with"):
        hubert_task.MaskedPrediction(other, *parts)
