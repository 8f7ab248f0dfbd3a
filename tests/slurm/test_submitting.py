"""What Slurm is asked for, and what a user is told when it refuses a job, or when a job fails."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cluster import Cluster
from submitting import MODEL, Call, copy_run, submitted

SMALL = "results/text/crumb-syntactic.parquet"
REFUSED = "results/tokenisers/crumb-mfcc/kmeans.safetensors"
DAMAGED = "results/packed/crumb-phones.parquet"
FAULTS = ["generate_text:mem_mb=60", "fit_kmeans:slurm_partition=nowhere"]


@pytest.fixture(scope="module")
def terminal(cluster: Cluster, undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a user sees of three jobs, each with a fault of its own."""
    folder = copy_run(undisturbed, tmp_path_factory.mktemp("failed") / "checkout", "models")
    (folder / DAMAGED).write_bytes(b"PAR1, and no more than that")
    options = ["--set-resources", *FAULTS, "--allowed-rules", "generate_text", "fit_kmeans"]
    targets = [SMALL, REFUSED, MODEL]
    with submitted(cluster, folder, [*targets, *options, "pretrain_model"], look=16) as call:
        call.wait(1)
        return call.terminal.read_text()


def error(terminal: str, job: str) -> str:
    """What is said about a failed job; it is one line."""
    found = re.findall(rf"^error: {job}: (.*)$", terminal, re.MULTILINE)
    assert len(found) == 1, terminal
    return str(found[0])


def test_too_little_memory(terminal: str) -> None:
    said = error(terminal, "generate_text crumb-syntactic")
    assert "took more memory than it asked for" in said
    assert "--set-resources generate_text:mem_mb=MEGABYTES" in said


def test_a_partition_that_is_not_there(terminal: str) -> None:
    assert "invalid partition specified: nowhere" in error(terminal, "fit_kmeans crumb-mfcc")


def test_a_stage_s_own_error(terminal: str) -> None:
    assert DAMAGED in error(terminal, "pretrain_model crumb-topline")


def test_nothing_else_is_said(terminal: str) -> None:
    assert len(re.findall(r"^error: ", terminal, re.MULTILINE)) == 3
    assert not re.search(r"Traceback|Warning|workflow_scripts", terminal)


@pytest.fixture(scope="module")
def waiting(
    cluster: Cluster, undisturbed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Call, str]]:
    """A call whose job, a training on two GPUs, waits in the queue; and the job's number."""
    folder = copy_run(undisturbed, tmp_path_factory.mktemp("waiting").resolve() / "all", "models")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["device"] = "cuda"
    config["models"]["crumb-topline"]["training"]["ranks"] = 2
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    cluster.run("scontrol", "update", "partitionname=gpu", "state=down")
    try:
        with submitted(cluster, folder, [MODEL]) as call:
            yield call, call.wait_for(lambda: pending(cluster), "job")
    finally:
        cluster.run("scontrol", "update", "partitionname=gpu", "state=up")


def pending(cluster: Cluster) -> str | None:
    return next((job for job, (state, _) in cluster.jobs().items() if state == "PENDING"), None)


def test_a_training_asks_for_what_its_rule_says(
    cluster: Cluster, waiting: tuple[Call, str]
) -> None:
    call, job = waiting
    pairs = cluster.run("scontrol", "--oneliner", "show", "job", job).split()
    asked = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    assert asked["Partition"] == "gpu"
    assert asked["TresPerJob"] in ("gres:gpu:2", "gres/gpu:2")
    assert asked["MinMemoryNode"] == "11000M"
    assert asked["CPUs/Task"] == "8"
    assert asked["TimeLimit"] == "1-00:00:00"
    assert asked["Requeue"] == "1"
    assert asked["WorkDir"] == str(call.folder)


def test_control_c_cancels_the_jobs(cluster: Cluster, waiting: tuple[Call, str]) -> None:
    call, job = waiting
    call.process.send_signal(signal.SIGINT)
    call.wait(1)
    assert cluster.jobs()[job][0] == "CANCELLED"
