"""`rejected/{corpus}/{shard}.parquet`: utterances that were left out, and why."""

import pyarrow as pa

SCHEMA = pa.schema([("id", pa.string()), ("source", pa.string()), ("reason", pa.string())])
