"""`preferences/{tokeniser}/{corpus}.parquet`: a prompt, the better and the worse continuation.

Its metadata are how many preferences were `cut`, and how many left out because their answers are
`equal` as units.
"""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # item and rendition
        ("prompt", pa.list_(pa.uint16())),  # units without repeats, each of the three by itself
        ("chosen", pa.list_(pa.uint16())),
        ("rejected", pa.list_(pa.uint16())),
        ("chosen_cut", pa.bool_()),  # so that no <S> follows it
        ("rejected_cut", pa.bool_()),
    ]
)


def schema(cut: int, equal: int) -> pa.Schema:
    """The schema with its metadata."""
    return SCHEMA.with_metadata({"cut": str(cut), "equal": str(equal)})
