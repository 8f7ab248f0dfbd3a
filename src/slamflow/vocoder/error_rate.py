"""How much of the units comes back when a resynthesis is tokenised again."""

from collections.abc import Iterable

import numpy as np

from slamflow.tokeniser.edits import edit_distance


def unit_error_rate(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Edit distances of all (reference, found) units, by the length of the references.

    Raises:
        ValueError: there are no units.
    """
    edits = units = 0
    for reference, found in pairs:
        edits += edit_distance(reference, found)
        units += len(reference)
    if not units:
        raise ValueError("there are no units to compare with")
    return edits / units
