"""What is heard in spoken continuations, as a table of transcripts."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import files, logs
from slamflow.tables import transcripts as transcripts_table
from slamflow.tables import voices as voices_table
from slamflow.tokeniser import utterances

ENGINES = ("sphinx", "whisper")
GIVEN = "given"  # `prompt`: heard by itself


def transcribe(
    config: Mapping[str, Any],
    voices: Path,
    texts: Sequence[Path],
    output: Path,
    machine: Mapping[str, Any],
    label: str = "transcribe_speech",
) -> None:
    """Write the transcripts of a table of voices, in its order.

    Args:
        config: `engine`, one of ENGINES, with its keys; `prompt`: `counted`, so that prompt and
            continuation are one transcript, or `given`: the speech is cut where the prompt ends,
            and each part is heard by itself. A word that goes on over the cut is in neither.
        texts: speech tables whose words are those that the engine may hear, if it wants such.
        machine: the engine's settings.

    Raises:
        ValueError: there is no such engine or model, or audio cannot be read.
    """
    if config["engine"] not in ENGINES:
        raise ValueError(
            f"transcription: unknown engine `{config['engine']}`; known: {', '.join(ENGINES)}"
        )
    engine = importlib.import_module(f"slamflow.generation.{config['engine']}")
    table = files.read_table(voices, voices_table.SCHEMA, ("id", "prompt_end"))
    ends = table["prompt_end"].to_pylist() if config["prompt"] == GIVEN else None
    waves = _waves(voices, engine.SAMPLING_RATE, ends)
    parts = 1 if ends is None else 2
    progress = logs.Progress(label, parts * len(table), "transcripts")
    heard: list[str] = []
    for done, text in enumerate(engine.listen(waves, config, machine, texts), 1):
        heard.append(" ".join(text.split()))
        progress.update(done)
    columns = {
        "id": table["id"],
        "prompt": pa.nulls(len(table), pa.string()) if ends is None else heard[0::2],
        "text": heard[parts - 1 :: parts],
        "engine": [config["engine"]] * len(table),
    }
    made = pa.table(columns, schema=transcripts_table.SCHEMA)
    files.write_table(made, output, transcripts_table.SCHEMA)
    if empty := columns["text"].count(""):
        logs.say(f"{label}: nothing is heard in {empty} of {len(table)}")


def _waves(path: Path, rate: int, ends: Sequence[float] | None) -> Iterator[np.ndarray]:
    """Each utterance, or the prompt and what follows it where it is known when prompts end."""
    for number, (_, wave) in enumerate(utterances.read(path, rate, None)):
        if ends is None:
            yield wave
        else:
            cut = round(ends[number] * rate)
            yield from (wave[:cut], wave[cut:])
