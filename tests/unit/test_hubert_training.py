"""HuBERT's training: its data, its batches, and a killed run that ends in the same weights."""

import math
import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import speech_tables
import torch
import training_job
from transformers import HubertModel

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import features, hubert, hubert_data, hubert_task
from slamflow.training.rank import Place

CONFIG: dict[str, Any] = {
    "architecture": {
        "conv_dim": [24, 24, 32],
        "conv_kernel": [40, 8, 4],
        "conv_stride": [20, 8, 4],
        "norm": "group",
        "hidden_size": 32,
        "intermediate_size": 64,
        "layers": 2,
        "heads": 2,
        "position_kernel": 8,
        "position_groups": 4,
    },
    "target_clusters": 8,
    "crop_seconds": 1.0,
    "batch_seconds": 6.0,
    "mask_share": 0.08,
    "mask_frames": 5,
    "steps": 40,
    "learning_rate": 5.0e-3,
    "warmup": 0.1,
    "clip": 1.0,
    "seed": 1,
}
HOP, RECEPTIVE = 640, 40 + 7 * 20 + 3 * 160


def prepare(folder: Path, speech: Path, identity: str = "a") -> hubert_data.Stream:
    hubert_data.prepare(folder, [speech], HOP, RECEPTIVE, 8, 1, identity, {}, "test")
    return hubert_data.Stream.open(folder)


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech_tables.write(tmp_path_factory.mktemp("speech") / "s.parquet", 30)


@pytest.fixture(scope="module")
def data(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepare(folder := tmp_path_factory.mktemp("data") / "d", speech)
    return folder


def make(data: Path, folder: Path, **machine: int) -> hubert_task.MaskedPrediction:
    place = Place(0, 1, "cpu", None, machine, "test")
    return hubert_task.MaskedPrediction(CONFIG, data, folder, place)


def test_stream_holds_each_wave_and_its_targets(speech: Path, data: Path) -> None:
    stream = hubert_data.Stream.open(data)
    rows = files.read_table(speech, speech_table.SCHEMA).to_pylist()
    frames = [math.ceil(round(row["duration"] * features.SAMPLING_RATE) / HOP) for row in rows]
    assert len(stream.targets) == sum(frames)
    first = frames[0]
    wave, targets = stream.crop(first, 5)  # the second utterance's beginning
    assert wave.shape == (4 * HOP + RECEPTIVE,) and targets.shape == (5,)
    assert np.abs(wave).max() > 0 and stream.targets.max() == 7
    last, _ = stream.crop(sum(frames) - 1, 1)
    assert len(last) == RECEPTIVE


def test_targets_are_prepared_once_and_anew_for_another_identity(
    speech: Path, tmp_path: Path
) -> None:
    prepare(tmp_path / "d", speech)
    before = (tmp_path / "d" / hubert_data.TARGETS).stat().st_mtime_ns
    prepare(tmp_path / "d", speech)
    assert (tmp_path / "d" / hubert_data.TARGETS).stat().st_mtime_ns == before
    prepare(tmp_path / "d", speech, "b")
    assert (tmp_path / "d" / hubert_data.TARGETS).stat().st_mtime_ns > before


def test_loss_does_not_depend_on_micro_batches(data: Path, tmp_path: Path) -> None:
    sums = []
    for crops in (1, 4, 6):
        task = make(data, tmp_path, micro_batch=crops)
        parts = [task.forward(task.model, part) for part in task.micro_batches(3)]
        assert len(parts) == math.ceil(6 / crops)
        sums.append([sum(float(part[name].detach()) for part in parts) for name in task.measures])
    np.testing.assert_allclose(sums, np.tile(sums[0], (3, 1)), rtol=1e-5)


def test_the_loss_sees_masked_frames_only(data: Path, tmp_path: Path) -> None:
    task = make(data, tmp_path)
    (batch,) = task.micro_batches(0)
    before = float(task.forward(task.model, batch)["loss"].detach())
    stream = hubert_data.Stream.open(data)
    other = (np.array(stream.targets) + 1) % 8
    masked = np.concatenate([first + np.flatnonzero(mask) for first, mask in batch])
    other[masked] = stream.targets[masked]
    task.__dict__["_stream"] = replace(stream, targets=other)
    assert float(task.forward(task.model, batch)["loss"].detach()) == before
    task.__dict__["_stream"] = replace(stream, targets=(other + 1) % 8)
    assert float(task.forward(task.model, batch)["loss"].detach()) != before


def test_spans() -> None:
    drawn = np.random.default_rng(0).random((200, 100))
    mask = hubert_task.spans(drawn, CONFIG)
    assert mask.any(1).all()
    assert mask.mean() == pytest.approx(1 - 0.92**5, abs=0.02)
    for row in mask[:, : -CONFIG["mask_frames"]]:
        runs = "".join(str(int(masked)) for masked in row).split("0")[:-1]
        assert all(len(run) >= CONFIG["mask_frames"] for run in runs if run)


def test_frames_of_crops_are_those_of_transformers(data: Path, tmp_path: Path) -> None:
    task = make(data, tmp_path)
    wave = torch.from_numpy(hubert_data.Stream.open(data).crop(10, 25)[0])[None]
    none = torch.zeros(1, 25, dtype=torch.bool)
    with torch.no_grad():
        hidden = task.model.eval().hubert(wave).last_hidden_state
        wanted = torch.nn.functional.normalize(task.model.project(hidden), dim=-1)
        found = task.model(wave, none)
    targets = torch.nn.functional.normalize(task.model.targets, dim=-1)
    torch.testing.assert_close(found, wanted @ targets.T * 10, rtol=1e-4, atol=1e-4)


def run(speech: Path, folder: Path, machine: dict[str, Any]) -> Any:
    return training_job.start("hubert_job:train", folder, machine, config=CONFIG, speech=speech)


def test_killed_and_resumed_training_ends_in_the_same_weights(speech: Path, tmp_path: Path) -> None:
    machine = {"threads": 1, "device": "cpu", "checkpoint_steps": 10}
    folders = [tmp_path / "whole", tmp_path / "killed"]
    assert run(speech, folders[0], machine).wait() == 0
    job = run(speech, folders[1], machine)
    checkpoints = folders[1] / "state" / "checkpoints"
    while job.poll() is None and not list(checkpoints.glob("0*")):
        time.sleep(0.02)
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    assert run(speech, folders[1], machine).wait() == 0
    unbroken, log = [(folder / "log.txt").read_text() for folder in folders]
    assert "goes on" not in unbroken
    assert 0 < int(re.findall(r"goes on after step (\d+) of", log)[0]) < CONFIG["steps"]
    weights = [files.sha256(folder / "model" / "model.safetensors") for folder in folders]
    assert weights[0] == weights[1]
    model = hubert.load(folders[0] / "model" / "model.safetensors")
    assert model.hop == HOP and model.receptive == RECEPTIVE and not model.normalised
    assert isinstance(HubertModel.from_pretrained(folders[0] / "model"), HubertModel)
    assert not (folders[0] / "state" / "data").exists()
