"""`speech/{corpus}/{shard}.parquet`: utterances as audio, with alignments where they are known."""

import pyarrow as pa

LABELS = pa.list_(
    pa.struct([("label", pa.string()), ("start", pa.float64()), ("end", pa.float64())])
)

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("item", pa.string()),
        ("role", pa.string()),
        ("group", pa.string()),
        ("rendition", pa.int32()),  # 0, 1, …: members of an item are compared within a rendition
        ("text", pa.string()),
        ("speaker", pa.string()),  # voice or speaker
        ("rate", pa.int32()),  # words a minute, null for recorded speech
        ("pitch", pa.int32()),  # 0–99, null for recorded speech
        # FLAC bytes, or a path relative to data_root with the part's start and end
        ("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("start", pa.float64()),  # s in the file at `path`, null for bytes
        ("end", pa.float64()),
        ("sampling_rate", pa.int32()),  # Hz
        ("duration", pa.float64()),  # s
        ("words", LABELS),  # s from the utterance's beginning, null where unknown
        ("phones", LABELS),
    ]
)
