"""How much of the units comes back when a resynthesis is tokenised again."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from slamflow import files
from slamflow.tables import units as units_table
from slamflow.tokeniser.edits import edit_distance


def unit_error_rate(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Edit distances of all (reference, found) units, by the length of the references.

    Raises:
        ValueError: there are no units.
    """
    edits = units = 0
    for reference, found in pairs:
        edits += edit_distance(reference, found)
        units += len(reference)
    if not units:
        raise ValueError("there are no units to compare with")
    return edits / units


def measure(reference: Path, found: Path, output: Path) -> None:
    """Write the unit error rate of a resynthesis as JSON: `unit_error_rate`, `utterances`, `units`.

    Args:
        reference: a units table.
        found: units of its resynthesis by the same tokeniser, of all its utterances or of some.

    Raises:
        ValueError: an utterance is in `found` only, or there are none.
    """
    original, again = (_units(path) for path in (reference, found))
    if strange := sorted(again.keys() - original.keys()):
        raise ValueError(f"{found}: {strange[0]} is not in {reference}; {files.REMAKE}")
    if not again:
        raise ValueError(f"{found}: has no utterances")
    measured = {
        "unit_error_rate": unit_error_rate((original[name], again[name]) for name in again),
        "utterances": len(again),
        "units": sum(len(original[name]) for name in again),
    }
    files.write_json(measured, output)


def _units(path: Path) -> dict[str, np.ndarray]:
    table = files.read_table(path, units_table.SCHEMA, ("id", "units"))
    return {row["id"]: np.array(row["units"], dtype=np.int64) for row in table.to_pylist()}
