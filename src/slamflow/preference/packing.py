"""Preferences as one row of blocks, `trunk | chosen | rejected`: both answers share a trunk.

The trunk is `<S>`, the prompt, and the units that both answers begin with: it goes through the
model once. Each answer goes on after it, in attention and in positions, as if there were no other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from slamflow.lm.vocabulary import BOUNDARY, PAD, UNITS
from slamflow.preference.reading import Preferences
from slamflow.training.device import send

TOKENS = {"cpu": 4096, "cuda": 32_768}  # of a micro-batch, unless the machine says otherwise
MULTIPLE = 8  # of a pair's tokens on a CPU: pairs of one length are computed together
WIDTH, ALIGNED = 1024, 64  # tokens of a row on a GPU, at least, and what they are a multiple of
FILL = 0.95  # share of the rows that pairs surely fill


@dataclass(frozen=True)
class Room:
    """Of a micro-batch.

    Attributes:
        tokens: that its pairs have together, at most.
        width: of rows that hold several pairs each; 0: each pair is a block of its own.
        rows: so many, whatever the pairs need, so that all micro-batches have one shape.
    """

    tokens: int
    width: int = 0
    rows: int = 0


def room(lengths: np.ndarray, device: str, micro_batch: int | None, share: int) -> Room:
    """The room of micro-batches.

    Args:
        lengths: tokens of all pairs.
        device: cpu or cuda.
        micro_batch: so many pairs of the greatest length fit in memory; default: TOKENS.
        share: pairs that there are for a rank in a step: no need of much more room.
    """
    longest = int(lengths.max())
    tokens = micro_batch * longest if micro_batch else TOKENS["cpu" if device == "cpu" else "cuda"]
    if device == "cpu":
        return Room(max(tokens, longest))
    width = max(WIDTH, math.ceil(longest / ALIGNED) * ALIGNED)
    needed = share * lengths.mean() + 2 * math.sqrt(share) * lengths.std()
    rows = max(1, min(tokens // width, math.ceil(needed / (FILL * width))))
    return Room(max(int(FILL * rows * width), longest), width, rows)


def micro_batches(
    lengths: np.ndarray, index: np.ndarray, tokens: int, ranks: int = 1
) -> list[np.ndarray]:
    """Parts of the pairs `index`, as many for each of `ranks`, as far as there are pairs.

    The pairs of a part are of similar lengths; parts have about equally many tokens, and at most
    `tokens`, unless a pair alone has more.
    """
    index = index[np.argsort(lengths[index], kind="stable")]
    sizes = lengths[index]
    total, middles, limit = sizes.sum(), np.cumsum(sizes) - sizes / 2, max(tokens, sizes.max())
    count = ranks * math.ceil(total / (limit * ranks))
    while True:
        borders = np.flatnonzero(np.diff(middles * count // total)) + 1
        parts = np.split(index, borders)
        if max(lengths[part].sum() for part in parts) <= limit:
            return parts
        count += ranks


@dataclass(frozen=True)
class Packed:
    """Pairs as a row of a causal model after `attention.by_blocks`.

    Attributes:
        inputs: of the model, with `logits_to_keep`: the places whose next token counts, [n].
        labels: that token, [n].
        answers: whose it is, [n]: chosen answers from 0 on, then the rejected ones.
    """

    inputs: dict[str, Any]
    labels: torch.Tensor
    answers: torch.Tensor


def pack(pairs: Preferences, index: np.ndarray, place: Room, device: str) -> Packed:
    """The pairs `index` as a row on `device`. Padding sees only padding, and no one sees it."""
    lengths = pairs.lengths[index]
    begins, blocks = _in_rows(lengths, place) if place.width else _by_length(lengths)
    size = sum(count * length for count, length in blocks)
    tokens, positions = np.full(size, PAD, dtype=np.int64), np.zeros(size, dtype=np.int64)
    owners, parts = np.full(size, -1, dtype=np.int32), np.zeros(size, dtype=np.int8)
    kept: tuple[list[np.ndarray], ...] = ([], [])  # chosen, rejected
    labels: tuple[list[np.ndarray], ...] = ([], [])
    for number, (pair, begin) in enumerate(zip(index, begins, strict=True)):
        prompt, common = pairs.prompts[pair], pairs.common[pair]
        answers = pairs.chosen[pair], pairs.rejected[pair]
        trunk = len(prompt) + common + 1
        owners[begin : begin + lengths[number]] = number
        tokens[begin] = BOUNDARY
        tokens[begin + 1 : begin + trunk] = np.concatenate([prompt, answers[0][:common]]) + UNITS
        positions[begin : begin + trunk] = np.arange(trunk)
        after = begin + trunk
        for which, answer in enumerate(answers):
            end = after + len(answer) - common
            tokens[after:end] = answer[common:].astype(np.int64) + UNITS
            positions[after:end] = np.arange(trunk, trunk + end - after)
            parts[after:end] = which + 1
            places = [np.arange(begin + len(prompt), begin + trunk), np.arange(after, end)]
            wanted = np.append(answer.astype(np.int64) + UNITS, BOUNDARY)
            counted = pairs.counted[pair, which]
            kept[which].append(np.concatenate(places)[:counted])
            labels[which].append(wanted[:counted])
            after = end
    counts = pairs.counted[index].T.flatten()
    inputs = {
        "input_ids": send(tokens, device)[None],
        "position_ids": send(positions, device)[None],
        "masks": _masks(owners, parts, blocks, device),
        "logits_to_keep": send(np.concatenate(kept[0] + kept[1]), device),
    }
    answers_of = np.repeat(np.arange(len(counts)), counts)
    return Packed(
        inputs,
        send(np.concatenate(labels[0] + labels[1]), device),
        send(answers_of, device),
    )


def _masks(
    owners: np.ndarray, parts: np.ndarray, blocks: Sequence[tuple[int, int]], device: str
) -> list[torch.Tensor]:
    """What each token may see, as `attention.by_blocks` wants it.

    Args:
        owners: the pair of each token, [tokens]; -1: padding.
        parts: 0 in the trunk, 1 and 2 in the answers.
        blocks: (count, length).
    """
    both = send(np.stack([owners, parts.astype(np.int32)]), device)
    masks = []
    for found, (count, length) in zip(
        both.split([count * length for count, length in blocks], 1), blocks, strict=True
    ):
        owner, part = found.view(2, count, length)
        seen = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        same = (part[:, :, None] == part[:, None]) | (part[:, None] == 0)
        masks.append(seen & same & (owner[:, :, None] == owner[:, None]))
    return masks


def _by_length(lengths: np.ndarray) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Where each pair begins, and the blocks: pairs of one padded length are behind each other."""
    padded = np.ceil(lengths / MULTIPLE).astype(np.int64) * MULTIPLE
    order = np.argsort(padded, kind="stable")
    begins = np.empty(len(lengths), dtype=np.int64)
    begins[order] = np.cumsum(padded[order]) - padded[order]
    kinds, counts = np.unique(padded, return_counts=True)
    return begins, list(zip(counts.tolist(), kinds.tolist(), strict=True))


def _in_rows(lengths: np.ndarray, place: Room) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """The same for rows of several pairs: the longest first, each in the fullest that has room."""
    begins, used = np.empty(len(lengths), dtype=np.int64), [0] * place.rows
    for pair in np.argsort(-lengths, kind="stable"):
        length = int(lengths[pair])
        free = [row for row, taken in enumerate(used) if taken + length <= place.width]
        if not free:
            free, used = [len(used)], [*used, 0]
        row = max(free, key=lambda row: used[row])
        begins[pair] = row * place.width + used[row]
        used[row] += length
    return begins, [(len(used), place.width)]
