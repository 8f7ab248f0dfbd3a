"""Which files a corpus is made of, listed before any of them is read in full or cut."""

import heapq
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import soundfile

from slamflow import files, logs
from slamflow.tables import sources as sources_table


def list_audio(source: Mapping[str, Any], data_root: Path | None) -> pa.Table:
    """The audio files below a folder, sorted by path whatever the order on disk.

    Args:
        source: `folder` relative to `data_root`, `pattern` (a glob below the folder), `shards`.

    Returns:
        A table of the sources schema. Shards are balanced by duration; a file whose header cannot
        be read has no duration, and `recordings.cut_audio` rejects it.

    Raises:
        ValueError: `data_root`, the folder or a matching file is missing, or two files differ in
            their suffix only.
    """
    folder = _below(data_root, source["folder"], "folder")
    if not folder.is_dir():
        raise ValueError(f"{folder}: not a folder; mend `source.folder`")
    pattern = source.get("pattern") or "**/*.flac"
    assert data_root is not None
    paths = sorted(
        path.relative_to(data_root).as_posix() for path in folder.glob(pattern) if path.is_file()
    )
    if not paths:
        raise ValueError(f"{folder}: no file matches {pattern}; mend `source.pattern`")
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(Path(path).with_suffix("").as_posix(), path)
        if other != path:
            raise ValueError(f"{data_root}: {other} and {path} differ in their suffix only; "
                             "narrow `source.pattern`")  # fmt: skip
    durations = [_duration(data_root / path) for path in paths]
    shards = _balance(paths, durations, source.get("shards") or 1)
    return _table(data_root, paths, durations, shards)


def list_text(source: Mapping[str, Any], data_root: Path | None) -> pa.Table:
    """The text file `source["file"]` as a table of one row; its duration is null.

    Raises:
        ValueError: `data_root` or the file is missing.
    """
    path = _below(data_root, source["file"], "file")
    if not path.is_file():
        raise ValueError(f"{path}: no such file; mend `source.file`")
    assert data_root is not None
    return _table(data_root, [Path(source["file"]).as_posix()], [None], [0])


def _below(data_root: Path | None, name: str, key: str) -> Path:
    if data_root is None:
        raise ValueError(f"{name}: a path below `data_root`; set `data_root` to where the data lie")
    if not Path(data_root).is_dir():
        raise ValueError(f"{data_root}: no such folder; set `data_root` to where the data lie")
    path = Path(data_root) / name
    if not path.exists():
        raise ValueError(f"{path}: does not exist; set `data_root` or mend `source.{key}`")
    return path


def _duration(path: Path) -> float | None:
    try:
        info = soundfile.info(path)
    except (OSError, soundfile.SoundFileError):
        return None
    return info.frames / info.samplerate


def _balance(paths: list[str], durations: list[float | None], shards: int) -> list[int]:
    """The longest file first, each into the shard that is shortest so far."""
    order = sorted(range(len(paths)), key=lambda i: (-(durations[i] or 0.0), paths[i]))
    loads = [(0.0, shard) for shard in range(shards)]
    assigned = [0] * len(paths)
    for index in order:
        load, assigned[index] = heapq.heappop(loads)
        heapq.heappush(loads, (load + (durations[index] or 0.0), assigned[index]))
    return assigned


def _table(
    data_root: Path, paths: list[str], durations: list[float | None], shards: list[int]
) -> pa.Table:
    digests: list[str] = []
    progress = logs.Progress("list_source", len(paths), "files")
    for path in paths:
        digests.append(files.sha256(data_root / path))
        progress.update(len(digests))
    columns = {
        "path": paths,
        "bytes": [(data_root / path).stat().st_size for path in paths],
        "sha256": digests,
        "duration": durations,
        "shard": shards,
    }
    fields = sources_table.SCHEMA
    nulls = {name: [None] * len(paths) for name in fields.names if name not in columns}
    return pa.table(columns | nulls, fields)
