"""`sources/{corpus}.parquet`: the files of a corpus, listed before any of them is cut."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # relative to data_root
        ("bytes", pa.int64()),
        ("sha256", pa.string()),  # null for recordings in a folder: they are not read to be listed
        ("duration", pa.float64()),  # s, from the header; null where it is not known
        ("shard", pa.int32()),
        # what is known of the utterance in a file; null where a file holds many
        ("id", pa.string()),
        ("item", pa.string()),
        ("role", pa.string()),
        ("group", pa.string()),
        ("rendition", pa.int32()),
        ("speaker", pa.string()),
        ("text", pa.string()),
        ("reason", pa.string()),  # why the file is left out, null if it is not
    ]
)
