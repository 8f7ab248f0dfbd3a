"""Starting the ranks of a training job through DeepSpeed's launcher.

The job's own process stays free of torch. It calls the launcher's last step,
`deepspeed.launcher.launch`, directly: the `deepspeed` command would first import DeepSpeed once
more only to find out that there is one host.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import slamflow
from slamflow import files, logs, runstate
from slamflow.training import budget, rank


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
            visible GPUs, one on a CPU), `threads` (of all ranks together; default: all cores),
            and what `loop.train` and the task itself read.
        label: the stage's name in progress lines.
        started: when the job began, by `time.monotonic`, for a budget in hours; default: now.

    Raises:
        ValueError: a user's error in a rank.
        RuntimeError: a rank failed otherwise; its traceback is in the log.
    """
    if state.restore(outputs):
        return
    if budget.untrained(training):
        _export_untrained(task, arguments, state, machine, label)
    else:
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
    device, places = _places(machine)
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
        "device": device,
        "owner": os.getpid(),
        "origin": state.origin(),
        "started": started,
    }
    files.write_json(description, job)
    world = base64.urlsafe_b64encode(json.dumps({"localhost": places}).encode()).decode()
    command = [sys.executable, "-m", "deepspeed.launcher.launch", f"--world_info={world}"]
    command += [f"--master_port={_free_port()}", "--log_level=warning"]
    command += ["--module", "--no_local_rank", rank.__name__, str(job)]
    logs.info(f"starts {len(places)} rank(s): {' '.join(command)}")
    with subprocess.Popen(command, env=_environment(machine, device, len(places))) as launcher:
        try:
            status = launcher.wait()
        except BaseException:
            launcher.terminate()
            raise
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


def _device(machine: Mapping[str, Any]) -> str:
    device = machine.get("device")
    if device in (None, "auto"):
        return "cuda" if _gpus() else "cpu"
    if device not in ("cpu", "cuda"):
        raise ValueError(f"machine setting device: {device!r} is neither cpu nor cuda")
    return str(device)


def _gpus() -> list[str]:
    """The GPUs this process may use, without loading their libraries."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    present = [path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*")]
    return sorted((name for name in present if name.isdigit()), key=int)


def _places(machine: Mapping[str, Any]) -> tuple[str, list[int | str]]:
    """The kind of device, and an entry for each rank: the GPU it gets, or just its number."""
    ranks = machine.get("ranks")
    device = _device(machine)
    if device == "cpu":
        return device, list(range(int(ranks or 1)))
    gpus = _gpus()
    if int(ranks or 1) > len(gpus):
        raise ValueError(f"machine setting ranks: {ranks} ranks need as many GPUs, not {len(gpus)}")
    chosen = gpus[: int(ranks or len(gpus))]
    return device, [int(name) if name.isdigit() else name for name in chosen]


def _environment(machine: Mapping[str, Any], device: str, ranks: int) -> dict[str, str]:
    threads = int(machine.get("threads") or len(os.sched_getaffinity(0)))
    each = str(max(1, threads // ranks))
    source = str(Path(slamflow.__path__[0]).parent)
    inherited = os.environ.get("PYTHONPATH")
    changes = {
        "PYTHONPATH": f"{source}{os.pathsep}{inherited}" if inherited else source,
        "OMP_NUM_THREADS": each,
        "MKL_NUM_THREADS": each,
    }
    if device == "cpu":
        changes |= {"DS_ACCELERATOR": "cpu", "GLOO_SOCKET_IFNAME": "lo"}
        # Threads that spin while they wait are several times slower on cores that others use too.
        changes["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
    return {**os.environ, **changes}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _failure(error: Path, label: str, status: int) -> Exception:
    if not error.exists():
        number = -status if status < 0 else 256 - status  # as the launcher passes it on
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
