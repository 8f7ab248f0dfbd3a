"""The unit error rate, against another library's distances and by hand."""

import numpy as np
import pytest
from nltk.metrics import edit_distance

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
