"""Preferences: pairs, references and the loss against its formula."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import training_job
from transformers import AutoModelForCausalLM

from slamflow import files
from slamflow.lm import architecture, saved
from slamflow.preference import dpo_task, pairs, reading, references
from slamflow.tables import preferences as preferences_table
from slamflow.tables import references as references_table
from slamflow.tables import units as units_table
from slamflow.training.rank import Place

VOCABULARY = training_job.CLUSTERS + 2
ROLES = ["prompt", "chosen", "rejected"]
TRAINING = {
    "budget": {"steps": 12},
    "pairs": 4,
    "learning_rate": 3.0e-3,
    "beta": 0.5,
    "schedule": "inverse_sqrt",
    "warmup": 2 / 12,
    "clip": 0.5,
    "seed": 1,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Units, pairs, a base model and its references."""
    folder = tmp_path_factory.mktemp("preference")
    table = training_job.units_of(training_job.documents(30), ROLES * 10)
    files.write_table(table, folder / "units.parquet", units_table.SCHEMA)
    pairs.build({}, [folder / "units.parquet"], folder / "pairs.parquet")
    init = {**training_job.INIT, "hidden_size": 16}
    architecture.build(init, VOCABULARY, 128).save_pretrained(folder / "base")
    references.score(
        folder / "base",
        folder / "pairs.parquet",
        folder / "references.parquet",
        {"threads": 1, "micro_batch": 3},
        "test",
    )
    return folder


def make(folder: Path, **training: float) -> dpo_task.Alignment:
    return dpo_task.Alignment(
        {"training": {**TRAINING, **training}},
        folder / "base",
        folder / "pairs.parquet",
        folder / "references.parquet",
        folder / "aligned",
        Place(0, 1, "cpu", None, {"micro_batch": 4}, "test"),
    )


def test_pairs_are_joined_whatever_their_order(tmp_path: Path) -> None:
    table = training_job.units_of([[i, i + 1] for i in range(12)], ROLES * 4)
    shuffled = table.take(np.random.default_rng(0).permutation(12))
    for name, part in (("a", shuffled.slice(0, 5)), ("b", shuffled.slice(5))):
        files.write_table(part, tmp_path / f"{name}.parquet", units_table.SCHEMA)
    said = pairs.build({}, [tmp_path / "b.parquet", tmp_path / "a.parquet"], tmp_path / "pairs")
    assert said == "4 preferences, 0 of them cut"
    found = files.read_table(tmp_path / "pairs", preferences_table.SCHEMA).to_pylist()
    assert [row["id"] for row in found] == [f"item{i}-r0" for i in range(4)]
    cut = {"chosen_cut": False, "rejected_cut": False}
    expected = {"id": "item2-r0", "prompt": [6, 7], "chosen": [7, 8], "rejected": [8, 9], **cut}
    assert found[2] == expected


def test_prompts_are_cut_on_the_left_and_answers_on_the_right(tmp_path: Path) -> None:
    table = training_job.units_of([list(range(9)), [1, 2, 3, 4, 5], [6, 7]], ROLES)
    files.write_table(table, tmp_path / "units", units_table.SCHEMA)
    said = pairs.build({"length": 7, "prompt": 4}, [tmp_path / "units"], tmp_path / "pairs")
    assert said == "1 preferences, 1 of them cut"
    (row,) = files.read_table(tmp_path / "pairs", preferences_table.SCHEMA).to_pylist()
    assert (row["prompt"], row["chosen"], row["rejected"]) == ([5, 6, 7, 8], [1, 2, 3], [6, 7])
    assert (row["chosen_cut"], row["rejected_cut"]) == (True, False)


@pytest.mark.parametrize(
    ("roles", "message"),
    [
        (["prompt", "chosen", "chosen"], r"row 2 \(item0-r0\): role 'chosen' comes twice"),
        (["prompt", "chosen", "document"], "role 'document' is no part of a preference"),
    ],
)
def test_items_that_are_no_preferences(roles: list[str], message: str, tmp_path: Path) -> None:
    table = training_job.units_of([[1], [2], [3]], ["x"] * 3)
    table = table.set_column(2, "role", pa.array(roles)).set_column(
        1, "item", pa.array(["item0"] * 3)
    )
    files.write_table(table, tmp_path / "units", units_table.SCHEMA)
    with pytest.raises(ValueError, match=message):
        pairs.build({}, [tmp_path / "units"], tmp_path / "pairs")


def test_missing_part(tmp_path: Path) -> None:
    table = training_job.units_of([[1], [2], [3]], ROLES).slice(0, 2)
    files.write_table(table, tmp_path / "units", units_table.SCHEMA)
    with pytest.raises(ValueError, match="item0-r0: has no rejected"):
        pairs.build({}, [tmp_path / "units"], tmp_path / "pairs")


