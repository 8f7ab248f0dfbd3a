"""Averages over the items of a benchmark, and their differences, with intervals."""

from dataclasses import dataclass

import pandas as pd

from slamflow.benchmarks import intervals

AVERAGES = ("micro", "macro")


@dataclass(frozen=True)
class Result:
    """One number with its 95 % interval, as fractions; `items` counts the different items."""

    group: str
    metric: str
    value: float
    low: float
    high: float
    items: int


@dataclass(frozen=True)
class Difference(Result):
    """A difference of two models; `p` is two-sided, see `intervals.p_value`."""

    p: float


def summary(counted: pd.DataFrame, group: str, average: str) -> Result:
    """The average of what entries count: item, group, cluster, outcome, a row an entry.

    Args:
        group: what the result is called.
        average: `micro` (metric `accuracy`), or `macro`, the mean over groups of the group's
            accuracy (metric `macro_accuracy`), whose bootstrap draws within groups.
    """
    return _result(counted, _strata(counted, average), group, average)


def difference(a: pd.DataFrame, b: pd.DataFrame, average: str = "micro") -> Difference:
    """What `a` counts minus what `b` counts, with a paired bootstrap interval and p.

    Args:
        a, b: of two models, see `summary`.
        average: see `summary`.

    Raises:
        ValueError: they are not of the same items.
    """
    key = ["item", "group", "cluster"]
    if not a[key].equals(b[key]):
        raise ValueError("the two models were not scored on the same items; score both anew")
    counted = a.assign(outcome=a["outcome"] - b["outcome"])
    strata = _strata(counted, average)
    result = _result(counted, strata, "all", average)
    return Difference(**vars(result), p=intervals.p_value(strata))


def _result(
    counted: pd.DataFrame, strata: list[intervals.Stratum], group: str, average: str
) -> Result:
    low, high = intervals.interval(strata)
    metric = "macro_accuracy" if average == "macro" else "accuracy"
    return Result(group, metric, intervals.mean(strata), low, high, counted["item"].nunique())


def _strata(counted: pd.DataFrame, average: str) -> list[intervals.Stratum]:
    """What is averaged: all, or each group by itself."""
    if average not in AVERAGES:
        raise ValueError(f"average is {average!r} and must be one of {', '.join(AVERAGES)}")
    parts = [part for _, part in counted.groupby("group")] if average == "macro" else [counted]
    return [
        intervals.stratum(part["outcome"].to_numpy(), part["cluster"].to_numpy(dtype=str))
        for part in parts
    ]
