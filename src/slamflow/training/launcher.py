"""DeepSpeed's launcher on one node, and on each node of an allocation of Slurm.

It is its last step, `deepspeed.launcher.launch`, that is called: the `deepspeed` command would
first import DeepSpeed once more to find out which hosts there are.
"""

import base64
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import slamflow
from slamflow import devices
from slamflow.training import rank, stopping

Places = list[int | str]  # for each rank of a node the GPU it gets, or just its number


def device(machine: Mapping[str, Any]) -> str:
    """The kind of device of the ranks, cpu or cuda.

    Raises:
        ValueError: the machine setting is neither of them, nor auto.
    """
    found = machine.get("device")
    if found in (None, "auto"):
        return "cuda" if devices.found() else "cpu"
    if found not in ("cpu", "cuda"):
        raise ValueError(f"machine setting device: {found!r} is neither cpu nor cuda")
    return str(found)


def places(machine: Mapping[str, Any]) -> Places:
    """An entry for each rank of this node.

    Args:
        machine: `device`; `ranks` of all nodes together (default: all GPUs, one on a CPU); `nodes`.

    Raises:
        ValueError: there are fewer GPUs than ranks.
    """
    ranks = machine.get("ranks")
    each = int(ranks) // nodes(machine) if ranks else None
    if device(machine) == "cpu":
        return list(range(each or 1))
    gpus = devices.visible()
    if (each or 1) > len(gpus):
        raise ValueError(
            f"machine setting ranks: {each or 1} ranks need as many GPUs, not {len(gpus)}; if there"
            f" are more, name them in {devices.VISIBLE}"
        )
    chosen = gpus[: each or len(gpus)]
    return [int(name) if name.isdigit() else name for name in chosen]


def gpus(machine: Mapping[str, Any]) -> contextlib.AbstractContextManager[None]:
    """Inside, no other job of this host has the GPUs of the ranks.

    On several nodes Slurm has seen to that.

    Raises:
        ValueError: there are fewer GPUs than ranks.
    """
    if device(machine) == "cpu" or nodes(machine) > 1:
        return contextlib.nullcontext()
    return devices.taken(len(places(machine)))


def keep_gpus(machine: Mapping[str, Any]) -> None:
    """Have the GPUs of the ranks from now on, for a job that needs them before its ranks do.

    Raises:
        ValueError: there are fewer GPUs than ranks.
    """
    if device(machine) == "cuda" and nodes(machine) == 1:
        devices.keep(len(places(machine)))


def nodes(machine: Mapping[str, Any]) -> int:
    """How many nodes the ranks are spread over."""
    return int(machine.get("nodes") or 1)


def command(job: Path, machine: Mapping[str, Any]) -> list[str]:
    """The command that starts the ranks of the job which the JSON file `job` describes.

    On several nodes it is `srun`, which calls this module on each of them.

    Raises:
        ValueError: several nodes, and no Slurm.
    """
    port = free_port()
    count = nodes(machine)
    if count == 1:
        return _launch(job, [places(machine)], 0, "127.0.0.1", port)
    if "SLURM_JOB_ID" not in os.environ:
        raise ValueError(
            f"machine setting nodes: {count} nodes are what Slurm gives to a job; run Snakemake"
            " with --workflow-profile profiles/slurm, or set `nodes: 1`"
        )
    srun = ["srun", "--overlap", f"--nodes={count}", f"--ntasks={count}", "--ntasks-per-node=1"]
    srun += [f"--cpus-per-task={machine.get('threads') or 1}", "--cpu-bind=none"]
    srun += ["--mem=0", "--kill-on-bad-exit=1"]  # all the memory that the job has on a node
    return [*srun, sys.executable, "-m", __name__, str(job), str(port)]


def environment(machine: Mapping[str, Any], ranks: int) -> dict[str, str]:
    """The variables of a launcher and its `ranks` on this node.

    Args:
        machine: `device`, `nodes`; `threads` of all ranks of a node (default: all cores).
    """
    threads = int(machine.get("threads") or len(os.sched_getaffinity(0)))
    each = str(max(1, threads // ranks))
    source = str(Path(slamflow.__path__[0]).parent)
    inherited = os.environ.get("PYTHONPATH")
    changes = {
        "PYTHONPATH": f"{source}{os.pathsep}{inherited}" if inherited else source,
        "OMP_NUM_THREADS": each,
        "MKL_NUM_THREADS": each,
    }
    if device(machine) == "cpu":
        changes["DS_ACCELERATOR"] = "cpu"
        if nodes(machine) == 1:
            changes["GLOO_SOCKET_IFNAME"] = "lo"
        # Threads that spin while they wait are several times slower on cores that others use too.
        changes["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
    kept = dict(os.environ)
    if nodes(machine) > 1:  # what the job's own step has is not for the step that it starts
        of_slurm = ("SLURM_JOB_ID", "SLURM_CONF", "SLURM_CLUSTER_NAME")
        kept = {k: v for k, v in kept.items() if not k.startswith("SLURM_") or k in of_slurm}
    return {**kept, **changes}


def free_port() -> int:
    """A port of this host that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def _launch(job: Path, world: list[Places], node: int, address: str, port: int) -> list[str]:
    named = {f"node{index}": each for index, each in enumerate(world)}
    info = base64.urlsafe_b64encode(json.dumps(named).encode()).decode()
    found = [sys.executable, "-m", "deepspeed.launcher.launch", f"--world_info={info}"]
    found += [f"--node_rank={node}", f"--master_addr={address}", f"--master_port={port}"]
    return [*found, "--log_level=warning", "--module", "--no_local_rank", rank.__name__, str(job)]


def main(job: Path, port: int) -> None:
    """Become the launcher of this node; `srun` has called this."""
    machine = json.loads(job.read_text(encoding="utf-8"))["machine"]
    world = [places(machine)] * nodes(machine)  # of the others only how many ranks they have counts
    address = os.environ["SLURM_LAUNCH_NODE_IPADDR"]  # of the job's own process, on the first node
    found = _launch(job, world, int(os.environ["SLURM_PROCID"]), address, port)
    with stopping.shielded():
        os.execv(found[0], found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
