"""`tokenisers.tsv`: a row a tokeniser, from their `quality.json`, to compare layers and sizes.

Measures are as in `quality.json`; `pnmi_low` and `pnmi_high` are the 95 % interval of `pnmi`,
`gain` is what it has over MFCC k-means of the same K (`mfcc_pnmi`), `abx_within` and `abx_across`
are the errors of units, those with `features_` of what is clustered. What is not known is empty.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from slamflow.report import quality_file, table_file

# columns and where they are in quality.json
COLUMNS = {
    "features": ("features",),
    "hubert": ("hubert",),
    "layer": ("layer",),
    "clusters": ("clusters",),
    "frame_rate": ("frame_rate",),
    "utterances": ("utterances",),
    "pnmi": ("tokeniser", "pnmi"),
    "pnmi_low": ("tokeniser", "intervals", "pnmi", 0),
    "pnmi_high": ("tokeniser", "intervals", "pnmi", 1),
    "mfcc_pnmi": ("mfcc", "pnmi"),
    "gain": ("gain", "pnmi"),
    "gain_low": ("gain", "interval", 0),
    "gain_high": ("gain", "interval", 1),
    "phone_purity": ("tokeniser", "phone_purity"),
    "cluster_purity": ("tokeniser", "cluster_purity"),
    "abx_within": ("tokeniser", "abx", "units", "within", "error"),
    "abx_across": ("tokeniser", "abx", "units", "across", "error"),
    "features_abx_within": ("tokeniser", "abx", "features", "within", "error"),
    "features_abx_across": ("tokeniser", "abx", "features", "across", "error"),
    "units_a_second": ("tokeniser", "units_a_second"),
    "bitrate": ("tokeniser", "bitrate"),
    "perplexity": ("tokeniser", "perplexity"),
    "used": ("tokeniser", "used"),
    "repeats": ("tokeniser", "repeats"),
    "noise_20": ("tokeniser", "noise", "20"),
    "noise_10": ("tokeniser", "noise", "10"),
    "speed_0.95": ("tokeniser", "speed", "0.95"),
    "speed_1.05": ("tokeniser", "speed", "1.05"),
}
DIGITS = {"frame_rate": 2, "units_a_second": 2, "bitrate": 1, "perplexity": 1}  # others have 4
SHORT = 12  # characters of a SHA-256


def collect(qualities: Mapping[str, Path], output: Path) -> str:
    """Write the table; returns it for the terminal.

    Args:
        qualities: `quality.json` by tokeniser, in the order of the rows.

    Raises:
        ValueError: a file is none of measured quality.
    """
    rows = [{"tokeniser": name, **_row(path)} for name, path in qualities.items()]
    table = pd.DataFrame(rows, columns=["tokeniser", *COLUMNS])
    table_file.write(table, output)
    shown = ["tokeniser", "layer", "clusters", "pnmi", "mfcc_pnmi", "gain", "abx_across", "bitrate"]
    return table[shown].to_string(index=False)


def _row(path: Path) -> dict[str, str]:
    measured = quality_file.read(path)
    return {
        column: _text(column, quality_file.value(measured, place, path))
        for column, place in COLUMNS.items()
    }


def _text(column: str, value: Any) -> str:
    if column == "hubert":
        return str(value)[:SHORT]
    if isinstance(value, float):
        return f"{value:.{DIGITS.get(column, 4)}f}"
    return "" if value is None else str(value)
