"""What all listings share: sizes, digests and durations of files, and shards of equal duration."""

import heapq
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import soundfile

from slamflow import logs
from slamflow.corpora import headers
from slamflow.tables import sources as sources_table

THREADS = 16  # that read headers; on a network file system they mostly wait
PORTION = 8192  # rows that are Python objects at a time
BYTES_A_SECOND = 32_000  # of a file of unknown duration, for the balance of shards

Header = tuple[int | None, float | None, str | None]  # bytes, duration (s), reason


def table(
    rows: Iterable[Mapping[str, Any]], data_root: Path, shards: int, manifest: pa.Table | None
) -> pa.Table:
    """The sources table of a corpus; the order of `rows` does not matter.

    Shards are balanced by duration (bytes where it is not known): the longest file first, each
    into the shard that is shortest so far; files of one item together. Of several rows with one id
    the first by path is kept; the others go to its shard with the reason "duplicate id".

    Args:
        rows: `path` below `data_root`, and what is known of the other columns. `reason` says why
            a file is left out. A row that has `duration`, if only None, is taken at its word;
            else it is read from the header of an audio file.
        manifest: the table of the corpus's download, whose sizes and digests are taken over, or
            None: files in a folder are not read in full to be listed, and have no digest.

    Returns:
        A table of the sources schema, sorted by path. A file that does not exist, or whose path
        is not UTF-8, has a reason.
    """
    remaining = iter(rows)
    done, batches = 0, []
    with ThreadPoolExecutor(THREADS) as pool:
        while portion := list(islice(remaining, PORTION)):
            batches.append(_batch(portion, data_root, pool))
            done += len(portion)
            logs.info(f"{done} files listed")
    listed = pa.Table.from_batches(batches, sources_table.SCHEMA)
    batches.clear()  # a million files are held once
    listed = listed.sort_by([(name, "ascending") for name in ("path", "id", "role")])
    if manifest is not None:
        listed = _with_manifest(listed, manifest)
    first = _first_of_id(listed)
    duplicate = pa.array(first != np.arange(len(first)))
    reasons = pc.if_else(duplicate, pa.scalar("duplicate id"), listed["reason"])
    listed = _replaced(listed, "reason", reasons)
    return _replaced(listed, "shard", pa.array(_balanced(listed, shards)[first], pa.int32()))


def below(data_root: Path, name: str, key: str) -> Path:
    """The path `name` below `data_root`.

    Raises:
        ValueError: there is none; `key` is the one that the message tells to mend.
    """
    if not Path(data_root).is_dir():
        raise ValueError(f"{data_root}: no such folder; set `data_root` to where the data lie")
    path = Path(data_root) / name
    if not path.exists():
        raise ValueError(f"{path}: does not exist; set `data_root` or mend `{key}`")
    return path


def _batch(
    rows: list[Mapping[str, Any]], data_root: Path, pool: ThreadPoolExecutor
) -> pa.RecordBatch:
    step = max(1, len(rows) // (4 * THREADS))
    parts = [rows[i : i + step] for i in range(0, len(rows), step)]
    headers = [h for part in pool.map(lambda part: _headers(part, data_root), parts) for h in part]
    full = []
    for row, (size, duration, reason) in zip(rows, headers, strict=True):
        path = os.fsencode(row["path"])
        found = {"bytes": size, "duration": duration, "reason": row.get("reason") or reason}
        try:
            path.decode()
        except UnicodeDecodeError:
            shown = {k: _shown(v) if isinstance(v, str) else v for k, v in row.items()}
            found = shown | found | {"reason": found["reason"] or "path is not UTF-8"}
        full.append({**row, **found})
    return pa.RecordBatch.from_pylist(full, sources_table.SCHEMA)


def _shown(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")


def _headers(rows: list[Mapping[str, Any]], data_root: Path) -> list[Header]:
    return [_header(row, f"{data_root}/{row['path']}") for row in rows]


def _header(row: Mapping[str, Any], path: str) -> Header:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        return None, None, f"no such file ({getattr(error, 'strerror', error)})"
    if not stat.S_ISREG(status.st_mode):  # a pipe would never end
        return None, None, "no such file (not a regular file)"
    if "duration" in row or row.get("reason"):
        return status.st_size, row.get("duration"), None
    return status.st_size, _duration(path), None


def _duration(path: str) -> float | None:
    try:
        info = soundfile.info(os.fsencode(path))
    except (OSError, TypeError, soundfile.SoundFileError):  # TypeError: headerless, by its suffix
        return None
    return info.frames / info.samplerate if info.frames < headers.LONGEST else None


def _with_manifest(listed: pa.Table, manifest: pa.Table) -> pa.Table:
    where = pc.index_in(listed["path"], value_set=manifest["path"])
    for name in ("bytes", "sha256"):
        known = manifest[name].combine_chunks().take(where)
        listed = _replaced(listed, name, pc.coalesce(known, listed[name]))
    return listed


def _first_of_id(listed: pa.Table) -> np.ndarray:
    """For each row the first with its id [rows]; itself if it has none, or is left out anyway."""
    rows = np.arange(len(listed))
    used = pc.and_(pc.is_valid(listed["id"]), pc.is_null(listed["reason"])).to_numpy()
    codes = listed["id"].combine_chunks().filter(pa.array(used)).dictionary_encode().indices
    _, first, inverse = np.unique(codes.to_numpy(), return_index=True, return_inverse=True)
    rows[used] = rows[used][first][inverse]
    return rows


def _balanced(listed: pa.Table, shards: int) -> np.ndarray:
    """The shard of each row; rows of one item have one."""
    guessed = pc.divide(pc.cast(listed["bytes"], pa.float64()), BYTES_A_SECOND)
    weights = pc.coalesce(listed["duration"], guessed).fill_null(0.0).to_numpy()
    codes = listed["item"].combine_chunks().dictionary_encode().indices
    own = np.arange(len(listed), 2 * len(listed))  # of a row without item
    _, group = np.unique(np.where(codes.is_valid(), codes.fill_null(0), own), return_inverse=True)
    weights = np.bincount(group, weights)
    loads = [(0.0, shard) for shard in range(shards)]
    assigned = np.zeros(len(weights), np.int32)
    for index in np.argsort(-weights, kind="stable"):
        load, shard = heapq.heappop(loads)
        assigned[index] = shard
        heapq.heappush(loads, (load + float(weights[index]), shard))
    return assigned[group]


def _replaced(table: pa.Table, name: str, column: Any) -> pa.Table:
    field = sources_table.SCHEMA.field(name)
    return table.set_column(table.schema.get_field_index(name), field, column)


def walk(folder: Path) -> Iterator[str]:
    """Paths of all files below `folder`, relative to it, in no order; links are followed.

    Raises:
        ValueError: a folder cannot be read.
    """
    start = os.fspath(folder)

    def unreadable(error: OSError) -> None:
        raise ValueError(f"{error.filename}: cannot be listed ({error.strerror})") from None

    for parent, folders, names in os.walk(start, onerror=unreadable, followlinks=True):
        folders[:] = [name for name in folders if not _returns(parent, name)]
        prefix = parent[len(start) :].lstrip("/")
        yield from (f"{prefix}/{name}" if prefix else name for name in names)


def _returns(parent: str, name: str) -> bool:
    """Whether a folder is a link to one that it lies in, which has no end."""
    path = os.path.join(parent, name)
    if not os.path.islink(path):
        return False
    return Path(os.path.realpath(parent)).is_relative_to(os.path.realpath(path))
