"""`units/{tokeniser}/{corpus}/{shard}.parquet`: utterances as units without repeats.

Its metadata are the `precision` of the features and the `agreement`: the least share of frames
which have the unit that float32 gives. Phones have none.
"""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("item", pa.string()),
        ("role", pa.string()),
        ("group", pa.string()),
        ("rendition", pa.int32()),  # 0, 1, …: members of an item are compared within a rendition
        ("speaker", pa.string()),
        ("duration", pa.float64()),  # s
        ("units", pa.list_(pa.uint16())),
        ("durations", pa.list_(pa.uint16())),  # frames of each unit; null for text
    ]
)


def schema(precision: str, agreement: float) -> pa.Schema:
    """The schema with its metadata."""
    return SCHEMA.with_metadata({"precision": precision, "agreement": f"{agreement:.6f}"})
