"""Rows of Parquet tables into utterances, whose audio stays in the tables."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import soundfile

from slamflow import audio, logs
from slamflow.corpora.recorded import decoding
from slamflow.corpora.recorded.listed import check
from slamflow.corpora.recorded.parquet_columns import Columns, columns_of
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table

PORTION = 1024  # utterances that are Python objects at a time
SLACK = 0.1  # s that words may reach beyond the sound, where they are then cut
BROKEN = object()  # a value that is not UTF-8

Row = dict[str, Any]


class _Unfit(Exception):
    """Why an utterance is left out."""


def cut(
    config: Mapping[str, Any], sources: pa.Table, shard: int, data_root: Path, label: str
) -> tuple[pa.Table, pa.Table]:
    """The utterances of one shard.

    Every row is decoded once, so that what cannot be read is found here. `audio.ROWS` rows of
    audio are in memory at a time.

    Args:
        config: `content` (`documents` or `preferences`), `columns` (see `parquet_columns`),
            `at_most` (column: largest value), `minimum` and `maximum` (s, or null).
        sources: a table of the sources schema, from `listing.parquet`.
        label: for progress lines.

    Returns:
        The speech table (`audio.path` is `file.parquet#column/row`; ids are `{file}-{row:06d}`,
        with `-{role}` for preferences) and the table of rejected utterances. A preference is
        rejected with all its members.

    Raises:
        ValueError: a file has changed or vanished since it was listed, or a column is missing or
            of another type.
    """
    mine = sources.filter(pc.equal(sources["shard"], shard)).to_pylist()
    tables = [speech_table.SCHEMA.empty_table()]
    kept: list[Row] = []
    rejected: list[Row] = []
    progress = logs.Progress(label, len(mine), "files")
    for done, listed in enumerate(mine, 1):
        for row in _utterances(listed, Path(data_root), config):
            (rejected if "reason" in row else kept).append(row)
            if len(kept) == PORTION:
                tables.append(pa.Table.from_pylist(kept, speech_table.SCHEMA))
                kept.clear()
        progress.update(done)
    tables.append(pa.Table.from_pylist(kept, speech_table.SCHEMA))
    return pa.concat_tables(tables), pa.Table.from_pylist(rejected, rejected_table.SCHEMA)


def _utterances(listed: Row, data_root: Path, config: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of the speech table, or with a `reason` of the table of rejected ones."""
    if listed["reason"] is not None:
        yield {"id": listed["id"], "source": listed["path"], "reason": listed["reason"]}
        return
    path = data_root / listed["path"]
    check(path, listed)
    with audio.open_parquet(path) as file:
        columns = columns_of(path, file.schema_arrow, config)
        for number, values in enumerate(_rows(file, columns)):
            yield from _members(values, number, listed, path, columns, config)


def _rows(file: pq.ParquetFile, columns: Columns) -> Iterator[Row | str]:
    """The values of each row, or why it could not be read."""
    for group in range(file.num_row_groups):
        left = file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(
                audio.ROWS, row_groups=[group], columns=columns.names, use_threads=False
            ):
                for row in range(batch.num_rows):
                    left -= 1
                    yield {name: _value(batch.column(name)[row]) for name in columns.names}
        except (OSError, pa.ArrowException) as error:
            for _ in range(left):
                yield f"cannot be decoded ({' '.join(str(error).split())})"


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return BROKEN


def _members(
    values: Row | str,
    number: int,
    listed: Row,
    path: Path,
    columns: Columns,
    config: Mapping[str, Any],
) -> list[Row]:
    """The members of a row: all of them are utterances, or all of them are rejected."""
    item = f"{listed['id']}-{number:06d}"
    found: list[Row] = []
    reasons: dict[str, str] = {}  # by role
    shared = values if isinstance(values, str) else _unwanted(values, columns)
    for member in columns.members:
        row: Row = {
            "id": item if len(columns.members) == 1 else f"{item}-{member.role}",
            "item": item,
            "role": member.role,
            "group": "",
            "rendition": 0,
            "audio": {"bytes": None, "path": f"{listed['path']}#{member.audio}/{number}"},
        }
        found.append(row)
        if isinstance(values, str) or shared is not None:
            reasons[member.role] = str(shared)
            continue
        try:
            row |= _heard(values[member.audio], path, config)
            row |= _said(values, member.text, columns, row["duration"])
        except _Unfit as unfit:
            reasons[member.role] = str(unfit)
    if not reasons:
        return found
    role, reason = next(iter(reasons.items()))
    return [
        {
            "id": row["id"],
            "source": row["audio"]["path"],
            "reason": reasons.get(row["role"], f"no partner ({role}: {reason})"),
        }
        for row in found
    ]


def _unwanted(values: Row, columns: Columns) -> str | None:
    """Why a row is left out, whatever its audio is."""
    for name, value in values.items():
        if value is BROKEN:
            return f"not UTF-8 (`{name}`)"
    for name, limit in columns.at_most.items():
        value = values[name]
        if value is None or not math.isfinite(value):
            return f"{name} is {'null' if value is None else value}"
        if value > limit:
            return f"{name} {value:.4g} is above {limit:g}"
    return None


def _heard(struct: Row | None, path: Path, config: Mapping[str, Any]) -> Row:
    """Rate and duration of the audio, decoded in full."""
    if struct is None or (struct["bytes"] is None and not struct.get("path")):
        raise _Unfit("no audio")
    if struct["bytes"] == b"":
        raise _Unfit("empty")
    try:
        source = audio.source_of(struct, path)
        heard = decoding.hear(source)
    except (OSError, TypeError, ValueError, soundfile.SoundFileError) as error:
        raise _Unfit(f"cannot be decoded ({decoding.shown(error)})") from None
    seconds = heard.duration
    if not heard.frames:
        raise _Unfit("empty")
    if heard.frames < heard.promised:
        whole = heard.promised / heard.rate
        raise _Unfit(f"ends after {seconds:.2f} of {whole:.2f} s")
    peak = float(heard.peaks.max())
    if fault := decoding.fault(seconds, peak, config["minimum"], config["maximum"]):
        raise _Unfit(fault)
    return {"sampling_rate": heard.rate, "duration": seconds}


def _said(values: Row, text: str | None, columns: Columns, seconds: float) -> Row:
    """Text, words and speaker, as far as there are columns of them."""
    said: Row = {}
    if text is not None:
        said["text"] = (values[text] or "").strip()
        if not said["text"]:
            raise _Unfit("no text")
    if columns.words is not None and values[columns.words] is not None:
        said["words"] = _labels(values[columns.words], seconds)
    if columns.speaker is not None and values[columns.speaker] is not None:
        said["speaker"] = str(values[columns.speaker])
    return said


def _labels(words: list[Row | None], seconds: float) -> list[Row]:
    """Words as labels inside the utterance; those without a letter are pauses and left out."""
    labels, before = [], -SLACK
    for place, word in enumerate(words):
        label, start, end = ((word or {}).get(key) for key in ("word", "start_time", "end_time"))
        if start is None or end is None or not before <= start <= end <= seconds + SLACK:
            raise _Unfit(f"words out of order (word {place}, from {start} to {end} s)")
        before = start
        if label and label.strip():
            first, last = (min(max(float(time), 0.0), seconds) for time in (start, end))
            labels.append({"label": label, "start": first, "end": last})
    return labels
