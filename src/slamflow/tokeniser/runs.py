"""Units without repeats, as rows of a units table."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow.tables import units as units_table

COPIED = ("id", "item", "role", "group", "rendition", "speaker", "duration")  # from the speech
LONGEST = 2**16 - 1  # of uint16


def runs(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Units [n] and their durations in frames [n], uint16, of a unit a frame.

    What lasts longer than a uint16 holds (44 minutes at 25 Hz) is cut off there.
    """
    borders = np.flatnonzero(np.diff(frames)) + 1
    starts = np.concatenate([[0], borders]) if len(frames) else borders
    lengths = np.diff([*starts, len(frames)])
    return frames[starts].astype(np.uint16), np.minimum(lengths, LONGEST).astype(np.uint16)


def table(
    speech: pa.Table, units: Sequence[np.ndarray], durations: Sequence[np.ndarray]
) -> pa.Table:
    """A units table; row i of `speech` (the columns COPIED) has units[i] and durations[i]."""
    columns: dict[str, Any] = {name: speech[name] for name in COPIED}
    kind = pa.list_(pa.uint16())
    columns |= {"units": pa.array(units, kind), "durations": pa.array(durations, kind)}
    return pa.table(columns, schema=units_table.SCHEMA)
