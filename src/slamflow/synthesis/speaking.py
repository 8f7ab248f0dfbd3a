"""Text tables into speech tables."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import audio, logs
from slamflow.synthesis import alignments
from slamflow.synthesis.espeak import PITCHES, RATES, SILENCE, Espeak, EspeakError
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table

Row = dict[str, Any]
NOTHING = "nothing to speak in this text"


def speak(
    text: pa.Table,
    config: Mapping[str, Any],
    shard: int,
    machine: Mapping[str, Any],
    label: str = "synthesise_speech",
) -> tuple[pa.Table, pa.Table]:
    """Speak the rows of one shard.

    Row i of n is in shard i * shards // n. Each row gives `renditions` utterances `<id>-r0`, ….
    Voice, rate and pitch of an utterance are drawn from the seed, its item and its rendition, so
    that the members of an item sound alike; its samples depend on nothing else.

    Args:
        text: table of the text schema. Where `phonemes` is set, those are spoken, not the text.
        config: `speech` with `seed`, `renditions`, `shards`, `sampling_rate` (Hz);
            `synthesiser` with `engine`, `voices`, `rates` [low, high] in words a minute (80–450),
            `pitches` [low, high] (0–99), both ends included.
        machine: `workers`, how many utterances are spoken at a time.
        label: for progress lines.

    Returns:
        The speech table, in the order of the text, and the table of rejected utterances.

    Raises:
        ValueError: the synthesiser has an unknown engine or voice, or an impossible range.
    """
    speech, synthesiser = config["speech"], config["synthesiser"]
    if synthesiser["engine"] != "espeak":
        raise ValueError(f"synthesiser: unknown engine `{synthesiser['engine']}`; known: espeak")
    for key, (low, high) in (("rates", RATES), ("pitches", PITCHES)):
        first, last = synthesiser[key]
        if not low <= first <= last <= high:
            raise ValueError(f"synthesiser: {key} [{first}, {last}] must rise within {low}–{high}")
    count, shards = text.num_rows, speech["shards"]
    mine = [index for index in range(count) if index * shards // count == shard]
    rows = text.take(pa.array(mine, pa.int64())).to_pylist()
    utterances = ((row, k) for row in rows for k in range(speech["renditions"]))
    engines: list[Espeak] = []
    spoken, rejected = Gathered(speech_table.SCHEMA), Gathered(rejected_table.SCHEMA)
    try:
        engines += [Espeak() for _ in range(max(1, int(machine.get("workers") or 1)))]
        for voice in synthesiser["voices"]:
            engines[0].resolve(voice)
        progress = logs.Progress(label, len(rows) * speech["renditions"], "utterances")
        for done, result in enumerate(_spread(utterances, config, engines), 1):
            (rejected if "reason" in result else spoken).add(result)
            progress.update(done)
    finally:
        for engine in engines:
            engine.close()
    return spoken.table(), rejected.table()


class Gathered:
    """Rows that become a table bit by bit, so that no sample is held twice."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[Row] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: Row) -> None:
        """Append one row; columns that it lacks are null."""
        self._rows.append(row)
        if len(self._rows) == 128:
            self._flush()

    def _flush(self) -> None:
        self._batches.append(pa.RecordBatch.from_pylist(self._rows, self._schema))
        self._rows = []

    def table(self) -> pa.Table:
        """All rows in order."""
        self._flush()
        return pa.Table.from_batches(self._batches, self._schema)


def _spread(
    utterances: Iterator[tuple[Row, int]], config: Mapping[str, Any], engines: list[Espeak]
) -> Iterator[Row]:
    """Results in order. Each worker is a thread with an engine of its own.

    The engine is another process, and resampling and encoding release the interpreter's lock.
    """
    free = list(engines)

    def work(row: Row, rendition: int) -> Row:
        engine = free.pop()
        try:
            return _utter(row, rendition, config, engine)
        finally:
            free.append(engine)

    with ThreadPoolExecutor(len(engines)) as pool:
        waiting: list[Future[Row]] = []
        try:
            for row, rendition in utterances:
                waiting.append(pool.submit(work, row, rendition))
                if len(waiting) >= 4 * len(engines):
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            pool.shutdown(cancel_futures=True)


def draw(
    synthesiser: Mapping[str, Any], seed: int, item: str, rendition: int
) -> tuple[str, int, int]:
    """Voice, rate and pitch of an item's rendition, independent of all others."""
    digest = hashlib.sha256(f"{seed}/{rendition}/{item}".encode()).digest()
    first, second, third = (int.from_bytes(digest[8 * i : 8 * i + 8], "big") for i in range(3))
    voices = synthesiser["voices"]
    (slow, fast), (low, high) = synthesiser["rates"], synthesiser["pitches"]
    voice = voices[first % len(voices)]
    return voice, slow + second % (fast - slow + 1), low + third % (high - low + 1)


def normalise(text: str) -> str:
    """Text on one line, without control characters, which the engine reads as commands."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())


def _utter(row: Row, rendition: int, config: Mapping[str, Any], engine: Espeak) -> Row:
    speech = config["speech"]
    identity = f"{row['id']}-r{rendition}"
    text = normalise(row["text"] or "")
    phonemes = normalise(row["phonemes"] or "")
    said = phonemes or text
    if phonemes and not phonemes.startswith("[["):
        said = f"[[{phonemes}]]"
    drop = {"id": identity, "source": row["id"]}
    if not said:
        return drop | {"reason": "empty text"}
    if not any(character.isalnum() for character in said):
        return drop | {"reason": NOTHING}
    voice, rate, pitch = draw(
        config["synthesiser"], speech["seed"], row["item"] or row["id"], rendition
    )
    try:
        spoken = engine.speak(said, voice, rate, pitch, phonemes=bool(phonemes))
    except EspeakError as error:
        return drop | {"reason": f"synthesis failed: {error}"}
    if all(label == SILENCE for label, _ in spoken.phones):
        return drop | {"reason": NOTHING}
    wanted = speech["sampling_rate"]
    wave = audio.resample(spoken.samples.astype(np.float32) / 32768, spoken.sampling_rate, wanted)
    duration = len(wave) / wanted
    return {
        "id": identity,
        "item": row["item"],
        "role": row["role"],
        "group": row["group"],
        "rendition": rendition,
        "text": text,
        "speaker": voice,
        "rate": rate,
        "pitch": pitch,
        "audio": {"bytes": audio.encode_flac(wave, wanted), "path": None},
        "sampling_rate": wanted,
        "duration": duration,
        "words": alignments.words(spoken, said, text, duration),
        "phones": alignments.phones(spoken, duration),
    }
