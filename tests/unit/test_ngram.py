"""N-gram models against counts by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
import training_job
from safetensors.numpy import load_file

from slamflow import files
from slamflow.lm import ngram, packing
from slamflow.tables import units as units_table


def count(folder: Path, documents: list[list[int]], order: int) -> np.ndarray:
    units = folder / "units.parquet"
    files.write_table(training_job.units_of(documents), units, units_table.SCHEMA)
    packing.pack({"context": 16, "seed": 1}, [units], 5, folder / "packed.parquet")
    ngram.count({"order": order}, folder / "packed.parquet", folder / "model")
    description = json.loads((folder / "model" / "config.json").read_text())
    assert description["model_type"] == "ngram" and description["order"] == order
    return np.exp(load_file(folder / "model" / "model.safetensors")["log_probabilities"])


DOCUMENTS = [[0, 1, 0, 1], [0, 1, 2]]  # tokens 1 2 3 2 3 1 and 1 2 3 4 1


@pytest.mark.parametrize("order", [0, 1, 2])
def test_probabilities_sum_to_one_without_padding(order: int, tmp_path: Path) -> None:
    found = count(tmp_path, DOCUMENTS, order)
    np.testing.assert_allclose(found.sum(-1), 1.0)
    assert (found[..., 0] == 0).all() and (found[..., 1:] > 0).all()


def test_order_zero_knows_only_length(tmp_path: Path) -> None:
    np.testing.assert_allclose(count(tmp_path, DOCUMENTS, 0)[1:], 1 / 4)


def test_unigram_adds_one(tmp_path: Path) -> None:
    found = count(tmp_path, DOCUMENTS, 1)  # predicted: <S> twice, 2 three, 3 three, 4 once
    np.testing.assert_allclose(found[1:], np.array([3, 4, 4, 2]) / 13)


def test_bigram_discounts(tmp_path: Path) -> None:
    found = count(tmp_path, DOCUMENTS, 2)
    # bigrams: 1→2 twice, 2→3 three times, 3→2, 3→1, 3→4, 4→1 once: D = 4 / (4 + 2 · 1)
    unigram, discount = np.array([0, 3, 4, 4, 2]) / 13, 4 / 6
    assert found[2, 3] == pytest.approx((3 - discount) / 3 + discount * 1 / 3 * unigram[3])
    assert found[3, 1] == pytest.approx((1 - discount) / 3 + discount * 3 / 3 * unigram[1])
    assert found[3, 3] == pytest.approx(discount * 3 / 3 * unigram[3])
    np.testing.assert_allclose(found[0], unigram)  # nothing is known after it


def test_held_out_rows_are_not_counted(tmp_path: Path) -> None:
    units = training_job.write_units(tmp_path / "units.parquet", 40)
    config = {"context": 64, "held_out": 0.5, "seed": 1}
    packing.pack(config, [units], training_job.CLUSTERS + 2, tmp_path / "packed.parquet")
    ngram.count({"order": 1}, tmp_path / "packed.parquet", tmp_path / "model")
    counted = json.loads((tmp_path / "model" / "config.json").read_text())["tokens"]
    units_read = files.read_table(units, units_table.SCHEMA)["units"].to_pylist()
    everything = sum(len(document) + 1 for document in units_read)
    assert 0.2 * everything < counted < 0.8 * everything
