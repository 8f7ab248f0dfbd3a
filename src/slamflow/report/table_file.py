"""Tables of results as text."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from slamflow import files

ENDS = (("ci_low", "ci_high"), ("difference_low", "difference_high"))
NUMBERS = ("value", "difference", "n", "chance", "p", "tokens", "seconds", "flop", *sum(ENDS, ()))


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table, columns separated by tabs."""
    with files.replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A table as text, so that it has its very digits; empty where there is nothing.

    Raises:
        ValueError: it lacks one of `columns`, or has no numbers where they should be.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            head, *rows = csv.reader(stream, delimiter="\t", strict=True)
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{path}: is no table ({error}); {files.REMAKE}") from None
    short = pd.Series([len(row) != len(head) for row in rows], dtype=bool)
    _refuse(path, short, f"has not {len(head)} fields")  # pandas would fill them up
    table = pd.DataFrame(rows, columns=head, dtype=str)
    if missing := [name for name in columns if name not in table]:
        raise ValueError(f"{path}: has no column `{missing[0]}`; {files.REMAKE}")
    numbers = {name: _numbers(path, table[name]) for name in NUMBERS if name in table}
    for low, high in ENDS:
        if {low, high} <= numbers.keys():
            _refuse(path, numbers[low] > numbers[high], f"{low} is above {high}")
    return table


def _numbers(path: Path, column: pd.Series) -> pd.Series:
    found = pd.to_numeric(column, errors="coerce")
    wrong = ~np.isfinite(found) & (column != "")
    _refuse(path, wrong, f"{column.name} is no number")
    return found


def _refuse(path: Path, wrong: pd.Series, fault: str) -> None:
    if wrong.any():
        line = int(wrong.to_numpy().argmax()) + 2  # the head is the first
        raise ValueError(f"{path}: line {line}: {fault}; {files.REMAKE}")
