"""Reading utterances of speech tables, with bounded memory."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import audio, files
from slamflow.tables import speech as speech_table
from slamflow.workers import in_order

ROWS = 64  # of audio in memory at once
AUDIO = ("id", "audio", "start", "end")


def drawn(speech: Sequence[Path], seed: int) -> list[tuple[str, int, str, float]]:
    """All utterances, as (draw, index of the table, id, duration in s), in an order drawn by seed.

    It depends on the seed and the ids alone: not on how they are spread over the tables.
    """
    found = []
    for index, path in enumerate(speech):
        table = files.read_table(path, speech_table.SCHEMA, ("id", "duration"))
        for name, seconds in zip(*(table[c].to_pylist() for c in ("id", "duration")), strict=True):
            draw = hashlib.sha256(f"{seed} {name}".encode()).hexdigest()
            found.append((draw, index, name, seconds))
    return sorted(found)


def read(
    path: Path,
    sampling_rate: int,
    data_root: Path | None,
    chosen: set[str] | None = None,
    columns: Sequence[str] = (),
    workers: int = 1,
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Each utterance of a speech table with its wave, float32 [samples], in the table's order.

    Args:
        sampling_rate: Hz of the waves.
        data_root: folder of audio that is not in the table.
        chosen: only these ids.
        columns: further columns of the rows that are given.
        workers: threads that decode.

    Raises:
        ValueError: the table is not one of speech, or audio cannot be read.
    """
    rows = _rows(path, list(dict.fromkeys([*AUDIO, *columns])), chosen)
    # found one by one, as what lies in Parquet files is read forwards
    found = ((row, audio.find(row, data_root)) for row in rows)

    def decode(entry: tuple[dict[str, Any], audio.Recording]) -> tuple[dict[str, Any], np.ndarray]:
        row, recording = entry
        return row, audio.decode(recording, sampling_rate)

    yield from in_order(decode, found, workers, each=2)


def _rows(path: Path, wanted: list[str], chosen: set[str] | None) -> Iterator[dict[str, Any]]:
    with files.open_table(
        path, speech_table.SCHEMA, wanted, pre_buffer=False, buffer_size=audio.BUFFER
    ) as file:
        for batch in file.iter_batches(ROWS, columns=wanted, use_threads=False):
            if chosen is not None:
                keep = pa.array([name in chosen for name in batch["id"].to_pylist()], pa.bool_())
                batch = batch.filter(keep)
            files.check_values(pa.Table.from_batches([batch]), path)
            yield from batch.to_pylist()


def root(machine: Mapping[str, Any]) -> Path | None:
    """The machine setting `data_root`."""
    return Path(machine["data_root"]) if machine.get("data_root") else None
