"""Runs of `crumb` that are killed several times end as the undisturbed one does."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from disturbing import CONFIG, Call, Disturbed, Kill, disturb
from observing import finished_jobs, log, processes, remaining, stamps, weights
from running import copy_checkout, run_snakemake

HUBERT = Path("results/state/train_hubert/crumb")
PRETRAINING = Path("results/state/pretrain_model/crumb")
ALIGNMENT = Path("results/state/align_model/crumb-dpo")
OUTPUTS = {
    HUBERT: "results/huberts/crumb",
    PRETRAINING: "results/models/crumb",
    ALIGNMENT: "results/models/crumb-dpo",
}
RUNS = [
    (Kill(HUBERT, "script"), Kill(PRETRAINING, "snakemake"), Kill(ALIGNMENT, "rank")),
    pytest.param(
        (
            Kill(HUBERT, "snakemake"),
            Kill(PRETRAINING, "script"),
            Kill(ALIGNMENT, "script"),
            Kill(ALIGNMENT, "snakemake"),
        ),
        marks=pytest.mark.slow,
    ),
]


@pytest.fixture(scope="module", params=RUNS, ids=["first", "second"])
def disturbed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Disturbed]:
    """A run of `crumb` that was killed in HuBERT's training, in pretraining and in DPO.

    Together the runs kill Snakemake and the job in each.
    """
    folder = copy_checkout(tmp_path_factory.mktemp("kill").resolve() / "checkout")
    run = Disturbed(folder, request.param)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    stopped = None
    try:
        for kill in run.kills:
            stopped = disturb(run, kill, stopped)
        status = Call(run, stopped).wait()
        assert status == 0, run.terminals[-1]
        run.remaining.append(remaining(folder))
        run.last = stamps(folder)
        yield run
    finally:
        for pid in processes(folder):
            os.kill(pid, signal.SIGKILL)


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
    for before, kill in zip(disturbed.finished, disturbed.kills, strict=True):
        assert before, kill
        assert {path: disturbed.last.get(path) for path in before} == before
    wanted = finished_jobs(crumb)
    del wanted["write_report"]  # which is asked for there only
    assert finished_jobs(disturbed.folder) == wanted


def test_training_went_on_from_a_checkpoint(disturbed: Disturbed, crumb: Path) -> None:
    for state, text in disturbed.after("script", "rank"):
        found = re.search(r"goes on after step (\d+) of (\d+)$", text, re.M)
        assert found and 0 < int(found[1]) < int(found[2]), state
        assert "goes on" not in log(crumb, state)


def test_prepared_audio_was_used_again(disturbed: Disturbed, crumb: Path) -> None:
    assert "(data)" in log(crumb, HUBERT)
    assert "(data)" not in dict(disturbed.after("script", "snakemake"))[HUBERT]


def test_the_orphan_was_waited_for_and_its_weights_taken(disturbed: Disturbed) -> None:
    for state, text in disturbed.after("snakemake"):
        assert "owner.lock: waiting for another copy of this job" in text
        assert "made by an earlier run from the same inputs and code; linked" in text
        model = disturbed.folder / OUTPUTS[state] / "model.safetensors"
        assert model.samefile(disturbed.folder / state / "finished" / model.name)


def test_the_user_is_told(disturbed: Disturbed) -> None:
    for kill, terminal in zip(disturbed.kills, disturbed.terminals[:-1], strict=True):
        rule, name = kill.state.parts[-2:]
        told = {
            "script": f"workflow_scripts/{rule}.py",  # a job's command is shown if it fails
            "rank": f"{rule} {name}: was ended by signal 9",
            "snakemake": "",
        }
        assert told[kill.victim] in terminal
    assert "Traceback" not in "".join(disturbed.terminals)


def test_nothing_is_left_over(disturbed: Disturbed) -> None:
    orphans = sum(kill.victim == "snakemake" for kill in disturbed.kills)
    assert disturbed.remaining == [{}] * (len(disturbed.terminals) - orphans)
    names = [path.name for path in (disturbed.folder / "results").rglob("*")]
    assert not [name for name in names if name.endswith((".tmp", ".removed", ".writing"))]
    for state in OUTPUTS:
        assert not (disturbed.folder / state / "checkpoints").exists()
    assert not (disturbed.folder / HUBERT / "data").exists()


def test_a_deleted_output_is_linked_back(disturbed: Disturbed, crumb: Path) -> None:
    name = "results/models/crumb/model.safetensors"
    path = disturbed.folder / name
    content = path.read_bytes()
    path.unlink()
    run_snakemake(["--cores", "all", name], disturbed.folder)
    assert path.read_bytes() == content
    text = log(disturbed.folder, PRETRAINING)
    assert "linked" in text and "starts" not in text
    assert "starts" in log(crumb, PRETRAINING)  # so says a log if something is trained
    timing = pd.read_csv(disturbed.folder / "results/timings/pretrain_model/crumb.tsv", sep="\t")
    assert timing["s"].item() < 30  # on any machine; it takes about a second
