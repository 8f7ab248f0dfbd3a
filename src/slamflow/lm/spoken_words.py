"""When the words of utterances are spoken, and how their text spells them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from slamflow import files
from slamflow.tables import alignments as alignments_table
from slamflow.tables import speech as speech_table


class Words(NamedTuple):
    """The words of an utterance.

    Attributes:
        labels: as the text has them, punctuation too, where that is known.
        starts, ends: s from the utterance's beginning, float64 [words].
    """

    labels: list[str]
    starts: np.ndarray
    ends: np.ndarray


def read(speech: Path, alignments: Path | None = None) -> dict[str, Words]:
    """The words of a speech table's utterances by id; those without known words are left out.

    Args:
        alignments: of the same shard; its words stand in for those that the speech table does not
            know.
    """
    table = files.read_table(speech, speech_table.SCHEMA, ["id", "text", "words"])
    texts = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    found = _words(table)
    if alignments is not None:
        columns = ["id", "words"]
        found = _words(files.read_table(alignments, alignments_table.SCHEMA, columns)) | found
    return {
        name: words._replace(labels=spelled(words.labels, texts[name] or ""))
        for name, words in found.items()
        if name in texts
    }


def spelled(labels: list[str], text: str) -> list[str]:
    """The words as the text has them, if it has as many between its blanks; else the labels."""
    sizes = [len(label.split()) for label in labels]
    tokens, ends = text.split(), np.cumsum(sizes).tolist()
    if sum(sizes) != len(tokens):
        return labels
    return [" ".join(tokens[end - n : end]) for n, end in zip(sizes, ends, strict=True)]


def _words(table: pa.Table) -> dict[str, Words]:
    column = table["words"].combine_chunks()
    counts = column.value_lengths().fill_null(0).to_numpy()
    ends = np.cumsum(counts)
    flat = column.flatten()
    labels = flat.field("label").to_pylist()
    starts, stops = (flat.field(name).to_numpy() for name in ("start", "end"))
    return {
        name: Words(labels[end - n : end], starts[end - n : end], stops[end - n : end])
        for name, n, end in zip(table["id"].to_pylist(), counts, ends, strict=True)
        if n
    }
