"""`eval.tsv` and `comparisons.tsv` for the terminal: the rows that matter first, and warnings."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from slamflow.benchmarks import conventions
from slamflow.report import unit_rows

FAIR = (45.0, 55.0)  # percent, for models that cannot know the answer


def default_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The one row of each model on each benchmark that its default convention gives."""
    accuracies = table["metric"].str.endswith("accuracy")
    return table[(table["default"] == "true") & (table["group"] == conventions.ALL) & accuracies]


def overview(
    table: pd.DataFrame, differences: pd.DataFrame, aligned: Mapping[str, str]
) -> list[str]:
    """The default rows for people: a line a model, a column a benchmark; then what else there is.

    Args:
        table, differences: what `eval.tsv` and `comparisons.tsv` hold, as text.
        aligned: {model: base}, whose differences are shown.
    """
    rows = default_rows(table)
    benchmarks = list(dict.fromkeys(rows["benchmark"]))
    wide = _wide(rows.assign(cell=_cells(rows, "value")), "model", "benchmark", benchmarks)
    wide.loc["chance"] = rows.groupby("benchmark")["chance"].first()
    wide.loc["items"] = rows.groupby("benchmark")["n"].first()
    blocks = ["Accuracy in percent with 95 % intervals\n" + _aligned(wide)]
    # the first convention of a comparison is the benchmark's default
    rows = differences[differences["against"] == differences["model"].map(aligned)]
    rows = rows.drop_duplicates(["model", "benchmark"])
    if len(rows):
        names = rows["model"] + " - " + rows["against"]
        rows = rows.assign(model=names, cell=_cells(rows, "difference"))
        wide = _wide(rows, "model", "benchmark", benchmarks)
        blocks.append("Paired differences in points\n" + _aligned(wide))
    units = table["benchmark"].str.startswith(unit_rows.UNITS)
    rows = table[units & (table["default"] == "true")]
    if len(rows):
        names = rows["model"] + " (" + rows["benchmark"] + ")"
        rows = rows.assign(model=names, cell=rows["value"])
        order = [*unit_rows.SHARES, unit_rows.RATE, *unit_rows.ABX]
        blocks.append(
            "Units against the true phones\n" + _aligned(_wide(rows, "model", "metric", order))
        )
    return blocks


def leaks(table: pd.DataFrame, config: Mapping[str, Any]) -> list[str]:
    """A warning for each default row of a model that cannot know the answer but does.

    Those are n-gram models of order 0 (length) and 1 (unigram), and untrained models; outside
    45 to 55 percent the items can be told apart without language, or are too few to say.
    """
    ignorant = {model for model, order in config.get("orders", {}).items() if order <= 1}
    ignorant |= set(config.get("untrained", []))
    rows = default_rows(table)
    suspect = rows[rows["model"].isin(ignorant) & ~rows["value"].astype(float).between(*FAIR)]
    return [
        f"warning: {row.model} scores {row.value} % [{row.ci_low}, {row.ci_high}] on "
        f"{row.benchmark}, outside {FAIR[0]:.0f}–{FAIR[1]:.0f} %: the items leak, or are too few "
        f"({row.n}) to say"
        for row in suspect.itertuples()
    ]


def _cells(rows: pd.DataFrame, value: str) -> pd.Series:
    return rows[value] + " [" + rows["ci_low"] + ", " + rows["ci_high"] + "]"


def _wide(rows: pd.DataFrame, index: str, columns: str, order: list[str]) -> pd.DataFrame:
    wide = rows.pivot(index=index, columns=columns, values="cell")
    return wide.reindex(index=list(dict.fromkeys(rows[index])), columns=order)


def _aligned(wide: pd.DataFrame) -> str:
    filled = wide.dropna(axis="columns", how="all").rename_axis(index=None, columns=None)
    text = filled.to_string(na_rep="")
    return "\n".join(line.rstrip() for line in text.splitlines())
