"""Documents as tokens: `<S> u1 + 2 … un + 2 <S>`, with 1 for `<S>` at both ends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from slamflow import files
from slamflow.lm.vocabulary import BOUNDARY, UNITS
from slamflow.tables import units as units_table


@dataclass(frozen=True)
class Documents:
    """Documents one behind the other.

    Attributes:
        tokens: uint16 or uint32 [tokens].
        offsets: int64 [documents + 1], where each begins, and the end.
        items: the item of each document: items are held out whole.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    items: list[str]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each document, int64 [documents]."""
        return np.diff(self.offsets)


def by_corpus(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Tables by their corpus, the folder's name; sorted, so that their listing does not matter."""
    found: dict[str, list[Path]] = {}
    for path in sorted(map(Path, paths), key=lambda path: (path.parent.name, path.name, path)):
        found.setdefault(path.parent.name, []).append(path)
    return found


def read(paths: Sequence[Path], units: int, vocabulary: int, first: int = UNITS) -> Documents:
    """The documents of units tables; those without units are left out. All roles are taken alike.

    Args:
        units: how many the tokeniser has.
        vocabulary: the number of ids, which decides how wide they are kept.
        first: the id of unit 0.

    Raises:
        ValueError: a unit that the tokeniser lacks.
    """
    return joined(_read(path, units, width(vocabulary), first) for path in paths)


def width(vocabulary: int) -> type[np.unsignedinteger]:
    """The type that ids are kept in."""
    return np.uint16 if vocabulary <= 65_536 else np.uint32


def joined(parts: Iterable[Documents]) -> Documents:
    """The documents of all parts, one at least. An iterator's parts need not fit beside them."""
    tokens: np.ndarray | None = None
    lengths, items = [], list[str]()
    for part in parts:
        if tokens is None:
            tokens = np.empty(0, part.tokens.dtype)
        end = len(tokens)
        # in place, where np.concatenate would have all tokens twice
        tokens.resize(end + len(part.tokens), refcheck=False)
        tokens[end:] = part.tokens
        lengths.append(part.lengths)
        items += part.items
    assert tokens is not None
    return Documents(tokens, np.concatenate([[0], np.cumsum(np.concatenate(lengths))]), items)


def _read(path: Path, units: int, kind: type[np.unsignedinteger], first: int) -> Documents:
    table = files.read_table(path, units_table.SCHEMA, ["id", "item", "units"])
    column = table["units"].combine_chunks()
    values = column.flatten().to_numpy()
    counts = column.value_lengths().fill_null(0).to_numpy()
    unknown = np.flatnonzero(values >= units)
    if len(unknown):
        row = int(np.searchsorted(np.cumsum(counts), unknown[0], side="right"))
        raise ValueError(
            f"{path}: row {row} ({table['id'][row]}) has unit {values[unknown[0]]}, but the"
            f" tokeniser has {units}; extract these units anew"
        )
    spoken = counts > 0
    offsets = np.concatenate([[0], np.cumsum(counts[spoken] + 2, dtype=np.int64)])
    borders = np.concatenate([offsets[:-1], offsets[1:] - 1])
    inner = np.ones(offsets[-1], dtype=bool)
    inner[borders] = False
    tokens = np.empty(offsets[-1], dtype=kind)
    tokens[inner] = values
    tokens += kind(first)
    tokens[borders] = BOUNDARY
    return Documents(tokens, offsets, table["item"].filter(pa.array(spoken)).to_pylist())
