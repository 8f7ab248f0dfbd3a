"""The unit error rate, against another library's distances and by hand."""

from pathlib import Path

import numpy as np
import pytest
import training_job
from nltk.metrics import edit_distance

from slamflow import files
from slamflow.tables import units as units_table
from slamflow.tokeniser import edits
from slamflow.vocoder import error_rate


def test_distances_are_those_of_nltk() -> None:
    drawn = np.random.default_rng(0)
    for _ in range(200):
        first, second = (drawn.integers(4, size=drawn.integers(0, 12)) for _ in range(2))
        expected = edit_distance(first.tolist(), second.tolist())
        assert edits.edit_distance(first, second) == expected


def test_the_rate_is_by_the_length_of_the_references() -> None:
    short, long = np.array([1, 2]), np.arange(8)
    pairs = [(short, np.array([1, 3, 2])), (long, long[1:])]  # an insertion, a deletion
    assert error_rate.unit_error_rate(pairs) == 2 / 10
    assert error_rate.unit_error_rate([(short, np.arange(10, 20))]) == 5.0
    with pytest.raises(ValueError, match="no units"):
        error_rate.unit_error_rate([])


def test_measure_of_tables(tmp_path: Path) -> None:
    documents = [[1, 2, 3, 4], [5, 6, 7], [8, 9]]
    table = training_job.units_of(documents)
    again = training_job.units_of([[1, 2, 3, 4], [5, 7], [8, 9]]).slice(0, 2)
    paths = [tmp_path / f"{name}.parquet" for name in ("reference", "found")]
    for path, content in zip(paths, (table, again), strict=True):
        files.write_table(content, path, units_table.SCHEMA)
    error_rate.measure(*paths, tmp_path / "m.json")
    found = (tmp_path / "m.json").read_text().split()
    assert (
        found == '{ "unit_error_rate": 0.14285714285714285, "units": 7, "utterances": 2 }'.split()
    )
    with pytest.raises(ValueError, match=r"reference.parquet: d2 is not in .*found.parquet"):
        error_rate.measure(*reversed(paths), tmp_path / "m.json")