def by_hand(model: torch.nn.Module, prompt: np.ndarray, answer: np.ndarray) -> torch.Tensor:
    """The sum of ln p over answer and end token, one sequence at a time, in float64."""
    tokens = torch.tensor([1, *(prompt.astype(int) + 2), *(answer.astype(int) + 2), 1])
    logits = model(tokens[None]).logits[0]
    terms = torch.log_softmax(logits, -1)[:-1].gather(1, tokens[1:, None])[:, 0]
    return terms[len(prompt) :].sum()


def test_references_equal_the_formula(folder: Path) -> None:
    model = saved.load(folder / "base").double()
    found = reading.read(folder / "pairs.parquet", VOCABULARY)
    table = files.read_table(folder / "references.parquet", references_table.SCHEMA)
    assert table["id"].to_pylist() == found.ids
    for name in ("chosen", "rejected"):
        with torch.no_grad():
            expected = [
                by_hand(model, prompt, answer).item()
                for prompt, answer in zip(found.prompts, getattr(found, name), strict=True)
            ]
        np.testing.assert_allclose(table[name], expected, rtol=1e-5)


def test_loss_and_gradients_equal_the_formula(folder: Path) -> None:
    task = make(folder)
    torch.manual_seed(0)
    with torch.no_grad():  # away from the base model, where the loss is ln 2 for every pair
        for parameter in task.model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    exact = AutoModelForCausalLM.from_pretrained(folder / "base").double()
    exact.load_state_dict({k: v.double() for k, v in task.model.state_dict().items()})
    (index,) = task.micro_batches(0)
    measured = task.forward(task.model, index)
    (measured["loss"] / task.weight(0)).backward()

    losses, margins = [], []
    for i in index:
        part = task.pairs.prompts[i], task.pairs.chosen[i], task.pairs.rejected[i]
        chosen = by_hand(exact, part[0], part[1]) - task.references[i, 0]
        rejected = by_hand(exact, part[0], part[2]) - task.references[i, 1]
        margins.append(0.5 * (chosen - rejected))
        losses.append(torch.log1p(torch.exp(-margins[-1])))
    torch.stack(losses).mean().backward()

    assert measured["loss"].item() == pytest.approx(sum(losses).item(), rel=1e-4)
    assert measured["margin"].item() == pytest.approx(sum(margins).item(), abs=1e-3)
    assert measured["accuracy"].item() == sum(margin > 0 for margin in margins)
    for (name, ours), theirs in zip(task.model.named_parameters(), exact.parameters(), strict=True):
        scale = theirs.grad.abs().max().item()
        difference = (ours.grad.double() - theirs.grad).abs().max().item()
        assert difference <= 1e-4 * scale + 1e-7, name


def test_before_training_the_loss_is_ln_2(folder: Path) -> None:
    task = make(folder)
    with torch.no_grad():
        measured = [task.forward(task.model, part) for part in task.micro_batches(1)]
    assert sum(part["loss"] for part in measured) / 4 == pytest.approx(np.log(2), abs=1e-4)


def test_references_of_other_pairs_are_refused(folder: Path, tmp_path: Path) -> None:
    table = files.read_table(folder / "references.parquet", references_table.SCHEMA)
    files.write_table(table.slice(1), tmp_path / "references.parquet", references_table.SCHEMA)
    with pytest.raises(ValueError, match=r"references\.parquet: is not about the pairs"):
        dpo_task.Alignment(
            {"training": TRAINING},
            folder / "base",
            folder / "pairs.parquet",
            tmp_path / "references.parquet",
            tmp_path,
            Place(0, 1, "cpu", None, {}, "test"),
        )


def test_units_of_another_tokeniser_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"has unit \d+, but the model knows 8"):
        reading.read(folder / "pairs.parquet", 10)


def test_alignment_prefers_what_is_chosen(folder: Path, tmp_path: Path) -> None:
    training_job.run(
        "slamflow.preference.dpo:align",
        tmp_path,
        {},
        config={"training": TRAINING},
        base=folder / "base",
        pairs=folder / "pairs.parquet",
        references=folder / "references.parquet",
    )
    log = pq.read_table(tmp_path / "model" / "training.parquet").to_pandas()
    assert list(log)[:7] == ["step", "tokens", "loss", "accuracy", "margin", "chosen", "rejected"]
    assert log["tokens"].tolist() == [4 * step for step in range(1, 13)]
    assert log["loss"][0] == pytest.approx(np.log(2), abs=1e-4)
    assert log["margin"].iloc[-3:].mean() > log["margin"].iloc[:3].mean() + 0.05
    aligned = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert aligned.config.vocab_size == VOCABULARY
    assert "accuracy of the last update" in (tmp_path / "model" / "card.md").read_text()
