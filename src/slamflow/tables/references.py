"""`references/{model}/{corpus}.parquet`: log-probabilities of both answers under the base model."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("chosen", pa.float64()),  # sum of ln p over the answer's units and its end token
        ("rejected", pa.float64()),
    ]
)
