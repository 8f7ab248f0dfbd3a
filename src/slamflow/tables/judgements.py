"""`judgements/{model}/{benchmark}.parquet`: what a judge says of transcripts."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # as in the transcripts
        ("score", pa.int8()),  # 1 to 5; null where the answer has none, or nothing was heard
        ("answer", pa.string()),  # null where nothing was heard: it is not asked then
    ]
)
