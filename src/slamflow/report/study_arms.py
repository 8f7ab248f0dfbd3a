"""What the models of an arm of a study's question scored on a benchmark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from slamflow.benchmarks import conventions
from slamflow.report import accuracies
from slamflow.report import study_intervals as intervals

KEY = ["item", "rendition", "group", "cluster"]


class Arm(NamedTuple):
    """The outcomes of an arm's models on a benchmark.

    Attributes:
        seeds: of its models, sorted.
        sampled: the mean outcome of each, in this order, and what it is in samples of the items.
        items: KEY of the pairs.
        named: `metric`, `convention`, and `n`, the number of different items.
        file: one of its scores tables, for messages.
    """

    seeds: list[int]
    sampled: intervals.Sampled
    items: pd.DataFrame
    named: dict[str, str]
    file: Path


def read(tables: Mapping[Path, int], metrics: Mapping[str, Any]) -> Arm:
    """Read the scores of an arm's models on a benchmark.

    Args:
        tables: the scores table of each, and its seed.
        metrics: `convention`, `average` and `cluster` of the benchmark.

    Raises:
        ValueError: the models were not scored on the same items, or the scores do not suit the
            convention.
    """
    convention = str(metrics.get("convention", "slamkit-mean"))
    average = metrics.get("average", "micro")
    first, items, counted, names = next(iter(tables)), None, [], set()
    for path, _ in sorted(tables.items(), key=lambda each: each[1]):
        pairs = conventions.read(path, metrics.get("cluster", "item"))
        if convention not in pairs:
            raise ValueError(
                f"{path}: does not suit the convention {convention!r}: it needs "
                f"{conventions.needs(convention)}; or choose one of {', '.join(pairs)}"
            )
        found = pairs[convention]
        if items is not None:
            check_same(items, first, found[KEY], path)
        first, items = path, found[KEY]
        counted.append(conventions.outcomes(found, convention))
        names.add(accuracies.named(convention, found))
    together = counted[0]
    groups = together["group"] if average == "macro" else pd.Series("", together.index)
    parts = [
        intervals.part(
            [each.loc[rows, "outcome"].to_numpy() for each in counted],
            together.loc[rows, "cluster"].to_numpy(dtype=str),
        )
        for rows in groups.groupby(groups).groups.values()
    ]
    assert items is not None
    named = {
        "metric": "macro_accuracy" if average == "macro" else "accuracy",
        "convention": ", ".join(sorted(names)),
        "n": str(together["item"].nunique()),
    }
    return Arm(sorted(tables.values()), intervals.over_items(parts), items, named, first)


def check_same(items: pd.DataFrame, file: Path, others: pd.DataFrame, other: Path) -> None:
    """Whether two scores tables, with their KEY, are of the same items.

    Raises:
        ValueError: they are not.
    """
    if not items.equals(others):
        raise ValueError(f"{other}: not of the same items as {file}; score both anew")
