"""Rows that become a table bit by bit."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

PORTION = 128  # rows that are Python objects at a time; audio may be in them


class Gathered:
    """Rows that become a table bit by bit, so that no sample or text is held twice."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[Mapping[str, Any]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row; columns that it lacks are null."""
        self._rows.append(row)
        if len(self._rows) == PORTION:
            self._flush()

    def _flush(self) -> None:
        self._batches.append(pa.RecordBatch.from_pylist(self._rows, self._schema))
        self._rows = []

    def table(self) -> pa.Table:
        """All rows in order."""
        self._flush()
        return pa.Table.from_batches(self._batches, self._schema)
