"""Scores of n-gram models that were counted by the stage before."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from slamflow import files
from slamflow.benchmarks import conventions, ngram_scoring, pairs_table
from slamflow.lm import ngram, rows
from slamflow.tables import packed as packed_table
from slamflow.tables import scores as scores_table
from slamflow.tables import units as units_table

VOCABULARY = 8  # six units


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    documents = [[1, 2, 3, 4, 1], [1, 2, 3, 1], [1, 5, 6, 7, 2, 3, 1]]
    row = [token for document in documents for token in document]
    columns = {"tokens": [row], "borders": [[0, 5, 9]], "held_out": [False], "corpus": [None]}
    table = pa.table(columns, schema=packed_table.SCHEMA)
    metadata = {"context": str(len(row)), "vocabulary": str(VOCABULARY), "fill": "1.0"}
    path = tmp_path / "packed.parquet"
    schema = packed_table.SCHEMA.with_metadata(metadata)
    files.write_table(table.replace_schema_metadata(metadata), path, schema)
    return path


def units_file(path: Path, pairs: list[tuple[list[int], list[int]]]) -> Path:
    units = [member for pair in pairs for member in pair]
    columns = {
        "id": [f"u{index}" for index in range(len(units))],
        "item": [f"item-{index // 2}" for index in range(len(units))],
        "role": ["positive", "negative"] * len(pairs),
        "group": [""] * len(units),
        "rendition": [0] * len(units),
        "speaker": ["en-us"] * len(units),
        "duration": [1.0] * len(units),
        "units": units,
        "durations": [[1] * len(each) for each in units],
    }
    files.write_table(pa.table(columns, schema=units_table.SCHEMA), path, units_table.SCHEMA)
    return path


def scored(
    tmp_path: Path, packed: Path, order: int, pairs: list[tuple[list[int], list[int]]]
) -> Path:
    model = tmp_path / f"order-{order}"
    model.mkdir()
    ngram.count({"order": order}, packed, model)
    output = tmp_path / f"scores-{order}.parquet"
    units = units_file(tmp_path / "units.parquet", pairs)
    ngram_scoring.score({"start": "bos"}, model, [units], output, {})
    return output


PAIRS = [([0, 1, 2], [2, 0, 1]), ([3, 4], [0, 1, 0, 1]), ([], [5])]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_terms_are_those_of_the_model(tmp_path: Path, packed: Path, order: int) -> None:
    scores = files.read_table(scored(tmp_path, packed, order, PAIRS), scores_table.SCHEMA)
    table = ngram.estimate(rows.read(packed)[0], VOCABULARY, order)
    for row, units in zip(
        scores.to_pylist(), [each for pair in PAIRS for each in pair], strict=True
    ):
        tokens = [1, *(unit + 2 for unit in units), 1]
        terms = [
            -np.log(table[before, after] if order == 2 else table[after])
            for before, after in itertools.pairwise(tokens)
        ]
        assert row["tokens"] == len(units) + 1
        assert row["nll"] == pytest.approx(sum(terms))
        assert row["end_nll"] == pytest.approx(terms[-1])
        assert row["first_nll"] == (pytest.approx(terms[0]) if units else None)


def test_order_0_is_the_length_baseline(tmp_path: Path, packed: Path) -> None:
    pairs = pairs_table.read(scored(tmp_path, packed, 0, PAIRS))
    assert conventions.outcomes(pairs, "slamkit-sum")["outcome"].tolist() == [0.5, 1.0, 1.0]
    assert conventions.outcomes(pairs, "slamkit-mean")["outcome"].tolist() == [0.5, 0.5, 0.5]


def test_unigram_does_not_hear_the_order(tmp_path: Path, packed: Path) -> None:
    pairs = pairs_table.read(scored(tmp_path, packed, 1, PAIRS))
    assert conventions.outcomes(pairs, "slamkit-mean")["outcome"].iloc[0] == 0.5
    pairs = pairs_table.read(scored(tmp_path, packed, 2, PAIRS))
    assert conventions.outcomes(pairs, "slamkit-mean")["outcome"].iloc[0] == 1.0


def test_unknown_unit_is_an_error(tmp_path: Path, packed: Path) -> None:
    with pytest.raises(ValueError, match=r"row 1 \(`u1`\) has unit 6, but order-1 knows only 6"):
        scored(tmp_path, packed, 1, [([0], [6])])


def test_neither_scoring_n_grams_nor_collecting_loads_torch() -> None:
    modules = "slamflow.benchmarks.ngram_scoring, slamflow.report.tables"
    code = f"import {modules}, sys; sys.exit('torch' in sys.modules)"
    source = Path(ngram.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
