"""Packed preferences: what the model says of a pair does not depend on what is beside it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import training_job
from transformers import PreTrainedModel

from slamflow import files
from slamflow.lm import architecture, saved
from slamflow.preference import attention, dpo_task, likelihood, packing, pairs, reading
from slamflow.tables import references as references_table
from slamflow.tables import units as units_table
from slamflow.training.rank import Place

VOCABULARY = training_job.CLUSTERS + 2
ROLES = ["prompt", "chosen", "rejected"]
# An answer that begins the other one, answers that differ at once, prompts of all lengths.
SPECIAL = [[3, 1, 4], [1, 5, 9], [1, 5, 9, 2, 6], [7], [2], [8, 1], [5] * 9, [1, 2, 3], [1, 2, 4]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 preferences, some of them cut, and a model with grouped heads."""
    folder = tmp_path_factory.mktemp("packing")
    documents = training_job.documents(63) + SPECIAL
    table = training_job.units_of(documents, ROLES * (len(documents) // 3))
    files.write_table(table, folder / "units.parquet", units_table.SCHEMA)
    pairs.build({"length": 60, "prompt": 40}, [folder / "units.parquet"], folder / "pairs.parquet")
    init = {**training_job.INIT, "hidden_size": 24, "heads": 4, "kv_heads": 2, "layers": 3}
    architecture.build(init, VOCABULARY, 128).save_pretrained(folder / "base")
    return folder


@pytest.fixture
def found(folder: Path) -> reading.Preferences:
    return reading.read(folder / "pairs.parquet", VOCABULARY)


def alone(model: PreTrainedModel, found: reading.Preferences) -> np.ndarray:
    """ln p of each answer by itself with plain causal attention, [2, pairs]."""
    rows: list[list[float]] = [[], []]
    for pair, prompt in enumerate(found.prompts):
        for which, answer in enumerate((found.chosen[pair], found.rejected[pair])):
            end = [1] if found.whole[pair, which] else []
            tokens = torch.tensor([1, *(prompt.astype(int) + 2), *(answer.astype(int) + 2), *end])
            with torch.no_grad():
                terms = torch.log_softmax(model(tokens[None]).logits[0], -1)[:-1]
            terms = terms.gather(1, tokens[1:, None])[:, 0]
            rows[which].append(float(terms[len(prompt) :].sum()))
    return np.array(rows)


@pytest.mark.parametrize(
    "place",
    [packing.Room(10_000), packing.Room(10_000, 128, 2), packing.Room(10_000, 512, 5)],
    ids=["a block a pair", "rows that must grow", "rows with room left"],
)
def test_packed_equals_one_by_one(
    place: packing.Room, folder: Path, found: reading.Preferences
) -> None:
    expected = alone(saved.load(folder / "base").double(), found)
    model = saved.load(folder / "base").double()
    attention.by_blocks(model)
    index = np.random.default_rng(0).permutation(len(found))
    packed = packing.pack(found, index, place, "cpu")
    with torch.no_grad():
        ours = likelihood.answers(model, packed, len(index)).numpy()
    np.testing.assert_allclose(ours, expected[:, index], rtol=1e-6)  # a last step is in float32
    assert not found.whole.all() and found.whole.any()
    assert found.common.max() >= 3 and found.common.min() == 0


def test_long_pairs_take_the_kernel_that_saves_memory(
    folder: Path, found: reading.Preferences, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = saved.load(folder / "base").double()
    attention.by_blocks(model)
    packed = packing.pack(found, np.arange(len(found)), packing.Room(10_000), "cpu")
    with torch.no_grad():
        usual = likelihood.answers(model, packed, len(found))
        monkeypatch.setattr(attention, "LONGEST", 64)
        other = likelihood.answers(model, packed, len(found))
    torch.testing.assert_close(other, usual)


def test_each_token_of_a_pair_is_there_once(found: reading.Preferences) -> None:
    index = np.arange(len(found))
    for place in (packing.Room(10_000), packing.Room(10_000, 256, 3)):
        packed = packing.pack(found, index, place, "cpu")
        assert (packed.inputs["input_ids"] != 0).sum() == found.lengths.sum()
        assert len(packed.labels) == found.counted.sum()
    assert packed.inputs["masks"][0].shape[1:] == (256, 256)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("tokens", [200, 700, 100_000])
def test_micro_batches_keep_to_the_budget(
    ranks: int, tokens: int, found: reading.Preferences
) -> None:
    index = np.random.default_rng(1).permutation(len(found))
    parts = packing.micro_batches(found.lengths, index, tokens, ranks)
    assert sorted(np.concatenate(parts)) == sorted(index)
    sums = [found.lengths[part].sum() for part in parts]
    assert max(sums) <= tokens
    if tokens == 100_000:
        assert len(parts) == ranks
        assert max(abs(np.array(sums) - np.mean(sums))) <= found.lengths.max()


def test_a_pair_longer_than_the_budget_is_alone() -> None:
    parts = packing.micro_batches(np.array([10, 90, 20]), np.arange(3), 50)
    assert [part.tolist() for part in parts] == [[0, 2], [1]]


def make(folder: Path, ranks: int = 1, **machine: int) -> dpo_task.Alignment:
    found = reading.read(folder / "pairs.parquet", VOCABULARY)
    numbers = [-40.0 - i for i in range(len(found))]
    table = pa.table({"id": found.ids, "chosen": numbers, "rejected": numbers})
    files.write_table(table, folder / "references.parquet", references_table.SCHEMA)
    return dpo_task.Alignment(
        {"training": {"pairs": 16, "beta": 0.3, "budget": {"steps": 1}}},
        folder / "base",
        folder / "pairs.parquet",
        folder / "references.parquet",
        folder / "aligned",
        Place(0, ranks, "cpu", None, machine, "test"),
    )


def update(task: dpo_task.Alignment) -> tuple[dict[str, float], list[torch.Tensor]]:
    """Means over the global batch, and the gradients of all micro-batches together."""
    sums = dict.fromkeys(task.measures, 0.0)
    for micro_batch in task.micro_batches(3):
        measured = task.forward(task.model, micro_batch)
        (measured["loss"] / task.weight(3)).backward()
        sums = {name: sums[name] + measured[name].item() for name in sums}
    means = {name: value / task.weight(3) for name, value in sums.items()}
    return means, [p.grad for p in task.model.parameters() if p.grad is not None]


def test_an_update_depends_neither_on_ranks_nor_on_the_budget(folder: Path) -> None:
    tasks = make(folder), make(folder, micro_batch=1), make(folder, ranks=3, micro_batch=4)
    assert len({len(task.micro_batches(3)) for task in tasks}) == 3
    (means, gradients), *others = map(update, tasks)
    for other, found in others:
        assert other == pytest.approx(means, rel=1e-6)
        for ours, theirs in zip(found, gradients, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-7)


def test_measures_of_length(folder: Path) -> None:
    task = make(folder)
    scores = alone(saved.load(folder / "base"), task.pairs)
    means, _ = update(task)
    index = np.concatenate(task.micro_batches(3))
    rewards = 0.3 * (scores[:, index] - task.references[index].T)
    tokens = np.array([[len(a) for a in part] for part in (task.pairs.chosen, task.pairs.rejected)])
    tokens = tokens[:, index] + task.pairs.whole[index].T
    per_token = rewards / tokens
    assert means["token_margin"] == pytest.approx((per_token[0] - per_token[1]).mean(), abs=1e-5)
    assert means["lengthening"] == (tokens[0] - tokens[1]).mean()
    longer = [
        0.5 if c == r else float((c > r) == (better > worse))
        for c, r, better, worse in zip(*tokens, *rewards, strict=True)
    ]
    assert means["longer"] == np.mean(longer)
    assert 0 < means["longer"] < 1


def test_preferences_of_equal_answers_are_left_out(tmp_path: Path) -> None:
    documents = [
        [1, 2],
        [3, 4],
        [3, 4],
        [1, 2],
        [3, 4, 5, 6, 7, 8],
        [3, 4, 5, 6, 7, 9],
        [1],
        [2],
        [3],
    ]
    table = training_job.units_of(documents, ROLES * 3)
    files.write_table(table, tmp_path / "units", units_table.SCHEMA)
    said = pairs.build({"length": 7, "prompt": 4}, [tmp_path / "units"], tmp_path / "pairs")
    assert said == "1 preferences, 0 of them cut; 2 left out whose answers are equal as units"
    assert reading.read(tmp_path / "pairs", VOCABULARY).ids == ["item2-r0"]
