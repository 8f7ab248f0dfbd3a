"""`text/{corpus}.parquet`: utterances as text."""

import pyarrow as pa

SCHEMA = pa.schema(
    [
        ("id", pa.string()),  # unique in the corpus, stable
        ("item", pa.string()),  # what belongs together: a story, a pair, a preference
        ("role", pa.string()),  # document, positive, negative, prompt, chosen or rejected
        ("group", pa.string()),  # phenomenon, frequency band, …; empty where there is none
        ("text", pa.string()),
        ("phonemes", pa.string()),  # the synthesiser's mnemonics, spoken in place of the text
    ]
)
