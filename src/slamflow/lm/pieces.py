"""Pieces of documents, and the rows that they are packed into."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from slamflow import files
from slamflow.lm.documents import Documents
from slamflow.tables import packed as packed_table


@dataclass(frozen=True)
class Pieces:
    """Pieces of documents; int64 [pieces] each.

    Attributes:
        corpus: the number of its corpus.
        source: its first token in the corpus's tokens.
        length: tokens.
        row: the row that it is packed into, from 0; empty before packing.
        place: where it begins in the row.
    """

    corpus: np.ndarray
    source: np.ndarray
    length: np.ndarray
    row: np.ndarray
    place: np.ndarray

    @property
    def rows(self) -> int:
        """How many rows there are; none is empty."""
        return int(self.row.max(initial=-1)) + 1

    def taken(self, index: np.ndarray) -> "Pieces":
        """The pieces `index` in this order, without rows."""
        return _unpacked(self.corpus[index], self.source[index], self.length[index])


def whole(corpus: int, documents: Documents, index: np.ndarray) -> Pieces:
    """The documents `index` of a corpus, a piece each."""
    numbers = np.full(len(index), corpus, dtype=np.int64)
    return _unpacked(numbers, documents.offsets[index], documents.lengths[index])


def together(parts: Sequence[Pieces]) -> Pieces:
    """Pieces that are not packed yet, those of the first part first."""
    names = ("corpus", "source", "length")
    return _unpacked(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def cut(pieces: Pieces, context: int) -> Pieces:
    """The same tokens in pieces of at most `context` tokens."""
    count = -(-pieces.length // context)
    index = np.repeat(np.arange(len(count)), count)
    skipped = context * _counted(np.zeros_like(count), count)
    left = np.minimum(pieces.length[index] - skipped, context)
    return _unpacked(pieces.corpus[index], pieces.source[index] + skipped, left)


def placed(pieces: Pieces, bins: Sequence[Sequence[int]]) -> Pieces:
    """The pieces in rows: each bin is a row of pieces."""
    sizes = np.array([len(members) for members in bins], dtype=np.int64)
    index = np.fromiter((i for members in bins for i in members), np.int64, int(sizes.sum()))
    chosen = pieces.taken(index)
    before = np.cumsum(chosen.length) - chosen.length
    firsts = (np.cumsum(sizes) - sizes).astype(np.int64)
    return replace(
        chosen,
        row=np.repeat(np.arange(len(sizes)), sizes),
        place=before - np.repeat(before[firsts], sizes),
    )


def streamed(pieces: Pieces, context: int) -> Pieces:
    """The pieces one behind the other, cut wherever a row is full."""
    ends = np.cumsum(pieces.length)
    total = int(ends[-1]) if len(ends) else 0
    begins = np.union1d(ends - pieces.length, np.arange(0, total, context))
    index = np.searchsorted(ends, begins, side="right")
    source = pieces.source[index] + begins - (ends - pieces.length)[index]
    cut_ones = _unpacked(pieces.corpus[index], source, np.diff(begins, append=total))
    return replace(cut_ones, row=begins // context, place=begins % context)


def behind(parts: Sequence[Pieces]) -> Pieces:
    """Packed pieces, the rows of each part behind those of the one before."""
    firsts = np.cumsum([0, *(part.rows for part in parts)])
    rows = [part.row + first for part, first in zip(parts, firsts, strict=False)]
    places = [part.place for part in parts]
    return replace(together(parts), row=np.concatenate(rows), place=np.concatenate(places))


def shuffled(pieces: Pieces, rng: np.random.Generator) -> Pieces:
    """The rows in an order that is drawn, their pieces by row and place."""
    rank = np.empty(pieces.rows, dtype=np.int64)
    rank[rng.permutation(pieces.rows)] = np.arange(pieces.rows)
    row = rank[pieces.row]
    order = np.argsort(row, kind="stable")
    return replace(pieces.taken(order), row=row[order], place=pieces.place[order])


def tokens_and_fill(pieces: Pieces, corpora: int, context: int) -> list[tuple[int, float]]:
    """Of each corpus its tokens, and how full the rows are that hold it, weighted by its tokens.

    A row's room is shared among its corpora as its tokens are. Where there are none, it is 0.
    """
    in_row = np.bincount(pieces.row, pieces.length, pieces.rows)
    room = pieces.length / in_row[pieces.row] * context
    tokens = np.bincount(pieces.corpus, pieces.length, corpora)
    rooms = np.bincount(pieces.corpus, room, corpora)
    return [(int(t), float(t / r) if r else 0.0) for t, r in zip(tokens, rooms, strict=True)]


def tables(
    pieces: Pieces, corpora: Sequence[Documents], context: int, names: Sequence[str] | None
) -> Iterator[pa.Table]:
    """The rows as tables of the packed schema, a row group each.

    Args:
        pieces: sorted by row and place.
        names: of the corpora, for held-out rows; None for training rows.
    """
    size = max(1, min(files.ROW_GROUP, packed_table.GROUP // context))
    for first in range(0, pieces.rows, size):
        count = min(size, pieces.rows - first)
        begin, end = np.searchsorted(pieces.row, [first, first + count])
        part = slice(begin, end)
        corpus, source, length = pieces.corpus[part], pieces.source[part], pieces.length[part]
        place, row = pieces.place[part], pieces.row[part] - first
        tokens = np.zeros(count * context, dtype=np.uint32)
        for number, documents in enumerate(corpora):
            mine = corpus == number
            goal = _counted((row * context + place)[mine], length[mine])
            tokens[goal] = documents.tokens[_counted(source[mine], length[mine])]
        bounds = np.searchsorted(row, np.arange(count + 1))
        held_out = [None] * count if names is None else [names[i] for i in corpus[bounds[:-1]]]
        columns = {
            "tokens": _lists(np.arange(count + 1) * context, tokens),
            "borders": _lists(bounds, place.astype(np.uint32)),
            "held_out": pa.array([names is not None] * count, pa.bool_()),
            "corpus": pa.array(held_out, pa.string()),
        }
        yield pa.table(columns, schema=packed_table.SCHEMA)


def _unpacked(corpus: np.ndarray, source: np.ndarray, length: np.ndarray) -> Pieces:
    nothing = np.empty(0, np.int64)
    return Pieces(corpus, source, length, nothing, nothing)


def _counted(firsts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """first, first + 1, … of each, count of them, one behind the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(firsts - before, counts) + np.arange(counts.sum())


def _lists(bounds: np.ndarray, values: np.ndarray) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pa.array(values))
