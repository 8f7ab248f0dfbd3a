"""What others published on the official benchmarks: `published.tsv`.

Parameters and tokens are numbers, compute is in the words of its source; `convention` is the one
of slamkit or slm_scaling where that is known to have made the scores. The values of arXiv
2502.15814 are of its tables, where others' are as those first published them.
"""

from pathlib import Path

import pandas as pd

DATA = Path(__file__).parent / "published.tsv"
SETS = ("sBLIMP", "sSC", "tSC")
# the rows of eval.tsv that compare with published ones: convention and metric
COMPARABLE = {
    "sBLIMP": (("slamkit-mean", "accuracy"), ("slm-scaling", "macro_accuracy")),
    "sSC": (("slamkit-mean", "accuracy"), ("slm-scaling-cloze", "accuracy")),
    "tSC": (("slamkit-mean", "accuracy"), ("slm-scaling-cloze", "accuracy")),
}
TITLES = {"sBLIMP": "sBLIMP", "sSC": "Spoken StoryCloze", "tSC": "Topic StoryCloze"}


def read() -> pd.DataFrame:
    """The published results; text, the empty one where nothing was published."""
    return pd.read_csv(DATA, sep="\t", dtype=str, keep_default_na=False)


def flop(parameters: str, tokens: str) -> float | None:
    """6 N D, if both are known."""
    return 6 * float(parameters) * float(tokens) if parameters and tokens else None
