"""Words and phones of recorded speech, as a table of alignments."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow import files, logs, rejections
from slamflow.alignment import texts
from slamflow.tables import alignments as alignments_table
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import utterances

ENGINES = ("ctc", "sphinx", "sphinx_phones")
TEXTLESS = ("sphinx_phones",)  # engines that need no text


def align(
    config: Mapping[str, Any],
    speech: Path,
    output: Path,
    machine: Mapping[str, Any],
    label: str = "align_speech",
    log: Path | None = None,
) -> None:
    """Write the alignments of a speech table, a row an utterance, in its order.

    Args:
        config: `engine` (one of ENGINES), the engine's keys, and `least_score` or None: what scores
            less is held to have another text.
        machine: `data_root`, `rejected_at_most` (the share of the utterances that may stay
            unaligned; those without a text do not count where one is needed) and the engine's
            settings.
        label: for progress lines.
        log: of the job; beside it lie the unaligned ones if they are too many.

    Raises:
        ValueError: there is no such engine or model, or audio cannot be read, or no utterance has
            a text and the engine needs one, or a larger share is unaligned.
    """
    if config["engine"] not in ENGINES:
        raise ValueError(
            f"alignment: unknown engine `{config['engine']}`; known: {', '.join(ENGINES)}"
        )
    engine = importlib.import_module(f"slamflow.alignment.{config['engine']}")
    told = files.read_table(speech, speech_table.SCHEMA, ("id", "text"))
    needed = config["engine"] not in TEXTLESS
    names = told["id"].to_pylist()
    untold = [needed and not texts.given(text) for text in told["text"].to_pylist()]
    if names and all(untold):
        raise ValueError(
            f"{speech}: none of its {len(names)} utterances has a text: name their texts in"
            " `source.transcripts`, take `engine: sphinx_phones`, which needs none, or remove"
            " `alignment`"
        )
    root = utterances.root(machine)
    read = utterances.read(speech, engine.SAMPLING_RATE, root, columns=("text",))
    progress = logs.Progress(label, len(names), "utterances")
    found: list[dict[str, Any]] = [{}] * len(names)
    for done, (index, aligned) in enumerate(engine.align(read, config, machine), 1):
        found[index] = {"id": names[index], **aligned}
        progress.update(done)
    if needed:
        logs.info(f"{sum(untold)} of {len(names)} utterances have no text")
    lost = [
        {"id": row["id"], "source": row["id"], "reason": row["reason"]}
        for row, without in zip(found, untold, strict=True)
        if row["reason"] and not without
    ]
    rejections.check(
        len(names) - sum(untold) - len(lost),
        pa.Table.from_pylist(lost, rejected_table.SCHEMA),
        machine["rejected_at_most"],
        output,
        log,
        repair="mend the texts" if needed else "cut the recordings otherwise",
    )
    columns = {name: [row[name] for row in found] for name in alignments_table.SCHEMA.names}
    files.write_table(
        pa.table(columns, schema=alignments_table.SCHEMA), output, alignments_table.SCHEMA
    )
