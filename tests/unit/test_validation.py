"""What a training tells: held-out losses, where it failed, its log for TensorBoard."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import training_job
from transformers import AutoModelForCausalLM

from slamflow.lm import inputs, packing, pretraining_task, rows
from slamflow.training import compiling, history
from slamflow.training.rank import Place

PRETRAIN = "slamflow.lm.pretraining:pretrain"


def config(**changes: Any) -> dict[str, Any]:
    budget = {"budget": {"steps": 12}, "validation_steps": 5}
    return {"init": training_job.INIT, "training": {**training_job.TRAINING, **budget, **changes}}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of two corpora."""
    folder = tmp_path_factory.mktemp("packed")
    paths = []
    for seed, corpus in enumerate(("one", "two")):
        (folder / corpus).mkdir()
        paths.append(training_job.write_units(folder / corpus / "0000.parquet", 40, seed))
    plan = {"context": 64, "held_out": 0.1, "seed": 1}
    packing.pack(plan, paths, training_job.CLUSTERS + 2, folder / "packed.parquet")
    return folder / "packed.parquet"


@pytest.fixture(scope="module")
def trained(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    machine = {"tensorboard": True, "compile": "off"}
    training_job.run(PRETRAIN, folder, machine, config=config(), packed=packed)
    return folder


def test_held_out_losses_of_each_corpus(trained: Path, packed: Path) -> None:
    log = pq.read_table(trained / "model" / "training.parquet")
    seen = {row["step"]: row["validation"] for row in log.to_pylist() if row["validation"]}
    assert set(seen) == {5, 10, 12}
    found = {each["name"]: each["loss"] for each in seen[12]}
    assert found.keys() == {"one", "two"}
    model = AutoModelForCausalLM.from_pretrained(trained / "model", dtype=torch.float32)
    held_out = rows.read(packed)[1]
    for corpus, loss in found.items():
        index = np.flatnonzero(np.array(held_out.corpora) == corpus)
        taken, labels = inputs.tensors(held_out, index, "cpu")
        with torch.no_grad():
            logits = model(**taken).logits
        expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
        assert loss == pytest.approx(float(expected), rel=1e-4)
        card = (trained / "model" / "card.md").read_text()
        assert f"held-out rows of {corpus} | {loss:,.4g} |" in card


def test_memory_and_speed(trained: Path) -> None:
    log = pq.read_table(trained / "model" / "training.parquet")
    assert all(50 < memory < 100_000 for memory in log["memory"].to_pylist())
    assert log["mfu"].null_count == log.num_rows  # nobody knows a processor's peak
    assert (np.diff(log["seconds"].to_numpy(), prepend=0) > 0).all()


def test_tensorboard_has_the_log(trained: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained / "state" / "tensorboard"))
    events.Reload()
    log = pq.read_table(trained / "model" / "training.parquet")
    losses = [event.value for event in events.Scalars("loss")]
    assert losses == pytest.approx(log["loss"].to_pylist(), rel=1e-6)
    assert [event.step for event in events.Scalars("validation/one")] == [5, 10, 12]


def test_what_is_not_finite_is_named(packed: Path, tmp_path: Path) -> None:
    """The rate grows beyond all bounds after the first checkpoint."""
    given = config(learning_rate=1e38, clip=1e9, warmup=0.9, budget={"steps": 10**38})
    with training_job.start(PRETRAIN, tmp_path, {"checkpoint_steps": 1}, config=given,
                            packed=packed) as job:  # fmt: skip
        said = job.communicate()[1]
    assert job.returncode == 1
    step = int(re.findall(r"at step (\d+) \(training rows \d+ \d+ \d+ \d+\)", said)[0])
    kept = tmp_path / "state" / "checkpoints" / f"{step - 1:09d}"
    assert f"the last good checkpoint is {kept}" in said and kept.exists()


def test_divergence_is_two_bad_windows_in_a_row() -> None:
    assert history.diverged([5.0, 2.0, 4.1, 4.1])
    assert not history.diverged([5.0, 2.0, 4.1, 2.0, 4.1])  # spikes
    assert not history.diverged([5.0, 2.0, 2.9, 2.9])
    assert not history.diverged([0.1, 1.0, 1.05])  # small losses may be ten times as large
    assert history.diverged([0.1, 1.2, 1.3])
    assert not history.diverged([4.0, 9.0])


def test_a_diverging_loss_fails_and_also_after_a_restart() -> None:
    place = Place(0, 1, "cpu", None, {}, "test")

    def add(log: history.History, loss: float) -> None:
        for _ in range(history.WINDOW):
            sums = torch.tensor([7 * loss], dtype=torch.float64)
            log.add(sums, 7.0, torch.tensor(1.0), 0.1, 0.0)
        log.flush()

    first = history.History(("loss",), place, None)
    for loss in (3.0, 2.0, 9.0):
        add(first, loss)
    resumed = history.History(("loss",), place, None)
    resumed.restore(first.table())
    with pytest.raises(history.Failed, match=r"diverges: .* was 2, is 9 at step 40"):
        add(resumed, 9.0)


def test_only_what_a_task_watches_must_not_diverge() -> None:
    """The loss of adversarial training may, while the mels get nearer."""
    place = Place(0, 1, "cpu", None, {}, "test")

    def train(watched: str) -> None:
        log = history.History(("loss", "mel"), place, None, watched)
        for loss in (1.0, 9.0, 9.0, 9.0):
            sums = torch.tensor([loss, 1 / loss], dtype=torch.float64)
            for _ in range(history.WINDOW):
                log.add(sums, 1.0, torch.tensor(1.0), 0.1, 0.0)
        log.flush()

    train("mel")
    with pytest.raises(history.Failed, match="the loss diverges"):
        train("loss")


def test_flops_of_a_step(packed: Path, tmp_path: Path) -> None:
    """By hand: all matrices but the token table count once, the tied head too."""
    place = Place(0, 1, "cpu", None, {}, "test")
    task = pretraining_task.Pretraining(config(), packed, tmp_path, place)
    layer = 32 * (32 + 16 + 16 + 32) + 3 * 32 * 64
    products = 2 * layer + 22 * 32
    index = np.concatenate(task.micro_batches(0))
    lengths = [
        int(((task.rows.documents[row] == number) & (task.rows.tokens[row] != 0)).sum())
        for row in index
        for number in range(task.rows.documents[row].max() + 1)
    ]
    expected = 6 * products * sum(lengths) + 12 * 2 * 32 * sum(n * n for n in lengths)
    assert task.flops(0) == pytest.approx(expected)
    assert math.isclose(task.step_tokens, 256)


def test_without_a_compiler_it_goes_on_uncompiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model = torch.nn.Linear(3, 3)
    assert not compiling.apply(model, {"compile": "auto"}, "cpu", static=True)
    assert not compiling.apply(model, {"compile": "off"}, "cuda:0", static=True)
    assert not compiling.apply(model, {"compile": "auto"}, "cuda:0", static=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert not compiling.apply(model, {"compile": "on"}, "cpu", static=True)
    assert capfd.readouterr().err.count("there is no C++ compiler on the PATH") == 1
    assert model(torch.ones(2, 3)).shape == (2, 3)
