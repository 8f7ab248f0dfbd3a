"""`sources/{corpus}.parquet`: the files of a corpus, listed before any of them is cut."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # relative to data_root
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("duration", pa.float64()),  # s, from the header; null for text
        ("shard", pa.int32()),
    ]
)
