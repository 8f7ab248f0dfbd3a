"""Recordings into utterances: parts of files, whose audio stays where it is."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import soundfile

from slamflow import logs
from slamflow.corpora.recorded import decoding, pauses, segments
from slamflow.corpora.recorded.listed import check
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table

if TYPE_CHECKING:
    from slamflow.corpora.recorded.voice_activity import Detector

FILES = 1024  # of a shard that are Python objects at a time

Row = dict[str, Any]
Given = Mapping[str, Sequence[segments.Segment]]


def cut(
    config: Mapping[str, Any], sources: pa.Table, shard: int, data_root: Path, label: str
) -> tuple[pa.Table, pa.Table]:
    """The utterances of one shard. Every file is decoded once, as a stream.

    A file up to `maximum` seconds is one utterance. A longer one is cut at pauses
    (`pauses.pieces`) into utterances `<id>-p0000`, …, whose item is the file; long silences are
    in none of them, and their share is logged. The segments of a list are taken as they are.

    Args:
        config: `folder`; `minimum` (s); `maximum` (s), null: files are never cut; `segments`:
            "vad" (a voice-activity detector says where speech is), "libri-light" (the .json
            beside a file does), or the path below `data_root` of a list (`segments.of_shard`).
        sources: a table of the sources schema.
        label: for progress lines.

    Returns:
        The speech table (`path`, `start`, `end`) and the table of rejected files and parts. Each
        file, each piece and each segment of a list is in one of the two.

    Raises:
        ValueError: a file has changed or vanished since it was listed, or the list of segments
            cannot be read.
    """
    given: Given | None = None
    absent: list[segments.Segment] = []
    if (config.get("segments") or "vad") not in ("vad", "libri-light"):
        path = Path(data_root) / config["segments"]
        given, absent = segments.of_shard(path, config["folder"], sources, shard)
    rejected = [_rejected(segment, segment["path"], "no such file") for segment in absent]
    batches = [pa.RecordBatch.from_pylist(rejected, rejected_table.SCHEMA)]
    kept: list[pa.RecordBatch] = []
    mine = sources.filter(pc.equal(sources["shard"], shard))
    progress = logs.Progress(label, len(mine), "files")
    done, heard, used = 0, 0.0, 0.0
    for batch in mine.to_batches(FILES):
        rows: dict[bool, list[Row]] = {True: [], False: []}
        for listed in batch.to_pylist():
            found, duration, covered = _file(listed, config, given, data_root)
            for row in found:
                rows["reason" in row].append(row)
            done, heard, used = done + 1, heard + duration, used + covered
            progress.update(done)
        kept.append(pa.RecordBatch.from_pylist(rows[False], speech_table.SCHEMA))
        batches.append(pa.RecordBatch.from_pylist(rows[True], rejected_table.SCHEMA))
    if heard:
        logs.info(
            f"{heard / 3600:.2f} h were cut, {1 - used / heard:.1%} of it is left out silence"
        )
    speech = pa.Table.from_batches(kept, speech_table.SCHEMA)
    return speech, pa.Table.from_batches(batches, rejected_table.SCHEMA)


def _file(
    listed: Row, config: Mapping[str, Any], given: Given | None, data_root: Path
) -> tuple[list[Row], float, float]:
    """What becomes of a file, and if it was cut at pauses: its length, and that of all pieces."""
    name, identity = listed["path"], listed["id"] or listed["path"]
    whole: segments.Segment = {"id": identity}
    wanted = [whole] if given is None else _numbered(given.get(name, []), identity)
    if listed["reason"] is None and not wanted:
        return [_rejected(whole, name, "no segments")], 0.0, 0.0
    try:
        if listed["reason"] is not None:
            raise _LeftOutError(listed["reason"])
        path = Path(data_root) / name
        check(path, listed)
        if not listed["bytes"]:
            raise _LeftOutError("empty")
        heard, spans = _heard(path, config, given is not None)
    except _LeftOutError as error:
        return [_rejected(part, name, str(error)) for part in wanted or [whole]], 0.0, 0.0
    if given is None and spans is None:
        whole |= {"start": 0.0, "end": heard.duration, "text": listed["text"]}
    elif given is None:
        assert spans is not None
        if not spans:
            return [_rejected(whole, name, "no speech found")], 0.0, 0.0
        wanted = _numbered([{"start": start, "end": end} for start, end in spans], identity)
    rows = [_utterance(part, listed, heard, config) for part in wanted]
    if spans is None:
        return rows, 0.0, 0.0
    return rows, heard.duration, sum(end - start for start, end in spans)


class _LeftOutError(Exception):
    """Why a file is left out."""


def _heard(
    path: Path, config: Mapping[str, Any], given: bool
) -> tuple[decoding.Heard, list[pauses.Span] | None]:
    """A decoded file, and the pieces into which it is to be cut at pauses, if it is."""
    maximum = math.inf if given or config.get("maximum") is None else config["maximum"]
    speech, problem = None, None
    if maximum < math.inf and config.get("segments") == "libri-light":
        try:
            speech = pauses.merged(segments.libri_light(path), math.inf)
        except ValueError as error:
            problem = f"no segments ({error})"
    listen = speech is None or any(end - start > maximum for start, end in speech)
    try:
        heard = decoding.hear(path, _detector if listen and not problem else None, maximum)
    except (OSError, ValueError, soundfile.SoundFileError) as error:
        raise _LeftOutError(f"cannot be decoded ({decoding.shown(error)})") from None
    if heard.frames < heard.promised:
        promised = heard.promised / heard.rate
        raise _LeftOutError(f"ends after {heard.duration:.2f} of {promised:.2f} s")
    if heard.frames == 0:
        raise _LeftOutError("empty")
    if heard.duration <= maximum:
        return heard, None
    if problem:
        raise _LeftOutError(problem)
    if speech is None:
        assert heard.speech is not None
        speech = pauses.speech(heard.speech, heard.duration)
    return heard, pauses.pieces(speech, heard.duration, maximum, heard.speech)


@functools.cache
def _detector() -> "Detector":
    from slamflow.corpora.recorded.voice_activity import Detector  # torch takes seconds

    return Detector()


def _numbered(parts: Sequence[segments.Segment], item: str) -> list[segments.Segment]:
    """The parts of a file with ids."""
    return [
        part | {"id": part.get("id") or f"{item}-p{index:04}"} for index, part in enumerate(parts)
    ]


def _utterance(
    part: segments.Segment, listed: Row, heard: decoding.Heard, config: Mapping[str, Any]
) -> Row:
    start, end, rate = part["start"], part["end"], heard.rate
    maximum = config.get("maximum")
    if part.get("reason"):
        return _rejected(part, listed["path"], part["reason"])
    if not 0 <= start <= end <= heard.duration + 0.5:  # times of lists are rounded
        reason = f"lies outside the file ({start:.2f} to {end:.2f} of {heard.duration:.2f} s)"
        return _rejected(part, listed["path"], reason)
    first, last = round(start * rate), min(round(end * rate), heard.frames)
    if maximum is not None and end - start <= maximum + 1e-6:
        last = min(last, first + math.floor(maximum * rate))  # for borders are rounded to samples
    duration = (last - first) / rate
    peak = heard.peak(first / rate, last / rate)
    if fault := decoding.fault(duration, peak, config["minimum"], maximum):
        return _rejected(part, listed["path"], fault)
    return {
        "id": part["id"],
        "item": listed["item"] or listed["id"] or listed["path"],
        "role": listed["role"] or "document",
        "group": listed["group"] or "",
        "rendition": listed["rendition"] or 0,
        "text": part.get("text") or None,
        "speaker": part.get("speaker") or listed["speaker"],
        "audio": {"bytes": None, "path": listed["path"]},
        "start": first / rate,
        "end": last / rate,
        "sampling_rate": rate,
        "duration": duration,
    }


def _rejected(part: segments.Segment, source: str, reason: str) -> Row:
    return {"id": part.get("id") or source, "source": source, "reason": reason}
