"""Runs of the workflow whose jobs go to a Slurm of the test's own."""

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import yaml
from cluster import Cluster
from running import environment, snakemake_command

STATE = Path("results/state/pretrain_model/crumb-topline")
MODEL = "results/models/crumb-topline/model.safetensors"
PARTITIONS = {"cpu": {"max_threads": 32}, "gpu": {"max_threads": 32, "max_gpu": 2}}

Found = TypeVar("Found")

PATIENCE = 3000.0  # seconds for one event; on an idle machine `crumb` takes some five minutes
# The first look at a job is after so many seconds, and each in vain puts off the next by ten.
LOOK = "--slurm-init-seconds-before-status-checks"


class Call:
    """Snakemake with `profiles/slurm`, running in a checkout."""

    def __init__(self, cluster: Cluster, folder: Path, args: Sequence[str], look: int = 8) -> None:
        self.folder = folder
        self.terminal = folder / f"terminal-{time.monotonic_ns()}.txt"
        options = ["--workflow-profile", "profiles/slurm", LOOK, str(look)]
        with self.terminal.open("w") as stream:
            self.process = subprocess.Popen(
                snakemake_command([*args, *options]),
                cwd=folder,
                env=cluster.environment(environment()),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                # as in a terminal, also where these tests run in the background of a shell
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def wait_for(self, look: Callable[[], Found | None], what: str) -> Found:
        """What `look` finds, as soon as it finds something; the call must run until then."""
        end = time.monotonic() + PATIENCE
        while (found := look()) is None:
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"no {what}:\n{self.text()}")
            time.sleep(0.05)
        return found

    def wait(self, status: int = 0) -> str:
        """Wait for the end of Snakemake, with this status; what it printed."""
        found = self.process.wait(timeout=PATIENCE)
        assert found == status, self.text()
        return self.text()

    def text(self) -> str:
        """What Snakemake has printed, and what its jobs have."""
        jobs = (self.folder / ".snakemake" / "slurm_logs").rglob("*.log")
        return "\n".join(path.read_text() for path in (self.terminal, *jobs))


@contextmanager
def submitted(cluster: Cluster, folder: Path, args: Sequence[str], look: int = 8) -> Iterator[Call]:
    """A call of Snakemake; at the end of the block nothing of it is left, nor of its jobs."""
    call = Call(cluster, folder, args, look)
    try:
        yield call
    finally:
        if call.process.poll() is None:
            call.process.kill()
            call.process.wait()
        cluster.cancel()


def copy_run(finished: Path, folder: Path, *without: str) -> Path:
    """A copy of a finished checkout without some of its results, as if they had never been made."""
    shutil.copytree(finished, folder, symlinks=True)
    for name in ("state", *without):
        path = folder / "results" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return folder


def tell_partitions(folder: Path) -> None:
    """Write down the partitions of the test's Slurm, as a user would those of a cluster."""
    path = folder / "profiles" / "slurm" / "partitions.yaml"
    path.write_text(yaml.safe_dump({"partitions": PARTITIONS}))


def error(terminal: str) -> str:
    """The one line about a failure; nobody is shown a traceback or a command."""
    found = re.findall(r"^error: .*$", terminal, re.MULTILINE)
    assert len(found) == 1, terminal
    assert "Traceback" not in terminal and "workflow_scripts" not in terminal
    return str(found[0])
