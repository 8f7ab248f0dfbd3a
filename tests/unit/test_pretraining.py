"""Language models: packed rows equal documents alone, and their configs take effect."""

from pathlib import Path

import numpy as np
import pytest
import torch
import training_job
from torch.nn import functional
from transformers import AutoModelForCausalLM

from slamflow.lm import architecture, attention, inputs, packing, pretraining_task, rows
from slamflow.training import artefacts
from slamflow.training.rank import Place

VOCABULARY = training_job.CLUSTERS + 2
PLACE = Place(0, 1, "cpu", None, {}, "test")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_job.write_packed(tmp_path_factory.mktemp("packed"), 30, held_out=0.2)


def make(packed: Path, folder: Path, **machine: int) -> pretraining_task.Pretraining:
    config = {"init": training_job.INIT, "training": training_job.TRAINING}
    place = Place(0, 1, "cpu", None, machine, "test")
    return pretraining_task.Pretraining(config, packed, folder, place)


def test_packed_equals_padded(packed: Path) -> None:
    """Each document in a packed row has the logits that it has alone, at the row's beginning."""
    model = architecture.build(training_job.INIT, VOCABULARY, 64).eval()
    training, _, _ = rows.read(packed)
    index = np.arange(len(training))
    taken, labels = inputs.tensors(training, index, "cpu")
    compared = 0
    with torch.no_grad():
        together = model(**taken, use_cache=False).logits
        for row in index:
            for document in range(training.documents[row].max() + 1):
                places = training.documents[row] == document
                tokens = torch.from_numpy(training.tokens[row][places].astype(np.int64))
                tokens = tokens[tokens != 0]
                alone = model(input_ids=tokens[None]).logits[0]
                ours = together[row, torch.from_numpy(places)][: len(tokens)]
                torch.testing.assert_close(ours, alone, atol=1e-5, rtol=1e-5)
                expected = labels[row, torch.from_numpy(places)]
                assert expected[: len(tokens) - 1].tolist() == tokens[1:].tolist()
                assert (expected[len(tokens) - 1 :] == inputs.IGNORED).all()
                compared += len(tokens) - 1
    assert compared == training.targets().sum() == (labels != inputs.IGNORED).sum()


@pytest.mark.parametrize("longest", [attention.LONGEST, 32])
def test_documents_in_one_row_equal_packed_rows(
    packed: Path, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each predicted token's logits are those that it has in the masked rows; none is lost."""
    monkeypatch.setattr(attention, "LONGEST", longest)
    model = architecture.build(training_job.INIT, VOCABULARY, 64).eval()
    training, _, _ = rows.read(packed)
    index = np.random.default_rng(0).permutation(len(training))[:6]
    taken, labels = inputs.tensors(training, index, "cpu")
    counted = labels != inputs.IGNORED
    with torch.no_grad():
        expected = model(**taken, use_cache=False).logits[counted]
        attention.by_documents(model)
        row, ours = inputs.in_one_row(training, index)
        logits = model(**row, use_cache=False).logits[ours != inputs.IGNORED]
        alone = model(taken["input_ids"][:1, :9]).logits
    wanted, found = (
        sorted(zip(kept[kept != inputs.IGNORED].tolist(), part.tolist(), strict=True))
        for kept, part in ((labels, expected), (ours, logits))
    )
    assert [token for token, _ in found] == [token for token, _ in wanted]
    for (_, one), (_, other) in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    torch.testing.assert_close(alone[0, :1], expected[:1])
    assert row["input_ids"].shape[1] == sum(count * length for count, length in row["documents"])
    assert all(length % inputs.MULTIPLE == 0 for _, length in row["documents"])


def test_loss_is_the_mean_over_all_tokens_however_it_is_cut(packed: Path, tmp_path: Path) -> None:
    gradients, losses = [], []
    for size in (4, 1):
        task = make(packed, tmp_path, micro_batch=size)
        batches = task.micro_batches(3)
        assert [len(part) for part in batches] == [size] * (4 // size)
        measured = [task.forward(task.model, part)["loss"] / task.weight(3) for part in batches]
        total = torch.stack(measured).sum()
        total.backward()
        losses.append(total.item())
        gradients.append([p.grad for p in task.model.parameters()])
    index = np.concatenate(batches)
    taken, labels = inputs.tensors(task.rows, index, "cpu")
    mean = functional.cross_entropy(task.model(**taken).logits.transpose(1, 2), labels)
    assert losses == pytest.approx([mean.item()] * 2, rel=1e-6)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("ranks", "most", "sizes"), [(1, 3, [2, 2]), (2, 32, [2, 2])])
def test_ranks_compute_equally_many_rows(
    ranks: int, most: int, sizes: list[int], packed: Path, tmp_path: Path
) -> None:
    config = {"init": training_job.INIT, "training": training_job.TRAINING}
    place = Place(0, ranks, "cpu", None, {"micro_batch": most}, "test")
    task = pretraining_task.Pretraining(config, packed, tmp_path, place)
    assert [len(part) for part in task.micro_batches(0)] == sizes


def test_transformers_opens_the_model(packed: Path, tmp_path: Path) -> None:
    task = make(packed, tmp_path)
    log = artefacts.pa.table({"step": [], "tokens": []})
    task.export(task.model.eval(), log)
    opened = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(opened).__name__ == "Qwen2ForCausalLM"
    assert opened.generation_config.eos_token_id == opened.generation_config.bos_token_id == 1
    assert opened.config.pad_token_id == 0 and opened.dtype == torch.float32
    tokens = torch.tensor([[1, 5, 6, 7]])
    with torch.no_grad():
        torch.testing.assert_close(opened(tokens).logits, task.model(tokens).logits)
        generated = opened.generate(tokens, max_new_tokens=4, do_sample=False)
    assert generated.shape[1] <= 8
    np.testing.assert_allclose(
        opened.model.rotary_emb.inv_freq, task.model.model.rotary_emb.inv_freq
    )
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_no_training_rows(tmp_path: Path) -> None:
    units = training_job.write_units(tmp_path / "units.parquet", 2)
    config = {"context": 64, "held_out": 1.0, "seed": 1}
    packing.pack(config, [units], VOCABULARY, tmp_path / "packed.parquet")
    with pytest.raises(ValueError, match="has no training rows"):
        make(tmp_path / "packed.parquet", tmp_path)
