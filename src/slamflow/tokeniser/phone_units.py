"""The true phones as units: what a language model could know with perfect units (a topline).

Silence is no unit. Equal phones in a row are one, as with other units.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import codebook, runs

SILENCE = "_"
FRAME_RATE = 25  # Hz, of `durations`


def list_phones(speech: Sequence[Path]) -> dict[str, list[str]]:
    """`{"phones": labels}`: all phones in speech tables, sorted, without silence.

    Raises:
        ValueError: an utterance's phones are not known.
    """
    found: set[str] = set()
    for path in speech:
        for utterance in _phones(
            path, files.read_table(path, speech_table.SCHEMA, ("id", "phones"))
        ):
            found.update(phone["label"] for phone in utterance)
    return {"phones": sorted(found - {SILENCE})}


def extract(phones: Path, speech: Path, output: Path) -> None:
    """Write the units table of a speech table.

    Args:
        phones: phones.json; a unit is an index into its list.

    Raises:
        ValueError: an utterance's phones are not known, or not in the list.
    """
    index = {label: i for i, label in enumerate(codebook.phones(phones))}
    columns = (*runs.COPIED, "phones")
    table = files.read_table(speech, speech_table.SCHEMA, columns)
    units, durations = [], []
    for name, utterance in zip(table["id"].to_pylist(), _phones(speech, table), strict=True):
        spoken = [phone for phone in utterance if phone["label"] != SILENCE]
        unknown = sorted({phone["label"] for phone in spoken} - index.keys())
        if unknown:
            raise ValueError(
                f"{speech}: {name} has phone {unknown[0]!r}, which {phones} lacks; fit the"
                " tokeniser on corpora that have it"
            )
        labels = np.array([index[phone["label"]] for phone in spoken], dtype=np.uint16)
        frames = [round((phone["end"] - phone["start"]) * FRAME_RATE) for phone in spoken]
        kept, durations_kept = _joined(labels, np.maximum(1, frames).astype(np.int64))
        units.append(kept)
        durations.append(durations_kept)
    files.write_table(runs.table(table, units, durations), output, units_table.SCHEMA)


def _phones(path: Path, table: Any) -> list[list[Mapping[str, Any]]]:
    column = table["phones"].to_pylist()
    for name, utterance in zip(table["id"].to_pylist(), column, strict=True):
        if utterance is None:
            raise ValueError(
                f"{path}: the phones of {name} are not known; features: phones needs synthetic"
                " speech"
            )
    return column


def _joined(labels: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without repeats, with summed durations."""
    if not len(labels):
        return labels, frames.astype(np.uint16)
    starts = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
    return labels[starts], np.minimum(np.add.reduceat(frames, starts), runs.LONGEST).astype(
        np.uint16
    )
