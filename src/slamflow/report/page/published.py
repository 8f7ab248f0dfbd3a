"""What others published on the official benchmarks: `published.tsv`.

Parameters and tokens are numbers, compute is in the words of its source; `convention` is the one
of slamkit or slm_scaling where that is known to have made the scores, and `split` that of sBLIMP
where it is named. The values of arXiv 2502.15814 are of its tables, where others' are as those
first published them.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

DATA = Path(__file__).parent / "published.tsv"
SETS = ("sBLIMP", "sSC", "tSC")
# conventions of eval.tsv, with the metric, and the published convention that is the same
COMPARABLE = {
    "sBLIMP": {
        ("slamkit-mean", "accuracy"): "slamkit-mean",
        ("slm-scaling", "macro_accuracy"): "slm-scaling",
    },
    "sSC": {
        ("slamkit-mean", "accuracy"): "slamkit-mean",
        ("slm-scaling-cloze", "accuracy"): "slm-scaling",
    },
    "tSC": {
        ("slamkit-mean", "accuracy"): "slamkit-mean",
        ("slm-scaling-cloze", "accuracy"): "slm-scaling",
    },
}
TITLES = {"sBLIMP": "sBLIMP", "sSC": "Spoken StoryCloze", "tSC": "Topic StoryCloze"}


def read() -> pd.DataFrame:
    """The published results; text, the empty one where nothing was published."""
    return pd.read_csv(DATA, sep="\t", dtype=str, keep_default_na=False)


def same(row: Mapping[str, str], found: str, split: str, convention: str) -> bool:
    """Whether a published row is of this set and its split, by the same convention.

    Args:
        row: of `read`.
        found: one of SETS.
        split: of the set; the empty text where it has none.
        convention: as eval.tsv names it.
    """
    conventions = {name: theirs for (name, _), theirs in COMPARABLE[found].items()}
    theirs = row["split"] if found == "sBLIMP" else ""
    known = row["convention"] == conventions[convention]
    return bool(row[found]) and known and theirs == split


def flop(parameters: str, tokens: str) -> float | None:
    """6 N D, if both are known."""
    return 6 * float(parameters) * float(tokens) if parameters and tokens else None
