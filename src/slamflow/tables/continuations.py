"""`continuations/{model}/{benchmark}.parquet`: how a model goes on after the units of prompts."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # of the utterance that the prompt begins
        ("speaker", pa.string()),  # of the prompt
        ("prompt", pa.list_(pa.uint16())),  # units without repeats
        ("continuation", pa.list_(pa.uint16())),  # as the model gave them; it may repeat one
        ("finished", pa.bool_()),  # by the end token, which is no part of it
        ("seed", pa.int64()),
    ]
)
