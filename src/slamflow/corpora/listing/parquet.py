"""Parquet tables with audio inside, as Hugging Face datasets are stored: a row a file."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from slamflow import audio
from slamflow.corpora.listing import audio as audio_files
from slamflow.corpora.listing import sources


def list_files(
    config: Mapping[str, Any], data_root: Path, manifest: pa.Table | None = None
) -> pa.Table:
    """The Parquet files below a folder; what their rows hold is read when they are cut.

    Args:
        config: `folder` relative to `data_root`, `files` (a glob below it, `**/*.parquet` if it
            is not given), `shards`, which are balanced by bytes.
        manifest: the files of the corpus's download, or None.

    Returns:
        A table of the sources schema. The id is the stem, with which ids of the file's rows
        begin; the path below the folder where two files share a stem.

    Raises:
        ValueError: the folder is missing, no file matches, or one is not named `*.parquet`.
    """
    folder = PurePosixPath(config["folder"])
    pattern = config.get("files") or "**/*.parquet"
    names = sorted(
        name
        for name in audio_files.below(folder.as_posix(), Path(data_root), manifest)
        if audio_files.matches(name, pattern)
    )
    if not names:
        raise ValueError(f"{data_root / folder}: no file matches {pattern}; mend `source.files`")
    strange = [name for name in names if not name.endswith(".parquet")]
    if strange:
        raise ValueError(
            f"{data_root / folder / strange[0]}: not named *.parquet; mend `source.files`"
        )
    stems = Counter(PurePosixPath(name).stem for name in names)
    unique = len(stems) == len(names)
    rows = []
    for name in names:
        path = PurePosixPath(name)
        rows.append(
            {
                "path": (folder / name).as_posix(),
                "id": path.stem if unique else path.with_suffix("").as_posix(),
                "duration": None,
                "reason": _unreadable(data_root / folder / name),
            }
        )
    return sources.table(rows, data_root, config.get("shards") or 1, manifest)


def _unreadable(path: Path) -> str | None:
    """Why the footer of a file cannot be read, or None."""
    try:
        audio.open_parquet(path).close()
    except ValueError as error:
        return f"cannot be decoded ({str(error).removeprefix(f'{path}: ')})"
    return None
