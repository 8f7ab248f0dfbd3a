"""How far one sequence of units is from another."""

import numpy as np


def edit_distance(one: np.ndarray, other: np.ndarray) -> int:
    """Least number of insertions, deletions and substitutions (Levenshtein 1966) of integers."""
    place = np.arange(len(other) + 1)
    row = place
    for number, unit in enumerate(one, start=1):
        best = np.empty_like(row)
        best[0] = number
        best[1:] = np.minimum(row[1:] + 1, row[:-1] + (other != unit))
        # an insertion comes from the left of the same row: a running minimum once its price is off
        row = np.minimum.accumulate(best - place) + place
    return int(row[-1])
