"""A run of `crumb` that is killed three times ends as the undisturbed one does."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest
import yaml
from observing import (
    Stamps,
    find,
    finished_jobs,
    finished_outputs,
    log,
    processes,
    rank_of,
    remaining,
    script_of,
    stamps,
    step_of,
    weights,
)
from running import TARGET, copy_checkout, environment, run_snakemake, snakemake_command

Found = TypeVar("Found")

PATIENCE = 1200.0  # seconds for one event; on an idle machine the slowest takes about a minute
# Kills come soon after a checkpoint, and long before the next training's end.
CONFIG = {
    "recipe": "crumb",
    "huberts": {"crumb": {"training": {"checkpoint_steps": 3}}},
    "models": {
        "crumb": {"training": {"checkpoint_steps": 3}},
        "crumb-dpo": {"training": {"checkpoint_steps": 1}},
    },
}
HUBERT = Path("results/state/train_hubert/crumb")
PRETRAINING = Path("results/state/pretrain_model/crumb")
ALIGNMENT = Path("results/state/align_model/crumb-dpo")


@dataclass
class Disturbed:
    """A finished run that was killed.

    Attributes:
        folder: its checkout.
        terminals: what each call of Snakemake printed.
        finished: inode and time of each output that was finished before one of the kills.
        remaining: processes that still ran some seconds after the end of a call.
        last: inode and time of each output at the end.
        logs: the log of each training at the end.
    """

    folder: Path
    terminals: list[str] = field(default_factory=list)
    finished: list[Stamps] = field(default_factory=list)
    remaining: list[dict[int, list[str]]] = field(default_factory=list)
    last: Stamps = field(default_factory=dict)
    logs: dict[Path, str] = field(default_factory=dict)


class Call:
    """The README's command, running in a checkout."""

    def __init__(self, run: Disturbed) -> None:
        self.run = run
        self.terminal = run.folder / f"terminal-{len(run.terminals)}.txt"
        with self.terminal.open("w") as stream:
            self.process = subprocess.Popen(
                snakemake_command(["--cores", "all", TARGET]),
                cwd=run.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, look: Callable[[], Found | None], what: str, pause: float = 0.2) -> Found:
        """What `look` finds, as soon as it finds something; the call must run until then.

        Args:
            pause: seconds between two looks.
        """
        end = time.monotonic() + PATIENCE
        while (found := look()) is None:
            if self.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"no {what}:\n{self.terminal.read_text()}")
            time.sleep(pause)
        return found

    def wait(self) -> int:
        """Wait for the end of Snakemake, and keep what it printed."""
        status = self.process.wait(timeout=PATIENCE)
        self.run.terminals.append(self.terminal.read_text())
        return status


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbed]:
    """A run of `crumb` that was killed in HuBERT's training, in pretraining and in DPO."""
    run = Disturbed(copy_checkout(tmp_path_factory.mktemp("kill").resolve() / "checkout"))
    (run.folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    try:
        kill_script(run)
        stopped = kill_snakemake(run)
        kill_rank(run, stopped)
        status = Call(run).wait()
        assert status == 0, run.terminals[-1]
        run.remaining.append(remaining(run.folder))
        run.last = stamps(run.folder)
        run.logs = {state: log(run.folder, state) for state in (HUBERT, PRETRAINING, ALIGNMENT)}
        yield run
    finally:
        for pid in processes(run.folder):
            os.kill(pid, signal.SIGKILL)


def kill_script(run: Disturbed) -> None:
    """Kill the job that trains HuBERT."""
    call = Call(run)
    script = call.wait_for(lambda: find(run.folder, script_of(HUBERT)), "training of HuBERT")
    call.wait_for(lambda: step_of(run.folder / HUBERT), "checkpoint of HuBERT", 0.01)
    os.kill(script, signal.SIGKILL)
    assert call.wait() == 1
    run.finished.append(finished_outputs(run.folder))
    run.remaining.append(remaining(run.folder))


def kill_snakemake(run: Disturbed) -> int:
    """Kill Snakemake while it pretrains; returns the rank, which lives on.

    The rank is stopped meanwhile, so that the orphan is sure to be at work when the next call
    comes.
    """
    call = Call(run)
    script = call.wait_for(lambda: find(run.folder, script_of(PRETRAINING)), "pretraining")
    rank = call.wait_for(lambda: find(run.folder, rank_of(PRETRAINING)), "rank of pretraining")
    call.wait_for(lambda: step_of(run.folder / PRETRAINING), "checkpoint of pretraining", 0.01)
    os.kill(rank, signal.SIGSTOP)
    call.process.kill()
    assert call.wait() == -signal.SIGKILL
    run.finished.append(finished_outputs(run.folder))
    run_snakemake(["--unlock"], run.folder)
    step = step_of(run.folder / PRETRAINING)
    job = json.loads((run.folder / PRETRAINING / "job.json").read_text())
    assert step is not None and step < job["training"]["steps"]
    assert script in processes(run.folder)
    return rank


def kill_rank(run: Disturbed, stopped: int) -> None:
    """Let the orphan go on once it is waited for, then kill the rank that aligns the model."""
    call = Call(run)
    call.wait_for(lambda: "waiting for" in call.terminal.read_text() or None, "waiting")
    os.kill(stopped, signal.SIGCONT)
    rank = call.wait_for(lambda: find(run.folder, rank_of(ALIGNMENT)), "rank of DPO")
    call.wait_for(lambda: step_of(run.folder / ALIGNMENT), "checkpoint of DPO", 0.01)
    os.kill(rank, signal.SIGKILL)
    assert call.wait() == 1
    run.finished.append(finished_outputs(run.folder))
    run.remaining.append(remaining(run.folder))


@pytest.mark.parametrize("table", ["eval.tsv", "comparisons.tsv"])
def test_the_tables_are_the_same(disturbed: Disturbed, crumb: Path, table: str) -> None:
    """Which also says that two runs agree."""
    made = (disturbed.folder / "results" / table).read_bytes()
    assert made and made == (crumb / "results" / table).read_bytes()


def test_the_weights_are_the_same(disturbed: Disturbed, crumb: Path) -> None:
    found, wanted = weights(disturbed.folder), weights(crumb)
    assert found.keys() == wanted.keys()
    assert "results/huberts/crumb/model.safetensors" in found
    assert not [path for path in found if found[path] != wanted[path]]


def test_finished_work_is_not_done_again(disturbed: Disturbed, crumb: Path) -> None:
    for before, state in zip(disturbed.finished, (HUBERT, PRETRAINING, ALIGNMENT), strict=True):
        assert before, state
        assert {path: disturbed.last.get(path) for path in before} == before
    assert finished_jobs(disturbed.folder) == finished_jobs(crumb)


@pytest.mark.parametrize("state", [HUBERT, ALIGNMENT])
def test_training_went_on_from_a_checkpoint(disturbed: Disturbed, crumb: Path, state: Path) -> None:
    found = re.search(r"goes on after step (\d+) of (\d+)$", disturbed.logs[state], re.M)
    assert found and 0 < int(found[1]) < int(found[2])
    assert "goes on" not in log(crumb, state)


def test_prepared_audio_was_used_again(disturbed: Disturbed, crumb: Path) -> None:
    assert "(audio)" in log(crumb, HUBERT)
    assert "(audio)" not in disturbed.logs[HUBERT]


def test_the_orphan_was_waited_for_and_its_weights_taken(disturbed: Disturbed) -> None:
    text = disturbed.logs[PRETRAINING]
    assert "owner.lock: waiting for another copy of this job" in text
    assert "made by an earlier run from the same inputs and code; linked" in text
    model = disturbed.folder / "results" / "models" / "crumb" / "model.safetensors"
    assert model.samefile(disturbed.folder / PRETRAINING / "finished" / model.name)


def test_the_user_is_told(disturbed: Disturbed) -> None:
    assert "align_model crumb-dpo: was ended by signal 9" in disturbed.terminals[2]
    assert "Traceback" not in "".join(disturbed.terminals)


def test_nothing_is_left_over(disturbed: Disturbed) -> None:
    assert disturbed.remaining == [{}, {}, {}]
    names = [path.name for path in (disturbed.folder / "results").rglob("*")]
    assert not [name for name in names if name.endswith((".tmp", ".removed", ".writing"))]
    for state in (HUBERT, PRETRAINING, ALIGNMENT):
        assert not (disturbed.folder / state / "checkpoints").exists()
    assert not (disturbed.folder / HUBERT / "data").exists()


def test_a_deleted_output_is_linked_back(disturbed: Disturbed) -> None:
    name = "results/models/crumb/model.safetensors"
    path = disturbed.folder / name
    content = path.read_bytes()
    path.unlink()
    run_snakemake(["--cores", "all", name], disturbed.folder)
    assert path.read_bytes() == content
    text = log(disturbed.folder, PRETRAINING)
    assert "linked" in text and "starts" not in text
    assert "starts" in disturbed.logs[HUBERT]  # so says a log if something is trained
    timing = pd.read_csv(disturbed.folder / "results/timings/pretrain_model/crumb.tsv", sep="\t")
    assert timing["s"].item() < 30  # on any machine; it takes about a second
