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
from small_huberts import save
from transformers import HubertModel

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import features, hubert, hubert_data, hubert_task, kmeans, units, utterances
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
HOP, RECEPTIVE, CLUSTERS = 640, 40 + 7 * 20 + 3 * 160, 8
ONE = {"threads": 1, "device": "cpu"}


def prepare(
    folder: Path, speech: Path, codebook: Path, identity: str = "a", hubert: Path | None = None
) -> hubert_data.Stream:
    hubert_data.prepare(folder, [speech], codebook, hubert, HOP, RECEPTIVE, identity, ONE, "test")
    return hubert_data.Stream.open(folder)


def fit(speech: Path, folder: Path, hubert: Path | None = None, layer: int = 0) -> Path:
    kind = "hubert" if hubert else "mfcc"
    config = {"features": kind, "layer": layer, "clusters": CLUSTERS, "frames": 1000, "seed": 1}
    kmeans.fit(config, hubert, [speech], folder / "kmeans.safetensors", ONE)
    return folder / "kmeans.safetensors"


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return speech_tables.write(tmp_path_factory.mktemp("speech") / "s.parquet", 30)


@pytest.fixture(scope="module")
def codebook(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(speech, tmp_path_factory.mktemp("codebook"))


@pytest.fixture(scope="module")
def data(speech: Path, codebook: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepare(folder := tmp_path_factory.mktemp("data") / "d", speech, codebook)
    return folder


def make(data: Path, folder: Path, **machine: int) -> hubert_task.MaskedPrediction:
    place = Place(0, 1, "cpu", None, machine, "test")
    return hubert_task.MaskedPrediction(CONFIG, CLUSTERS, data, folder, place)


def test_stream_holds_each_wave_and_its_targets(speech: Path, data: Path) -> None:
    stream = hubert_data.Stream.open(data)
    rows = files.read_table(speech, speech_table.SCHEMA).to_pylist()
    frames = [math.ceil(round(row["duration"] * features.SAMPLING_RATE) / HOP) for row in rows]
    assert len(stream.targets) == sum(frames)
    first = frames[0]
    wave, targets = stream.crop(first, 5)  # the second utterance's beginning
    assert wave.shape == (4 * HOP + RECEPTIVE,) and targets.shape == (5,)
    assert np.abs(wave).max() > 0
    assert stream.targets[stream.targets != hubert_data.NONE].max() == 7
    last, _ = stream.crop(sum(frames) - 1, 1)
    assert len(last) == RECEPTIVE


def test_targets_are_the_units_of_the_tokeniser(speech: Path, tmp_path: Path) -> None:
    convolutions = {"conv_kernel": (40, 8, 4), "conv_stride": (20, 8, 4)}  # as CONFIG's
    weights = save(tmp_path, **convolutions)
    codebook = fit(speech, tmp_path, weights, layer=2)
    stream = prepare(tmp_path / "d", speech, codebook, hubert=weights)
    units.extract({}, codebook, weights, speech, tmp_path / "u.parquet", ONE)
    first = 0
    for row in files.read_table(tmp_path / "u.parquet", units_table.SCHEMA).to_pylist():
        wanted = np.repeat(row["units"], row["durations"]).tolist()
        samples = round(row["duration"] * features.SAMPLING_RATE)
        frames = math.ceil(samples / HOP)
        found = stream.targets[first : first + frames].tolist()
        assert found == wanted + [hubert_data.NONE] * (frames - len(wanted))
        assert 0 <= frames - len(wanted) <= 2
        first += frames
    assert first == len(stream.targets)


def test_targets_of_mfcc_are_those_of_the_middle_of_each_frame(
    speech: Path, codebook: Path, data: Path
) -> None:
    stream, first = hubert_data.Stream.open(data), 0
    _, centroids = units.open_tokeniser(codebook, None, ONE)
    for _, wave in utterances.read(speech, features.SAMPLING_RATE, None):
        frames = (len(wave) - RECEPTIVE) // HOP + 1
        mfcc = features.mfcc(torch.from_numpy(wave), frames, RECEPTIVE // 2, HOP)
        wanted = kmeans.assign(mfcc, centroids).tolist()
        assert stream.targets[first : first + frames].tolist() == wanted
        first += math.ceil(len(wave) / HOP)


def test_targets_of_another_frame_rate_are_refused(speech: Path, tmp_path: Path) -> None:
    weights = save(tmp_path, conv_stride=(20, 8, 2))
    codebook = fit(speech, tmp_path, weights, layer=1)
    with pytest.raises(ValueError, match=r"gives 50 units a second, but .* makes 25 frames"):
        prepare(tmp_path / "d", speech, codebook, hubert=weights)


def test_frames_without_a_target_do_not_count(data: Path, tmp_path: Path) -> None:
    task = make(data, tmp_path)
    (batch,) = task.micro_batches(0)
    stream = hubert_data.Stream.open(data)
    masked = np.unique(np.concatenate([first + np.flatnonzero(mask) for first, mask in batch]))
    lost = np.array(stream.targets)
    lost[masked[::2]] = hubert_data.NONE
    before = [task.weight(0), float(task.forward(task.model, batch)["loss"].detach())]
    task.__dict__["_stream"] = replace(stream, targets=lost)
    after = [task.weight(0), float(task.forward(task.model, batch)["loss"].detach())]
    assert after[0] == sum((lost[f : f + task.crop] != hubert_data.NONE)[m].sum() for f, m in batch)
    assert after[0] < 0.6 * before[0] and after[1] < 0.6 * before[1]


def test_targets_are_prepared_once_and_anew_for_another_identity(
    speech: Path, codebook: Path, tmp_path: Path
) -> None:
    prepare(tmp_path / "d", speech, codebook)
    before = (tmp_path / "d" / hubert_data.TARGETS).stat().st_mtime_ns
    prepare(tmp_path / "d", speech, codebook)
    assert (tmp_path / "d" / hubert_data.TARGETS).stat().st_mtime_ns == before
    prepare(tmp_path / "d", speech, codebook, "b")
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
    other = (np.where(stream.targets == hubert_data.NONE, 3, stream.targets) + 1) % 8
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
        found = task.model(wave, none, torch.arange(25))[None]
    targets = torch.nn.functional.normalize(task.model.targets, dim=-1)
    torch.testing.assert_close(found, wanted @ targets.T * 10, rtol=1e-4, atol=1e-4)


def run(speech: Path, codebook: Path, folder: Path, machine: dict[str, Any]) -> Any:
    paths = {"speech": speech, "codebook": codebook}
    return training_job.start("hubert_job:train", folder, machine, config=CONFIG, **paths)


def test_killed_and_resumed_training_ends_in_the_same_weights(
    speech: Path, codebook: Path, tmp_path: Path
) -> None:
    machine = {"threads": 1, "device": "cpu", "checkpoint_steps": 10}
    folders = [tmp_path / "whole", tmp_path / "killed"]
    assert run(speech, codebook, folders[0], machine).wait() == 0
    job = run(speech, codebook, folders[1], machine)
    checkpoints = folders[1] / "state" / "checkpoints"
    while job.poll() is None and not list(checkpoints.glob("0*")):
        time.sleep(0.02)
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    assert run(speech, codebook, folders[1], machine).wait() == 0
    unbroken, log = [(folder / "log.txt").read_text() for folder in folders]
    assert "goes on" not in unbroken
    assert 0 < int(re.findall(r"goes on after step (\d+) of", log)[0]) < CONFIG["steps"]
    weights = [files.sha256(folder / "model" / "model.safetensors") for folder in folders]
    assert weights[0] == weights[1]
    model = hubert.load(folders[0] / "model" / "model.safetensors")
    assert model.hop == HOP and model.receptive == RECEPTIVE and not model.normalised
    assert isinstance(HubertModel.from_pretrained(folders[0] / "model"), HubertModel)
    assert not (folders[0] / "state" / "data").exists()
