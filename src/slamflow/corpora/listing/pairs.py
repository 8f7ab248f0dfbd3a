"""Files of pairs: found in a folder, and matched by what they are, never by their order."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from slamflow.corpora.listing import audio, sources

Row = dict[str, Any]


def found(folder: str, data_root: Path, manifest: pa.Table | None) -> list[str]:
    """Names, relative to a folder, of all files below it, sorted.

    Args:
        folder: relative to `data_root`.
        manifest: the files of the download that the folder belongs to; without one the folder is
            looked through.

    Raises:
        ValueError: there is no such folder.
    """
    return sorted(audio.below(PurePosixPath(folder).as_posix(), Path(data_root), manifest))


def table(
    config: Mapping[str, Any],
    folder: str,
    rows: Iterable[Row],
    data_root: Path,
    manifest: pa.Table | None,
) -> pa.Table:
    """The sources table of pairs; what has no partner or no single place in a pair has a reason.

    Args:
        config: `shards`.
        folder: relative to `data_root`, for the paths and for messages.
        rows: `name` (below the folder), `id` and, unless there is a `reason`, `item`, `role`
            (`positive` or `negative`) and what else is known. Members are compared within an
            item's `rendition`, 0 if it is not given.

    Raises:
        ValueError: there are no rows.
    """
    listed: list[Row] = [{"rendition": 0, "reason": None, **row} for row in rows]
    if not listed:
        raise ValueError(f"{Path(data_root) / folder}: holds no *.wav files; mend `source.folder`")
    for row in listed:
        row["path"] = (PurePosixPath(folder) / row.pop("name")).as_posix()
    _match(listed)
    return sources.table(listed, data_root, config.get("shards") or 1, manifest)


def _match(rows: list[Row]) -> None:
    """Give a reason to rows whose id or place in a pair is taken, then to those left alone."""
    for keys in (("id",), ("item", "rendition", "role")):
        for same in _together(rows, keys):
            for row in same if len(same) > 1 else ():
                row["reason"] = f"duplicate id ({len(same)} files are {row['id']})"
                if keys != ("id",):
                    row["reason"] = f"duplicate id ({len(same)} {row['role']} of {row['item']})"
    for pair in _together(rows, ("item", "rendition")):
        if len(pair) == 1:
            pair[0]["reason"] = "no partner"


def _together(rows: Iterable[Row], keys: tuple[str, ...]) -> list[list[Row]]:
    """Rows without a reason that agree in `keys`."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if row["reason"] is None:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return list(groups.values())


def unreadable(name: str, wanted: str) -> Row:
    """The row of a file whose name says nothing."""
    return {"name": name, "id": stem(name), "reason": f"unreadable name (not {wanted})"}


def stem(name: str) -> str:
    """A relative path without its suffix."""
    return PurePosixPath(name).with_suffix("").as_posix()
