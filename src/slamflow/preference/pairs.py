"""Preferences as a table: a prompt, the better and the worse answer."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import files
from slamflow.tables import preferences as preferences_table
from slamflow.tables import units as units_table
from slamflow.tables.lists import lists_of

ROLES = ("prompt", "chosen", "rejected")


def build(config: Mapping[str, Any], units: Sequence[Path], output: Path) -> str:
    """Join the three utterances of each item and rendition; returns a line on what was made.

    Rows are sorted by id, `<item>-r<rendition>`, whatever the order of the inputs. Preferences
    whose answers are equal as units teach nothing and are left out.

    Args:
        config: `prompt` (units of the prompt; longer ones are cut on their left) and `length`
            (units of prompt and answer together; longer answers are cut on their right).
        units: the units tables of the corpus.
        output: the preferences table.

    Raises:
        ValueError: an item without one of the three, or with one of them twice.
    """
    length, prompt = int(config.get("length", 1022)), int(config.get("prompt", 511))
    if not 0 < prompt < length:
        raise ValueError(f"pairs: prompt {prompt} must be shorter than length {length}")
    found: dict[str, dict[str, np.ndarray]] = {}
    for path in units:
        table = files.read_table(path, units_table.SCHEMA, ["item", "role", "rendition", "units"])
        columns = [table[name].to_pylist() for name in ("item", "role", "rendition")]
        parts = lists_of(table["units"])
        for row, (item, role, rendition) in enumerate(zip(*columns, strict=True)):
            name = f"{item}-r{rendition}"
            members = found.setdefault(name, {})
            if role not in ROLES or role in members:
                what = "comes twice" if role in members else "is no part of a preference"
                raise ValueError(f"{path}: row {row} ({name}): role {role!r} {what}")
            members[role] = np.empty(0, np.uint16) if (part := parts[row]) is None else part
    rows: list[dict[str, Any]] = []
    cut = equal = 0
    for name, members in sorted(found.items()):
        for role in ROLES:
            if role not in members or not len(members[role]):
                raise ValueError(f"{name}: has no {role}; make its units anew")
        made = _cut(members, prompt, length)
        same = made["chosen_cut"] == made["rejected_cut"]
        if same and np.array_equal(made["chosen"], made["rejected"]):
            equal += 1
            continue
        cut += any(len(made[role]) < len(members[role]) for role in ROLES)
        rows.append({"id": name, **made})
    schema = preferences_table.schema(cut, equal)
    files.write_table(pa.Table.from_pylist(rows, schema=schema), output, schema)
    left_out = f"; {equal} left out whose answers are equal as units" if equal else ""
    return f"{len(rows)} preferences, {cut} of them cut{left_out}"


def _cut(members: Mapping[str, np.ndarray], prompt: int, length: int) -> dict[str, Any]:
    kept = members["prompt"][-prompt:]
    row: dict[str, Any] = {"prompt": kept}
    for role in ROLES[1:]:
        row[role] = members[role][: length - len(kept)]
        row[f"{role}_cut"] = len(row[role]) < len(members[role])
    return row
