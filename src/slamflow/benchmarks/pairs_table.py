"""The two members of each item of a scores table, side by side."""

import re
from pathlib import Path

import pandas as pd

from slamflow import files
from slamflow.tables import scores as scores_table

COUPLE = re.compile(r"^(.*?)(\d+)([a-z]?)$")
CLUSTERS = ("item", "couple")
TERMS = ("nll", "tokens", "first_nll", "end_nll", "prompt_nll", "prompt_tokens")


def read(path: Path, cluster: str = "item", start: str = "bos") -> pd.DataFrame:
    """Match the two members of every item and rendition of a scores table, by their keys.

    Args:
        path: the scores table.
        cluster: what moves together in the bootstrap: `item`, or `couple`, mirrored items that
            exchange their endings or mistakes; they are named `x-12a` and `x-12b`, or have
            the numbers 2k and 2k + 1, as those of the generators.
        start: the pass that is read.

    Returns:
        A row a pair, sorted by item and rendition: item, rendition, group, cluster, speaker (the
        positive's), modality, and TERMS of both members (`_positive`, `_negative`).

    Raises:
        ValueError: a member is missing or occurs twice, or its group differs from its partner's;
            it names the item and the file.
    """
    table = rows(path, start)
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
        table.loc[table["role"] == role, [*key, "group", "speaker", "modality", *TERMS]]
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
    for name in ("group", "speaker", "modality"):
        pairs[name] = pairs[f"{name}_positive"]
    pairs["cluster"] = cluster_of(pairs["item"], cluster, path)
    columns = [f"{name}_{role}" for name in TERMS for role in ("positive", "negative")]
    pairs = pairs[[*key, "group", "cluster", "speaker", "modality", *columns]]
    return pairs.sort_values(key, ignore_index=True)


def member(pairs: pd.DataFrame, role: str) -> pd.DataFrame:
    """TERMS of the positive or negative member of each pair."""
    return pd.DataFrame({name: pairs[f"{name}_{role}"] for name in TERMS})


def rows(path: Path, start: str = "bos") -> pd.DataFrame:
    """The rows of a scores table that were scored after a start token.

    Args:
        start: `bos`, `eos`, `none`, or `scores_table.BOTH`, which is the first two.

    Raises:
        ValueError: there are none.
    """
    table = files.read_table(path, scores_table.SCHEMA).to_pandas()
    table = table[table["start"].isin([start, scores_table.BOTH] if start != "none" else [start])]
    if table.empty:
        raise ValueError(f"{path}: has no utterances scored with start `{start}`; make it anew")
    table[["group", "speaker"]] = table[["group", "speaker"]].fillna("")
    table["modality"] = table["modality"].fillna("all")
    return table


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
