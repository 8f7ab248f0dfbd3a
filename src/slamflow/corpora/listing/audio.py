"""Recordings in a folder tree."""

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from slamflow.corpora.listing import sources
from slamflow.corpora.listing import transcripts as texts

SUFFIXES = frozenset({".flac", ".wav", ".ogg", ".oga", ".opus", ".mp3"})
NO_SPEAKER = "speaker pattern finds no group"


def list_files(
    config: Mapping[str, Any], data_root: Path, manifest: pa.Table | None = None
) -> pa.Table:
    """The audio files below a folder, by path whatever the order on disk.

    Args:
        config: `folder` relative to `data_root`; `pattern`, a glob below it, or null for all
            files whose suffix is in SUFFIXES; `speaker`, a regular expression whose first group,
            in the path below the folder, is the speaker, or null; `transcripts`, a glob below the
            folder for files that `transcripts.attach` reads, or null; `shards`.
        manifest: the files of the corpus's download, or None.

    Returns:
        A table of the sources schema. id and item are the path below the folder without suffix.
        A path that `speaker` does not fit is a reason to leave its file out.

    Raises:
        ValueError: the folder is missing, no file matches, or a transcript cannot be read.
    """
    folder = PurePosixPath(config["folder"]).as_posix()
    transcripts: list[str] = []

    def recordings() -> Iterator[str]:
        for name in below(folder, data_root, manifest):
            if config.get("transcripts") and matches(name, config["transcripts"]):
                transcripts.append(name)
            elif _wanted(name, config):
                yield name

    rows = _rows(recordings(), folder, config.get("speaker"))
    listed = sources.table(rows, data_root, config.get("shards") or 1, manifest)
    if not listed.num_rows:
        pattern = config.get("pattern") or "*" + ", *".join(sorted(SUFFIXES))
        raise ValueError(f"{data_root / folder}: no file matches {pattern}; mend `source.pattern`")
    if not config.get("transcripts"):
        return listed
    if not transcripts:
        raise ValueError(
            f"{data_root / folder}: no file matches {config['transcripts']};"
            " mend `source.transcripts`"
        )
    return texts.attach(listed, data_root / folder, transcripts)


def below(folder: str, data_root: Path, manifest: pa.Table | None) -> Iterator[str]:
    """Paths of the files of a corpus, relative to `folder`, in no order.

    Raises:
        ValueError: there is no such folder.
    """
    path = sources.below(data_root, folder, "source.folder")
    if not path.is_dir():
        raise ValueError(f"{path}: not a folder; mend `source.folder`")
    if manifest is None:
        yield from sources.walk(path)
        return
    prefix = "" if folder == "." else folder + "/"
    for chunk in manifest["path"].filter(pc.starts_with(manifest["path"], prefix)).chunks:
        yield from (name[len(prefix) :] for name in chunk.to_pylist())


def matches(name: str, pattern: str) -> bool:
    """Whether a relative path matches a glob, where `**` stands for any number of folders."""
    return _match(name.split("/"), pattern.split("/"))


def _match(parts: list[str], patterns: list[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_match(parts[i:], patterns[1:]) for i in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], patterns[0]) and _match(parts[1:], patterns[1:])


def _wanted(name: str, config: Mapping[str, Any]) -> bool:
    if config.get("pattern"):
        return matches(name, config["pattern"])
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _rows(names: Iterable[str], folder: str, speaker: str | None) -> Iterator[dict[str, Any]]:
    prefix = "" if folder == "." else folder + "/"
    for name in names:
        identity = PurePosixPath(name).with_suffix("").as_posix()
        row = {"path": prefix + name, "id": identity, "item": identity}
        if speaker is not None:
            match = re.search(speaker, name)
            found = match.group(1) if match else None
            row |= {"speaker": found} if found is not None else {"reason": NO_SPEAKER}
        yield row
