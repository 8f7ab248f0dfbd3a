"""Words and phones of recorded speech with a text, as a table of alignments."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow import files, logs
from slamflow.tables import alignments as alignments_table
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import utterances

ENGINES = ("ctc", "sphinx")
SHOWN = 5  # utterances that could not be aligned, in the log


def align(
    config: Mapping[str, Any],
    speech: Path,
    output: Path,
    machine: Mapping[str, Any],
    label: str = "align_speech",
) -> None:
    """Write the alignments of a speech table, a row an utterance, in its order.

    Args:
        config: `engine` (ctc or sphinx), the engine's keys, and `least_score` or None: what
            scores less is held to have another text.
        machine: `data_root` and the engine's settings.

    Raises:
        ValueError: there is no such engine or model, or audio cannot be read.
    """
    if config["engine"] not in ENGINES:
        raise ValueError(
            f"alignment: unknown engine `{config['engine']}`; known: {', '.join(ENGINES)}"
        )
    engine = importlib.import_module(f"slamflow.alignment.{config['engine']}")
    names = files.read_table(speech, speech_table.SCHEMA, ("id",))["id"].to_pylist()
    root = utterances.root(machine)
    read = utterances.read(speech, engine.SAMPLING_RATE, root, columns=("text",))
    progress = logs.Progress(label, len(names), "utterances")
    found: list[dict[str, Any]] = [{}] * len(names)
    for done, (index, aligned) in enumerate(engine.align(read, config, machine), 1):
        found[index] = {"id": names[index], **aligned}
        progress.update(done)
    lost = [row for row in found if row["reason"]]
    logs.info(f"{len(found) - len(lost)} utterances aligned, {len(lost)} not")
    for row in lost[:SHOWN]:
        logs.info(f"not aligned: {row['id']}: {row['reason']}")
    columns = {name: [row[name] for row in found] for name in alignments_table.SCHEMA.names}
    files.write_table(
        pa.table(columns, schema=alignments_table.SCHEMA), output, alignments_table.SCHEMA
    )
