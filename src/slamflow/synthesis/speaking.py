"""Text tables into speech tables, by any engine."""

import contextlib
import importlib
import re
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from slamflow import audio, files, logs, workers
from slamflow.synthesis import voices
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table
from slamflow.tables import text as text_table
from slamflow.tables.gathered import Gathered

Row = dict[str, Any]
# Modules of this package; only the one that a synthesiser names is imported, and is in the digest.
ENGINES = ("espeak", "vits", "fastspeech2", "kokoro", "command")
SILENT = 1e-4  # the largest sample of an utterance in which nothing is heard


def speak(
    text: pa.Table,
    config: Mapping[str, Any],
    shard: int,
    machine: Mapping[str, Any],
    label: str = "synthesise_speech",
) -> tuple[pa.Table, pa.Table]:
    """Speak the rows of one shard.

    Item i of n, in order of appearance, is in shard i * shards // n. Each row gives `renditions`
    utterances `<id>-r0`, …. Voice, rate and pitch of an utterance are drawn from the seed, its item
    and its rendition, so that the members of an item sound alike; its samples depend on nothing
    else but, where an engine draws noise, its id.

    Args:
        text: table of the text schema. Where `phonemes` is set, those are spoken, not the text.
        config: `speech` with `seed`, `renditions`, `shards`, `sampling_rate` (Hz);
            `synthesiser` with `engine` and what `slamflow.synthesis.<engine>` reads.
        machine: `workers`, how many utterances are spoken or encoded at a time, by default
            `threads`, and what else the engine reads.
        label: for progress lines.

    Returns:
        The speech table, in the order of the text, and the table of rejected utterances.

    Raises:
        ValueError: the synthesiser has an unknown engine, or a setting that its engine refuses.
    """
    rows = text.filter(_of_shard(text, config["speech"]["shards"], shard))
    return _spoken(rows.to_pylist(), config, machine, label)


def speak_file(
    text: Path, config: Mapping[str, Any], shard: int, machine: Mapping[str, Any], label: str
) -> tuple[pa.Table, pa.Table]:
    """`speak` for the text table in a file, of which only what the shard needs is read.

    Raises:
        ValueError: as `speak`, or the file is no text table.
    """
    names = files.read_table(text, text_table.SCHEMA, ("id", "item"))
    wanted = _of_shard(names, config["speech"]["shards"], shard)
    rows = files.read_table(text, text_table.SCHEMA, rows=wanted)
    return _spoken(rows.to_pylist(), config, machine, label)


def _of_shard(text: pa.Table, shards: int, shard: int) -> pa.BooleanArray:
    """Which rows are those of a shard, of a table with `id` and `item`."""
    items = pc.coalesce(text["item"], text["id"]).combine_chunks()
    encoded = items.dictionary_encode(null_encoding="encode")
    place = encoded.indices.to_numpy().astype(np.int64)
    return pa.array(place * shards // max(1, len(encoded.dictionary)) == shard)


def _spoken(
    rows: list[Row], config: Mapping[str, Any], machine: Mapping[str, Any], label: str
) -> tuple[pa.Table, pa.Table]:
    spoken, rejected = Gathered(speech_table.SCHEMA), Gathered(rejected_table.SCHEMA)
    progress = logs.Progress(label, len(rows) * config["speech"]["renditions"], "utterances")
    with contextlib.closing(_results(rows, config, machine)) as results:
        for done, result in enumerate(results, 1):
            (rejected if "reason" in result else spoken).add(result)
            progress.update(done)
    return spoken.table(), rejected.table()


def draw(
    synthesiser: Mapping[str, Any], seed: int, item: str, rendition: int
) -> tuple[str, int | None, int | None]:
    """Voice, rate and pitch of an item's rendition, independent of all others.

    Raises:
        ValueError: an unknown engine, or a setting that it refuses.
    """
    drawn: tuple[str, int | None, int | None] = _engine(synthesiser).draw(
        synthesiser, seed, item, rendition
    )
    return drawn


def normalise(text: str) -> str:
    """Text on one line, without control characters, which an engine may read as commands.

    Halves of surrogate pairs, which no encoding has, become question marks.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())


def _engine(synthesiser: Mapping[str, Any]) -> Any:
    name = synthesiser["engine"]
    if name not in ENGINES:
        raise ValueError(f"synthesiser: unknown engine `{name}`; known: {', '.join(ENGINES)}")
    return importlib.import_module(f"slamflow.synthesis.{name}")


def _results(
    rows: list[Row], config: Mapping[str, Any], machine: Mapping[str, Any]
) -> Generator[Row, None, None]:
    """Rows of the speech table, and of the table of rejected ones, in the order of `rows`."""
    synthesiser, wanted = config["synthesiser"], config["speech"]["sampling_rate"]
    engine = _engine(synthesiser)
    asked = [
        (row, k, _request(row, k, config))
        for row in rows
        for k in range(config["speech"]["renditions"])
    ]
    requests = (request for *_, request in asked if isinstance(request, voices.Request))
    with contextlib.closing(engine.speak(requests, synthesiser, machine)) as waves:

        def outcomes() -> Iterator[tuple[Row, int, voices.Request | str, voices.Wave | str]]:
            for row, rendition, request in asked:
                yield row, rendition, request, request if isinstance(request, str) else next(waves)

        def finish(
            outcome: tuple[Row, int, voices.Request | str, voices.Wave | str],
        ) -> Row:
            return _finish(*outcome, wanted)

        yield from workers.in_order(finish, outcomes(), workers.number(machine))


def _request(row: Row, rendition: int, config: Mapping[str, Any]) -> voices.Request | str:
    """What is to be spoken, or the reason why nothing is."""
    text, phonemes = normalise(row["text"] or ""), normalise(row["phonemes"] or "")
    if phonemes and not phonemes.startswith("[["):
        phonemes = f"[[{phonemes}]]"
    said = phonemes or text
    if not said:
        return "empty text"
    if not any(character.isalnum() for character in said):
        return voices.NOTHING
    if phonemes and config["synthesiser"]["engine"] != "espeak":
        return voices.NO_PHONEMES
    seed = config["speech"]["seed"]
    manner = draw(config["synthesiser"], seed, row["item"] or row["id"], rendition)
    return voices.Request(text, phonemes, *manner, seed=f"{seed}/{rendition}/{row['id']}")


def _finish(
    row: Row,
    rendition: int,
    request: voices.Request | str,
    wave: voices.Wave | str,
    wanted: int,
) -> Row:
    identity = f"{row['id']}-r{rendition}"
    if isinstance(request, str) or isinstance(wave, str):
        return {"id": identity, "source": row["id"], "reason": wave}
    reason = None
    if not np.isfinite(wave.samples).all():
        reason = "not finite"
    elif not len(wave.samples) or np.abs(wave.samples).max() < SILENT:
        reason = "silent"
    if reason:
        return {"id": identity, "source": row["id"], "reason": reason}
    samples = audio.resample(wave.samples, wave.sampling_rate, wanted)
    duration = len(samples) / wanted
    if wave.phones:  # resampling rounds up to a whole sample
        wave.phones[-1]["end"] = duration
    return {
        "id": identity,
        "item": row["item"],
        "role": row["role"],
        "group": row["group"],
        "rendition": rendition,
        "text": request.text,
        "speaker": request.voice,
        "rate": request.rate,
        "pitch": request.pitch,
        "audio": {"bytes": audio.encode_flac(samples, wanted), "path": None},
        "sampling_rate": wanted,
        "duration": duration,
        "words": wave.words,
        "phones": wave.phones,
    }
