"""Packing documents of units into training rows of exactly `context` tokens.

A document is `<S> u1 + 2 … un + 2 <S>`, with 1 for `<S>` at both ends and 0 for padding. Documents
longer than the context are cut, their remainder is kept, and later pieces have no `<S>` before
them. Pieces are packed by best-fit decreasing: each, the longest first, goes into the fullest row
that it fits into.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import files
from slamflow.lm.vocabulary import BOUNDARY, UNITS
from slamflow.tables import packed as packed_table
from slamflow.tables import units as units_table


def pack(config: Mapping[str, Any], units: Sequence[Path], vocabulary: int, output: Path) -> str:
    """Pack the documents of all `units` tables; returns a line that says what was made.

    Args:
        config: `context` (tokens of a row), `held_out` (share of the items whose documents go
            into validation rows), `seed`.
        units: units tables; all roles are taken alike.
        vocabulary: the number of ids, clusters + 2.
        output: the packed table. Its metadata are `context`, `vocabulary`, `documents`,
            `held_out_documents` and `fill` (the share of tokens that are not padding).

    Raises:
        ValueError: a unit that the vocabulary lacks, or no documents.
    """
    context = int(config["context"])
    rng = np.random.default_rng(int(config.get("seed", 0)))
    documents, items = [], []
    for path in units:
        table = files.read_table(path, units_table.SCHEMA, ["id", "item", "units"])
        found, kept = _documents(table, vocabulary, path)
        documents += found
        items += kept
    if not documents:
        raise ValueError(f"{', '.join(map(str, units))}: hold no units")
    held_out = _held_out(items, float(config.get("held_out", 0.0)), rng)
    parts = []
    for part, wanted in ((False, ~held_out), (True, held_out)):
        pieces = [
            document[start : start + context]
            for document, chosen in zip(documents, wanted, strict=True)
            if chosen
            for start in range(0, len(document), context)
        ]
        bins = best_fit([len(piece) for piece in pieces], context)
        order = rng.permutation(len(bins))
        parts.append(_table([[pieces[i] for i in bins[k]] for k in order], context, part))
    table = pa.concat_tables(parts)
    fill = sum(len(document) for document in documents) / (table.num_rows * context)
    longer = sum(len(document) > context for document in documents)
    facts = {
        "context": context,
        "vocabulary": vocabulary,
        "documents": len(documents),
        "held_out_documents": int(held_out.sum()),
        "fill": fill,
    }
    schema = packed_table.SCHEMA.with_metadata({k: str(v) for k, v in facts.items()})
    files.write_table(table, output, schema)
    return (
        f"{len(documents)} documents in {table.num_rows} rows of {context} tokens"
        f" ({parts[1].num_rows} held out), {fill:.1%} full; {longer} longer documents were cut"
    )


def best_fit(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Pack items by best-fit decreasing; equal lengths keep their order.

    Args:
        lengths: of the items, each at most `capacity`.

    Returns:
        The items' indices in each bin, the longest first.
    """
    bins: list[list[int]] = []
    open_bins: list[list[int]] = [[] for _ in range(capacity + 1)]  # by the space left in them
    spaces = 0  # bit s is set if a bin with space s is open: the next larger one is found at once
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        length = lengths[index]
        assert 0 < length <= capacity, length
        fitting = spaces >> length
        if fitting:
            space = length + (fitting & -fitting).bit_length() - 1
            chosen = open_bins[space].pop()
            if not open_bins[space]:
                spaces ^= 1 << space
        else:
            space, chosen = capacity, len(bins)
            bins.append([])
        bins[chosen].append(index)
        open_bins[space - length].append(chosen)
        spaces |= 1 << (space - length)
    return bins


def _documents(table: pa.Table, vocabulary: int, path: Path) -> tuple[list[np.ndarray], list[str]]:
    """The tokens of each document, and its item; documents without units are left out."""
    column = table["units"].combine_chunks()
    values, offsets = column.flatten().to_numpy(), column.offsets.to_numpy()
    offsets = offsets - offsets[0]
    unknown = np.flatnonzero(values + np.uint32(UNITS) >= vocabulary)
    if len(unknown):
        row = int(np.searchsorted(offsets, unknown[0], side="right")) - 1
        raise ValueError(
            f"{path}: row {row} ({table['id'][row]}) has unit {values[unknown[0]]}, but the"
            f" tokeniser has {vocabulary - UNITS}; extract these units anew"
        )
    documents, items = [], []
    for row, item in enumerate(table["item"].to_pylist()):
        part = values[offsets[row] : offsets[row + 1]]
        if len(part):
            document = np.full(len(part) + 2, BOUNDARY, dtype=np.uint32)
            document[1:-1] = part
            document[1:-1] += UNITS
            documents.append(document)
            items.append(item)
    return documents, items


def _held_out(items: Sequence[str], share: float, rng: np.random.Generator) -> np.ndarray:
    """Which documents are held out: all those of a share of the items, one at least."""
    names = list(dict.fromkeys(items))
    count = max(1, round(share * len(names))) if share > 0 and len(names) > 1 else 0
    chosen = {names[i] for i in rng.permutation(len(names))[:count]}
    return np.array([item in chosen for item in items], dtype=bool)


def _table(rows: Sequence[Sequence[np.ndarray]], context: int, held_out: bool) -> pa.Table:
    tokens = np.zeros((len(rows), context), dtype=np.uint32)
    borders: list[np.ndarray] = []
    for row, pieces in enumerate(rows):
        ends = np.cumsum([len(piece) for piece in pieces])
        tokens[row, : ends[-1]] = np.concatenate(pieces)
        borders.append(np.concatenate([[0], ends[:-1]]))
    starts = np.arange(len(rows) + 1) * context
    bounds = np.concatenate([[0], np.cumsum([len(part) for part in borders], dtype=np.int64)])
    return pa.table(
        {
            "tokens": pa.ListArray.from_arrays(
                pa.array(starts, pa.int32()), pa.array(tokens.reshape(-1))
            ),
            "borders": pa.ListArray.from_arrays(
                pa.array(bounds, pa.int32()),
                pa.array(np.concatenate(borders) if borders else [], pa.uint32()),
            ),
            "held_out": pa.array([held_out] * len(rows), pa.bool_()),
        },
        schema=packed_table.SCHEMA,
    )
