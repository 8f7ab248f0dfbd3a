"""A training on Slurm that is preempted, whose node dies, and whose Snakemake is killed."""

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cluster import Cluster
from observing import find, log, rank_of, step_of
from running import run_snakemake
from submitting import MODEL, STATE, Call, copy_run, submitted

BEGUN = re.compile(r"(?:goes on after step (\d+) of 300\n.*)?ready to train", re.DOTALL)


@dataclass
class Disturbed:
    """What was seen of a training, and where.

    Attributes:
        folder: its checkout.
        nodes: where it ran, one after the other.
        steps: the newest checkpoint at each disturbance.
        logs: the log of each copy that went on.
        terminals: what each call of Snakemake printed.
        jobs: the states of both jobs at the end.
    """

    folder: Path
    nodes: list[str] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    terminals: list[str] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def disturbed(
    cluster: Cluster, undisturbed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Disturbed]:
    """A training that is disturbed three times, each time after it has gone on."""
    folder = copy_run(undisturbed, tmp_path_factory.mktemp("slurm") / "checkout", "models")
    run = Disturbed(folder.resolve())
    with submitted(cluster, run.folder, [MODEL]) as call:
        job = in_the_middle(call, cluster, run)
        cluster.run("scontrol", "requeue", job)
        job = in_the_middle(call, cluster, run)
        cluster.kill_node(run.nodes[-1])
        cluster.run("scontrol", "update", f"nodename={run.nodes[-1]}", "state=down", "reason=dead")
        try:
            in_the_middle(call, cluster, run)
            rank = call.wait_for(lambda: find(run.folder, rank_of(STATE)), "rank")
            os.kill(rank, signal.SIGSTOP)
            call.process.kill()
            call.process.wait()
            run.terminals.append(call.terminal.read_text())
            run_snakemake(["--unlock"], run.folder)
            assert cluster.running() == job
            with submitted(cluster, run.folder, [MODEL], look=20) as second:
                second.wait_for(lambda: "waiting for another copy" in second.text() or None, "copy")
                os.kill(rank, signal.SIGCONT)
                second.wait()
                run.terminals.append(second.terminal.read_text())
                run.logs.append(log(run.folder, STATE))
                found = cluster.jobs().items()
                run.jobs = [state for number, (state, _) in found if int(number) >= int(job)]
        finally:
            cluster.start_node(run.nodes[1])
    yield run


def in_the_middle(call: Call, cluster: Cluster, run: Disturbed) -> str:
    """Wait until the training goes on, with a new checkpoint; the number of its job."""
    restarts = len(run.steps)
    job = call.wait_for(lambda: running(cluster, restarts), f"job with {restarts} restarts")
    call.wait_for(lambda: find(run.folder, rank_of(STATE)), "rank")
    begun = call.wait_for(lambda: BEGUN.search(log(run.folder, STATE)), "training")
    first = int(begun[1] or 0)
    step = call.wait_for(lambda: later(step_of(run.folder / STATE), first), "checkpoint")
    run.nodes.append(cluster.jobs()[job][1])
    run.logs.append(log(run.folder, STATE))
    run.steps.append(step)
    return job


def running(cluster: Cluster, restarts: int) -> str | None:
    """The running job, if Slurm has started it anew so many times."""
    job = cluster.running()
    same = job and f"Restarts={restarts} " in cluster.run("scontrol", "show", "job", job)
    return job if same else None


def later(step: int | None, before: int) -> int | None:
    return step if step and step > before else None


def test_the_weights_are_the_same(disturbed: Disturbed, undisturbed: Path) -> None:
    assert (disturbed.folder / MODEL).read_bytes() == (undisturbed / MODEL).read_bytes()


def test_it_went_on_from_checkpoints(disturbed: Disturbed) -> None:
    assert "goes on" not in disturbed.logs[0]
    for before, text in zip(disturbed.steps, disturbed.logs[1:3], strict=False):
        found = BEGUN.search(text)
        assert found and found[1] and before <= int(found[1]) < 300


def test_the_dead_node_was_left(disturbed: Disturbed) -> None:
    assert disturbed.nodes[0] == disturbed.nodes[1] != disturbed.nodes[2]


def test_the_second_copy_took_over_what_the_first_had_finished(disturbed: Disturbed) -> None:
    assert "waiting for another copy of this job" in disturbed.logs[-1]
    assert "made by an earlier run from the same inputs and code; linked" in disturbed.logs[-1]
    model = disturbed.folder / MODEL
    assert model.samefile(disturbed.folder / STATE / "finished" / model.name)


def test_slurm_repeated_the_job_and_snakemake_did_not(disturbed: Disturbed) -> None:
    for terminal in disturbed.terminals:
        assert terminal.count("has been submitted") == 1
        assert not re.search(r"^error:|Traceback|Warning", terminal, re.MULTILINE)
    assert disturbed.jobs == ["COMPLETED", "COMPLETED"]
