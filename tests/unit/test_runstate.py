"""Kills, second copies, damage and changed inputs, with real processes."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slamflow import folders, runstate, runstate_checkpoints

SOURCE = str(Path(__file__).parents[2] / "src")
BLOCK = {"training": {"steps": 3, "rate": 1e-3}, "init": {"seed": 1}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "pretrain_model" / "slm"


@pytest.fixture
def inputs(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path in paths:
        path.write_text(path.name)
    return paths


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, Path]:
    names = ("model.safetensors", "config.json", "training.parquet")
    return {name: tmp_path / "models" / "slm" / name for name in names}


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start Python code that says `ready`; all are killed at the end."""
    started = []

    def start(code: str, *arguments: object, wait: bool = True) -> "subprocess.Popen[str]":
        head = "import os, subprocess, sys, time\nfrom pathlib import Path\n"
        head += "from slamflow import orphans, runstate\nfolder = Path(sys.argv[1])\n"
        command = [sys.executable, "-c", head + textwrap.dedent(code), *map(str, arguments)]
        process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": SOURCE},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        if wait:
            assert process.stdout and process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def write_checkpoint(state: runstate.RunState | runstate.Follow, step: int) -> None:
    with state.checkpoint_folder(step) as checkpoint:
        (checkpoint / "deep").mkdir()
        (checkpoint / "deep" / "weights").write_text(f"weights {step}")


def make(folder: Path, inputs: list[Path], outputs: dict[str, Path], code: str = "code") -> str:
    """Make the outputs as a stage does; says how it went."""
    with runstate.RunState(folder, BLOCK, inputs, code) as state:
        if state.restore(outputs):
            return "restored"
        latest = state.latest()
        for name, path in outputs.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_text(f"{name} by {code}")
        write_checkpoint(state, 3)
        state.finish(outputs)
        assert state.latest() is None
    return f"resumed at {latest[0]}" if latest else "anew"


def test_the_last_two_complete_checkpoints_are_kept(folder: Path, inputs: list[Path]) -> None:
    with runstate.RunState(folder, BLOCK, inputs, "code") as state:
        assert not is_free(folder / "owner.lock")
        assert state.latest() is None
        for step in (5, 10, 15, 10_000_000_000):
            write_checkpoint(state, step)
        with pytest.raises(ZeroDivisionError), state.checkpoint_folder(10_000_000_001):
            raise ZeroDivisionError
        latest = state.latest()
    assert latest == (10_000_000_000, folder / "checkpoints" / "10000000000")
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["000000015", "10000000000"]
    assert (latest[1] / "deep" / "weights").read_text() == "weights 10000000000"


