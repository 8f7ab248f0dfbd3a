"""Time what Snakemake needs before a job starts: reading the workflow, and planning all jobs.

    python speed/planning.py                     # the recipes below
    python speed/planning.py slam hubert_base

Each is a dry run of all jobs in this checkout, three times; the medians count. The last row reads
the workflow for one job, as each job of a cluster does. It prints a table in Markdown.
"""

import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from slamflow import provenance

ROOT = Path(__file__).resolve().parents[1]
RECIPES = ("pocket", "pocket_full", "ablations", "slam", "slam_scaled", "slam_data")
ONE = "results/text/stories.parquet"
TURNS = 3


def main() -> None:
    print("| recipe | jobs | wall (s) | CPU (s) |")
    print("|---|---|---|---|")
    for recipe in sys.argv[1:] or RECIPES:
        _show(recipe, [_plan(recipe, "results/eval.tsv") for _ in range(TURNS)])
    _show(f"one job of {RECIPES[0]}", [_plan(RECIPES[0], ONE) for _ in range(TURNS)])
    versions = provenance.versions(["snakemake"])
    cores, commit = os.cpu_count(), provenance.git_commit(ROOT)
    print(
        f"\nPython {versions['python']}, Snakemake {versions['snakemake']}, {cores} cores, {commit}"
    )


def _plan(recipe: str, target: str) -> tuple[int, float, float]:
    """Jobs, wall and CPU seconds of a dry run."""
    command = [sys.executable, "-m", "snakemake", target, "-n", "--forceall"]
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, "--config", f"recipe={recipe}"],
        cwd=ROOT,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = [line.split() for line in done.stdout.splitlines()]
    return next(int(line[1]) for line in lines if line[:1] == ["total"]), wall, cpu


def _show(name: str, turns: list[tuple[int, float, float]]) -> None:
    walls, cpus = ([turn[place] for turn in turns] for place in (1, 2))
    print(f"| {name} | {turns[0][0]} | {statistics.median(walls):.1f}", end=" ")
    print(f"| {statistics.median(cpus):.1f} |", flush=True)


if __name__ == "__main__":
    main()
