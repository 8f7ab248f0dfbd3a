"""`alignments/{corpus}/{shard}.parquet`: words and phones of recorded speech."""

import pyarrow as pa

from slamflow.tables.speech import LABELS

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("words", LABELS),  # s from the utterance's beginning; null where none are known
        ("phones", LABELS),  # null where the aligner knows none
        ("score", pa.float64()),  # mean log-probability a frame; null where there is none
        ("reason", pa.string()),  # why it could not be aligned, null if it could
    ]
)
