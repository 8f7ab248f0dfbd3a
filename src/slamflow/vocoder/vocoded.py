"""Rows of units tables and of continuations, and the rows of speech that they become."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from slamflow import audio, files
from slamflow.tables import continuations as continuations_table
from slamflow.tables import units as units_table
from slamflow.vocoder import voices

ROWS = 256  # of a table in memory at once
COPIED = ("item", "role", "group", "rendition")  # of a units table


def read(path: Path) -> pa.Table:
    """A units table or one of continuations."""
    try:
        continued = "continuation" in pq.read_schema(path).names
    except (OSError, pa.ArrowException):
        continued = False  # what follows says what is wrong
    return files.read_table(path, (continuations_table if continued else units_table).SCHEMA)


def batches(
    paths: Sequence[Path], tables: Sequence[pa.Table]
) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Each table's path and, ROWS at a time, its rows, with arrays `units` and `durations`.

    Of continuations, `units` are those of prompt and continuation without repeats; `durations` are
    None where they are not known.
    """
    for path, table in zip(paths, tables, strict=True):
        for rows in _rows(table):
            yield path, rows


def _rows(table: pa.Table) -> Iterator[list[dict[str, Any]]]:
    continued = "continuation" in table.column_names
    for batch in table.to_batches(max_chunksize=ROWS):
        rows = batch.to_pylist()
        for row in rows:
            if continued:
                said = np.array(row["prompt"] + row["continuation"], dtype=np.int64)
                row["units"] = said[np.diff(said, prepend=-1) != 0]
                row |= {"durations": None, "item": row["id"], "role": "document", "group": ""}
                row["rendition"] = 0
            else:
                row["units"] = np.array(row["units"], dtype=np.int64)
                if row["durations"] is not None:
                    row["durations"] = np.array(row["durations"], dtype=np.int64)
            row["prompt_end"] = 0.0  # until it is spoken
        yield rows


def speech_row(row: Mapping[str, Any], wave: np.ndarray, config: Any) -> dict[str, Any]:
    """A row of a table of speech, or of voices, of what a vocoder with this config said."""
    rate = int(config.sampling_rate)
    return {
        "id": row["id"],
        **{name: row[name] for name in COPIED},
        "speaker": voices.spoken(config, row["speaker"]),
        "audio": {"bytes": audio.encode_flac(wave, rate), "path": None},
        "sampling_rate": rate,
        "duration": len(wave) / rate,
        "prompt_end": row["prompt_end"],
    }


def parts(index: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Parts of `index`, `size` each but the last."""
    return (index[i : i + size] for i in range(0, len(index), size))
