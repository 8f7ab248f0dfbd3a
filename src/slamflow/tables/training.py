"""`training.parquet` of a trained model: one row an optimiser step."""

from collections.abc import Sequence

import pyarrow as pa


def schema(measures: Sequence[str]) -> pa.Schema:
    """The schema for a loop with these `measures`, means over the global batch, `loss` first."""
    return pa.schema(
        [
            ("step", pa.int32()),  # 1 is the first update
            ("tokens", pa.int64()),  # what the loss is a mean over, counted from the beginning
            *((name, pa.float64()) for name in measures),
            ("learning_rate", pa.float64()),
            ("grad_norm", pa.float64()),  # before clipping
            ("tokens_per_second", pa.float64()),
            ("seconds", pa.float64()),  # of training so far, over all resumed runs
        ]
    )
