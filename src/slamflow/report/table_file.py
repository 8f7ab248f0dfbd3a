"""Tables of results as text."""

from pathlib import Path

import pandas as pd

from slamflow import files


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table, columns separated by tabs."""
    with files.replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, lineterminator="\n")
