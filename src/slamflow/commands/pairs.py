"""Pairs of recordings in a folder: which is the positive of which."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from slamflow.commands.recordings import ROOT, below_root
from slamflow.corpora.listing import lists, pairs, slamkit
from slamflow.corpora.listing.audio import SUFFIXES

ROLES = ("positive", "negative")
TABLE = "pairs.tsv"
COLUMNS = dict.fromkeys((*ROLES, "group"), pa.string())
KINDS = f"a table {TABLE}, folders positive/ and negative/, or <number>_correct.wav and such"


def listed(given: Path) -> tuple[pa.Table, Path]:
    """The sources table of pairs, and the folder that its paths are relative to.

    Args:
        given: a table with columns `positive`, `negative` and, if there are groups, `group`,
            whose paths are relative to it; or a folder with the table `pairs.tsv`, or with
            folders positive/ and negative/ that hold the same names, or with files named as
            slamkit does, 17_correct.wav and 17_incorrect.wav, and sub-folders as groups.

    Raises:
        ValueError: it is none of these.
    """
    if given.is_file() or (given / TABLE).is_file():
        path = given if given.is_file() else given / TABLE
        return pairs.table({}, ".", _of_table(path), ROOT, None), ROOT
    if not given.is_dir():
        raise ValueError(f"{given}: no such folder")
    names = pairs.found(".", given, None)
    if all((given / role).is_dir() for role in ROLES):
        rows = list(_of_folders(names))
        if not rows:
            raise ValueError(f"{given}: positive/ and negative/ hold no audio files")
        return pairs.table({}, ".", rows, given, None), given
    if not any(name.endswith(".wav") for name in names):
        raise ValueError(f"{given}: holds no pairs, which are {KINDS}")
    layout = "sblimp" if any("+" in PurePosixPath(name).name for name in names) else "swuggy"
    return slamkit.list_files({"folder": ".", "layout": layout}, given), given


def _of_table(path: Path) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(lists.read(path, COLUMNS, ROLES).to_pylist(), start=1):
        for role in ROLES:
            yield {
                "name": below_root(path.parent / row[role]),
                "id": f"{number}-{role}",
                "item": str(number),
                "role": role,
                "group": row.get("group") or "",
            }


def _of_folders(names: list[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        role, _, rest = name.partition("/")
        if role in ROLES and PurePosixPath(rest).suffix.lower() in SUFFIXES:
            item = pairs.stem(rest)
            group = PurePosixPath(item).parent.as_posix().removeprefix(".")
            yield {"name": name, "id": name, "item": item, "role": role, "group": group}
