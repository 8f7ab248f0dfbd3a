"""Columns of lists of numbers."""

import numpy as np
import pyarrow as pa


def lists_of(column: pa.ChunkedArray) -> list[np.ndarray | None]:
    """The entries of a list column as arrays, without a Python object a number."""
    entries: list[np.ndarray | None] = []
    for chunk in column.chunks:
        values = chunk.values.to_numpy(zero_copy_only=False)
        offsets = chunk.offsets.to_numpy()
        for index, present in enumerate(chunk.is_valid().to_numpy(zero_copy_only=False)):
            entries.append(values[offsets[index] : offsets[index + 1]] if present else None)
    return entries
