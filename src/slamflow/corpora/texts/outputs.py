"""What becomes of a text: rows of the text table, or one of the table of rejected inputs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa

from slamflow.corpora.generated.rows import Row
from slamflow.tables import rejected as rejected_table
from slamflow.tables import text as text_table

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
BATCH = 10_000  # rows that are Python objects at a time

Rejected = tuple[str, str, str]  # id, source, reason


def flaw(text: str, config: Mapping[str, Any]) -> str | None:
    """Why a text cannot be spoken or has not the wanted length, None if it is right.

    Args:
        config: `minimum_words` and `maximum_words`, null for no limit.
    """
    words = len(text.split())
    if not _utf8(text):
        return "broken UTF-8"
    if CONTROL.search(text):
        return "control characters"
    if not words:
        return "empty"
    if not any(character.isalnum() for character in text):
        return "no text"
    counted = f"{words} word{'s' * (words != 1)}"
    if words < (config.get("minimum_words") or 0):
        return f"too short ({counted})"
    if words > (config.get("maximum_words") or words):
        return f"too long ({counted})"
    return None


def tidy(text: str) -> str:
    """Single blanks between words, none before a comma or point."""
    return re.sub(r" (?=[.,;:!?](?: |$))", "", " ".join(text.split()))


def tables(
    kept: Iterable[Row], rejected: Sequence[Rejected], sources: pa.Table
) -> tuple[pa.Table, pa.Table]:
    """A text table and a table of rejected inputs.

    Args:
        kept: made into a table as it comes.
        rejected: may grow until `kept` has ended.

    Raises:
        ValueError: nothing is kept.
    """
    remaining, batches = iter(kept), []
    while portion := list(islice(remaining, BATCH)):
        columns = [
            pa.array(column, field.type)
            for column, field in zip(zip(*portion, strict=True), text_table.SCHEMA, strict=True)
        ]
        batches.append(pa.RecordBatch.from_arrays(columns, schema=text_table.SCHEMA))
    left_out = [
        {"id": shown(name), "source": source, "reason": reason} for name, source, reason in rejected
    ]
    if not batches:
        why = (
            f"all {len(left_out)} are left out, first {left_out[0]['id']}: "
            f"{left_out[0]['reason']}; mend the file or the limits in `source`"
            if left_out
            else "it is empty; mend `source.file` or `source.format`"
        )
        raise ValueError(f"{sources['path'][0]}: nothing in it can be used: {why}")
    return (
        pa.Table.from_batches(batches, text_table.SCHEMA),
        pa.Table.from_pylist(left_out, rejected_table.SCHEMA),
    )


def shown(text: str) -> str:
    """A text that can be written; bytes that are not UTF-8 as escapes."""
    return text.encode(errors="backslashreplace").decode()


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
