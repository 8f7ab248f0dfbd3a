"""Tables of results as text."""

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from slamflow import disks, files

ENDS = (("ci_low", "ci_high"), ("difference_low", "difference_high"))
NUMBERS = ("value", "difference", "n", "chance", "p", "tokens", "seconds", "flop", *sum(ENDS, ()))


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table, columns separated by tabs."""
    with files.replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def read(path: Path, columns: Iterable[str], repair: str = files.REMAKE) -> pd.DataFrame:
    """A table as text, so that it has its very digits; empty where there is nothing.

    Args:
        columns: those that it must have.
        repair: what is to be done where it is damaged.

    Raises:
        ValueError: it lacks one of `columns`, or has no numbers where they should be.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            head, *rows = csv.reader(stream, delimiter="\t", strict=True)
    except (OSError, ValueError, csv.Error) as error:
        disks.raise_known(error, path)
        raise ValueError(f"{path}: is no table ({error}); {repair}") from None
    short = pd.Series([len(row) != len(head) for row in rows], dtype=bool)
    _refuse(path, short, f"has not {len(head)} fields", repair)  # pandas would fill them up
    table = pd.DataFrame(rows, columns=head, dtype=str)
    if missing := [name for name in columns if name not in table]:
        raise ValueError(f"{path}: has no column `{missing[0]}`; {repair}")
    numbers = {name: _numbers(path, table[name], repair) for name in NUMBERS if name in table}
    for low, high in ENDS:
        if {low, high} <= numbers.keys():
            _refuse(path, numbers[low] > numbers[high], f"{low} is above {high}", repair)
    return table


def _numbers(path: Path, column: pd.Series, repair: str) -> pd.Series:
    found = pd.to_numeric(column, errors="coerce")
    wrong = ~np.isfinite(found) & (column != "")
    _refuse(path, wrong, f"{column.name} is no number", repair)
    return found


def _refuse(path: Path, wrong: pd.Series, fault: str, repair: str) -> None:
    if wrong.any():
        line = int(wrong.to_numpy().argmax()) + 2  # the head is the first
        raise ValueError(f"{path}: line {line}: {fault}; {repair}")
