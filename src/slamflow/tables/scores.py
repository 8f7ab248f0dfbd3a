"""`scores/{model}/{benchmark}.parquet`: a row an utterance and pass."""

import pyarrow as pa

BOTH = "<S>"  # the start token of models for which `bos` and `eos` are one id

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("item", pa.string()),
        ("role", pa.string()),  # positive or negative
        ("group", pa.string()),
        ("speaker", pa.string()),
        ("rendition", pa.int32()),  # members of one item are compared within a rendition
        ("start", pa.string()),  # the start token of this pass: bos, eos, BOTH, or none
        # probabilities among `units`, or `all` ids, of speech; or what is read: `text`, `text to
        # units`, `units to text`
        ("modality", pa.string()),
        ("nll", pa.float64()),  # sum over all predicted tokens, in nats, end token included
        ("tokens", pa.int32()),  # how many those are
        ("first_nll", pa.float64()),  # the first unit's term, null where it is not predicted
        ("end_nll", pa.float64()),  # the end token's term
        ("prompt_nll", pa.float64()),  # sum over the prompt, null where its end is not known
        ("prompt_tokens", pa.int32()),
    ]
)
