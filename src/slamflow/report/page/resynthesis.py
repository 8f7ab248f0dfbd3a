"""Some utterances spoken again from their own units: the best that a model of them can sound."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from slamflow import audio, files
from slamflow.tables import units as units_table

COLUMNS = ["id", "speaker", "units", "durations"]


def speak(
    vocoder: Path, codebook: Path, units: Sequence[Path], ids: Sequence[str], rate: int
) -> dict[str, np.ndarray]:
    """Waves, float32 [samples] at `rate` Hz, of utterances, as long as their units lasted.

    Args:
        vocoder: its folder.
        codebook: kmeans.safetensors of the units' tokeniser.
        units: tables with those utterances, and others.
        ids: of the utterances; what no table has is left out.
    """
    rows = []
    for path in units:
        names = files.read_table(path, units_table.SCHEMA, ["id"])["id"]
        wanted = pc.is_in(names, pa.array(ids, pa.string())).combine_chunks()
        if wanted.true_count:
            rows += files.read_table(path, units_table.SCHEMA, COLUMNS, wanted).to_pylist()
    if not rows:
        return {}
    from slamflow.vocoder import vocoding  # takes seconds, and few pages have speech

    loaded = vocoding.load(vocoder, codebook)
    waves = vocoding.vocode(
        loaded,
        [np.array(row["units"]) for row in rows],
        [np.array(row["durations"]) for row in rows],
        [row["id"] for row in rows],
        [row["speaker"] for row in rows],
    )
    given = int(loaded.config.sampling_rate)
    return {
        row["id"]: audio.resample(wave.astype(np.float32), given, rate)
        for row, wave in zip(rows, waves, strict=True)
    }
