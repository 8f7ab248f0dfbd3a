"""One owner on several hosts that do not see each other's locks, with real processes.

A host is a UTS namespace, and the lock is taken from the sight of the next one by its removal:
whoever locks the name from then on locks another file.
"""

import functools
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
from talking import Process, said, told

SOURCE = str(Path(__file__).parents[2] / "src")
PATIENCE = 0.5  # seconds, where an owner is dead or stands still
LONG = 2.0  # where it lives: a busy disk may delay a renewal
HEAD = """
import socket, sys, time
from pathlib import Path
from slamflow import lease
folder, host = Path(sys.argv[1]), sys.argv[2]
if host:
    socket.sethostname(host)
    lease.INTERVAL, lease.PATIENCE = 0.1, float(sys.argv[3])
def say(word):
    print(word, flush=True)
"""
OWNER = """
own = lease.Lease(folder / "owner.lock", "another copy")
say("owner")
word = sys.stdin.readline()
if word == "release\\n":
    own.release()
    say("released")
"""
STATE = """
from slamflow import runstate
lease.INTERVAL = 60.0 if host == "old" else lease.INTERVAL  # so that no renewal comes in between
with runstate.RunState(folder, {}, [], "code") as state:
    rank = runstate.Follow(folder, state.owner)
    with state.checkpoint_folder(1) as checkpoint:
        (checkpoint / "weights").write_text(host)
    say("owner")
    word = sys.stdin.readline().strip()
    if word == "late rank":
        rank, word = runstate.Follow(folder, state.owner), "rank"
    (folder / "out").write_text(host)
    if word == "finish":
        state.finish({"out": folder / "out"})
    elif word in ("checkpoint", "rank"):
        with {"checkpoint": state, "rank": rank}[word].checkpoint_folder(2) as checkpoint:
            (checkpoint / "weights").write_text(host)
    say("done")
"""
Start = Callable[..., Process]


