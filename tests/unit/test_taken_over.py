"""A training that stands still is taken over by another host, and spoils nothing afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import training_job
from safetensors.numpy import load_file

PRETRAIN = "slamflow.lm.pretraining:pretrain"
CONFIG = {"init": training_job.INIT, "training": training_job.TRAINING}
HOST = """
import runpy, socket, sys
from slamflow import lease
socket.sethostname(sys.argv[1])
lease.INTERVAL, lease.PATIENCE = 0.2, 2.0
sys.argv = sys.argv[3:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def start(host: str, folder: Path, packed: Path) -> subprocess.Popen[str]:
    for lock in (folder / "state").glob("*.lock"):
        lock.unlink()  # from another host's sight
    before = ("unshare", "--uts", sys.executable, "-c", HOST, host)
    machine = {"checkpoint_steps": 1}
    return training_job.start(PRETRAIN, folder, machine, before, config=CONFIG, packed=packed)


@pytest.fixture
def first(tmp_path: Path) -> Iterator[list[psutil.Process]]:
    """The suspended processes of a training in its middle: the job, the launcher, the rank."""
    folder = tmp_path / "run"
    folder.mkdir()
    packed = training_job.write_packed(tmp_path, 200)
    job = start("one", folder, packed)
    checkpoints, end = folder / "state" / "checkpoints", time.monotonic() + 120
    while not [*checkpoints.glob("[0-9]*")]:
        assert job.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    tree = [psutil.Process(job.pid), *psutil.Process(job.pid).children(recursive=True)]
    for process in tree:
        process.suspend()
    yield tree
    for process in tree:
        if process.is_running():
            process.kill()
    job.communicate()


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may rename a host")
def test_a_training_that_stands_still(first: list[psutil.Process], tmp_path: Path) -> None:
    job, launcher, rank = first
    folder, packed = tmp_path / "run", tmp_path / "packed.parquet"
    step = max(path.name for path in (folder / "state/checkpoints").glob("[0-9]*"))
    assert int(step) < 25  # of 30
    second = start("two", folder, packed)
    end = time.monotonic() + 120
    while '"two"' not in (folder / "state" / "owner.lease").read_text():
        assert second.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    rank.resume()  # its job does not: nobody tells it that it should end
    launcher.resume()
    rank.wait(60)
    while launcher.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert job.status() == psutil.STATUS_STOPPED
    assert second.communicate(timeout=120)[1] is not None and second.returncode == 0
    job.resume()
    assert job.wait(30) == -signal.SIGKILL
    log = (folder / "log.txt").read_text()
    assert "one, process" in log and "gave no sign of life for 2 s: taken over" in log
    assert "two, process" in log and "since this copy stood still; it ends" in log
    training_job.run(PRETRAIN, tmp_path, {}, config=CONFIG, packed=packed)
    assert weights(folder) == weights(tmp_path)


def weights(folder: Path) -> dict[str, bytes]:
    loaded = load_file(folder / "model" / "model.safetensors")
    return {name: tensor.tobytes() for name, tensor in loaded.items()}
