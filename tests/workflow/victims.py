"""What the processes of a run are."""

import re
from pathlib import Path


def kind_of(pid: int, found: dict[int, list[str]]) -> str:
    """What a process of a run is: `snakemake`, a job's `shell`, its `script`, and so on."""
    command = found[pid]
    if any(part.endswith("/snakemake") for part in command[:2]):
        return "snakemake"
    if "slamflow.training.rank" in command:
        return "launcher" if "deepspeed.launcher.launch" in command else "rank"
    if command and Path(command[0]).name in ("bash", "sh"):
        return "shell"
    forked = command == found.get(_parent(pid))
    scripts = command[1:2] and command[1].startswith("workflow_scripts/")
    return "script" if scripts and not forked else "worker"


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def job_of(command: list[str]) -> str:
    """What a process works for: a rule, with the name if it has a state; empty if not known."""
    text = " ".join(command)
    found = re.search(r"results/state/(\w+/[\w-]+)", text) or re.search(
        r"workflow_scripts/(\w+)\.py", text
    )
    return found[1] if found else ""
