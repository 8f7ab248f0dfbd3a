"""The training loop: schedules, order, ranks, kills and the loss curve, on real launches."""

import itertools
import json
import math
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import training_job
from safetensors.numpy import load_file

from slamflow import devices, files
from slamflow.training import launcher, order, schedules
from slamflow.training.device import compute_type
from slamflow.training.rank import Place

PRETRAIN = "slamflow.lm.pretraining:pretrain"
CONFIG = {"init": training_job.INIT, "training": training_job.TRAINING}
GOLDEN = Path(__file__).parents[1] / "golden" / "pretraining.json"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_job.write_packed(tmp_path_factory.mktemp("packed"), 80, held_out=0.1)


@pytest.fixture(scope="module")
def unbroken(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job of one rank that computes each batch at once."""
    folder = tmp_path_factory.mktemp("unbroken")
    training_job.run(PRETRAIN, folder, {}, config=CONFIG, packed=packed)
    return folder


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model" / "model.safetensors")


def test_cosine_with_warmup_and_floor() -> None:
    training = {"steps": 110, "learning_rate": 2.0, "warmup": 10 / 110, "floor": 0.1}
    rates = [schedules.learning_rate(step, training) for step in range(110)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[59] == pytest.approx(1.1)  # half-way between 2 and 0.2
    assert rates[-1] == pytest.approx(0.2)
    assert all(a > b for a, b in itertools.pairwise(rates[9:]))


def test_linear_with_warmup_and_floor() -> None:
    training = {"steps": 110, "learning_rate": 2.0, "warmup": 10 / 110, "schedule": "linear"}
    rates = [schedules.learning_rate(step, training) for step in range(110)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[9:] == pytest.approx([2 - 0.02 * step for step in range(101)])
    floored = {**training, "floor": 0.1}
    assert schedules.learning_rate(109, floored) == pytest.approx(0.2)


def test_warm_up_stable_decay() -> None:
    training = {
        "steps": 100,
        "learning_rate": 2.0,
        "warmup": 0.1,
        "schedule": "wsd",
        "decay": 0.2,
        "floor": 0.1,
    }
    rates = [schedules.learning_rate(step, training) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10:80] == [2.0] * 70
    assert rates[80:] == pytest.approx([2 - 0.09 * (step + 1) for step in range(20)])


def test_inverse_square_root() -> None:
    training = {
        "steps": 813,
        "learning_rate": 5e-5,
        "warmup": 100 / 813,
        "schedule": "inverse_sqrt",
    }
    assert schedules.learning_rate(49, training) == pytest.approx(2.5e-5)
    assert schedules.learning_rate(99, training) == pytest.approx(5e-5)
    assert schedules.learning_rate(399, training) == pytest.approx(2.5e-5)
    floored = {**training, "floor": 0.9}
    assert schedules.learning_rate(812, floored) == pytest.approx(4.5e-5)


def test_schedule_without_warmup_or_steps() -> None:
    training = {"steps": 1, "learning_rate": 1.0, "floor": 0.5}
    assert schedules.learning_rate(0, training) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="none of cosine, linear, inverse_sqrt and wsd"):
        schedules.learning_rate(0, {**training, "schedule": "square"})


@pytest.mark.parametrize(
    "able, wanted",
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx2": True}, torch.float32),
    ],
)
def test_bfloat16_only_where_the_processor_is_made_for_it(
    monkeypatch: pytest.MonkeyPatch, able: dict[str, bool], wanted: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert compute_type("bfloat16", "cpu") == wanted
    assert compute_type("bfloat16", "cuda") == torch.bfloat16
    assert compute_type("float32", "cpu") == torch.float32


@pytest.mark.parametrize(
    "ranks, machine, size",
    [(1, {}, 8), (2, {}, 6), (3, {}, 4), (20, {}, 1), (2, {"micro_batch": 3}, 3)],
)
def test_a_batch_is_spread_over_the_ranks(ranks: int, machine: dict[str, int], size: int) -> None:
    place = Place(0, ranks, "cpu", None, machine, "test")
    assert place.micro_batch(most=8, batch=12) == size


@pytest.mark.parametrize(
    ("batch", "most", "ranks", "sizes"),
    [
        (78, 32, 1, [26, 26, 26]),
        (78, 32, 2, [20, 20, 19, 19]),
        (156, 32, 2, [26] * 6),
        (8, 8, 2, [4, 4]),
        (4, 1, 3, [1, 1, 1, 1]),
        (5, 9, 1, [5]),
        (3, 100, 4, [1, 1, 1]),
    ],
)
def test_micro_batches_are_even(batch: int, most: int, ranks: int, sizes: list[int]) -> None:
    """No rank waits for another one's large micro-batch, and there are few shapes to compile."""
    index = np.arange(batch) + 7
    parts = order.parts(index, most, ranks)
    assert [len(part) for part in parts] == sizes
    assert list(np.concatenate(parts)) == list(index)
    assert [list(part) for part in order.parts(list(index), most, ranks)] == list(map(list, parts))


def test_every_epoch_takes_each_example_once() -> None:
    taken = np.concatenate([order.batch(step, 4, 10, seed=3) for step in range(15)])
    for epoch in np.split(taken, 6):
        assert sorted(epoch) == list(range(10))
    assert list(order.batch(7, 4, 10, seed=3)) == list(taken[28:32])
    assert list(order.batch(0, 4, 10, seed=4)) != list(taken[:4])
    assert sorted(order.batch(0, 25, 10, seed=1)) != list(range(25))  # a batch of several epochs


@pytest.mark.parametrize(
    ("machine", "visible", "expected"),
    [
        ({"device": "cpu", "ranks": 3}, "0,1", ("cpu", [0, 1, 2])),
        ({}, "", ("cpu", [0])),
        ({"device": "auto"}, "2,GPU-1a", ("cuda", [2, "GPU-1a"])),
        ({"ranks": 1}, "2,3", ("cuda", [2])),
        ({"ranks": 4, "nodes": 2}, "2,3", ("cuda", [2, 3])),
    ],
)
def test_places(machine, visible, expected, tmp_path, monkeypatch) -> None:
    (tmp_path / "nvidia2").touch()
    monkeypatch.setattr(devices, "DEVICES", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert (launcher.device(machine), launcher.places(machine)) == expected


def test_a_gpu_that_only_a_variable_names_is_not_looked_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(devices, "DEVICES", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert launcher.device({"device": "auto", "ranks": 1}) == "cpu"
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert devices.visible() == []
    for index in (0, 1, 7):
        (tmp_path / f"nvidia{index}").touch()
    assert devices.visible() == ["0", "1", "2"]
    assert launcher.device({"device": "auto", "ranks": 1}) == "cuda"


def test_more_ranks_than_gpus(monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ValueError, match="2 ranks need as many GPUs"):
        launcher.places({"device": "cuda", "ranks": 2})


def test_loss_curve(unbroken: Path) -> None:
    """The golden values are this column; change them only with a reason in the CHANGELOG."""
    log = pq.read_table(unbroken / "model" / "training.parquet")
    losses = log["loss"].to_pylist()
    assert losses == pytest.approx(json.loads(GOLDEN.read_text()), rel=2e-3)
    assert losses[0] == pytest.approx(math.log(training_job.CLUSTERS + 2), abs=0.1)
    assert losses[-1] < losses[0] - 0.5


def test_log_and_card(unbroken: Path, packed: Path) -> None:
    log = pq.read_table(unbroken / "model" / "training.parquet")
    assert log["step"].to_pylist() == list(range(1, 31))
    training = {**CONFIG["training"], "steps": 30}
    expected = [schedules.learning_rate(step, training) for step in range(30)]
    assert log["learning_rate"].to_pylist() == pytest.approx(expected)
    tokens = np.diff(log["tokens"].to_numpy())
    assert ((tokens > 200) & (tokens <= 256)).all()
    assert (np.diff(log["seconds"].to_numpy()) > 0).all()
    card = (unbroken / "model" / "card.md").read_text()
    assert "held-out rows" in card and '"steps": 30' in card and "deepspeed 0." in card
    assert files.sha256(packed) in card and str(packed) in card


def test_a_second_run_links_the_finished_model(unbroken: Path, packed: Path) -> None:
    before = weights(unbroken)
    for path in (unbroken / "model").iterdir():
        path.unlink()
    started = time.monotonic()
    training_job.run(PRETRAIN, unbroken, {}, config=CONFIG, packed=packed)
    assert (unbroken / "log.txt").read_text().count("starts 1 rank") == 1
    assert time.monotonic() - started < 10
    assert_equal(weights(unbroken), before)


@pytest.mark.parametrize(
    "machine",
    [
        {"micro_batch": 1},  # four micro-batches
        {"micro_batch": 1, "ranks": 2, "threads": 2},
        pytest.param({"ranks": 2}, marks=pytest.mark.slow),  # the second rank has nothing to do
    ],
)
def test_ranks_and_micro_batches_change_nothing(machine, unbroken, packed, tmp_path) -> None:
    training_job.run(PRETRAIN, tmp_path, machine, config=CONFIG, packed=packed)
    expected = weights(unbroken)
    for name, tensor in weights(tmp_path).items():
        np.testing.assert_allclose(tensor, expected[name], atol=2e-4, err_msg=name)
    logs = [pq.read_table(f / "model" / "training.parquet") for f in (tmp_path, unbroken)]
    for column in ("loss", "grad_norm", "tokens"):
        np.testing.assert_allclose(logs[0][column], logs[1][column], rtol=1e-4)


def test_killed_and_resumed_equals_unbroken(unbroken: Path, packed: Path, tmp_path: Path) -> None:
    """Kills, in turn, the rank, its launcher and the job; then lets the job end."""
    state = tmp_path / "state" / "checkpoints"
    for victim in ("rank", "launcher", "job"):
        before = newest(state)  # a new checkpoint is this job's own
        job = training_job.start(
            PRETRAIN, tmp_path, {"checkpoint_steps": 2}, config=CONFIG, packed=packed
        )
        wait_for(lambda before=before: newest(state) > before, job)
        launcher = children(job.pid)[0]
        rank = children(launcher)[0]
        pid = {"rank": rank, "launcher": launcher, "job": job.pid}[victim]
        os.kill(pid, signal.SIGKILL)
        said = job.communicate(timeout=60)[1]
        assert job.returncode != 0
        assert victim == "job" or "test: was ended by signal 9" in said
        wait_for(lambda pids=(launcher, rank): not any(map(alive, pids)))
        assert not (tmp_path / "model").exists()
        assert newest(state) < 30
    training_job.run(PRETRAIN, tmp_path, {}, config=CONFIG, packed=packed)
    assert_equal(weights(tmp_path), weights(unbroken))
    logs = [pq.read_table(f / "model" / "training.parquet") for f in (tmp_path, unbroken)]
    for column in ("step", "tokens", "loss", "grad_norm"):
        assert logs[0][column] == logs[1][column]
    assert "goes on after step" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
def test_bfloat16_keeps_float32_weights(unbroken: Path, packed: Path, tmp_path: Path) -> None:
    config = {**CONFIG, "training": {**CONFIG["training"], "precision": "bfloat16"}}
    training_job.run(PRETRAIN, tmp_path, {}, config=config, packed=packed)
    assert {str(tensor.dtype) for tensor in weights(tmp_path).values()} == {"float32"}
    logs = [pq.read_table(f / "model" / "training.parquet") for f in (tmp_path, unbroken)]
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], atol=0.1)
    made_for_it = compute_type("bfloat16", "cpu") == torch.bfloat16
    assert (logs[0]["loss"] != logs[1]["loss"]) == made_for_it


def test_loss_that_is_not_finite_stops_the_job(packed: Path, tmp_path: Path) -> None:
    config = {**CONFIG, "training": {**CONFIG["training"], "learning_rate": 1e38, "clip": 1e9}}
    with training_job.start(PRETRAIN, tmp_path, {}, config=config, packed=packed) as job:
        said = job.communicate()[1]
    assert job.returncode == 1
    assert "error: test: the loss is " in said and "try a lower learning_rate" in said
    log = (tmp_path / "log.txt").read_text()
    assert "in flush" in log  # the rank's traceback
    assert not (tmp_path / "model").exists()


def test_no_steps_exports_the_initial_weights(packed: Path, tmp_path: Path) -> None:
    config = {**CONFIG, "training": {**CONFIG["training"], "budget": {"steps": 0}}}
    training_job.run(PRETRAIN, tmp_path, {}, config=config, packed=packed)
    from slamflow.lm import architecture

    initial = architecture.build(training_job.INIT, training_job.CLUSTERS + 2, 64).state_dict()
    for name, tensor in weights(tmp_path).items():
        np.testing.assert_array_equal(tensor, initial[name].numpy())
    assert "starts" not in (tmp_path / "log.txt").read_text()


def assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        np.testing.assert_array_equal(tensor, expected[name], err_msg=name)


def newest(checkpoints: Path) -> int:
    return max((int(path.name) for path in checkpoints.glob("[0-9]*")), default=0)


def children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(condition, job: subprocess.Popen | None = None, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert job is None or job.poll() is None, job.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.005)
