"""The utterances whose units are measured, and encoding them as they are or changed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from slamflow import files
from slamflow.tables import alignments as alignments_table
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import encoder, features, kmeans, utterances

Change = Callable[[np.ndarray, str], np.ndarray]  # of a wave [n] at 16 kHz, by the utterance's id
Tokeniser = tuple[encoder.Encoder, torch.Tensor]  # and centroids [K, dimension]


class Utterance(NamedTuple):
    """What is known of an utterance without its audio; null is what is not known.

    Attributes:
        table: index of its speech table.
        name: its id, which is unique within the corpus.
        seconds: duration.
    """

    table: int
    name: str
    seconds: float
    speaker: str | None
    phones: list[dict[str, Any]] | None


def known(
    speech: Sequence[Path], drawn: Sequence[tuple[str, int, str, float]], alignments: Sequence[Path]
) -> list[Utterance]:
    """The utterances drawn (see `utterances.drawn`), in their order.

    Args:
        alignments: `{corpus}/{shard}.parquet`; phones of the speech tables of the same last two
            names, where those know none.
    """
    aligned = {(path.parent.name, path.name): path for path in alignments}
    found: dict[tuple[int, str], Utterance] = {}
    for table, path in enumerate(speech):
        chosen = {entry[2] for entry in drawn if entry[1] == table}
        others = aligned.get((path.parent.name, path.name))
        stand_in: dict[str, Any] = {}
        if others is not None:
            read = _rows(others, alignments_table.SCHEMA, ("id", "phones"), chosen)
            stand_in = {row["id"]: row["phones"] for row in read}
        columns = ("id", "duration", "speaker", "phones")
        for row in _rows(path, speech_table.SCHEMA, columns, chosen):
            phones = stand_in.get(row["id"]) if row["phones"] is None else row["phones"]
            speaker = row["speaker"] or None
            found[table, row["id"]] = Utterance(table, row["id"], row["duration"], speaker, phones)
    return [found[table, name] for _, table, name, _ in drawn]


def encode(
    tokeniser: Tokeniser,
    speech: Sequence[Path],
    chosen: Mapping[int, Utterance],
    machine: Mapping[str, Any],
    change: Change | None = None,
) -> Iterator[tuple[int, torch.Tensor, np.ndarray]]:
    """Key in `chosen`, features [frames, dimension] and units int64 [frames], in any order.

    Args:
        change: what is done to each wave before; what it leaves too short is passed over.
    """
    made, centroids = tokeniser
    for table, path in enumerate(speech):
        keys = {one.name: key for key, one in chosen.items() if one.table == table}
        if not keys:
            continue
        root = utterances.root(machine)
        read = utterances.read(path, features.SAMPLING_RATE, root, set(keys))
        if change is not None:
            read = _changed(read, change, made)
        for _, row, frames in encoder.encode_all(made, read, path):
            found = kmeans.assign(frames, centroids).cpu().numpy()
            yield keys[row["id"]], frames.cpu(), found


def _changed(
    read: Iterator[tuple[dict[str, Any], np.ndarray]], change: Change, made: encoder.Encoder
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    for row, wave in read:
        changed = change(wave, row["id"])
        if made.frames(len(changed)):
            yield row, changed


def _rows(
    path: Path, schema: pa.Schema, columns: Sequence[str], chosen: set[str]
) -> list[dict[str, Any]]:
    if not chosen:
        return []
    names = files.read_table(path, schema, ("id",))["id"].to_pylist()
    keep = pa.array([name in chosen for name in names], pa.bool_())
    return files.read_table(path, schema, columns, keep).to_pylist()
