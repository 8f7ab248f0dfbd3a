"""Downloads of archives and single files by their addresses."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from slamflow import files, folders, logs
from slamflow.downloads import retrying, space, transfer, unpacking
from slamflow.downloads.place import Place, Row, described, walked


def fetch(config: Mapping[str, Any], place: Place) -> list[Row]:
    """Fetch archives one after the other, and unpack them into `place.files`.

    A file that is no archive is kept under the name that its address ends with. Of two files with
    one path, the later archive's stays.

    Args:
        config: `archives`, a list of `url` and `checksum`, which may be None; and `strip`.

    Returns:
        The files by path.

    Raises:
        ValueError: an address is refused, a checksum wrong, an archive damaged or not safe; or
            the disk has too little room.
        retrying.Passing: a server cannot be reached.
        OSError: the disk is full.
    """
    sources = [
        transfer.Source(entry["url"], None, entry["checksum"]) for entry in config["archives"]
    ]
    try:
        sizes = _sizes(sources, place)
        found: dict[str, Row] = {}
        for number, source in enumerate(sources):
            if not _done(place, number).exists():
                _one(source, sizes[number], number, config["strip"], place)
            folders.remove(_folder(place, number))
            rows = json.loads(_done(place, number).read_text())
            if again := found.keys() & {row[0] for row in rows}:
                logs.info(f"{source.shown} replaces {len(again)} files, such as {min(again)}")
            found |= {path: (path, size, sha256) for path, size, sha256 in rows}
    except retrying.Refused as error:
        raise ValueError(
            f"{error}; mend `url`, or see with a browser what the server wants"
        ) from None
    return sorted(found.values())


def grow(folder: Path, rows: list[Row], known: int, place: Place) -> None:
    """Begin a download with all that a finished one has, which stays as it is.

    Its files are linked if the file system can do that, and else copied.

    Args:
        folder: the finished download, of `known` archives.
        rows: its files.

    Raises:
        OSError: the disk is full.
    """
    folders.remove(place.partial)
    # Links are safe here: archives are merged by renaming, and nothing writes into a file.
    for parent, names, others in os.walk(folder):
        target = place.files / Path(parent).relative_to(folder)
        target.mkdir(parents=True)
        for name in names + others:
            source = Path(parent, name)
            if source.is_symlink():
                (target / name).symlink_to(source.readlink())
            elif name in others:
                folders.link(source, target / name)
        folders.sync_one(target)
    for number in range(known):
        files.write_json([] if number else rows, _done(place, number))


def _sizes(sources: list[transfer.Source], place: Place) -> dict[int, int]:
    """Bytes of each archive that is not done, 0 if the server does not tell.

    Raises:
        ValueError: they do not fit. While it is unpacked, an archive takes its size once more at
            the least; how much exactly, its members say later.
    """
    pending = {i: source for i, source in enumerate(sources) if not _done(place, i).exists()}
    sizes = {}
    for i, source in pending.items():
        path = _path(place, i, source)
        sizes[i] = path.stat().st_size if path.exists() else transfer.size(source, place.patience)
    there = sum(transfer.arrived(_path(place, i, source)) for i, source in pending.items())
    packed = (i for i, source in pending.items() if unpacking.named_archive(_name(source)))
    needed = sum(sizes.values()) - there + max((sizes[i] for i in packed), default=0)
    space.check(needed, place.partial, "the rest of the download, with unpacking,")
    return sizes


def _one(source: transfer.Source, size: int, number: int, strip: int, place: Place) -> None:
    """Fetch and unpack one archive; its rows are written when its files are on the disk."""
    path = _path(place, number, source)
    if path.exists():
        transfer.check(source, path)
    else:
        label = f"{place.label}: {path.name}"
        done = transfer.arrived(path)
        meter = transfer.Meter(label, size, done, place.patience.stop)
        transfer.download(source, path, meter, place.patience)
    place.files.mkdir(parents=True, exist_ok=True)
    packed = not unpacking.kept_whole(path.name) and unpacking.is_archive(path)
    if unpacking.named_archive(path.name) and not packed:
        raise ValueError(
            f"{source.shown}: is no tar or zip archive by its content; see {path}, mend `url`, and"
            " delete that file to fetch it anew"
        )
    unpacked = place.partial / "unpacking"
    folders.remove(unpacked)
    unpacked.mkdir()
    try:
        if packed:
            unpacking.unpack(path, unpacked, strip, source.shown, place.label)
        else:
            folders.link(path, unpacked / path.name)
        rows = described(unpacked, walked(unpacked), place.connections)
        _merge(unpacked, place.files, source.shown)
    finally:
        folders.remove(unpacked)
    files.write_json(rows, _done(place, number))


def _merge(unpacked: Path, folder: Path, shown: str) -> None:
    """Move what is unpacked to what earlier archives gave; links move as links.

    Raises:
        ValueError: a file or folder has the other's path, or would lie behind a link; or a link
            leads out of the folder, now that it lies beside what earlier archives gave.
        OSError: the disk is full.
    """
    repair = "give it a download of its own"
    try:
        for parent, names, others in os.walk(unpacked):
            relative = Path(parent).relative_to(unpacked)
            target = folder / relative
            if relative.parts and target.is_symlink():
                raise unpacking.Unsafe(f"'{relative}' is a link of an archive before it; {repair}")
            target.mkdir(exist_ok=True)
            for name in others + [name for name in names if Path(parent, name).is_symlink()]:
                os.replace(Path(parent, name), target / name)
            folders.sync_one(target)
        unpacking.check_links(folder)
    except unpacking.Unsafe as error:
        raise ValueError(f"{shown}: refused, {error}") from None
    except OSError as error:
        if error.errno in space.FULL:
            raise
        raise ValueError(
            f"{shown}: does not fit the archives before it: {logs.describe(error)}; {repair}"
        ) from None


def _name(source: transfer.Source) -> str:
    name = unquote(Path(urlsplit(source.url).path).name)
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ValueError(f"{source.shown}: does not end with the name of a file; mend `url`")
    return name


def _folder(place: Place, number: int) -> Path:
    return place.partial / "archives" / f"{number:04d}"


def _path(place: Place, number: int, source: transfer.Source) -> Path:
    return _folder(place, number) / _name(source)


def _done(place: Place, number: int) -> Path:
    return place.partial / "done" / f"{number:04d}.json"
