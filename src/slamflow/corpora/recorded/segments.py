"""Where a corpus itself says that its files are to be cut."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from slamflow.corpora.listing import lists
from slamflow.corpora.recorded.pauses import Span

COLUMNS = {
    "path": pa.string(),
    "start": pa.float64(),
    "end": pa.float64(),
    "id": pa.string(),
    "speaker": pa.string(),
    "text": pa.string(),
}
Segment = dict[str, Any]


def libri_light(path: Path) -> list[Span]:
    """The speech in a file of Libri-Light: `voice_activity` in the .json beside it, in s.

    Raises:
        ValueError: there is none, or it is not a list of pairs of numbers.
    """
    beside = path.with_suffix(".json")
    try:
        pairs = json.loads(beside.read_bytes())["voice_activity"]
        spans = [(float(start), float(end)) for start, end in pairs]
    except FileNotFoundError:
        raise ValueError(f"no {beside.name} beside it") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{beside.name}: no voice_activity ({error!r})") from None
    if not all(math.isfinite(time) for span in spans for time in span):
        raise ValueError(f"{beside.name}: a time in voice_activity is not finite")
    return spans


def of_shard(
    path: Path, folder: str, sources: pa.Table, shard: int
) -> tuple[Mapping[str, Sequence[Segment]], list[Segment]]:
    """The segments of a shard's files, from a list.

    Args:
        path: of a .csv, .tsv or .parquet with `path` (below `folder`), `start` and `end` (s), and
            where they are known `id`, `speaker` and `text`.
        folder: of the corpus, below data_root.
        sources: the whole sources table.

    Returns:
        The segments of each file, in order of time, by its path below data_root; and, in shard 0,
        those whose file is not listed. A segment has `reason` where its id is that of one before.

    Raises:
        ValueError: the list cannot be read, or lacks a column.
    """
    prefix = "" if PurePosixPath(folder).as_posix() == "." else f"{PurePosixPath(folder)}/"
    table = lists.read(path, COLUMNS, ["path", "start", "end"])
    paths = pc.binary_join_element_wise(prefix, table["path"], "")
    table = table.set_column(table.schema.get_field_index("path"), "path", paths)
    if "id" in table.column_names:
        table = table.append_column("duplicate", pa.array(_repeated(table["id"])))
    mine = sources.filter(pc.equal(sources["shard"], shard))["path"]
    order = [(name, "ascending") for name in ("path", "start", "end")]
    found: dict[str, list[Segment]] = {}
    for segment in table.filter(pc.is_in(paths, value_set=mine)).sort_by(order).to_pylist():
        found.setdefault(segment["path"], []).append(_segment(segment))
    if shard != 0:
        return found, []
    absent = table.filter(pc.invert(pc.is_in(paths, value_set=sources["path"])))
    return found, [_segment(segment) for segment in absent.to_pylist()]


def _segment(row: Segment) -> Segment:
    return row | ({"reason": "duplicate id"} if row.pop("duplicate", False) else {})


def _repeated(names: pa.ChunkedArray) -> np.ndarray:
    """Whether a name stood before, for each."""
    named = pc.if_else(pc.equal(names, ""), None, names).combine_chunks()
    known = named.dictionary_encode().indices.fill_null(-1).to_numpy()
    _, first = np.unique(known, return_index=True)
    repeated = known >= 0
    repeated[first] = False
    return repeated