@functools.cache
def other_host() -> list[str]:
    """The command under which a process may change its host's name."""
    for options in (["--uts"], ["--map-root-user", "--uts"]):
        try:
            if not subprocess.run(["unshare", *options, "true"], capture_output=True).returncode:
                return ["unshare", *options]
        except OSError:
            break
    pytest.skip("no right to make a UTS namespace")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start Python code on a host; all are killed at the end."""
    started: list[Process] = []

    def start(
        host: str, code: str = OWNER, *, patience: float = PATIENCE, own: bool = True
    ) -> Process:
        if host:
            for lock in tmp_path.glob("*.lock"):
                lock.unlink()
        command = [sys.executable, "-c", HEAD + textwrap.dedent(code), str(tmp_path), host]
        process = subprocess.Popen(
            [*(other_host() if host else []), *command, str(patience)],
            env=os.environ | {"PYTHONPATH": SOURCE},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        if own:
            assert said(process) == "owner"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def tell(process: Process, word: str) -> None:
    assert process.stdin
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def owner(folder: Path) -> str:
    return (folder / "owner.lease").read_text()


def kill(process: Process) -> None:
    process.kill()
    process.wait()


def test_waits_for_the_living_and_takes_over_from_the_dead(start: Start, tmp_path: Path) -> None:
    first = start("one")
    second = start("two", patience=LONG, own=False)
    head = f"{tmp_path}/owner.lease: waiting for another copy (one, process {first.pid}, since "
    assert told(second).startswith(head)
    time.sleep(1.5 * LONG)
    assert f'"process": {first.pid}' in owner(tmp_path) and first.poll() is None
    kill(first)
    began = time.monotonic()
    head = f"{tmp_path}/owner.lease: one, process {first.pid}, since "
    found = told(second)
    assert found.startswith(head) and found.endswith("gave no sign of life for 2 s: taken over")
    assert time.monotonic() - began > LONG - 0.5  # the last renewal was that long ago at most
    assert said(second) == "owner"
    assert f'"process": {second.pid}' in owner(tmp_path)


def test_what_is_read_while_it_is_renewed_can_be_read(start: Start, tmp_path: Path) -> None:
    """No renewal changes the size, so whatever part of it is new, it is whole."""
    first = start("one", f"lease.INTERVAL = 0.001\n{OWNER}")
    size = len(owner(tmp_path))
    counts: set[int] = set()
    while max(counts, default=0) < 100:
        content = owner(tmp_path)
        assert len(content) == size and first.poll() is None
        counts.add(int(json.loads(content)["count"]))
    assert len(counts) > 2


def test_what_is_released_in_order_is_taken_at_once(start: Start, tmp_path: Path) -> None:
    first = start("one")
    second = start("two", patience=LONG, own=False)
    assert "waiting" in told(second)
    tell(first, "release")
    assert said(first) == "released"
    began = time.monotonic()
    assert said(second) == "owner"
    assert time.monotonic() - began < LONG / 2
    tell(second, "release")
    assert second.wait(10) == 0 and told(second) == ""
    assert not (tmp_path / "owner.lease").exists()


def test_the_killed_of_this_host_are_not_waited_for(start: Start, tmp_path: Path) -> None:
    """With the seconds that a user has: it would be more than a minute."""
    kill(start(""))
    began = time.monotonic()
    second = start("")
    assert time.monotonic() - began < 5
    tell(second, "release")
    assert second.wait(10) == 0 and told(second) == ""


def test_another_head_the_same_host_is_another_host(start: Start, tmp_path: Path) -> None:
    kill(start("one"))
    found = owner(tmp_path)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert boot in found
    (tmp_path / "owner.lease").write_text(found.replace(boot, "0" * len(boot)))
    second = start("one", own=False)
    assert "waiting" in told(second) and "taken over" in told(second)
    assert said(second) == "owner"


@pytest.mark.parametrize("content", ["", '{"host": "one", "bo'])
def test_what_a_kill_has_cut_off_is_taken_over(start: Start, tmp_path: Path, content: str) -> None:
    (tmp_path / "owner.lease").write_text(content)
    second = start("two", own=False)
    assert told(second).endswith("waiting for another copy (unknown)")
    assert said(second) == "owner"


def test_a_suspended_owner_ends_when_it_goes_on(start: Start, tmp_path: Path) -> None:
    first = start("one")
    first.send_signal(signal.SIGSTOP)
    second = start("two", own=False)
    assert said(second) == "owner"
    first.send_signal(signal.SIGCONT)
    assert first.wait(10) == -signal.SIGKILL
    head = f"{tmp_path}/owner.lease: two, process {second.pid}, since "
    found = told(first)
    assert found.startswith(head) and "it ends, and writes nothing more" in found
    assert second.poll() is None and f'"process": {second.pid}' in owner(tmp_path)


def test_time_in_which_nobody_could_look_does_not_count(start: Start, tmp_path: Path) -> None:
    """Both stand still, as on a file server that does, and the one that waits goes on first."""
    first = start("one")
    second = start("two", patience=2 * PATIENCE, own=False)
    assert "waiting" in told(second)
    time.sleep(0.3)
    for process in (first, second):
        process.send_signal(signal.SIGSTOP)
    time.sleep(3 * PATIENCE)
    second.send_signal(signal.SIGCONT)
    time.sleep(0.3)
    first.send_signal(signal.SIGCONT)
    time.sleep(2 * PATIENCE)
    assert f'"process": {first.pid}' in owner(tmp_path) and first.poll() is None
    kill(first)
    assert "one, process" in told(second) and said(second) == "owner"


def test_an_owner_that_goes_on_late_has_ended_before_the_next_begins(
    start: Start, tmp_path: Path
) -> None:
    first = start("one")
    first.send_signal(signal.SIGSTOP)
    code = f"lease.INTERVAL = 0.5\n{OWNER}".replace('"owner")', "time.monotonic())")
    second = start("two", code, own=False)
    while "two" not in owner(tmp_path):
        time.sleep(0.01)
    first.send_signal(signal.SIGCONT)
    assert first.wait(10) == -signal.SIGKILL
    assert time.monotonic() < float(said(second))


def test_a_suspended_owner_whom_nobody_succeeds_goes_on(start: Start, tmp_path: Path) -> None:
    first = start("one")
    first.send_signal(signal.SIGSTOP)
    before = owner(tmp_path)
    time.sleep(2 * PATIENCE)
    assert owner(tmp_path) == before
    first.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    assert owner(tmp_path) != before
    tell(first, "release")
    assert said(first) == "released" and first.wait(10) == 0


@pytest.mark.parametrize("word", ["finish", "checkpoint", "rank", "late rank"])
def test_an_owner_taken_for_dead_writes_nothing_more(
    start: Start, tmp_path: Path, word: str
) -> None:
    """It is not even suspended, only slow: it has not yet seen that there is another one."""
    old = start("old", STATE)
    new = start("new", STATE)
    tell(old, word)
    assert old.wait(10) == -signal.SIGKILL
    assert "new, process" in told(old)
    assert not (tmp_path / "finished").exists()
    assert [path.name for path in (tmp_path / "checkpoints").glob("[0-9]*")] == ["000000001"]
    tell(new, word)
    assert said(new) == "done" and new.wait(10) == 0


def test_of_several_that_wait_for_the_same_one_takes_over(start: Start, tmp_path: Path) -> None:
    work = """
    own = lease.Lease(folder / "owner.lock", "another copy")
    with (folder / "work").open("a", buffering=1) as stream:
        stream.write(f"{host} begins\\n")
        time.sleep(0.5)
        stream.write(f"{host} ends\\n")
    own.release()
    """
    first = start("one")
    others = [start(host, work, patience=LONG, own=False) for host in ("two", "three", "four")]
    for process in others:
        assert "waiting" in told(process)
    kill(first)
    assert [process.wait(20) for process in others] == [0, 0, 0]
    lines = (tmp_path / "work").read_text().split()
    assert lines[1::2] == ["begins", "ends"] * 3
    assert lines[0::4] == lines[2::4] and set(lines[0::4]) == {"two", "three", "four"}
