"""What Slurm is asked for, and what a user is told when it refuses a job, or when a job fails."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def waiting(
    cluster: Cluster, undisturbed: Path, folder: Path, **training: int
) -> Iterator[tuple[Call, str]]:
    """A call whose job, a training on GPUs, waits in the queue; and the job's number."""
    copy_run(undisturbed, folder, "models")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["device"] = "cuda"
    config["models"]["crumb-topline"]["training"].update(training)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    cluster.run("scontrol", "update", "partitionname=gpu", "state=down")
    try:
        with submitted(cluster, folder, [MODEL]) as call:
            yield call, call.wait_for(lambda: pending(cluster), "job")
    finally:
        cluster.run("scontrol", "update", "partitionname=gpu", "state=up")


def pending(cluster: Cluster) -> str | None:
    return next((job for job, (state, _) in cluster.jobs().items() if state == "PENDING"), None)


def asked(cluster: Cluster, job: str) -> dict[str, str]:
    """What a job has asked Slurm for."""
    pairs = cluster.run("scontrol", "--oneliner", "show", "job", job).split()
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_a_training_asks_for_what_its_rule_says_until_control_c(
    cluster: Cluster, undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path.resolve() / "checkout"
    with waiting(cluster, undisturbed, folder, ranks=2) as (call, job):
        found = asked(cluster, job)
        call.process.send_signal(signal.SIGINT)
        call.wait(1)
        assert cluster.jobs()[job][0] == "CANCELLED"
    assert found["Partition"] == "gpu"
    assert found["TresPerJob"] in ("gres:gpu:2", "gres/gpu:2")
    assert found["MinMemoryNode"] == "11000M"
    assert found["CPUs/Task"] == "8"
    assert found["TimeLimit"] == "1-00:00:00"
    assert found["Requeue"] == "1"
    assert found["WorkDir"] == str(folder)


def test_several_nodes_each_have_their_gpus(
    cluster: Cluster, undisturbed: Path, tmp_path: Path
) -> None:
    with waiting(cluster, undisturbed, tmp_path / "checkout", ranks=4, nodes=2) as (_, job):
        found = asked(cluster, job)
    assert found["NumNodes"] in ("2", "2-2")
    assert found["TresPerNode"] in ("gres:gpu:2", "gres/gpu:2")
    assert found["Partition"] == "gpu"
