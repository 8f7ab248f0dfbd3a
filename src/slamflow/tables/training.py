"""`training.parquet` of a trained model: one row an optimiser step.

The metadata `budget` are JSON: what was asked for (`steps`, `tokens` or `hours`) and, always, the
`steps` that this made; with hours also `measured`, the seconds of a step that they are made from.

`mfu` is the model's floating-point operations a second as a share of what the devices can do. For
each token there are 6 a parameter of a matrix product, and for each pair of tokens of a document
12 a layer, head and dimension of a head, as if there were no causal mask; see `lm.flops`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

VALIDATION = pa.list_(pa.struct([("name", pa.string()), ("loss", pa.float64())]))
BUDGET = "budget"


def schema(measures: Sequence[str], metadata: Mapping[str, Any] | None = None) -> pa.Schema:
    """The schema for a loop with these `measures`, means over the global batch, `loss` first."""
    return pa.schema(
        [
            ("step", pa.int32()),  # 1 is the first update
            ("tokens", pa.int64()),  # what the loss is a mean over, counted from the beginning
            *((name, pa.float64()) for name in measures),
            ("learning_rate", pa.float64()),
            ("grad_norm", pa.float64()),  # before clipping
            ("tokens_per_second", pa.float64()),
            ("mfu", pa.float64()),  # see above; null where the devices' peak is not known
            ("memory", pa.float64()),  # MiB at most so far: of the device, or of rank 0 on a CPU
            ("validation", VALIDATION),  # loss of each held-out corpus; null where not taken
            ("seconds", pa.float64()),  # so far, over all resumed runs, without start and export
        ],
        metadata=metadata,
    )
