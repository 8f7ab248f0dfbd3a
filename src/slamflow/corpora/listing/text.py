"""Text files, which are few and small enough to be known by their content."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from slamflow import files
from slamflow.corpora.listing import audio, sources
from slamflow.tables import sources as sources_table

SINGLE = ("dictionary", "frequency")  # keys that name one file each


def list_files(
    config: Mapping[str, Any], data_root: Path, manifest: pa.Table | None = None
) -> pa.Table:
    """The text files of a corpus, by path whatever the order on disk.

    Args:
        config: `folder` relative to `data_root`; `file`, a path below it or a glob, or `dictionary`
            and `frequency`, which name one file each.
        manifest: the files of the corpus's download, or None.

    Returns:
        A table of the sources schema: a digest for each file, no duration, shard 0. The role of a
        dictionary or list of frequencies is its key.

    Raises:
        ValueError: a file is missing, or a key that names one file fits several.
    """
    folder = PurePosixPath(config["folder"]).as_posix()
    rows = []
    for key in ("file", *SINGLE):
        if not config.get(key):
            continue
        found = sorted(_found(folder, config[key], data_root, manifest))
        if not found:
            raise ValueError(
                f"{data_root / folder / config[key]}: no such file; set `data_root` or mend "
                f"`source.{key}`"
            )
        if key in SINGLE and len(found) > 1:
            raise ValueError(
                f"{data_root / folder}: {found[0]} and {found[1]} both fit `source.{key}`; name one"
            )
        for name in found:
            path = PurePosixPath(folder, name).as_posix()
            rows.append({"path": path, "duration": None, "role": key if key in SINGLE else None})
    listed = sources.table(rows, data_root, 1, manifest)
    digests = [
        known or (None if reason else files.sha256(data_root / path))
        for path, known, reason in zip(
            *(listed[name].to_pylist() for name in ("path", "sha256", "reason")), strict=True
        )
    ]
    position = sources_table.SCHEMA.get_field_index("sha256")
    field = sources_table.SCHEMA.field(position)
    return listed.set_column(position, field, pa.array(digests, field.type))


def _found(folder: str, pattern: str, data_root: Path, manifest: pa.Table | None) -> Iterator[str]:
    """Paths relative to `folder`; only the folders that the pattern names are looked into."""
    if manifest is not None:
        names = audio.below(folder, data_root, manifest)
        yield from (name for name in names if name == pattern or audio.matches(name, pattern))
        return
    start = sources.below(data_root, folder, "source.folder")
    if (start / pattern).is_file():
        yield PurePosixPath(pattern).as_posix()
        return
    yield from (
        path.relative_to(start).as_posix() for path in start.glob(pattern) if path.is_file()
    )
