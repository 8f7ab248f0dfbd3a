"""Runs of the workflow of which random processes are killed at random moments."""

import contextlib
import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import yaml
from disturbing import CONFIG
from observing import processes, remaining
from running import TARGET, environment, snakemake_command
from victims import job_of, kind_of

LOCKED = "Directory cannot be locked"  # Snakemake's words, and README's

PATIENCE = 1200.0  # seconds for a call that is not killed


@dataclass(frozen=True)
class Killed:
    """A SIGKILL.

    Attributes:
        start: of which call of Snakemake, counted from 1.
        seconds: since the start of this call.
        moment: what was waited for: see `_moment`.
        kind: see `victims.kind_of`.
        job: what the process worked for, if it is known.
        beside: the other processes that ran, by kind and job.
    """

    start: int
    seconds: float
    moment: str
    kind: str
    job: str
    beside: tuple[str, ...]

    def __str__(self) -> str:
        beside = ", ".join(sorted(set(self.beside))) or "nothing"
        at = f"start {self.start}, {self.seconds:5.2f} s ({self.moment})"
        return f"{at}: {' '.join(filter(None, (self.kind, self.job)))}; beside it {beside}"


@dataclass
class Storm:
    """Kills in one run, and in another one if that is finished too soon.

    Attributes:
        wanted: kills in all.
        latest: seconds after the start of Snakemake in which a kill may come.
        dice: all that is random.
        say: takes a line for each kill.
        killed: so far.
        starts: calls of Snakemake so far, without those that only unlock.
        unlocked: calls that were told to unlock first.
        faults: what should not have happened.
    """

    wanted: int
    latest: float
    dice: random.Random
    say: Callable[[str], None] = print
    killed: list[Killed] = field(default_factory=list)
    starts: int = 0
    unlocked: int = 0
    faults: list[str] = field(default_factory=list)

    def enough(self) -> bool:
        """Whether all kills were done."""
        return len(self.killed) >= self.wanted


def rage(storm: Storm, folder: Path) -> None:
    """Kill in a checkout, and call Snakemake again and again until its run is finished.

    Nothing is repaired by hand, but a lock of Snakemake is removed when it asks for that.
    """
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    with _ended(folder):
        while _call(storm, folder):
            pass
        left = remaining(folder)
    storm.faults += [f"{folder}: still runs: {' '.join(command)}" for command in left.values()]


@contextlib.contextmanager
def _ended(folder: Path) -> Iterator[None]:
    """No process of `folder` outlives this."""
    try:
        yield
    finally:
        for pid in processes(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _call(storm: Storm, folder: Path) -> bool:
    """Call Snakemake as README says and kill; returns whether it is to be called again."""
    storm.starts += 1
    before = len(storm.killed)
    terminal = folder / f"terminal-{storm.starts}.txt"
    began = time.monotonic()
    with terminal.open("w") as stream, _snakemake(folder, stream, "--cores", "all", TARGET) as call:
        for _ in range(storm.dice.randint(1, 3)):
            moment = _moment(storm, folder, call, began)
            if storm.enough() or (call.poll() is not None and storm.dice.random() < 0.7):
                break
            _kill(storm, folder, moment, began)
        status = call.wait(timeout=PATIENCE)
    text = terminal.read_text()
    if LOCKED in text:
        storm.unlocked += 1
        _unlock(storm, folder)
    elif status and len(storm.killed) == before:
        storm.faults.append(f"{terminal}: failed by itself")
        return False
    elif "Traceback" in text:
        storm.faults.append(f"{terminal}: a traceback on the terminal")
    return status != 0


def _unlock(storm: Storm, folder: Path) -> None:
    """Unlock, and do it again if that was killed."""
    began = time.monotonic()
    with _snakemake(folder, subprocess.DEVNULL, "--unlock") as call:
        if storm.dice.random() < 0.2 and not storm.enough():
            time.sleep(storm.dice.uniform(0, 2))
            _kill(storm, folder, "unlocking", began)
        call.wait(timeout=PATIENCE)


def _snakemake(folder: Path, stream: IO[str] | int, *args: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        snakemake_command(args),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=stream,
        stderr=subprocess.STDOUT,
    )


def _moment(storm: Storm, folder: Path, call: "subprocess.Popen[bytes]", began: float) -> str:
    """Wait for a moment to kill in, or for the end of Snakemake.

    Returns:
        `clock`: any time; `begin`: the first seconds; `job`: a job has begun or ended; `writing`:
        a file is half-written; `training`: a rank has begun some seconds ago.
    """
    moment = storm.dice.choice(("clock", "clock", "begin", "job", "writing", "training"))
    most = {"begin": 3.0, "training": 0.0}.get(moment, storm.latest)
    not_before = storm.dice.uniform(0, most)
    before = _jobs(folder)
    while call.poll() is None:
        time.sleep(0.01)
        if time.monotonic() - began < not_before:
            before = _jobs(folder)
            continue
        if moment in ("clock", "begin"):
            break
        if moment == "job" and _jobs(folder) != before:
            time.sleep(storm.dice.uniform(0, 0.1))
            break
        if moment == "writing" and any((folder / "results").glob("**/.*.tmp")):
            break
        if moment == "training":
            found = processes(folder)
            if "rank" in [kind_of(pid, found) for pid in found]:
                time.sleep(storm.dice.uniform(0, 6))
                break
            time.sleep(0.2)
    return moment


def _jobs(folder: Path) -> set[str]:
    """Snakemake's notes of the jobs that have begun and not ended."""
    notes = folder / ".snakemake" / "incomplete"
    return set(os.listdir(notes)) if notes.exists() else set()


def _kill(storm: Storm, folder: Path, moment: str, began: float) -> None:
    """Kill a process of the run: a random one of a random kind."""
    found = processes(folder)
    kinds = {pid: kind_of(pid, found) for pid in found}
    if not kinds:
        return
    kind = storm.dice.choice(sorted(set(kinds.values())))
    victim = storm.dice.choice([pid for pid in kinds if kinds[pid] == kind])
    try:
        handle = os.pidfd_open(victim)
        if processes(folder).get(victim) == found[victim]:  # the number is not another's by now
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            select.select([handle], [], [])  # it is dead by then
        os.close(handle)
    except ProcessLookupError:
        return
    beside = [f"{kinds[pid]} {job_of(found[pid])}".strip() for pid in kinds if pid != victim]
    seconds = time.monotonic() - began
    made = Killed(storm.starts, seconds, moment, kind, job_of(found[victim]), tuple(beside))
    storm.killed.append(made)
    storm.say(f"kill {len(storm.killed)}: {made}")
