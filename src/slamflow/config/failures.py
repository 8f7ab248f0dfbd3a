"""What became of jobs on a cluster, in one line each.

Such a job prints to a file of its own, and a quiet Snakemake says only that some job failed.
"""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

LOGS = "results/logs/"
# In what the executor says, or in what Slurm itself wrote into the file of a job.
MEMORY = re.compile(
    r"OUT_OF_MEMORY|^(slurmstepd|srun).*(oom.kill|out of memory|exceeded.* memory limit)",
    re.IGNORECASE | re.MULTILINE,
)
TIME = re.compile(r"'TIMEOUT'|^(slurmstepd|srun).*due to time limit", re.IGNORECASE | re.MULTILINE)
SAID = re.compile(r"^error: (.*)$", re.MULTILINE)  # by a stage: see `logs.capture`
REFUSED = re.compile(r"sbatch: error: (.*?)(?='\.$|$)", re.MULTILINE)


class Failures(logging.Handler):
    """Prints a line to the terminal when a job that was submitted to a cluster has failed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a record of Snakemake's log."""
        message = getattr(record, "rule_msg", None)
        if message is None or str(getattr(record, "event", "")) != "job_error":
            return  # no failure, or one of a job of this host, which has said so itself
        paths = [Path(path) for path in getattr(record, "log", [])]
        print(line(str(getattr(record, "rule_name", "")), str(message), paths), file=sys.stderr)


def line(rule: str, message: str, paths: Sequence[Path]) -> str:
    """Why a job failed, and what to do.

    Args:
        rule: its rule.
        message: what the executor says.
        paths: the job's log, and then, if it was submitted, the file with all that it printed.
    """
    own = str(paths[0]).removeprefix(LOGS).removesuffix(".log") if paths else rule
    beginning = f"error: {own.replace('/', ' ', 1)}: "
    printed = _content(paths[-1]) if len(paths) > 1 else ""
    end = f" (see {os.path.relpath(paths[-1])})" if printed else ""
    if MEMORY.search(message) or MEMORY.search(printed):
        option = f"--set-resources {rule}:mem_mb=MEGABYTES"
        return f"{beginning}took more memory than it asked for; ask for more with {option}{end}"
    if TIME.search(message) or TIME.search(printed):
        option = f"--set-resources {rule}:runtime=MINUTES"
        return f"{beginning}reached its time limit; ask for more with {option}{end}"
    if said := SAID.findall(printed):
        return f"{beginning}{said[-1]}"
    refused = "; ".join(REFUSED.findall(message))
    reason = refused or " ".join(message.partition("For further error")[0].split())
    return f"{beginning}{reason or 'failed'}{end}"


def _content(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""
