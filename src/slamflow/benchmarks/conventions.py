"""From likelihoods of utterances to the accuracy of a benchmark, by named conventions.

A convention has a score of an utterance (minus the mean NLL a predicted token, or minus their sum;
the end token counts as a token) and an averaging:

- `slamkit-mean`, `slamkit-sum`: mean over files, every rendition being an item of its own;
- `zerospeech-mean`, `zerospeech-sum`: mean over an item's renditions of one voice, over its voices,
  then over items.

A pair counts 1 if the positive scores higher, 0.5 on a tie, else 0.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from slamflow import files
from slamflow.benchmarks import intervals
from slamflow.tables import scores as scores_table

TIE = 1e-9  # relative: sums of equal terms in another order differ by rounding only
CHANCE = 0.5
COUPLE = re.compile(r"^(.*?)(\d+)([a-z]?)$")
CLUSTERS = ("item", "couple")
AVERAGES = ("micro", "macro")
ALL = "all"  # the group that is the whole benchmark


@dataclass(frozen=True)
class Convention:
    """How utterances are scored (`mean` or `sum`) and averaged (over `files` or `items`)."""

    score: str
    over: str
    start: str = "bos"


CONVENTIONS = {
    "slamkit-mean": Convention("mean", "files"),
    "slamkit-sum": Convention("sum", "files"),
    "zerospeech-mean": Convention("mean", "items"),
    "zerospeech-sum": Convention("sum", "items"),
}


@dataclass(frozen=True)
class Result:
    """One number with its 95 % interval, as fractions; `items` counts the different items."""

    group: str
    metric: str
    value: float
    low: float
    high: float
    items: int


def read_pairs(path: Path, cluster: str = "item", start: str = "bos") -> pd.DataFrame:
    """Match the two members of every item and rendition of a scores table, by their keys.

    Args:
        path: the scores table.
        cluster: what moves together in the bootstrap: `item`, or `couple`, mirrored items that
            exchange their endings or mistakes; they are named `x-12a` and `x-12b`, or have
            the numbers 2k and 2k + 1, as those of the generators.
        start: the pass that is read.

    Returns:
        A row a pair, sorted by item and rendition: item, rendition, group, cluster, speaker (the
        positive's), and nll and tokens of both members (`_positive`, `_negative`).

    Raises:
        ValueError: a member is missing or occurs twice, or its group differs from its partner's;
            it names the item and the file.
    """
    table = files.read_table(path, scores_table.SCHEMA).to_pandas()
    table = table[table["start"] == start]
    if table.empty:
        raise ValueError(f"{path}: has no utterances scored with start `{start}`; make it anew")
    table[["group", "speaker"]] = table[["group", "speaker"]].fillna("")
    key = ["item", "rendition"]
    strange = table[~table["role"].isin(["positive", "negative"])]
    if len(strange):
        row = strange.iloc[0]
        raise ValueError(
            f"{path}: `{row['id']}` has the role {row['role']!r}; a corpus of pairs has only "
            "positive and negative members"
        )
    twice = table[table.duplicated([*key, "role"])]
    if len(twice):
        row = twice.iloc[0]
        raise ValueError(
            f"{path}: item `{row['item']}`, rendition {row['rendition']} has two {row['role']} "
            "members; give each pair an item of its own"
        )
    members = [
        table.loc[table["role"] == role, [*key, "group", "speaker", "nll", "tokens"]]
        for role in ("positive", "negative")
    ]
    pairs = members[0].merge(
        members[1], on=key, how="outer", suffixes=("_positive", "_negative"), indicator="found"
    )
    alone = pairs[pairs["found"] != "both"]
    if len(alone):
        row = alone.iloc[0]
        lacking = "negative" if row["found"] == "left_only" else "positive"
        raise ValueError(
            f"{path}: item `{row['item']}`, rendition {row['rendition']} has no {lacking} member "
            f"({len(alone)} such pairs); see results/rejected/ for utterances that were left out"
        )
    groups = pairs.groupby("item")[["group_positive", "group_negative"]].nunique().max(axis=1)
    different = pairs[
        (pairs["group_positive"] != pairs["group_negative"]) | pairs["item"].map(groups).gt(1)
    ]
    if len(different):
        row = different.iloc[0]
        raise ValueError(f"{path}: item `{row['item']}` lies in more than one group")
    pairs["group"], pairs["speaker"] = pairs["group_positive"], pairs["speaker_positive"]
    pairs["cluster"] = cluster_of(pairs["item"], cluster, path)
    columns = [f"{name}_{role}" for name in ("nll", "tokens") for role in ("positive", "negative")]
    pairs = pairs[[*key, "group", "cluster", "speaker", *columns]]
    return pairs.sort_values(key, ignore_index=True)


def cluster_of(items: pd.Series, rule: str, path: Path) -> pd.Series:
    """The cluster of each item.

    Raises:
        ValueError: the rule is unknown, or `couple` meets an item that does not end in a number.
    """
    if rule == "item":
        return items
    if rule != "couple":
        raise ValueError(f"cluster is {rule!r} and must be one of {', '.join(CLUSTERS)}")
    found = items.str.extract(COUPLE)
    if found.isna().any(axis=None):
        raise ValueError(
            f"{path}: item `{items[found[0].isna()].iloc[0]}` does not end in a number, so "
            "`cluster: couple` cannot find its partner; use `cluster: item`"
        )
    number = found[1].astype("int64")
    number = number.where(found[2] != "", number // 2)
    return found[0] + number.astype(str)


def outcomes(pairs: pd.DataFrame, convention: str) -> pd.DataFrame:
    """What each entry of the average counts, between 0 and 1.

    Returns:
        item, group, cluster, outcome; a row a pair, or a row an item where the convention
        averages over an item's voices first.

    Raises:
        ValueError: there is no such convention.
    """
    if convention not in CONVENTIONS:
        raise ValueError(
            f"convention is {convention!r} and must be one of {', '.join(CONVENTIONS)}"
        )
    rule = CONVENTIONS[convention]
    positive, negative = (
        -pairs[f"nll_{role}"] / (pairs[f"tokens_{role}"] if rule.score == "mean" else 1)
        for role in ("positive", "negative")
    )
    tie = (positive - negative).abs() <= TIE * np.maximum(positive.abs(), negative.abs())
    item = ["item", "group", "cluster"]
    counted = pairs[[*item, "speaker"]].copy()
    counted["outcome"] = np.where(tie, 0.5, (positive > negative).astype(np.float64))
    if rule.over == "items":
        voices = counted.groupby([*item, "speaker"])["outcome"].mean()
        return voices.groupby(item).mean().reset_index()
    return counted[[*item, "outcome"]]


def summarise(pairs: pd.DataFrame, convention: str, average: str = "micro") -> list[Result]:
    """Accuracy of the whole benchmark, then of each group where there are several.

    Args:
        pairs: from `read_pairs`.
        convention: its name.
        average: `micro` (metric `accuracy`), or `macro`, the mean over groups of the group's
            accuracy (metric `macro_accuracy`), whose bootstrap draws within groups.
    """
    counted = outcomes(pairs, convention)
    results = [_result(counted, ALL, average)]
    names = sorted(set(counted["group"]))
    if len(names) > 1:
        results += [_result(counted[counted["group"] == name], name, "micro") for name in names]
    return results


def paired_difference(
    scores_a: pd.DataFrame, scores_b: pd.DataFrame, convention: str, average: str = "micro"
) -> Result:
    """Accuracy of `a` minus accuracy of `b` on the same pairs, with a paired bootstrap interval.

    Args:
        scores_a, scores_b: pairs of two models on one benchmark, from `read_pairs`.
        convention: its name.
        average: as for `summarise`.

    Raises:
        ValueError: the two were not scored on the same items and renditions.
    """
    key = ["item", "rendition", "group", "cluster"]
    if not scores_a[key].equals(scores_b[key]):
        raise ValueError("the two models were not scored on the same items; score both anew")
    counted = outcomes(scores_a, convention)
    counted["outcome"] -= outcomes(scores_b, convention)["outcome"]
    return _result(counted, ALL, average)


def _result(counted: pd.DataFrame, group: str, average: str) -> Result:
    if average not in AVERAGES:
        raise ValueError(f"average is {average!r} and must be one of {', '.join(AVERAGES)}")
    parts = [part for _, part in counted.groupby("group")] if average == "macro" else [counted]
    strata = [
        intervals.stratum(part["outcome"].to_numpy(), part["cluster"].to_numpy(dtype=str))
        for part in parts
    ]
    low, high = intervals.interval(strata)
    metric = "macro_accuracy" if average == "macro" else "accuracy"
    return Result(group, metric, intervals.mean(strata), low, high, counted["item"].nunique())
