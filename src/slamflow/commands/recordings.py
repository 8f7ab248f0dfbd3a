"""Audio files of any kind as tables of speech and of units, as the workflow's stages make them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from slamflow import files, logs, rejections
from slamflow.commands.opening import Tokeniser
from slamflow.corpora.listing import sources
from slamflow.corpora.listing.audio import SUFFIXES
from slamflow.corpora.recorded import audio
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import units

# files are not cut; what is shorter may give no frame
WHOLE = {"folder": ".", "minimum": 0.1, "maximum": None}
ROOT = Path("/")


def listed(paths: Sequence[Path]) -> pa.Table:
    """The sources table of files and of all audio files below folders, in this order.

    Raises:
        ValueError: there is none, or one occurs twice.
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(sources.walk(path)) if path.is_dir() else None
        if inside is None:
            found.append(path)
            continue
        names = [name for name in inside if Path(name).suffix.lower() in SUFFIXES]
        if not names:
            raise ValueError(f"{path}: holds no audio files ({', '.join(sorted(SUFFIXES))})")
        found += [path / name for name in names]
    rows = [{"path": below_root(p), "id": str(p), "item": str(p)} for p in found]
    table = sources.table(rows, ROOT, 1, None)
    order = {name: place for place, name in reversed(list(enumerate(map(str, found))))}
    places = [order[name] for name in table["id"].to_pylist()]
    return table.take(pa.array(sorted(range(len(places)), key=places.__getitem__)))


def below_root(path: Path) -> str:
    """A path relative to ROOT, as sources tables have paths."""
    return path.absolute().relative_to(ROOT).as_posix()


def speech(listed: pa.Table, root: Path, skip: bool = False) -> pa.Table:
    """The speech table of files, one utterance a file.

    Args:
        listed: a sources table.
        root: what its paths are relative to.
        skip: whether files that cannot be used are left out, each with a line that says why, and
            with it its partner.

    Raises:
        ValueError: a file cannot be used, or none can.
    """
    found, rejected = audio.cut(WHOLE, listed, 0, root, "reading")
    found, rejected = rejections.complete(found, rejected)
    for row in rejected.to_pylist():
        reason = f"{root / row['source']}: cannot be used ({row['reason']})"
        if not skip:
            raise ValueError(reason)
        logs.say(reason)
    if not len(found):
        raise ValueError(f"{root}: none of its {len(listed)} files can be used")
    return found


def unit_table(
    spoken: pa.Table, root: Path, tokeniser: Tokeniser, machine: Mapping[str, Any], scratch: Path
) -> Path:
    """A units table of a speech table, in float32, in the folder `scratch`.

    Raises:
        ValueError: there is no GPU where one is asked for.
    """
    if machine["device"] == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: there is no GPU that torch can use")
    speech, found = scratch / "speech.parquet", scratch / "units.parquet"
    files.write_table(spoken, speech, speech_table.SCHEMA)
    there = {**machine, "data_root": str(root)}
    units.extract({}, tokeniser.codebook, tokeniser.hubert, speech, found, there, "tokenising")
    return found
