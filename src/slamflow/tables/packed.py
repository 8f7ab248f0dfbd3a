"""`packed/{mixture}.parquet`: training rows of exactly `context` tokens.

The file's metadata hold `context`, `vocabulary` and `fill` (the share of tokens that are not PAD).
"""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("tokens", pa.list_(pa.uint32())),
        ("borders", pa.list_(pa.uint32())),  # position of each document's first token
        ("held_out", pa.bool_()),  # validation rows
    ]
)
