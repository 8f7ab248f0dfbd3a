"""A signal makes a training stop with a checkpoint, from which it goes on to the same weights."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import training_job
from safetensors.numpy import load_file

PRETRAIN = "slamflow.lm.pretraining:pretrain"
CONFIG = {"init": training_job.INIT, "training": training_job.TRAINING}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_job.write_packed(tmp_path_factory.mktemp("packed"), 200)


@pytest.fixture(scope="module")
def unbroken(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("unbroken")
    training_job.run(PRETRAIN, folder, {}, config=CONFIG, packed=packed)
    return weights(folder)


def weights(folder: Path) -> dict[str, bytes]:
    loaded = load_file(folder / "model" / "model.safetensors")
    return {name: tensor.tobytes() for name, tensor in loaded.items()}


def training(folder: Path, packed: Path, **machine: int) -> subprocess.Popen:
    """A job that has begun to train."""
    job = training_job.start(PRETRAIN, folder, machine, config=CONFIG, packed=packed)
    wait_for("ready to train", folder / "log.txt", job, seconds=120)
    return job


def wait_for(text: str, log: Path, job: subprocess.Popen, seconds: float = 60) -> None:
    """Wait until a job that goes on has written a text into its log."""
    end = time.monotonic() + seconds
    while not (log.exists() and text in log.read_text()):
        assert job.poll() is None and time.monotonic() < end, job.communicate()
        time.sleep(0.02)


def stopped(job: subprocess.Popen) -> tuple[str, int]:
    """What an ended job said, and the step it stopped at."""
    said = job.communicate(timeout=60)[1]
    assert job.returncode == 1, said
    found = re.search(r"with a checkpoint of step (\d+) of 30", said)
    assert found, said
    return said, int(found[1])


def test_a_signal_to_the_job_alone(
    packed: Path,
    unbroken: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As before a time limit, where Slurm cannot be asked."""
    with monkeypatch.context() as slurm:
        slurm.setenv("SLAMFLOW_SLURM_JOB", "1")
        slurm.setenv("PATH", os.devnull)
        job = training(tmp_path, packed)
    job.send_signal(signal.SIGUSR1)
    said, step = stopped(job)
    assert "test: stopped by SIGUSR1" in said
    assert "before its time limit; Slurm queues job 1 again" in said
    assert "does not queue it again" in said and "scontrol" in said
    assert 1 <= step < 30
    assert not (tmp_path / "model").exists()
    training_job.run(PRETRAIN, tmp_path, {}, config=CONFIG, packed=packed)
    assert f"goes on after step {step} of 30" in (tmp_path / "log.txt").read_text()
    assert weights(tmp_path) == unbroken


@pytest.mark.slow
def test_the_next_may_begin_before_slurm_has_ended_it(
    packed: Path,
    unbroken: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as slurm:
        slurm.setenv("SLAMFLOW_SLURM_JOB", "1")
        job = training(tmp_path, packed)
    job.send_signal(signal.SIGTERM)
    wait_for("waits for Slurm to end the job", tmp_path / "log.txt", job)
    following = training(tmp_path, packed)
    job.send_signal(signal.SIGTERM)
    assert following.communicate(timeout=60)[1] is not None and following.returncode == 0
    assert weights(tmp_path) == unbroken
    assert job.poll() is None
    job.kill()
    job.communicate()


def test_a_signal_to_all_processes(packed: Path, tmp_path: Path) -> None:
    job = training(tmp_path, packed, ranks=2)
    tree = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
    assert len(tree) == 4  # the job, the launcher, two ranks
    for process in tree:
        process.send_signal(signal.SIGTERM)
    said, step = stopped(job)
    assert "test: stopped by SIGTERM" in said and "the same command goes on from there" in said
    assert 1 <= step < 30


def test_a_launcher_still_ends_its_ranks(packed: Path, tmp_path: Path) -> None:
    job = training(tmp_path, packed)
    launcher = psutil.Process(job.pid).children()[0]
    (rank,) = launcher.children()
    started = time.monotonic()
    launcher.send_signal(signal.SIGINT)
    said = job.communicate(timeout=60)[1]
    assert job.returncode == 1 and "a rank ended with status 1" in said
    assert time.monotonic() - started < 20  # and not after its 30 s of patience
    assert not rank.is_running()


def test_several_nodes_without_slurm(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    job = training_job.start(
        PRETRAIN, tmp_path, {"nodes": 2, "ranks": 2}, config=CONFIG, packed=packed
    )
    said = job.communicate(timeout=60)[1]
    assert job.returncode == 1 and "set `nodes: 1`" in said
