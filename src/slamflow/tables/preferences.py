"""`preferences/{tokeniser}/{corpus}.parquet`: a prompt, the better and the worse continuation."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # item and rendition
        ("prompt", pa.list_(pa.uint16())),  # units without repeats, each of the three by itself
        ("chosen", pa.list_(pa.uint16())),
        ("rejected", pa.list_(pa.uint16())),
    ]
)
