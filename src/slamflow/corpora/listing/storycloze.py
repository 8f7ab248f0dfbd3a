"""Spoken and Topic StoryCloze (Hassid et al., 2023): `<number>_<tag>.wav`, the text beside it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow.corpora.listing import pairs

NAME = re.compile(r"(\d+)_(.+)")


def list_files(
    config: Mapping[str, Any], data_root: Path, manifest: pa.Table | None = None
) -> pa.Table:
    """The wav files directly in a folder; an item is a number.

    Args:
        config: `folder`, `positive` and `negative` (tags, `correct` and `incorrect` if they are
            not given), `shards`.

    Raises:
        ValueError: the folder is missing or holds no wav file.
    """
    folder = config["folder"]
    tags = {
        config.get("positive") or "correct": "positive",
        config.get("negative") or "incorrect": "negative",
    }
    if len(tags) < 2:
        raise ValueError(f"{folder}: `source.positive` and `source.negative` are the same tag")
    names = pairs.found(folder, data_root, manifest)
    heard, written = (
        {pairs.stem(name) for name in names if name.endswith(suffix)} for suffix in (".wav", ".txt")
    )
    rows = []
    for stem in sorted(heard | written):
        parts = NAME.fullmatch(stem)
        if parts is None or parts[2] not in tags:
            if stem in heard:  # a text alone is a notice
                rows.append(pairs.unreadable(f"{stem}.wav", f"<number>_{'|'.join(tags)}.wav"))
            continue
        rows.append(
            {
                "name": f"{stem}.wav",
                "id": stem,
                "item": str(int(parts[1])),
                "role": tags[parts[2]],
                "group": "",
                "text": _read(Path(data_root) / folder / f"{stem}.txt")
                if stem in written
                else None,
                "reason": None if stem in heard else "no such file",
            }
        )
    return pairs.table(config, folder, rows, data_root, manifest)


def _read(path: Path) -> str | None:
    return " ".join(path.read_text(encoding="utf-8-sig", errors="replace").split()) or None
