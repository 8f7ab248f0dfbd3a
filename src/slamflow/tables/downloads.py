"""`downloads/{download}.parquet`: the files of a download, as they lie below `data_root`."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # relative to data_root
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
    ]
)
