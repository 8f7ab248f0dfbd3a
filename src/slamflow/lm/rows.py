"""Packed rows in memory: some two bytes a token, however many there are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from slamflow import files
from slamflow.lm.vocabulary import PAD
from slamflow.tables import packed as packed_table

PORTION = 1 << 21  # tokens that are looked at at a time


@dataclass(frozen=True)
class Indices:
    """The index of each token's document in its row, from 0, made of a bit a token when asked for.

    Attributes:
        first: a bit for each token, set where a document begins, uint8 [rows, context / 8].
        context: tokens of a row.
    """

    first: np.ndarray
    context: int

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        """Of the rows `index`, int32 [rows, context]; of a single row, [context]."""
        first = np.unpackbits(self.first[index], axis=-1, count=self.context)
        return np.cumsum(first, axis=-1, dtype=np.int32) - 1

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[row] for row in range(len(self.first)))


@dataclass(frozen=True)
class Rows:
    """Packed rows in memory.

    Attributes:
        tokens: [rows, context], 0 where nothing is packed.
        documents: of some rows, the index of each token's document in its row, from 0.
        corpora: of held-out rows, the corpus of each, [rows].
    """

    tokens: np.ndarray
    documents: Indices | np.ndarray
    corpora: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    def portions(self) -> Iterator[slice]:
        """All rows, as many at a time as have PORTION tokens."""
        size = max(1, PORTION // self.tokens.shape[1])
        return (slice(first, first + size) for first in range(0, len(self), size))

    def counted(self, index: slice) -> np.ndarray:
        """Where the next token is predicted, [rows, context - 1]: PAD and first tokens are not."""
        tokens, documents = self.tokens[index], self.documents[index]
        return (documents[:, 1:] == documents[:, :-1]) & (tokens[:, 1:] != PAD)

    def targets(self) -> np.ndarray:
        """The number of predicted tokens of each row, int64 [rows]."""
        found = np.empty(len(self), dtype=np.int64)
        for portion in self.portions():
            found[portion] = self.counted(portion).sum(1)
        return found

    def lengths(self, index: np.ndarray) -> np.ndarray:
        """The tokens of each document in the rows `index`."""
        place = self.documents[index] + np.arange(len(index))[:, None] * self.tokens.shape[1]
        counts = np.bincount(place[self.tokens[index] != PAD])
        return counts[counts > 0]

    def bigrams(self, index: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """All predicted tokens of the rows `index` and, first, those before them."""
        tokens, counted = self.tokens[index], self.counted(index)
        return tokens[:, :-1][counted], tokens[:, 1:][counted]


def read(path: Path) -> tuple[Rows, Rows, dict[str, float]]:
    """Training rows, held-out rows, and the metadata `context`, `vocabulary`, `fill`.

    In memory are two bytes and a bit a token (four and a bit, if there are more than 65,536 ids),
    and a row group of the table at a time.

    Raises:
        ValueError: the file is damaged or is no packed table.
    """
    table = files.read_table(path, packed_table.SCHEMA, ["held_out", "corpus"])
    metadata = _metadata(path, table.schema)
    context = int(metadata["context"])
    kind = np.uint16 if metadata["vocabulary"] <= 65_536 else np.uint32
    held_out = table["held_out"].to_numpy()
    if held_out.all():
        raise ValueError(f"{path}: has no training rows; {files.REMAKE}")
    corpora = table["corpus"].filter(table["held_out"]).to_pylist()
    counts = len(held_out) - len(corpora), len(corpora)
    tokens = [np.empty((count, context), dtype=kind) for count in counts]
    first = [np.empty((count, -(-context // 8)), dtype=np.uint8) for count in counts]
    place = np.where(held_out, np.cumsum(held_out), np.cumsum(~held_out)) - 1  # in its part
    done = 0
    for found, begins in _groups(path, context, int(metadata["vocabulary"])):
        group = slice(done, done := done + len(found))
        for part in (0, 1):
            chosen = held_out[group] == part
            goal = place[group][chosen]
            tokens[part][goal], first[part][goal] = found[chosen], begins[chosen]
    training, validation = (Indices(bits, context) for bits in first)
    return Rows(tokens[0], training), Rows(tokens[1], validation, corpora), metadata


def _metadata(path: Path, schema: pa.Schema) -> dict[str, float]:
    try:
        found = {key.decode(): float(value) for key, value in (schema.metadata or {}).items()}
    except ValueError:
        found = {}
    for name in ("context", "vocabulary"):
        if not found.get(name):
            raise ValueError(f"{path}: its metadata lack the number `{name}`; {files.REMAKE}")
    return found


def _groups(path: Path, context: int, vocabulary: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of a row group at a time tokens [rows, context] and `Indices.first`."""
    columns = ["tokens", "borders"]
    with files.open_table(path, packed_table.SCHEMA, columns) as file:
        for group in range(file.num_row_groups):  # iter_batches would keep what it has read
            table = files.read_groups(path, file, [group], columns)
            tokens, borders = (column.chunk(0) for column in table.combine_chunks().columns)
            wide = tokens.value_lengths().to_numpy() != context
            if wide.any() or _most(tokens) >= vocabulary or _most(borders) >= context:
                raise ValueError(
                    f"{path}: row group {group}: has rows of other than {context} tokens, or ids"
                    f" beyond {vocabulary - 1}; {files.REMAKE}"
                )
            first = np.zeros((len(tokens), context), dtype=bool)
            row = np.repeat(np.arange(len(tokens)), borders.value_lengths())
            first[row, borders.flatten().to_numpy()] = True
            yield tokens.flatten().to_numpy().reshape(-1, context), np.packbits(first, axis=1)


def _most(lists: pa.ListArray) -> int:
    """The largest entry; -1 if there is none."""
    entries = lists.flatten().to_numpy()
    return int(entries.max()) if len(entries) else -1
