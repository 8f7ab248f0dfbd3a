"""GPUs are handed out by locks, to real processes; no GPU is needed for that."""

import fcntl
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from talking import Process, said, told

from slamflow import device_locks, devices, folders
from slamflow.training import launcher

SOURCE = str(Path(__file__).parents[2] / "src")
HEAD = """
import os, subprocess, sys, time
from pathlib import Path
from slamflow import device_locks, devices
device_locks.FOLDER = Path(sys.argv[1])
devices.PAUSE = 0.05
arguments = sys.argv[2:]
def say(text):
    print(text, flush=True)
"""
JOB = """
with devices.taken(int(arguments[0])):
    say(os.environ["CUDA_VISIBLE_DEVICES"])
    sys.stdin.readline()
say("ended")
"""
Start = Callable[..., Process]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the locks are, in a folder like /tmp: for all users."""
    for variable in ("SLURM_JOB_ID", "SLURM_STEP_GPUS"):
        monkeypatch.delenv(variable, raising=False)
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o1777)
        monkeypatch.setattr(device_locks, "FOLDER", Path(place) / "gpus")
        yield device_locks.FOLDER


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start Python code that sees the GPUs `seen`; all are killed at the end."""
    started: list[Process] = []

    def start(
        *arguments: object, code: str = JOB, seen: str = "0,1,2", user: int | None = None
    ) -> Process:
        become = f"os.setgroups([]); os.setgid({user}); os.setuid({user})\n" if user else ""
        text = HEAD + become + textwrap.dedent(code)
        process = subprocess.Popen(
            [sys.executable, "-c", text, str(folder), *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": SOURCE, devices.VISIBLE: seen},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def release(process: Process) -> None:
    process.communicate("\n", timeout=10)
    assert process.returncode == 0


def test_each_job_has_another_one(start: Start) -> None:
    jobs = [start(1) for _ in range(3)]
    assert sorted(map(said, jobs)) == ["0", "1", "2"]
    fourth = start(1)
    found = told(fourth)
    assert found.startswith("waiting for a GPU (0: process ")
    assert all(f"process {job.pid}, since " in found for job in jobs)
    release(jobs[1])
    assert said(fourth) in ("0", "1", "2")


def test_a_crash_frees_it(start: Start) -> None:
    first = start(3)
    assert said(first) == "0,1,2"
    second = start(1)
    assert told(second).startswith("waiting")
    first.kill()
    assert said(second) == "0"


def test_all_or_none(start: Start) -> None:
    """Who waits for three does not hold up the one that could go on with one."""
    first = start(1, seen="1")
    assert said(first) == "1"
    second = start(3)
    found = told(second)
    assert found.startswith("waiting for 3 GPUs (1: process ") and "2: " not in found
    time.sleep(0.2)
    third = start(2)
    assert said(third) == "0,2"
    release(first)
    fourth = start(1)
    assert said(fourth) == "1"
    release(third)
    release(fourth)
    assert said(second) == "0,1,2"


def test_never_two_on_one(start: Start, tmp_path: Path) -> None:
    """Jobs of one, two and three GPUs at once, and some that are killed while they have them."""
    used = tmp_path / "used"
    used.mkdir()
    code = """
    count, rounds, pause = int(arguments[0]), int(arguments[1]), float(arguments[2])
    used = Path(arguments[3])
    for _ in range(rounds):
        with devices.taken(count):
            names = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
            assert len(names) == count
            for mark in [used / name for name in names]:
                if mark.exists():
                    dead = used / f"dead-{mark.read_text()}"
                    assert dead.exists(), f"{mark.name} is used by {mark.read_text()}"
                mark.write_text(str(os.getpid()))
            say("has them")
            time.sleep(pause)
            for name in names:
                (used / name).unlink()
    """
    victims = [start(1, 1, 60, used, code=code)]
    assert said(victims[0]) == "has them"
    jobs = [start(count, 8, 0.005, used, code=code) for count in (1, 2, 3, 2, 1, 1)]
    victims.append(start(2, 1, 60, used, code=code))
    assert said(victims[1]) == "has them"
    for victim in victims:
        (used / f"dead-{victim.pid}").touch()
        victim.kill()
        time.sleep(0.1)
    for job in jobs:
        _, lines = job.communicate(timeout=30)
        assert job.returncode == 0, lines
    assert not [path for path in used.iterdir() if "dead" not in path.name]


def test_what_ranks_use_stays_taken_while_they_live(start: Start, folder: Path) -> None:
    rank = HEAD + "devices.join()\nsay(f'{os.getpid()} {os.environ[devices.VISIBLE]}')\ninput()\n"
    code = f"""
    with devices.taken(2):
        subprocess.Popen([sys.executable, "-c", {rank!r}, sys.argv[1]], start_new_session=True)
        time.sleep(60)
    """
    first = start(code=code)
    pid, names = said(first).split()
    assert names == "0,1"
    first.kill()
    second, third = start(2), start(1)
    try:
        assert told(second).startswith("waiting for 2 GPUs (0: process ")
        assert said(third) == "2"
        assert second.poll() is None
    finally:
        os.kill(int(pid), signal.SIGKILL)
    assert said(second) == "0,1"


def test_a_rank_of_a_dead_job_takes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.VISIBLE, "0")
    taken = device_locks.take("0")
    assert taken is not None
    fcntl.flock(taken, fcntl.LOCK_EX)  # another job, in the moment of taking it
    with pytest.raises(RuntimeError, match="GPU 0 was taken by another job"):
        devices.join()
    os.close(taken)


def test_who_is_overtaken_while_it_takes_one_has_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, faster = device_locks._shared, []

    def overtaken(descriptor: int) -> int | None:
        monkeypatch.setattr(device_locks, "_shared", shared)
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # what the kernel does before it locks anew
        faster.append(device_locks.take("0"))
        return shared(descriptor)

    monkeypatch.setattr(device_locks, "_shared", overtaken)
    assert device_locks.take("0") is None
    assert faster[0] is not None and device_locks.holder("0")
    folders.unlock(faster[0])
    assert device_locks.holder("0") is None


def test_a_job_keeps_what_its_ranks_then_use(start: Start) -> None:
    """It computes on the first by itself, and waits for none while it has one."""
    code = """
    devices.keep(2)
    say(os.environ["CUDA_VISIBLE_DEVICES"])
    with devices.taken(2):
        say(os.environ["CUDA_VISIBLE_DEVICES"])
        devices.keep(1)
    say(os.environ["CUDA_VISIBLE_DEVICES"])
    sys.stdin.readline()
    """
    first = start(code=code)
    assert [said(first), said(first), said(first)] == ["0,1"] * 3
    second = start(code=code.replace("keep(2)", "keep(5)"), seen="1,2")  # there are two
    assert told(second).startswith("waiting for 2 GPUs (1: ")
    release(first)
    assert [said(second), said(second), said(second)] == ["1,2"] * 3


def test_a_training_starts_its_ranks_on_what_is_free(
    start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(devices.VISIBLE, "0,1,GPU-1a")
    first = start(1, seen="0,1,GPU-1a")
    assert said(first) == "0"
    machine = {"device": "cuda", "ranks": 2}
    with launcher.gpus(machine):
        assert launcher.places(machine) == [1, "GPU-1a"]
        assert device_locks.holder("1") and device_locks.holder("GPU-1a")
    assert os.environ[devices.VISIBLE] == "0,1,GPU-1a"
    assert device_locks.holder("1") is None
    with pytest.raises(ValueError, match="4 ranks need as many GPUs, not 3"):
        launcher.gpus(machine | {"ranks": 4})
    for other in ({"device": "cpu", "ranks": 3}, machine | {"nodes": 2}):  # no GPU; Slurm's
        with launcher.gpus(other):
            assert os.environ[devices.VISIBLE] == "0,1,GPU-1a"


def test_a_stage_computes_on_what_it_was_granted(start: Start) -> None:
    code = """
    from slamflow.training import device
    assert device.prepare({"device": "cpu", "ranks": 1}) == "cpu"
    assert device.prepare({"device": "cuda"}) == "cuda"
    assert os.environ[devices.VISIBLE] == "0,1,2"
    assert device.prepare({"device": "cuda", "ranks": 1}) == "cuda"
    assert device.prepare({"device": "cuda", "ranks": 1}) == "cuda"  # the same
    say(os.environ[devices.VISIBLE])
    time.sleep(60)
    """
    stages = [start(code=code) for _ in range(2)]
    assert sorted(map(said, stages)) == ["0", "1"]


def test_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index in a Slurm job is another GPU than in another one; a UUID is the same."""
    monkeypatch.setenv(devices.VISIBLE, " 2,GPU-1a/2 ,-1,")
    assert devices.visible() == ["2", "GPU-1a/2"]
    found = []
    for job, step in ((None, None), ("7", None), ("8", None), ("8", "0,1"), ("8", "2,3")):
        for variable, value in (("SLURM_JOB_ID", job), ("SLURM_STEP_GPUS", step)):
            if value:
                monkeypatch.setenv(variable, value)
        found.append([device_locks.take(name) is not None for name in devices.visible()])
    assert found == [[True, True]] + 4 * [[True, False]]
    monkeypatch.setenv(devices.VISIBLE, "")
    assert devices.visible() == []
    devices.keep(1)
    assert os.environ[devices.VISIBLE] == ""
    with pytest.raises(ValueError, match="1 GPUs are needed, and CUDA_VISIBLE_DEVICES has 0"):
        devices.taken(1).__enter__()


def test_what_slurm_jobs_leave_behind_is_removed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not what is in use; and who has opened what is then removed has locked nothing."""
    held = []
    for job in ("7", "8", "9"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        taken = device_locks.take("0")
        assert taken is not None
        folders.unlock(taken) if job == "7" else held.append(taken)
    monkeypatch.delenv("SLURM_JOB_ID")
    plain = device_locks.take("1")
    assert plain is not None
    folders.unlock(plain)
    assert {path.name for path in folder.iterdir()} == {"gpu-8-0", "gpu-9-0", "gpu-1"}

    monkeypatch.setenv("SLURM_JOB_ID", "7")
    opened = device_locks._opened

    def late(name: str) -> int:
        monkeypatch.setattr(device_locks, "_opened", opened)
        descriptor = opened(name)
        device_locks._tidy()
        return descriptor

    for lock in (device_locks.take, device_locks.share):
        monkeypatch.setattr(device_locks, "_opened", late)
        assert lock("0") is None
    taken = device_locks.take("0")
    assert taken is not None and device_locks.take("0") is None
    for descriptor in [*held, taken]:
        folders.unlock(descriptor)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_users_share_them(start: Start, folder: Path) -> None:
    first = start(1, user=65534)
    assert said(first) == "0"
    second = start(1)
    assert said(second) == "1"
    third = start(2, user=65533)
    assert f"0: process {first.pid}, since " in told(third)
    release(first)
    assert said(third) == "0,2"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o666}


@pytest.mark.parametrize("planted", ["link", "hard link", "folder", "link of the folder", "fifo"])
def test_what_is_planted_is_not_followed(folder: Path, planted: str) -> None:
    mine = folder.with_name("mine")
    mine.write_text("precious")
    other = folder.with_name("other")
    other.mkdir()
    lock = folder / "gpu-0"
    if planted == "link of the folder":
        folder.symlink_to(other)
    else:
        folder.mkdir()
        match planted:
            case "link":
                lock.symlink_to(mine)
            case "hard link":
                os.link(mine, lock)
            case "folder":
                lock.mkdir()
            case "fifo":
                os.mkfifo(lock)
    with pytest.raises(ValueError, match=r"gpus/gpu-0: .*; remove ") as failure:
        device_locks.take("0")
    assert "\n" not in str(failure.value)
    assert mine.read_text() == "precious" and not list(other.iterdir())


def test_what_others_have_written_is_shown_harmlessly(folder: Path) -> None:
    taken = device_locks.take("0")
    assert taken is not None
    (folder / "gpu-0").write_bytes(b"\x1b[2J\n\xff" + random.Random(0).randbytes(500))
    shown = device_locks.holder("0")
    assert shown and shown.isprintable() and len(shown) <= 100
    os.close(taken)
    assert device_locks.holder("0") is None
