"""`packed/{mixture}.parquet`: training rows of exactly `context` tokens.

The file's metadata hold `context`, `vocabulary` (ids), `units` (of the speech tokeniser),
`documents`, `held_out_documents`, `fill` (the share of tokens that are not PAD) and, of each
corpus, `tokens {corpus}` and `fill {corpus}` (of the rows that hold it).

A row group has at most GROUP tokens, unless a single row has more. It is read by itself: a whole
table may have more tokens than an array of Arrow's can count.
"""

import pyarrow as pa

GROUP = 1 << 24  # tokens, 64 MB

SCHEMA = pa.schema(
    [
        ("tokens", pa.list_(pa.uint32())),
        ("borders", pa.list_(pa.uint32())),  # position of each document's first token
        ("held_out", pa.bool_()),  # validation rows
        ("corpus", pa.string()),  # of a held-out row, which holds documents of one only
    ]
)
