"""Packing documents of units into training rows of exactly `context` tokens.

Documents longer than the context are cut, their remainder is kept, and later pieces have no `<S>`
before them. Pieces are packed by best-fit decreasing: each, the longest first, goes into the
fullest row that it fits into. With `cut: all`, documents follow each other in an order that is
drawn, and what does not fit into a row goes on in the next.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slamflow import files
from slamflow.lm import documents, pieces, shares
from slamflow.lm.documents import Documents
from slamflow.lm.pieces import Pieces
from slamflow.lm.vocabulary import UNITS
from slamflow.tables import packed as packed_table

CUTS = ("longer", "all")


def pack(config: Mapping[str, Any], units: Sequence[Path], vocabulary: int, output: Path) -> str:
    """Pack the documents of all `units` tables; returns a line that says what was made.

    Args:
        config: see `write`, and `shares` (see `shares.epochs`).
        units: units tables; the folder of each has the name of its corpus.
        vocabulary: the number of ids, clusters + 2.
        output: the packed table.

    Raises:
        ValueError: a unit that the vocabulary lacks, no documents, or impossible shares.
    """
    clusters = vocabulary - UNITS
    corpora = {
        corpus: documents.read(paths, clusters, vocabulary)
        for corpus, paths in documents.by_corpus(units).items()
    }
    if not any(map(len, corpora.values())):
        raise ValueError(f"{', '.join(map(str, units))}: hold no units")

    def epochs(tokens: Mapping[str, int]) -> dict[str, float]:
        return shares.epochs(tokens, config.get("shares") or {})

    return write(config, corpora, epochs, clusters, vocabulary, output)


def write(
    config: Mapping[str, Any],
    corpora: Mapping[str, Documents],
    epochs: Callable[[Mapping[str, int]], Mapping[str, float]],
    units: int,
    vocabulary: int,
    output: Path,
) -> str:
    """Pack documents; returns a line that says what was made.

    Args:
        config: `context` (tokens of a row), `held_out` (share of each corpus's items whose
            documents go into validation rows, once each), `cut` (`longer`, the default, or `all`:
            which documents are cut), `seed`.
        corpora: the documents by corpus.
        epochs: from the training tokens of each corpus, how often it is trained on.
        units: how many the speech tokeniser has.
        vocabulary: the number of ids.
        output: the packed table.
    """
    context, cut = int(config["context"]), config.get("cut", CUTS[0])
    if cut not in CUTS:
        raise ValueError(f"packing: cut is {cut!r} and must be one of {', '.join(CUTS)}")
    rng = np.random.default_rng(seed := int(config.get("seed", 0)))
    share = float(config.get("held_out", 0.0))
    held_out = shares.held_out({name: part.items for name, part in corpora.items()}, share, rng)
    tokens = {name: int(part.lengths[~held_out[name]].sum()) for name, part in corpora.items()}
    times = epochs(tokens)
    training, validation = [], []
    for number, (name, part) in enumerate(corpora.items()):
        kept = np.flatnonzero(~held_out[name])
        drawn = shares.copies(part.lengths[kept], times[name], shares.generator(seed, name))
        # copies lie apart, so that those of one document seldom meet in a row
        index = [kept[drawn > copy] for copy in range(int(drawn.max(initial=0)))]
        training.append(pieces.whole(number, part, np.concatenate([kept[:0], *index])))
        validation.append(pieces.whole(number, part, np.flatnonzero(held_out[name])))
    made = pieces.shuffled(_packed(pieces.together(training), context, cut, rng), rng)
    kept_out = pieces.behind([_packed(part, context, cut, rng) for part in validation])
    kept_out = pieces.shuffled(kept_out, rng)
    rows = made.rows + kept_out.rows
    fill = int(made.length.sum() + kept_out.length.sum()) / max(1, rows * context)
    metadata = {
        "context": context,
        "vocabulary": vocabulary,
        "units": units,
        "documents": sum(map(len, corpora.values())),
        "held_out_documents": sum(int(mask.sum()) for mask in held_out.values()),
        "fill": fill,
    }
    details = []
    found = pieces.tokens_and_fill(made, len(corpora), context)
    for name, (count, its_fill) in zip(corpora, found, strict=True):
        metadata |= {f"tokens {name}": count, f"fill {name}": its_fill}
        details.append(f"{name} {count} tokens, {its_fill:.1%} full")
    schema = packed_table.SCHEMA.with_metadata({k: str(v) for k, v in metadata.items()})
    contents = list(corpora.values())
    with files.writing_table(output, schema) as append:
        for packed, names in ((made, None), (kept_out, list(corpora))):
            for table in pieces.tables(packed, contents, context, names):
                append(table)
    longer = sum(int((part.lengths > context).sum()) for part in contents)
    return (
        f"{metadata['documents']} documents in {rows} rows of {context} tokens"
        f" ({kept_out.rows} held out), {fill:.1%} full ({'; '.join(details)});"
        f" {f'{longer} longer documents were cut' if cut == CUTS[0] else 'cut where rows are full'}"
    )


def best_fit(lengths: Sequence[int] | np.ndarray, capacity: int) -> list[list[int]]:
    """Pack items by best-fit decreasing; equal lengths keep their order.

    Args:
        lengths: of the items, each at most `capacity`.

    Returns:
        The items' indices in each bin, the longest first.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    assert not len(sizes) or 0 < sizes.min() <= sizes.max() <= capacity
    order = np.argsort(-sizes, kind="stable")
    bins: list[list[int]] = []
    open_bins: list[list[int]] = [[] for _ in range(capacity + 1)]  # by the space left in them
    spaces = 0  # bit s is set if a bin with space s is open: the next larger one is found at once
    for index, length in zip(order.tolist(), sizes[order].tolist(), strict=True):
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


def _packed(found: Pieces, context: int, cut: str, rng: np.random.Generator) -> Pieces:
    if cut == CUTS[0]:
        found = pieces.cut(found, context)
        return pieces.placed(found, best_fit(found.length, context))
    return pieces.streamed(found.taken(rng.permutation(len(found.length))), context)
