"""The jobs of a config, as Snakemake itself plans them."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """A job: its rule, wildcards, threads and GPUs, and paths as the rule names them."""

    rule: str
    wildcards: dict[str, str]
    threads: int
    gpus: int
    outputs: tuple[str, ...]
    timing: str


def jobs(targets: Sequence[str], given: Mapping[str, Any], cores: int | None = None) -> list[Job]:
    """All jobs behind targets, done ones too: a dry run in the working directory, a checkout.

    Args:
        given: what Snakemake got by `--configfile` and `--config`. Jobs ask for GPUs only with
            `device: cuda`, or where there is one.
        cores: threads of a job are at most as many; None: as many as its rule wants.

    Raises:
        ValueError: Snakemake refuses; its own words.
    """
    command = [sys.executable, "-m", "snakemake", *targets, "-n", "--forceall", "--nocolor"]
    command += ["--profile", "none", "--workflow-profile", "none", "--quiet", "host"]
    command += ["--cores", str(cores)] if cores else []
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(given, file)
        file.flush()
        done = subprocess.run(
            [*command, "--configfile", file.name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().rsplit("\n\n", 1)[-1]
        raise ValueError(f"the jobs of {' '.join(targets)} cannot be planned: {said}")
    return [_job(*found) for found in re.findall(_BLOCK, done.stdout + done.stderr, re.MULTILINE)]


_BLOCK = r"^(?:local)?rule (\w+):\n((?: +\S.*\n)+)"


def _job(rule: str, block: str) -> Job:
    lines = dict(re.findall(r"^ +(\w+): (.*)$", block, re.MULTILINE))
    return Job(
        rule,
        dict(_pairs(lines.get("wildcards", ""))),
        int(lines.get("threads", 1)),
        int(dict(_pairs(lines.get("resources", ""))).get("gpu", 0)),
        tuple(lines.get("output", "").split(", ")),
        lines.get("benchmark", ""),
    )


def _pairs(line: str) -> list[list[str]]:
    return [pair.split("=", 1) for pair in line.split(", ") if pair]
