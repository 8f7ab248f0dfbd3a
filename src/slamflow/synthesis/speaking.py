"""Text tables into speech tables."""

import bisect
import hashlib
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import audio
from slamflow.synthesis.espeak import PITCHES, RATES, SILENCE, Espeak, EspeakError, Spoken
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table

Row = dict[str, Any]
# The engine reports an l that ends a syllable when it is over: "all" is 48 ms longer than "awe".
LATE = 0.05  # s, but at most half of the interval that holds it


def speak(
    text: pa.Table, config: Mapping[str, Any], shard: int, machine: Mapping[str, Any]
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
        for result in _spread(utterances, config, engines):
            (rejected if "reason" in result else spoken).add(result)
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
    voice, rate, pitch = draw(
        config["synthesiser"], speech["seed"], row["item"] or row["id"], rendition
    )
    try:
        spoken = engine.speak(said, voice, rate, pitch, phonemes=bool(phonemes))
    except EspeakError as error:
        return drop | {"reason": f"synthesis failed: {error}"}
    if all(label == SILENCE for label, _ in spoken.phones):
        return drop | {"reason": "nothing to speak in this text"}
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
        "words": _words(spoken, said, text, duration),
        "phones": _phones(spoken, duration),
    }


def _phones(spoken: Spoken, duration: float) -> list[Row]:
    """Phones and silences in seconds that cover the utterance without gaps.

    A word's first phone begins with the word (the engine reports it after its closure). Silences
    in a row are one.
    """
    total = len(spoken.samples)
    names = [label for label, _ in spoken.phones]
    starts = [start for _, start in spoken.phones]
    for _, start in spoken.words:
        index = bisect.bisect_left(starts, start)
        while index < len(names) and names[index] == SILENCE and starts[index] == start:
            index += 1
        if index < len(names) and names[index] != SILENCE:
            starts[index] = start
    longest = round(LATE * spoken.sampling_rate)
    for index in range(1, len(starts)):
        end = starts[index + 1] if index + 1 < len(starts) else total
        if names[index] != SILENCE and starts[index] == end:
            starts[index] -= min(longest, (end - starts[index - 1]) // 2)
    merged: list[Row] = []
    ends = [*starts, total]
    for label, start, end in zip([SILENCE, *names], [0, *starts], ends, strict=True):
        if end <= start:
            continue
        if merged and label == SILENCE == merged[-1]["label"]:
            merged[-1]["end"] = end / spoken.sampling_rate
        else:
            begin, stop = start / spoken.sampling_rate, end / spoken.sampling_rate
            merged.append({"label": label, "start": begin, "end": stop})
    merged[-1]["end"] = duration
    return merged


def _words(spoken: Spoken, said: str, text: str, duration: float) -> list[Row]:
    """Words in seconds: the tokens between blanks, without punctuation around them.

    A word ends where the next one or a silence begins. Tokens that the engine speaks as one
    ("in the") are one word. What was spoken by phonemes is labelled with the words of the text if
    those are as many.
    """
    tokens = list(re.finditer(r"\S+", said))
    labels = [match.group().strip("[]") for match in tokens]
    if said != text and len(text.split()) == len(tokens):
        labels = text.split()
    firsts = [match.start() for match in tokens]
    total = len(spoken.samples)
    silences = [start for label, start in spoken.phones if label == SILENCE] + [total]
    words: list[Row] = []
    indices: list[int] = []
    for number, (position, start) in enumerate(spoken.words):
        index = max(0, bisect.bisect_right(firsts, position) - 1)
        following = spoken.words[number + 1][1] if number + 1 < len(spoken.words) else total
        end = min(following, silences[min(bisect.bisect_right(silences, start), len(silences) - 1)])
        if indices and index <= indices[-1]:
            words[-1]["end"] = max(end, words[-1]["end"])
        else:
            words.append({"label": "", "start": start, "end": end})
            indices.append(index)
    for word, index, after in zip(words, indices, indices[1:] + [len(tokens)], strict=True):
        parts = [_bare(label) for label in labels[index:after]]
        word["label"] = " ".join(part for part in parts if part)
        word["start"] = word["start"] / spoken.sampling_rate
        word["end"] = min(word["end"] / spoken.sampling_rate, duration)
    return [word for word in words if word["end"] > word["start"]]


def _bare(token: str) -> str:
    return re.sub(r"^[^\w]+|[^\w]+$", "", token)
