"""Distances of stretches of speech of unlike length, by dynamic time warping.

A distance is the mean along the path of least sum over the frames' distances: the angle between
features, over π; for units 0 or 1/2, which is the angle of one-hot vectors.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

_AT_ONCE = 2_000_000  # numbers in a batch of pairs


def distances(frames: Mapping[int, torch.Tensor], pairs: np.ndarray) -> np.ndarray:
    """The distance of each pair of tokens, float64 [n]; pairs of like length form a batch."""
    lengths = np.array([[len(frames[one]), len(frames[other])] for one, other in pairs])
    order = np.argsort(-lengths.max(1), kind="stable")
    width = frames[int(pairs[0, 0])][0].numel()
    found = np.empty(len(pairs))
    begin = 0
    while begin < len(order):
        longest = int(lengths[order[begin]].max())
        stop = begin + max(1, _AT_ONCE // (longest * max(longest, width)))
        chosen = order[begin:stop]
        sides = [
            pad_sequence([frames[int(place)] for place in pairs[chosen, side]], batch_first=True)
            for side in (0, 1)
        ]
        matrix = _angles(*sides) if sides[0].ndim == 3 else _unlike(*sides)
        rows, columns = torch.from_numpy(lengths[chosen]).T
        found[chosen] = warp(matrix, rows, columns).numpy()
        begin = stop
    return found


def _angles(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Between vectors [n, p, d] and [n, q, d], over π: [n, p, q]."""
    one, other = (torch.nn.functional.normalize(side.double(), dim=2) for side in (one, other))
    return torch.arccos((one @ other.mT).clamp(-1, 1)) / torch.pi


def _unlike(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one[:, :, None] != other[:, None]).double() / 2


def warp(matrix: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Mean distance along the path of least sum (Sakoe & Chiba 1978, steps of one or of both).

    Of paths of equal sum it is the one that steps through both where it can.

    Args:
        matrix: distances [n, p, q], of which the first `rows` [n] and `columns` [n] count.

    Returns:
        [n].
    """
    size, height, width = matrix.shape
    far = matrix.new_full((size,), torch.inf)
    none = matrix.new_zeros(size)
    sums = [[far] * (width + 1) for _ in range(height + 1)]
    steps = [[none] * (width + 1) for _ in range(height + 1)]
    sums[0][0] = none
    for row in range(height):
        for column in range(width):
            best, length = sums[row][column], steps[row][column]
            for up, left in ((row, column + 1), (row + 1, column)):
                nearer = sums[up][left] < best
                best = torch.where(nearer, sums[up][left], best)
                length = torch.where(nearer, steps[up][left], length)
            sums[row + 1][column + 1] = best + matrix[:, row, column]
            steps[row + 1][column + 1] = length + 1
    ends = (rows - 1) * width + columns - 1
    table = [
        torch.stack([cell for line in part[1:] for cell in line[1:]]) for part in (sums, steps)
    ]
    total, length = (part.gather(0, ends[None])[0] for part in table)
    return total / length
