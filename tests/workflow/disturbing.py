"""Runs of the workflow whose processes are killed in the middle of a training."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest
from observing import (
    Stamps,
    find,
    finished_outputs,
    log,
    processes,
    rank_of,
    remaining,
    script_of,
    step_of,
)
from running import TARGET, environment, run_snakemake, snakemake_command

Found = TypeVar("Found")

# Kills come soon after a checkpoint, and long before the next training's end.
CONFIG = {
    "recipe": "crumb",
    "huberts": {"crumb": {"training": {"checkpoint_steps": 3}}},
    "models": {
        "crumb": {"training": {"checkpoint_steps": 3}},
        "crumb-dpo": {"training": {"checkpoint_steps": 1}},
    },
}

PATIENCE = 1200.0  # seconds for one event; on an idle machine the slowest takes about a minute


@dataclass(frozen=True)
class Kill:
    """A SIGKILL in the middle of a training.

    Attributes:
        state: the training's state folder.
        victim: `snakemake`, the job's `script`, or the `rank` that the script had launched.
    """

    state: Path
    victim: str


@dataclass
class Disturbed:
    """A finished run: one call of Snakemake a kill, and a last one.

    Attributes:
        folder: its checkout.
        kills: what was killed, in this order.
        terminals: what each call of Snakemake printed.
        finished: inode and time of each output that was finished before each of the kills.
        logs: after each kill, the log of the next job that trains the same.
        remaining: processes that still ran some seconds after the end of a call.
        last: inode and time of each output at the end.
    """

    folder: Path
    kills: Sequence[Kill]
    terminals: list[str] = field(default_factory=list)
    finished: list[Stamps] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    remaining: list[dict[int, list[str]]] = field(default_factory=list)
    last: Stamps = field(default_factory=dict)

    def after(self, *victims: str) -> list[tuple[Path, str]]:
        """State folder and next log of each kill of such victims; there is one at least."""
        kills = zip(self.kills, self.logs, strict=True)
        found = [(kill.state, text) for kill, text in kills if kill.victim in victims]
        assert found
        return found


class Call:
    """The README's command, running in a checkout.

    It lets the stopped rank of an orphan go on once the orphan is waited for.
    """

    def __init__(self, run: Disturbed, stopped: int | None) -> None:
        self.run = run
        self.terminal = run.folder / f"terminal-{len(run.terminals)}.txt"
        with self.terminal.open("w") as stream:
            self.process = subprocess.Popen(
                snakemake_command(["--cores", "all", TARGET]),
                cwd=run.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        if stopped is not None:
            self.wait_for(lambda: "waiting for" in self.terminal.read_text() or None, "waiting")
            os.kill(stopped, signal.SIGCONT)

    def wait_for(self, look: Callable[[], Found | None], what: str, pause: float = 0.2) -> Found:
        """What `look` finds, as soon as it finds something; the call must run until then.

        Args:
            pause: seconds between two looks.
        """
        end = time.monotonic() + PATIENCE
        while (found := look()) is None:
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"no {what}:\n{self.terminal.read_text()}")
            time.sleep(pause)
        return found

    def wait(self) -> int:
        """Wait for the end of Snakemake; keep what it printed and what came of the last kill."""
        status = self.process.wait(timeout=PATIENCE)
        if self.run.terminals:
            killed = self.run.kills[len(self.run.terminals) - 1]
            self.run.logs.append(log(self.run.folder, killed.state))
        self.run.terminals.append(self.terminal.read_text())
        return status


def disturb(run: Disturbed, kill: Kill, stopped: int | None) -> int | None:
    """Call Snakemake, and kill when the training has made a checkpoint in this call.

    Returns:
        The rank that outlives a killed Snakemake. It is stopped, so that the orphan is sure to be
        at work when the next call comes.
    """
    state = run.folder / kill.state
    before = step_of(state) or 0
    call = Call(run, stopped)
    pids = {
        "snakemake": call.process.pid,
        "script": call.wait_for(lambda: find(run.folder, script_of(kill.state)), f"job {state}"),
        "rank": call.wait_for(lambda: find(run.folder, rank_of(kill.state)), f"rank of {state}"),
    }
    call.wait_for(lambda: (step_of(state) or 0) > before or None, f"checkpoint in {state}", 0.01)
    orphaned = kill.victim == "snakemake"
    if orphaned:
        os.kill(pids["rank"], signal.SIGSTOP)
    os.kill(pids[kill.victim], signal.SIGKILL)
    assert call.wait() == (-signal.SIGKILL if orphaned else 1)
    run.finished.append(finished_outputs(run.folder))
    if not orphaned:
        run.remaining.append(remaining(run.folder))
        return None
    run_snakemake(["--unlock"], run.folder)
    steps = json.loads((state / "job.json").read_text())["training"]["budget"]["steps"]
    assert before < (step_of(state) or 0) < steps
    assert pids["script"] in processes(run.folder)
    return pids["rank"]
