"""`voices/{vocoder}/{model}/{benchmark}.parquet`: speech of prompts and how a model goes on."""

import pyarrow as pa

from slamflow.tables import speech

SCHEMA = speech.SCHEMA.append(pa.field("prompt_end", pa.float64()))  # s from the beginning
