"""`crumb` runs whole on Slurm, with the same results as on this host."""

import os
from pathlib import Path

import pytest
from cluster import Cluster
from observing import finished_jobs, weights
from running import TARGET, copy_checkout, run_snakemake
from submitting import submitted, tell_partitions

from slamflow.config.plan import Plan

RECIPE = ("--config", "recipe=crumb")


@pytest.mark.slow  # sixty jobs, each of which starts Snakemake twice
def test_the_results_are_the_same(cluster: Cluster, tmp_path: Path) -> None:
    here = copy_checkout(tmp_path.resolve() / "here")
    run_snakemake(["--cores", "all", TARGET, *RECIPE], here)
    there = copy_checkout(tmp_path.resolve() / "there")
    tell_partitions(there)
    # half of the cores of this host, which is what it gets without Slurm: sums depend on it
    threads = ["--set-threads", f"align_model={Plan.half(os.cpu_count())}"]
    with submitted(cluster, there, [TARGET, "--jobs", "4", *threads, *RECIPE]) as call:
        text = call.wait()
    for name in ("eval.tsv", "comparisons.tsv"):
        made = (there / "results" / name).read_bytes()
        assert made and made == (here / "results" / name).read_bytes()
    found, wanted = weights(there), weights(here)
    assert found.keys() == wanted.keys()
    assert not [path for path in found if found[path] != wanted[path]]
    assert finished_jobs(there) == finished_jobs(here)
    assert (
        text.count("has been submitted") == sum(finished_jobs(there).values()) - 1
    )  # collect_scores
