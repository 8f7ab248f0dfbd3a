"""Checks of a source's keys and the making of text tables."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from slamflow.tables import text as text_table

Row = tuple[str, str, str, str, str, str | None]  # id, item, role, group, text, phonemes
PATIENCE = 200  # draws an item before the grammar is taken to be exhausted


def counted(source: dict[str, Any], mirrored: bool = False) -> tuple[int, int]:
    """The source's `count` and `seed`.

    Raises:
        ValueError: the count is not positive, or it is odd and items are `mirrored`.
    """
    count = int(source["count"])
    if count < 1:
        raise ValueError(f"source.count is {count}: it must be at least 1")
    if mirrored and count % 2:
        raise ValueError(
            f"source.count is {count}: items of content {source['content']} come in mirrored "
            f"pairs, make it even, for instance {count + 1}"
        )
    return count, int(source["seed"])


def too_many(content: str, count: int, made: int) -> ValueError:
    """The error of a grammar that cannot make `count` different items."""
    return ValueError(
        f"source.count is {count}, but the grammar found only {made} different items of content "
        f"{content}: lower the count to {made} or less, or add words to "
        "slamflow/corpora/generated/themes.py"
    )


def pair(item: str, group: str, positive: str, negative: str) -> list[Row]:
    """The two rows of an item that a model should tell apart."""
    return [
        (f"{item}-positive", item, "positive", group, positive, None),
        (f"{item}-negative", item, "negative", group, negative, None),
    ]


def table(rows: Iterable[Row]) -> pa.Table:
    """A text table."""
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(column, type=field.type)
        for column, field in zip(columns, text_table.SCHEMA, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=text_table.SCHEMA)
