"""A training job: its ranks, which DeepSpeed's launcher starts, and what came of them.

The job's own process stays free of torch.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slamflow import files, logs, runstate
from slamflow.training import budget, launcher, rank, stopping


def outputs(folder: Path, *more: str) -> dict[str, Path]:
    """File name -> path of what a training job makes in a model's folder."""
    names = (*more, "config.json", "training.parquet", "card.md", "model.safetensors")
    return {name: folder / name for name in names}


def train(
    task: str,
    arguments: Mapping[str, Any],
    training: Mapping[str, Any],
    outputs: Mapping[str, Path],
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
    started: float | None = None,
) -> None:
    """Have `outputs` in their places: finished earlier, or trained now from the last checkpoint on.

    With `budget: {steps: 0}` the task is made and exported in this process, untrained.

    Args:
        task: `module:function`; called as `function(arguments, place)` in every rank, it returns
            a `loop.Task`, whose `export` writes the outputs.
        arguments: plain data; paths as strings.
        training: the block of that name.
        outputs: file name -> path.
        state: entered.
        machine: `device` (cpu or cuda; default: cuda where there is one), `ranks` (default: all
            visible GPUs, one on a CPU), `nodes` of an allocation of Slurm that these are spread
            over (1), `threads` (of all ranks of a node; default: all cores), and what
            `loop.train` and the task itself read.
        label: the stage's name in progress lines.
        started: when the job began, by `time.monotonic`, for a budget in hours; default: now.

    Raises:
        ValueError: a user's error in a rank.
        RuntimeError: a rank failed otherwise; its traceback is in the log.
        InterruptedError: the job was signalled and has made a checkpoint; see `stopping`.
    """
    if state.restore(outputs):
        return
    if budget.untrained(training):
        _export_untrained(task, arguments, state, machine, label)
    else:
        with launcher.gpus(machine):
            began = time.monotonic() if started is None else started
            _launch(task, arguments, training, state, machine, label, began)
    state.finish(outputs)


def _launch(
    task: str,
    arguments: Mapping[str, Any],
    training: Mapping[str, Any],
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
    started: float,
) -> None:
    latest = state.latest()
    job = state.folder.absolute() / "job.json"
    error = job.with_name(rank.ERROR)
    error.unlink(missing_ok=True)
    description = {
        "task": task,
        "arguments": arguments,
        "training": training,
        "machine": machine,
        "label": label,
        "checkpoint": str(latest[1].absolute()) if latest else None,
        "device": launcher.device(machine),
        "host": socket.gethostname(),
        "owner": os.getpid(),
        "key": state.owner,
        "origin": state.origin(),
        "started": started,
    }
    files.write_json(description, job)
    command, nodes = launcher.command(job, machine), launcher.nodes(machine)
    ranks = len(launcher.places(machine))
    variables = launcher.environment(machine, ranks)
    spread = f" on each of {nodes} nodes" if nodes > 1 else ""
    logs.info(f"starts {ranks} rank(s){spread}: {' '.join(command)}")
    with stopping.listening(state.folder):
        with stopping.shielded():
            process = subprocess.Popen(command, env=variables)
        with process:
            try:
                status = process.wait()
            except BaseException:
                # on which a launcher ends its ranks, and srun those of all nodes
                process.send_signal(signal.SIGINT if nodes == 1 else signal.SIGTERM)
                raise
        stopping.end(state, label, latest[0] if latest else 0)
    logs.info(f"the ranks ended after {time.monotonic() - started:.1f} s")
    if status:
        raise _failure(error, label, status)


def _export_untrained(
    task: str,
    arguments: Mapping[str, Any],
    state: runstate.RunState,
    machine: Mapping[str, Any],
    label: str,
) -> None:
    from slamflow.tables import training as training_table

    place = rank.Place(0, 1, "cpu", None, machine, label, state.origin())
    made = rank.make(task, arguments, place)
    made.export(made.model.eval(), training_table.schema(made.measures).empty_table())


def _failure(error: Path, label: str, status: int) -> Exception:
    # a look at the folder first: NFS remembers for a while that a file was not there
    if error.name not in os.listdir(error.parent):
        # negative as a launcher passes it on, and above 128 as srun does
        number = -status if status < 0 else 256 - status if status > 192 else status - 128
        if number in (signal.SIGKILL, signal.SIGTERM):
            return RuntimeError(
                f"{label}: was ended by signal {number}; if nobody sent it, memory ran out:"
                " set a smaller micro_batch"
            )
        return RuntimeError(f"{label}: a rank ended with status {status}")
    found = json.loads(error.read_text(encoding="utf-8"))
    if found["user"]:
        return ValueError(found["error"])
    return RuntimeError(f"{label}: rank {found['rank']} failed: {found['error']}")
