"""Copies of the checkout, and real Snakemake runs in them."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGET = "results/eval.tsv"
REPORT = "results/report.html"
# All that a run of the workflow reads from the checkout.
PARTS = (
    "Snakefile",
    "config.yaml",
    "envs",
    "profiles",
    "recipes",
    "resources",
    "rules",
    "src",
    "workflow_scripts",
)


def copy_checkout(folder: Path) -> Path:
    """Copy the workflow into the new folder `folder`; modification times are kept."""
    folder.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        elif source.exists():
            shutil.copy2(source, folder / part)
    return folder


def environment() -> dict[str, str]:
    """The environment of a new user's shell: no activated Python, nothing of this test run."""
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    own = str(Path(sys.executable).parent)
    kept["PATH"] = os.pathsep.join(
        folder for folder in kept.get("PATH", os.defpath).split(os.pathsep) if folder != own
    )
    return kept


def snakemake_command(args: Sequence[str]) -> list[str]:
    """The command line that calls the Snakemake of this Python's environment."""
    return [str(Path(sys.executable).parent / "snakemake"), *args]


def run_snakemake(
    args: Sequence[str], folder: Path, check: bool = True, timeout: float = 1200
) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `folder`; its whole output is `stdout`.

    Args:
        check: fail the test if Snakemake fails.
        timeout: seconds after which Snakemake is killed and the test fails.
    """
    done = subprocess.run(
        snakemake_command(args),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    if check and done.returncode:
        pytest.fail(f"snakemake {' '.join(args)} exited with {done.returncode}:\n{done.stdout}")
    return done


@dataclass(frozen=True)
class Job:
    """A job that Snakemake plans: its rule and its outputs."""

    rule: str
    outputs: tuple[str, ...]


def planned_jobs(folder: Path, *args: str, target: str = TARGET) -> set[Job]:
    """The jobs that a dry run of `target` lists."""
    # `--quiet host` undoes the profile's quietness about single jobs.
    text = run_snakemake([target, "-n", "--quiet", "host", *args], folder).stdout
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", text, re.MULTILINE)
    jobs = set()
    for rule, block in blocks:
        output = re.search(r"^ +output: (.*)$", block, re.MULTILINE)
        jobs.add(Job(rule, tuple(output[1].split(", ")) if output else ()))
    return jobs
