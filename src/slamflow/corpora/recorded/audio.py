"""Recordings into utterances: parts of files, whose audio stays where it is."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile

from slamflow import logs
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table

FULL = 0.8  # a piece is this share of the maximum at most, before its ends move to quiet points
REACH = 0.1  # share of the maximum that a cut may move to either side
FRAME = 0.02  # s, the step in which quiet points are sought
QUIET = 5  # frames over which loudness is averaged

Row = dict[str, Any]


def cut_audio(
    config: Mapping[str, Any], sources: pa.Table, shard: int, data_root: Path | None
) -> tuple[pa.Table, pa.Table]:
    """The utterances of one shard.

    A file up to `maximum` seconds is one utterance. A longer one is cut into equal pieces, each
    cut moved to the quietest point near it. Every file is decoded once, so that what cannot be
    read is found here, not later beside a busy GPU.

    Args:
        config: `folder`, `minimum` and `maximum` (s), `speaker` (a regular expression whose first
            group, in the path, is the speaker, or null).
        sources: the table that `sources.list_audio` made.

    Returns:
        The speech table (`path`, `start`, `end`; id = path below the folder without suffix, and
        `-p0`, … where it was cut; item = the same without piece) and the table of rejected files.

    Raises:
        ValueError: a file is missing or has changed since it was listed, or `speaker` does not
            fit a path.
    """
    if data_root is None:
        raise ValueError(f"{config['folder']}: set `data_root` to where the data lie")
    utterances: list[Row] = []
    rejected: list[Row] = []
    mine = [listed for listed in sources.to_pylist() if listed["shard"] == shard]
    progress = logs.Progress(f"cut_audio {config['folder']}, shard {shard}", len(mine), "files")
    for done, listed in enumerate(mine, 1):
        path = Path(data_root) / listed["path"]
        if not path.is_file():
            raise ValueError(f"{path}: no such file; set `data_root`, or raise `source.version`")
        if path.stat().st_size != listed["bytes"]:
            raise ValueError(f"{path}: has changed since it was listed; raise `source.version`")
        for row in _utterances(path, listed["path"], config):
            (rejected if "reason" in row else utterances).append(row)
        progress.update(done)
    return (
        pa.Table.from_pylist(utterances, speech_table.SCHEMA),
        pa.Table.from_pylist(rejected, rejected_table.SCHEMA),
    )


def _utterances(path: Path, name: str, config: Mapping[str, Any]) -> Iterator[Row]:
    item = Path(name).relative_to(config["folder"]).with_suffix("").as_posix()
    speaker = _speaker(name, config.get("speaker"))
    try:
        with soundfile.SoundFile(path) as file:
            rate, frames = file.samplerate, _decodable(file)
            borders = _borders(file, config["maximum"])
    except (OSError, soundfile.SoundFileError) as error:
        yield {"id": item, "source": name, "reason": f"cannot be decoded ({_reason(error)})"}
        return
    if frames < borders[-1]:
        reason = f"ends after {frames / rate:.2f} of {borders[-1] / rate:.2f} s"
        yield {"id": item, "source": name, "reason": reason}
        return
    for piece, (first, last) in enumerate(itertools.pairwise(borders)):
        identity = item if len(borders) == 2 else f"{item}-p{piece}"
        duration = (last - first) / rate
        if duration < config["minimum"] or last == first:
            reason = f"{duration:.2f} s is shorter than {config['minimum']} s"
            yield {"id": identity, "source": name, "reason": reason}
            continue
        yield {
            "id": identity,
            "item": item,
            "role": "document",
            "group": "",
            "rendition": 0,
            "speaker": speaker,
            "audio": {"bytes": None, "path": name},
            "start": first / rate,
            "end": last / rate,
            "sampling_rate": rate,
            "duration": duration,
        }


def _reason(error: Exception) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        return f"libsndfile error {error.code}: {error.error_string}"
    return str(error)


def _speaker(name: str, pattern: str | None) -> str | None:
    if pattern is None:
        return None
    match = re.search(pattern, name)
    if match is None or not match.groups():
        raise ValueError(f"{name}: `source.speaker` {pattern} finds no group in it")
    return match.group(1)


def _decodable(file: soundfile.SoundFile) -> int:
    """How many frames can be decoded."""
    return sum(len(block) for block in file.blocks(blocksize=1 << 18, dtype="float32"))


def _borders(file: soundfile.SoundFile, maximum: float) -> list[int]:
    """First frame of each piece, and the end of the file."""
    if file.frames <= maximum * file.samplerate:
        return [0, file.frames]
    pieces = math.ceil(file.frames / (FULL * maximum * file.samplerate))
    step = max(1, round(FRAME * file.samplerate))
    reach = round(REACH * maximum * file.samplerate)
    inner = []
    for piece in range(1, pieces):
        first = file.frames * piece // pieces - reach
        file.seek(first)
        samples = file.read(2 * reach, dtype="float32", always_2d=True).mean(axis=1)
        frames = len(samples) // step
        power = (samples[: frames * step].reshape(frames, step) ** 2).mean(axis=1)
        smooth = np.convolve(power, np.ones(QUIET), mode="same")
        smooth[: QUIET // 2] = smooth[frames - QUIET // 2 :] = np.inf
        inner.append(first + int(smooth.argmin()) * step + step // 2)
    return [0, *inner, file.frames]
