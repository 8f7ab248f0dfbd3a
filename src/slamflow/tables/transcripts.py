"""`transcripts/{vocoder}/{model}/{benchmark}.parquet`: what is heard in spoken continuations."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # of the utterance that the prompt begins
        ("prompt", pa.string()),  # what is heard in it; null where the text holds it, too
        ("text", pa.string()),  # empty where nothing is heard
        ("engine", pa.string()),
    ]
)
