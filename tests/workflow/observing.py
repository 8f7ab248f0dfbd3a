"""What a run of the workflow left behind and which of its processes still live."""

import base64
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from slamflow.runstate import RunState

Stamps = dict[str, tuple[int, int]]


def script_of(state: Path) -> Callable[[list[str]], bool]:
    script = f"workflow_scripts/{state.parent.name}.py"
    return lambda command: command[1:2] == [script] and str(state) in command


def rank_of(state: Path) -> Callable[[list[str]], bool]:
    return lambda command: (
        command[2:4] == ["-m", "slamflow.training.rank"]
        and command[-1].endswith(str(state / "job.json"))
    )


def find(folder: Path, wanted: Callable[[list[str]], bool]) -> int | None:
    """The process of a run whose command line is `wanted`."""
    return next((pid for pid, command in processes(folder).items() if wanted(command)), None)


def processes(folder: Path) -> dict[int, list[str]]:
    """The living processes that work in `folder` or were started for it: their command lines."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            place = os.readlink(entry / "cwd")
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            variables = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:  # ended, or somebody else's
            continue
        if any(str(folder) in text for text in (place, command, variables)):
            found[int(entry.name)] = command.split("\0")[:-1]
    return found


def remaining(folder: Path) -> dict[int, list[str]]:
    """What still runs although Snakemake has ended; launchers look for dead ranks once a second."""
    end = time.monotonic() + 20
    while (found := processes(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def step_of(state: Path) -> int | None:
    """The step of the newest complete checkpoint."""
    latest = RunState(state, {}, [], "").latest()
    return latest[0] if latest else None


def stamps(folder: Path) -> Stamps:
    """Inode and modification time of each output of a rule."""
    found = {}
    for path in (folder / "results").glob("*/**/*"):
        name = path.relative_to(folder)
        if name.parts[1] not in ("logs", "timings", "state") and not name.name.startswith("."):
            status = path.stat()
            if path.is_file():
                found[str(name)] = (status.st_ino, status.st_mtime_ns)
    return found


def finished_outputs(folder: Path) -> Stamps:
    """The outputs of jobs that Snakemake knows to be finished."""
    found = stamps(folder)
    for marker in (folder / ".snakemake" / "incomplete").iterdir():
        found.pop(base64.urlsafe_b64decode(marker.name).decode(), None)
    return found


def finished_jobs(folder: Path) -> Counter[str]:
    """How many jobs of each rule were done, in all calls of Snakemake together."""
    logs = (folder / ".snakemake" / "log").glob("*.log")
    text = "".join(path.read_text() for path in logs)
    return Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", text, re.MULTILINE))


def weights(folder: Path) -> dict[str, bytes]:
    paths = [*(folder / "results").glob("*/*/model.safetensors")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def log(folder: Path, state: Path) -> str:
    """The log of the job that has this state folder."""
    return (folder / "results" / "logs" / f"{state.relative_to('results/state')}.log").read_text()
