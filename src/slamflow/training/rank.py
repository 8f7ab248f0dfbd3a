"""One rank of a training job: the process that DeepSpeed's launcher starts.

It imports nothing heavy before it is bound to the life of its launcher.
"""

import contextlib
import importlib
import json
import math
import os
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slamflow import devices, disks, logs, orphans, runstate
from slamflow.training import stopping

ERROR = "error.json"  # in the state folder: what ended the first rank that failed


@dataclass(frozen=True)
class Place:
    """Where a rank runs.

    Attributes:
        rank: its index among `ranks`.
        device: `cpu` or `cuda:<index>`.
        checkpoint: the complete checkpoint to go on from.
        machine: the machine settings.
        label: names the stage in progress lines, as in `pretrain_model slm`.
        origin: what the job is made from, for the card: see `RunState.origin`.
        started: when the job began, by this machine's `time.monotonic`.
    """

    rank: int
    ranks: int
    device: str
    checkpoint: Path | None
    machine: Mapping[str, Any]
    label: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def micro_batch(self, most: int, batch: int) -> int:
        """How much of a global `batch` is in memory at once, at most; see `order.parts`.

        What the machine says, else an equal share for each rank, cut where `most` is exceeded.
        """
        share = math.ceil(batch / self.ranks)
        return int(self.machine.get("micro_batch") or max(1, min(most, share)))


def make(task: str, arguments: Mapping[str, Any], place: Place) -> Any:
    """The task that `module:function` makes; it seeds what it draws itself."""
    module, name = task.split(":")
    return getattr(importlib.import_module(module), name)(arguments, place)


def main(path: Path) -> None:
    """Run the job described by the JSON file `path`, as `launch.train` wrote it."""
    job = json.loads(path.read_text(encoding="utf-8"))
    stopping.shield()
    # on another node, Slurm ends all with the job, and the launcher is what can be watched
    here = job["host"] == socket.gethostname()
    orphans.die_with(job["owner"] if here else os.getppid())
    state = runstate.Follow(path.parent, job["key"])
    try:
        _train(job, state)
    except Exception as error:
        logs.trace()
        known = disks.describe(error)
        text = f"{job['label']}: {known}" if known else logs.describe(error)
        user = bool(known) or isinstance(error, ValueError)
        # there is one, of another rank, or the disk is full
        with contextlib.suppress(OSError), (path.parent / ERROR).open("x") as stream:
            json.dump({"rank": os.environ["RANK"], "error": text, "user": user}, stream)
        os._exit(1)  # other ranks may never answer; the launcher ends them
    state.close()


def _train(job: Mapping[str, Any], state: runstate.Follow) -> None:
    import torch

    from slamflow.training import loop

    device = job["device"]
    if device == "cpu":
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.use_deterministic_algorithms(True, warn_only=True)
    else:
        devices.join()
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    place = Place(
        rank=int(os.environ["RANK"]),
        ranks=int(os.environ["WORLD_SIZE"]),
        device=device,
        checkpoint=Path(job["checkpoint"]) if job["checkpoint"] else None,
        machine=job["machine"],
        label=job["label"],
        origin=job["origin"],
        started=job["started"],
    )
    loop.train(make(job["task"], job["arguments"], place), job["training"], place, state)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