def is_free(lock: Path) -> bool:
    with lock.open("r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@pytest.mark.parametrize("damage", ["truncated", "file missing", "no marker", "bad marker"])
def test_a_damaged_checkpoint_is_passed_over(folder: Path, inputs: list[Path], damage: str) -> None:
    with runstate.RunState(folder, BLOCK, inputs, "code") as state:
        write_checkpoint(state, 1)
        write_checkpoint(state, 2)
        newest = folder / "checkpoints" / "000000002"
        match damage:
            case "truncated":
                os.truncate(newest / "deep" / "weights", 3)
            case "file missing":
                (newest / "deep" / "weights").unlink()
            case "no marker":
                (newest / runstate_checkpoints.MARKER).unlink()
            case "bad marker":
                (newest / runstate_checkpoints.MARKER).write_text('{"deep/')
        latest = state.latest()
        assert latest and latest[0] == 1
        write_checkpoint(state, 2)
        latest = state.latest()
        assert latest and latest[0] == 2


def test_what_is_made_anew_replaces_later_ones_that_are_damaged(
    folder: Path, inputs: list[Path]
) -> None:
    with runstate.RunState(folder, BLOCK, inputs, "code") as state:
        for step in (190, 200):
            write_checkpoint(state, step)
            (folder / "checkpoints" / f"{step:09d}" / "deep" / "weights").write_text(
                f"wrong!! {step}"
            )
    with runstate.RunState(folder, BLOCK, inputs, "code") as state:
        assert state.latest() is None
        for step in (50, 100, 150):
            write_checkpoint(state, step)
            latest = state.latest()
            assert latest and latest[0] == step
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["000000100", "000000150"]


def test_a_checkpoint_can_be_written_again(folder: Path, inputs: list[Path]) -> None:
    with runstate.RunState(folder, BLOCK, inputs, "code") as state:
        write_checkpoint(state, 1)
        with state.checkpoint_folder(1) as checkpoint:
            (checkpoint / "other").write_text("other")
        latest = state.latest()
        assert latest and (latest[1] / "other").exists() and not (latest[1] / "deep").exists()


def test_a_kill_while_a_checkpoint_is_written(
    folder: Path, inputs: list[Path], start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    code = """
    with runstate.RunState(folder, {}, [], "old code") as state:
        for step in (1, 2, 3):
            with state.checkpoint_folder(step) as checkpoint:
                (checkpoint / "weights").write_text("x" * 100)
                if step == 3:
                    print("ready", flush=True)
                    time.sleep(60)
    """
    process = start(code, folder)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == [
        ".000000003.tmp",
        "000000001",
        "000000002",
    ]
    process.send_signal(signal.SIGKILL)
    process.wait()
    with runstate.RunState(folder, {}, [], "new code") as state:  # resumed under other code
        latest = state.latest()
        assert latest and latest[0] == 2
        assert not list((folder / "checkpoints").glob(".*"))


def test_finished_outputs_come_back_with_equal_code_only(
    folder: Path, inputs: list[Path], outputs: dict[str, Path]
) -> None:
    assert make(folder, inputs, outputs) == "anew"
    for path in outputs.values():
        path.unlink()  # as Snakemake does before each attempt
    assert make(folder, inputs, outputs) == "restored"
    assert outputs["config.json"].read_text() == "config.json by code"
    assert outputs["config.json"].stat().st_ino == (folder / "finished/config.json").stat().st_ino
    assert outputs["config.json"].stat().st_mtime > time.time() - 60
    assert make(folder, inputs, outputs) == "restored"  # over outputs that are there
    assert not list(outputs["config.json"].parent.glob(".*"))
    assert make(folder, inputs, outputs, code="new code") == "anew"
    assert outputs["config.json"].read_text() == "config.json by new code"
    assert make(folder, inputs, outputs) == "anew"


def test_weights_come_last(folder: Path, inputs: list[Path], outputs: dict[str, Path]) -> None:
    make(folder, inputs, outputs)
    for path in outputs.values():
        path.unlink()
    outputs["config.json"].mkdir()  # nothing can be linked here
    with pytest.raises(OSError):
        make(folder, inputs, outputs)
    assert not outputs["model.safetensors"].exists()


@pytest.mark.parametrize(
    "damage", ["truncated", "same size", "missing", "no manifest", "other outputs"]
)
def test_damaged_finished_outputs_are_made_again(
    folder: Path, inputs: list[Path], outputs: dict[str, Path], damage: str
) -> None:
    make(folder, inputs, outputs)
    model = outputs["model.safetensors"]
    match damage:
        case "truncated":  # in place: the hard link in finished/ shares the damage
            os.truncate(model, 3)
        case "same size":
            with model.open("r+") as stream:
                stream.write("M")
        case "missing":
            (folder / "finished" / "model.safetensors").unlink()
        case "no manifest":
            (folder / "finished" / runstate.MANIFEST).write_text("{")
        case "other outputs":
            outputs = outputs | {"card.md": model.with_name("card.md")}
    assert make(folder, inputs, outputs) == "anew"
    assert model.read_text() == "model.safetensors by code"


def test_nothing_is_resumed_from_a_finished_run(
    folder: Path, inputs: list[Path], outputs: dict[str, Path]
) -> None:
    """Not even if the kill came between the finished files and the end of the checkpoints."""
    make(folder, inputs, outputs)
    with runstate.RunState(folder, BLOCK, inputs, "code") as state:
        write_checkpoint(state, 3)
    assert make(folder, inputs, outputs, code="new code") == "anew"


def test_an_unfinished_run_goes_on_under_other_code_and_paths(
    folder: Path, inputs: list[Path], outputs: dict[str, Path]
) -> None:
    with runstate.RunState(folder, BLOCK, inputs, "code") as state:
        write_checkpoint(state, 2)
    moved = [path.rename(path.with_name(f"moved-{path.name}")) for path in inputs]
    assert make(folder, moved, outputs, code="new code") == "resumed at 2"


def test_a_block_may_be_json_and_key_order_does_not_count(
    folder: Path, inputs: list[Path], outputs: dict[str, Path]
) -> None:
    text = json.dumps({"init": {"seed": 1}, "training": {"rate": 0.001, "steps": 3}})
    with runstate.RunState(folder, text, inputs, "code") as state:
        write_checkpoint(state, 2)
    assert make(folder, inputs, outputs) == "resumed at 2"


def test_another_identity_is_said_and_discards(
    folder: Path, inputs: list[Path], capfd: pytest.CaptureFixture[str]
) -> None:
    def said(block: object, paths: list[Path]) -> str:
        with runstate.RunState(folder, json.dumps(block), paths, "code") as state:
            lost = state.latest() is None
            write_checkpoint(state, 1)
        error = capfd.readouterr().err
        assert lost is bool(error)
        return error.removeprefix(f"{folder}: starting anew, since ").removesuffix("\n")

    with runstate.RunState(folder, BLOCK, inputs, "code") as state:
        write_checkpoint(state, 1)
    assert said(BLOCK, inputs) == ""
    block = {"training": {"steps": 4, "rate": 1e-3, "clip": None}, "init": {"seed": 1}}
    assert (
        said(block, inputs) == "training.steps is 4 and was 3; training.clip is null and was absent"
    )
    inputs[1].write_text("new")
    assert said(block, inputs) == f"input {inputs[1]} differs"
    assert said(block, inputs[:1]) == f"input {inputs[1]} is no longer used"
    block["init"] = {"seed": True}  # equal to 1 in Python
    assert said(block, inputs) == f"init.seed is true and was 1; input {inputs[1]} is new"
    (folder / "identity.json").write_text("{")
    assert said(block, inputs) == "its identity.json is unreadable"
    with pytest.raises(FileNotFoundError, match="missing"):
        said(block, [folder / "missing"])
    assert is_free(folder / "owner.lock")  # the error has let go of it


OWNER = """
with runstate.RunState(folder, {}, [], "code") as state:
    assert state.restore({"out": Path(sys.argv[2])}) is (len(sys.argv) > 3)
    print("ready", flush=True)
    sys.stdin.readline() if len(sys.argv) > 3 else time.sleep(1)
    Path(sys.argv[2]).write_text("made")
    state.finish({"out": Path(sys.argv[2])})
"""


def test_a_second_copy_says_so_waits_and_takes_what_is_finished(
    folder: Path, tmp_path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    out = tmp_path / "out"
    first = start(OWNER, folder, out)
    second = start(OWNER, folder, out, "second", wait=False)
    assert second.stderr
    line = second.stderr.readline()
    assert line.startswith(f"{folder}/owner.lock: waiting for another copy of this job (")
    assert f" {first.pid} " in line
    assert second.stdout and second.stdout.readline() == "ready\n"
    assert first.wait() == 0
    assert "linked" in second.stderr.readline()


def test_a_killed_owner_is_not_waited_for_but_its_ranks_are(
    folder: Path, start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    rank = """
    follow = runstate.Follow(folder, None)
    print(os.getpid(), file=sys.stderr, flush=True)
    time.sleep(60)
    """
    owner = f"""
    rank = {textwrap.dedent(rank)!r}
    head = "import os, sys, time; from pathlib import Path; from slamflow import runstate;"
    head += "folder = Path(sys.argv[1])"
    with runstate.RunState(folder, {{}}, [], "code"):
        subprocess.Popen([sys.executable, "-c", head + rank, folder], start_new_session=True)
        print("ready", flush=True)
        time.sleep(60)
    """
    first = start(owner, folder)
    assert first.stderr
    rank_pid = int(first.stderr.readline())
    try:
        first.kill()
        first.wait()
        second = start(OWNER, folder, tmp_path / "out", wait=False)
        assert second.stderr
        line = second.stderr.readline()
        assert line == f"{folder}/ranks.lock: waiting for ranks of a killed job\n"
    finally:
        os.kill(rank_pid, signal.SIGKILL)
    assert second.stdout and second.stdout.readline() == "ready\n"
    assert second.wait() == 0


def test_a_forked_worker_does_not_hold_the_locks_of_its_dead_parent(
    folder: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    code = """
    with runstate.RunState(folder, {}, [], "code"):
        if os.fork() == 0:
            print(os.getpid(), file=sys.stderr, flush=True)
            print("ready", flush=True)
        time.sleep(60)
    """
    first = start(code, folder)
    assert first.stderr
    worker = int(first.stderr.readline())
    first.kill()
    first.wait()
    try:
        assert is_free(folder / "owner.lock")
    finally:
        os.kill(worker, signal.SIGKILL)


def test_ranks_see_and_write_the_checkpoints_of_their_job(folder: Path) -> None:
    with runstate.RunState(folder, BLOCK, [], "code") as state:
        write_checkpoint(state, 1)
        ranks = [runstate.Follow(folder, state.owner) for _ in range(2)]  # the lock is shared
        write_checkpoint(ranks[0], 2)
        assert ranks[0].latest() == ranks[1].latest() == state.latest()
        for rank in ranks:
            rank.close()
        latest = state.latest()
        assert latest and latest[0] == 2


OLD_KERNEL = """
def pidfd_open(pid):
    raise OSError(errno.ENOSYS, "as before Linux 5.3")
import errno
os.pidfd_open = pidfd_open
"""
OLD_BUILD = "del os.pidfd_open\n"
KERNELS = {"this kernel": "", "an old kernel": OLD_KERNEL, "a build for one": OLD_BUILD}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_die_with_a_launcher_that_is_not_the_parent(
    folder: Path, start: Callable[..., "subprocess.Popen[str]"], kernel: str
) -> None:
    launcher = start("print('ready', flush=True); time.sleep(60)", folder)
    rank = start(
        f"{kernel}orphans.die_with({launcher.pid}); print('ready', flush=True)\nwhile True: pass",
        folder,
    )
    time.sleep(0.2)
    assert rank.poll() is None
    launcher.kill()
    assert rank.wait(timeout=10) == -signal.SIGKILL
    launcher.wait()
    late = start(f"{kernel}orphans.die_with({launcher.pid}); time.sleep(60)", folder, wait=False)
    assert late.wait(timeout=10) == -signal.SIGKILL


def test_die_with_leaves_the_living_alone(
    folder: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    process = start(f"orphans.die_with({os.getpid()}); print('ready', flush=True)", folder)
    assert process.wait(timeout=10) == 0


def test_outputs_are_copied_where_they_cannot_be_linked(tmp_path: Path) -> None:
    shared_memory = Path("/dev/shm")
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system")
    source = shared_memory / f"slamflow-{os.getpid()}"
    source.write_text("x")
    try:
        folders.link(source, tmp_path / "x")
    finally:
        source.unlink()
    assert (tmp_path / "x").read_text() == "x"
