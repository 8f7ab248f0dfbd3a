"""Bring a pinned download into `{data_root}/downloads/{name}/`, once, and list its files.

Beside that folder lie, hidden, `.{name}.lock`, `.{name}.lease` and, while it is made,
`.{name}.partial/`: one job at a time, of all checkouts and hosts that share `data_root`. In it lies
`.slamflow.json`: the block, the commit of a repository, and path, bytes and sha256 of each file.
A folder whose block gets more archives stays as it is until it is replaced by one that has them.
"""

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow import files, folders, lease, logs
from slamflow.downloads import archive, blocks, hub, retrying, space
from slamflow.downloads.place import RECORD, Place, described, walked
from slamflow.tables import downloads as downloads_table

ANOTHER = "give this download another name, which costs nothing of the old, or delete that folder"


def fetch(name: str, config: Mapping[str, Any], machine: Mapping[str, Any], label: str) -> pa.Table:
    """Fetch a download, or adopt it where it is there.

    A folder without a record was put in place by hand: it is believed and recorded. One with a
    record may lie where nothing can be written.

    Args:
        config: the block; its `kind` is `huggingface` (see `hub.fetch`) or `archive` (see
            `archive.fetch`).
        machine: `data_root`, and of transfers `connections`, `retries` and `retry_wait` (s).
        label: of the progress.

    Returns:
        A table of the downloads schema, sorted by path.

    Raises:
        ValueError: it cannot be had, or the folder holds something else; one line says what to do.
    """
    downloads = Path(machine["data_root"]) / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    folder = downloads / name
    place = Place(
        downloads / f".{name}.partial",
        label,
        machine.get("connections", 4),
        retrying.Patience(machine.get("retries", 7), machine.get("retry_wait", 1.0)),
    )
    lock = downloads / f".{name}.lock"
    closed = not os.access(lock if lock.exists() else downloads, os.W_OK)
    if closed and (folder / RECORD).exists():  # it is there, and cannot be changed from here
        return _table(name, _adopted(folder, config, place))
    ownership = lease.Lease(lock, "another job that fetches this download")
    place = dataclasses.replace(place, check=ownership.check)
    try:
        if place.before.exists() and not folder.exists():  # killed between two renames
            os.rename(place.before, folder)
        if (folder / RECORD).exists():
            rows = _adopted(folder, config, place)
        elif folder.exists():
            rows = _by_hand(folder, config, place)
        else:
            rows = _fetched(folder, config, place)
        if not place.files.exists():  # else it is an unfinished download, and its user's
            folders.remove(place.partial)
    except OSError as error:
        if error.errno not in space.FULL:
            raise
        free = space.shown(space.free(downloads))
        raise ValueError(
            f"{downloads}: the disk is full ({error.strerror}, {free} free); make room and run"
            " again: the download goes on where it was"
        ) from None
    finally:
        ownership.release()
    return _table(name, rows)


def _table(name: str, rows: list[Any]) -> pa.Table:
    paths = [f"downloads/{name}/{row[0]}" for row in rows]
    table = pa.table(
        [paths, [row[1] for row in rows], [row[2] for row in rows]], schema=downloads_table.SCHEMA
    )
    return table.sort_by("path")


def _fetched(folder: Path, config: Mapping[str, Any], place: Place) -> list[Any]:
    if place.block.exists() and set(walked(place.partial)) - {place.block.name, "commit"}:
        _compare(json.loads(place.block.read_text()), config, place.partial, ANOTHER)
    else:  # nothing has come yet
        folders.remove(place.partial)
    place.files.mkdir(parents=True, exist_ok=True)
    files.write_json(config, place.block)
    commit = None
    try:
        if config["kind"] == "huggingface":
            commit, rows = hub.fetch(config, place)
        else:
            rows = archive.fetch(config, place)
    except retrying.Passing as error:
        after = f", and delete {folder / RECORD}" if folder.exists() else ""
        raise ValueError(
            f"{error}, {place.patience.retries + 1} times; check the network and the proxy and run"
            f" again (it goes on where it was), or put the files into {folder} by hand, under their"
            f" paths in the download{after}"
        ) from None
    _record(place.files, config, rows, commit=commit)
    place.check()
    if folder.exists():  # it has grown
        os.rename(folder, place.before)
    os.rename(place.files, folder)
    folders.sync_one(folder.parent)
    return rows


def _by_hand(folder: Path, config: Mapping[str, Any], place: Place) -> list[Any]:
    # What `hf download --local-dir` leaves beside the files is no part of them.
    kept = ".cache/huggingface/"
    paths = [path for path in walked(folder, follow=True) if not path.startswith(kept)]
    if not paths:
        raise ValueError(f"{folder}: holds no file; delete it to fetch the download")
    logs.say(f"{folder}: {len(paths)} files were put here by hand, and are believed as they are")
    rows = described(folder, paths, place.connections)
    _record(folder, config, rows, by_hand=True)
    return rows


def _record(folder: Path, config: Mapping[str, Any], rows: list[Any], **facts: Any) -> None:
    files.write_json({"block": config, "files": rows, **facts}, folder / RECORD)


def _adopted(folder: Path, config: Mapping[str, Any], place: Place) -> list[Any]:
    """The rows of a finished folder's record; what archives were added is fetched.

    Raises:
        ValueError: it is of another block, or a file is missing or has another size.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        block, rows, by_hand = record["block"], record["files"], "by_hand" in record
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{folder / RECORD}: is damaged; delete it, and the files are believed as they are"
        ) from None
    grows = not by_hand and not folder.is_symlink()  # else it is its user's, and stays as it is
    by_itself = f"delete {folder / RECORD} once the folder holds the files of this block"
    _compare(block, config, folder, ANOTHER if grows else by_itself, grows)
    for path, size, _ in rows:
        try:
            found = (folder / path).stat().st_size
        except OSError:
            found = None
        if found != size:
            state = "is missing" if found is None else f"has {found} bytes instead of {size}"
            raise ValueError(
                f"{folder / path}: {state}; put it back, or delete {folder} to fetch it all anew"
            )
    logs.info(f"{folder}: {len(rows)} files are there")
    if not blocks.added(block, config):
        return rows
    if not place.block.exists():
        archive.grow(folder, rows, len(block["archives"]), place)
        files.write_json(config, place.block)
    return _fetched(folder, config, place)


def _compare(
    found: Mapping[str, Any],
    config: Mapping[str, Any],
    folder: Path,
    repair: str,
    grows: bool = True,
) -> None:
    differing = blocks.differing(found, config)
    if not grows and blocks.added(found, config):
        differing = ["archives"]
    if differing:
        keys = ", ".join(f"`{key}`" for key in differing)
        raise ValueError(f"{folder}: is of a block with other {keys}; {repair}")
    blocks.say_unchecked(found, config)
