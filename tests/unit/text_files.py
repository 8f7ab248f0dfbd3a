"""Text files that tests write and read."""

import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from slamflow.corpora.listing import text as listing
from slamflow.corpora.texts import outputs
from slamflow.tables import rejected as rejected_table
from slamflow.tables.gathered import Gathered

Tables = tuple[pa.Table, pa.Table]


def read(
    engine: ModuleType, root: Path, config: dict[str, Any], heard: pa.Table | None = None
) -> Tables:
    """List and read the files of a config below `root`."""
    config = {"folder": "."} | config
    sources, left_out = listing.list_files(config, root, None), Gathered(rejected_table.SCHEMA)
    tables: list[pa.Table] = []
    kept = outputs.write(engine.read(config, sources, root, left_out, heard), tables.append)
    rejected = left_out.table()
    outputs.check(kept, rejected, sources)
    return pa.concat_tables(tables), rejected


def write(path: Path, content: bytes | str) -> Path:
    """Write a file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(records: Iterable[Any]) -> str:
    """JSON lines."""
    return "".join(json.dumps(record) + "\n" for record in records)


def reasons(rejected: pa.Table) -> dict[str, str]:
    """The reason of each id that is left out."""
    return dict(zip(rejected["id"].to_pylist(), rejected["reason"].to_pylist(), strict=True))
