"""Stopping a training in order: a signal makes a checkpoint, and then the job ends.

Slurm signals all processes of a job, a user perhaps only one. So the job's own process listens and
leaves a file in the state folder; rank 0 looks for it, and the ranks end together.
"""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from slamflow import files, logs, runstate

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # of preemption, and of a time limit that is near
STOP = "stop.json"  # in the state folder: the signal
STOPPED = "stopped.json"  # the ranks' answer: the step of their checkpoint, and all steps
JOB = "SLAMFLOW_SLURM_JOB"  # the number of the Slurm job that Snakemake has made of this job
KILL_WAIT = 600.0  # seconds that Slurm may take to end a job that it has signalled


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[None]:
    """Inside, a signal asks the ranks that have the state folder `folder` to stop.

    To be entered by the main thread of the job's own process.
    """
    for name in (STOP, STOPPED):
        (folder / name).unlink(missing_ok=True)

    def ask(number: int, frame: FrameType | None) -> None:
        if not (folder / STOP).exists():  # a time limit's warning is followed by SIGTERM
            files.write_json({"signal": number}, folder / STOP)
            logs.info(f"{signal.Signals(number).name}: a checkpoint, then the end")

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def shielded() -> Iterator[None]:
    """Inside, processes are started that never get such a signal.

    DeepSpeed's launcher would end its ranks at once.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def shield() -> None:
    """Keep such signals from this rank, but for those of its launcher, which end it.

    To be called before there are other threads.
    """
    launcher = os.getppid()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

    def wait() -> None:
        while True:
            found = signal.sigwaitinfo(SIGNALS)
            if found.si_signo == signal.SIGTERM and found.si_pid == launcher:
                os._exit(1)  # another rank has failed

    threading.Thread(target=wait, name="shield", daemon=True).start()


def asked(folder: Path) -> bool:
    """Whether the job was signalled."""
    return (folder / STOP).exists()


def answer(folder: Path, step: int, steps: int) -> None:
    """Say that the ranks end, with a checkpoint of `step` of `steps`."""
    files.write_json({"step": step, "steps": steps}, folder / STOPPED)


def end(state: runstate.RunState, label: str, first: int) -> None:
    """End the job if its ranks have stopped; before a time limit, Slurm queues it again.

    Args:
        state: released, if Slurm ends the job: the next one may begin before.
        label: the stage's name.
        first: the step that the ranks began after.

    Raises:
        InterruptedError: they have stopped.
    """
    folder = state.folder
    if not (folder / STOPPED).exists():
        return
    found = json.loads((folder / STOPPED).read_text(encoding="utf-8"))
    number = json.loads((folder / STOP).read_text(encoding="utf-8"))["signal"]
    stopped = (
        f"{label}: stopped by {signal.Signals(number).name}, with a checkpoint of step"
        f" {found['step']} of {found['steps']}"
    )
    slurm = os.environ.get(JOB)
    if not slurm:
        raise InterruptedError(f"{stopped}; the same command goes on from there")
    if number == signal.SIGUSR1 and found["step"] == first:
        raise InterruptedError(
            f"{stopped}, which is not one more than before: the time limit is too short;"
            " raise the rule's `runtime`"
        )
    for each in SIGNALS:  # the folder is no longer its own
        signal.signal(each, signal.SIG_IGN)
    state.release()
    if number == signal.SIGUSR1:
        _requeue(slurm, stopped)
    _wait_for_the_end(stopped)


def _requeue(slurm: str, stopped: str) -> None:
    logs.say(f"{stopped}, before its time limit; Slurm queues job {slurm} again")
    try:
        done = subprocess.run(["scontrol", "requeue", slurm], capture_output=True, text=True)
        fault = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        fault = logs.describe(error)
    if fault:
        raise InterruptedError(
            f"{stopped}; Slurm does not queue it again ({fault}): the same command goes on from"
            " there"
        )


def _wait_for_the_end(stopped: str) -> NoReturn:
    """Let Slurm end the job: one that ends itself has failed and is not queued again."""
    logs.info(f"{stopped}; waits for Slurm to end the job")
    time.sleep(KILL_WAIT)
    raise InterruptedError(f"{stopped}; the same command goes on from there")
