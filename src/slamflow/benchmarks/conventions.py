"""From likelihoods of utterances to the accuracy of a benchmark, by named conventions.

A convention has a score of an utterance (minus the mean NLL a scored token, or minus their sum),
the tokens that are scored, what a tie counts, and an averaging. All is computed from the scores
table, but for the start token, which needs a pass of its own (`scoring: {start: …}`):

| | start | first unit | end | tie | mean over |
|---|---|---|---|---|---|
| `slamkit-mean`, `slamkit-sum` | bos | yes | yes | ½ | files, every rendition by itself |
| `zerospeech-mean`, `zerospeech-sum` | bos | yes | yes | ½ | renditions, voices, items |
| `slm-scaling` (mean) | eos | yes | no | ½ | renditions, voices, items |
| `slm-scaling-cloze` (mean) | eos | yes | no | 0 | the same; its StoryCloze |
| `salmon-mean`, `salmon-sum` | none | no | no | ½ | files |
| `conditional-mean`, `conditional-sum` | bos | no prompt | yes | ½ | files |

slamkit is that of Maimon and others (2025), whose default is the mean; ZeroSpeech that of the
official evaluation (Nguyen and others, 2020), which leaves the score to the submission; slm-scaling
that of Cuervo and Marxer (2024), whose sBLIMP is the macro average over phenomena; SALMon that of
Maimon and others (2024), which leaves sum or mean to the model. The last two score what follows the
prompt, given the prompt, where its end is known. A pair counts 1 if the positive scores higher.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from slamflow import files
from slamflow.benchmarks import averages, pairs_table
from slamflow.tables import scores as scores_table

TIE = 1e-9  # relative: sums of equal terms in another order differ by rounding only
CHANCE = 0.5
ALL = "all"  # the group that is the whole benchmark
KNOWN = "in-vocabulary"  # of the official sWUGGY, the bands of words that LibriSpeech has
BANDS, UNHEARD = ("1-5", "6-20", "21-100", ">100"), "oov"


@dataclass(frozen=True)
class Convention:
    """How utterances are scored and averaged.

    Attributes:
        score: `mean` or `sum`.
        over: `files` or `items`.
        start: of the pass, `bos`, `eos` or `none`.
        first, end, prompt: whether the first unit, the end token and the prompt are scored.
        tie: what a pair counts whose members score alike.
    """

    score: str
    over: str
    start: str = "bos"
    first: bool = True
    end: bool = True
    prompt: bool = True
    tie: float = 0.5


CONVENTIONS = {
    "slamkit-mean": Convention("mean", "files"),
    "slamkit-sum": Convention("sum", "files"),
    "zerospeech-mean": Convention("mean", "items"),
    "zerospeech-sum": Convention("sum", "items"),
    "slm-scaling": Convention("mean", "items", start="eos", end=False),
    "slm-scaling-cloze": Convention("mean", "items", start="eos", end=False, tie=0.0),
    "salmon-mean": Convention("mean", "files", start="none", first=False, end=False),
    "salmon-sum": Convention("sum", "files", start="none", first=False, end=False),
    "conditional-mean": Convention("mean", "files", prompt=False),
    "conditional-sum": Convention("sum", "files", prompt=False),
}


def read(path: Path, cluster: str = "item") -> dict[str, pd.DataFrame]:
    """The pairs of a scores table for each convention that it has the terms for.

    Raises:
        ValueError: see `pairs_table.read`.
    """
    passes = files.read_table(path, scores_table.SCHEMA, ["start"])["start"].unique().to_pylist()
    by_start = {start: pairs_table.read(path, cluster, start) for start in passes or ["bos"]}
    if scores_table.BOTH in by_start:
        by_start["bos"] = by_start["eos"] = by_start.pop(scores_table.BOTH)
    return {
        name: by_start[rule.start]
        for name, rule in CONVENTIONS.items()
        if rule.start in by_start and (rule.prompt or _prompted(by_start[rule.start]))
    }


def _prompted(pairs: pd.DataFrame) -> bool:
    """Whether all prompts are known, and there are any."""
    tokens = pairs[["prompt_tokens_positive", "prompt_tokens_negative"]]
    return bool(tokens.notna().all(axis=None) and tokens.gt(0).any(axis=None))


def named(convention: str) -> Convention:
    """The convention of a name.

    Raises:
        ValueError: there is none.
    """
    if convention not in CONVENTIONS:
        raise ValueError(
            f"convention is {convention!r} and must be one of {', '.join(CONVENTIONS)}"
        )
    return CONVENTIONS[convention]


def needs(convention: str) -> str:
    """What a convention asks of the scores, for people."""
    rule = named(convention)
    start = f"`scoring: {{start: {rule.start}}}`"
    return start if rule.prompt else f"{start} and speech whose words are known"


def outcomes(pairs: pd.DataFrame, convention: str) -> pd.DataFrame:
    """What each entry of the average counts, between 0 and 1.

    Returns:
        item, group, cluster, outcome; a row a pair, or a row an item where the convention
        averages over an item's voices first.

    Raises:
        ValueError: there is no such convention.
    """
    rule = named(convention)
    positive, negative = (
        score(pairs_table.member(pairs, role), rule) for role in ("positive", "negative")
    )
    tie = (positive - negative).abs() <= TIE * np.maximum(positive.abs(), negative.abs())
    item = ["item", "group", "cluster"]
    counted = pairs[[*item, "speaker"]].copy()
    counted["outcome"] = np.where(tie, rule.tie, (positive > negative).astype(np.float64))
    if rule.over == "items":
        voices = counted.groupby([*item, "speaker"])["outcome"].mean()
        return voices.groupby(item).mean().reset_index()
    return counted[[*item, "outcome"]]


def score(terms: pd.DataFrame, rule: Convention) -> pd.Series:
    """The score of each utterance, the higher the likelier; that of no tokens is 0.

    Args:
        terms: `pairs_table.TERMS`; what is not known is not taken off.
    """
    nll, tokens = terms["nll"], terms["tokens"]
    for scored, part in ((rule.first, "first"), (rule.end, "end"), (rule.prompt, "prompt")):
        if not scored:
            known = terms[f"{part}_nll"].notna()
            nll = nll - terms[f"{part}_nll"].fillna(0.0)
            tokens = tokens - (terms["prompt_tokens"].fillna(0) if part == "prompt" else known)
    return -nll.where(tokens > 0, 0.0) / (tokens.clip(lower=1) if rule.score == "mean" else 1)


def summarise(
    pairs: pd.DataFrame, convention: str, average: str = "micro"
) -> list[averages.Result]:
    """Accuracy of the whole benchmark, then of each group where there are several.

    Where the groups are the official frequency bands, those of words that LibriSpeech has are
    together the group `in-vocabulary`, too.

    Args:
        pairs: from `pairs_table.read`.
        convention: its name.
        average: `micro` (metric `accuracy`), or `macro`, the mean over groups of the group's
            accuracy (metric `macro_accuracy`), whose bootstrap draws within groups.
    """
    counted = outcomes(pairs, convention)
    results = [averages.summary(counted, ALL, average)]
    names = sorted(set(counted["group"]))
    known = counted[counted["group"].isin(BANDS)]
    if UNHEARD in names and len(known):
        results.append(averages.summary(known, KNOWN, "micro"))
    if len(names) > 1:
        results += [
            averages.summary(counted[counted["group"] == name], name, "micro") for name in names
        ]
    return results


def paired_difference(
    scores_a: pd.DataFrame, scores_b: pd.DataFrame, convention: str, average: str = "micro"
) -> averages.Difference:
    """Accuracy of `a` minus accuracy of `b` on the same pairs, with a paired bootstrap interval.

    Args:
        scores_a, scores_b: pairs of two models on one benchmark, from `pairs_table.read`.
        convention: its name.
        average: as for `summarise`.

    Raises:
        ValueError: the two were not scored on the same items and renditions, or not among the
            same ids.
    """
    key = ["item", "rendition", "group", "cluster", "modality"]
    if not scores_a[key].equals(scores_b[key]):
        raise ValueError("the two models were not scored on the same items; score both anew")
    a, b = (outcomes(scores, convention) for scores in (scores_a, scores_b))
    return averages.difference(a, b, average)
