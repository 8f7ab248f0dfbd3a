"""What becomes of a text: rows of the text table, or one of the table of rejected inputs."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from slamflow import files
from slamflow.corpora.generated.rows import Row, table
from slamflow.tables.gathered import Gathered

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
LARGE = 2**26  # characters of rows that are Python objects at a time


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


def reject(rejected: Gathered, name: str, source: str, reason: str) -> None:
    """Add an input to those that are left out."""
    rejected.add({"id": shown(name), "source": source, "reason": reason})


def write(items: Iterable[Sequence[Row]], put: Callable[[pa.Table], None]) -> int:
    """Write the rows of all items as they come, and count the items.

    Args:
        put: takes one text table after the other, of `files.ROW_GROUP` rows or LARGE characters.
    """
    kept, rows, size = 0, [], 0
    for item in items:
        kept += 1
        for row in item:
            rows.append(row)
            size += len(row[4])
            if len(rows) == files.ROW_GROUP or size > LARGE:
                put(table(rows))
                rows, size = [], 0
    if rows:
        put(table(rows))
    return kept


def check(kept: int, rejected: pa.Table, sources: pa.Table) -> None:
    """Refuse a text table without rows.

    Raises:
        ValueError: no item is kept.
    """
    if kept:
        return
    why = "it is empty; mend `source.file` or `source.format`"
    if rejected.num_rows:
        first = rejected.slice(0, 1).to_pylist()[0]
        why = (
            f"all {rejected.num_rows} are left out, first {first['id']}: {first['reason']}; mend "
            "the file or the limits in `source`"
        )
    raise ValueError(f"{sources['path'][0]}: nothing in it can be used: {why}")


def shown(text: str) -> str:
    """A text that can be written; bytes that are not UTF-8 as escapes."""
    return text.encode(errors="backslashreplace").decode()


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
