"""The answer to a question of a study: `study/{question}.tsv`, and all of them: `study.tsv`.

A row an arm and benchmark, in percent, by the benchmark's default convention. `value` is the mean
over the arm's models, `by_seed` has each, in the order of their seeds. `difference` is that to the
baseline, in points: of the same items, and of the same seeds where `paired` says so. Intervals are
those of seeds and items together; see `study_intervals`. `n` counts different items. `tokens` and
`seconds` are means over the arm's models of what their training took, with that of the models they
start from (the base of DPO, the text model of TWIST, where they were trained here), so that arms of
equal tokens or equal time can be told.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from slamflow import files
from slamflow.benchmarks import conventions
from slamflow.report import study_intervals as intervals
from slamflow.tables import training as training_table

COLUMNS = ["question", "arm", "baseline", "benchmark", "metric", "convention"]
COLUMNS += ["value", "ci_low", "ci_high", "difference", "difference_low", "difference_high"]
COLUMNS += ["paired", "seeds", "n", "tokens", "seconds", "by_seed"]
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


def answer(
    config: dict,
    scores: Mapping[tuple[str, str], Path],
    trainings: Mapping[str, Path],
    output: Path,
) -> str:
    """Write the answer to a question, COLUMNS.

    Args:
        config: `arms`: {arm: {model: seed}}, `baseline`: one of them, `benchmarks`: {name:
            {convention, average, cluster}}, `lineage`: {model: [model, what it starts from, …]}.
        scores: the scores table of each (model, benchmark).
        trainings: `training.parquet` of each model of `lineage`.
        output: its stem is the question's name.

    Returns:
        The answer in words, a line an arm and benchmark.

    Raises:
        ValueError: arms that were not scored on the same items, or scores that do not suit the
            benchmark's convention.
    """
    took = {model: _took(path) for model, path in trainings.items()}
    rows = []
    for benchmark, metrics in config["benchmarks"].items():
        arms = {
            arm: _arm({scores[model, benchmark]: seed for model, seed in models.items()}, metrics)
            for arm, models in config["arms"].items()
        }
        baseline = arms[config["baseline"]]
        for arm, found in arms.items():
            difference = {} if found is baseline else _difference(found, baseline)
            row = {"question": output.stem, "arm": arm, "baseline": config["baseline"]}
            row |= {"benchmark": benchmark, **found.named, **_value(found), **difference}
            rows.append(row | _budget(config["lineage"], config["arms"][arm], took))
    table = pd.DataFrame(rows, columns=COLUMNS)
    _write(table, output)
    said = (sentence(row) for _, row in table.fillna("").iterrows())
    return "\n".join(filter(None, said))


def collect(answers: Sequence[Path], output: Path) -> None:
    """Write the answers to all questions as one table, in their order."""
    _write(pd.concat(map(read, answers)), output)


def read(path: Path) -> pd.DataFrame:
    """A table of answers as text, empty where there is nothing.

    Raises:
        ValueError: it is none.
    """
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if list(table) != COLUMNS:
        raise ValueError(f"{path}: has not the columns of answers; {files.REMAKE}")
    return table


def sentence(row: pd.Series) -> str:
    """What an arm changes, in words with its interval; nothing for the baseline."""
    if not row["difference"]:
        return ""
    difference, low, high = (
        f"{float(row[key]) + 0.0:.1f}"
        for key in ("difference", "difference_low", "difference_high")
    )
    return f"{row['arm']} changes {row['benchmark']} by {difference} [{low}, {high}] points"


def _arm(tables: Mapping[Path, int], metrics: Mapping[str, Any]) -> Arm:
    """Read the scores of an arm's models, each with its seed.

    Raises:
        ValueError: see `answer`.
    """
    convention = str(metrics.get("convention", "slamkit-mean"))
    average = metrics.get("average", "micro")
    first, items, counted, among = next(iter(tables)), None, [], set()
    for path, _ in sorted(tables.items(), key=lambda each: each[1]):
        pairs = conventions.read(path, metrics.get("cluster", "item"))
        if convention not in pairs:
            raise ValueError(
                f"{path}: does not suit the convention {convention!r}: it needs "
                f"{conventions.needs(convention)}; or choose one of {', '.join(pairs)}"
            )
        found = pairs[convention]
        if items is not None:
            _check_same(items, first, found[KEY], path)
        first, items = path, found[KEY]
        counted.append(conventions.outcomes(found, convention))
        among |= set(found["modality"])
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
        "convention": f"{convention} among units" if "units" in among else convention,
        "n": str(together["item"].nunique()),
    }
    return Arm(sorted(tables.values()), intervals.over_items(parts), items, named, first)


def _check_same(items: pd.DataFrame, file: Path, others: pd.DataFrame, other: Path) -> None:
    if not items.equals(others):
        raise ValueError(f"{other}: not of the same items as {file}; score both anew")


def _value(arm: Arm) -> dict[str, str]:
    low, high = intervals.ends(intervals.over_seeds(arm.sampled))
    each = arm.sampled.means
    return {
        **_percent({"value": each.mean(), "ci_low": low, "ci_high": high}),
        "seeds": str(len(each)),
        "by_seed": " ".join(_percent(dict(enumerate(each))).values()),
    }


def _difference(arm: Arm, baseline: Arm) -> dict[str, str]:
    """Arm minus baseline on the same items, seed by seed where their seeds are the same."""
    _check_same(baseline.items, baseline.file, arm.items, arm.file)
    paired = arm.seeds == baseline.seeds
    if paired:
        samples = intervals.over_seeds(arm.sampled - baseline.sampled)
    else:
        samples = intervals.over_seeds(arm.sampled) - intervals.over_seeds(baseline.sampled, 1)
    low, high = intervals.ends(samples)
    value = arm.sampled.means.mean() - baseline.sampled.means.mean()
    names = ("difference", "difference_low", "difference_high")
    return {
        **_percent(dict(zip(names, (value, low, high), strict=True))),
        "paired": "seeds and items" if paired else "items",
    }


def _percent(values: Mapping[Any, float]) -> dict[Any, str]:
    # adding 0.0 makes a rounded -0.0 positive
    return {key: f"{round(100 * value, 2) + 0.0:.2f}" for key, value in values.items()}


def _took(path: Path) -> dict[str, float]:
    """The tokens and the seconds of a training."""
    table = files.read_table(path, training_table.schema(()), ["tokens", "seconds"])
    last = table.slice(max(0, len(table) - 1)).to_pylist()
    return last[0] if last else {"tokens": 0, "seconds": 0.0}


def _budget(
    lineage: Mapping[str, Sequence[str]],
    models: Sequence[str],
    took: Mapping[str, Mapping[str, float]],
) -> dict[str, str]:
    """The tokens and seconds of an arm's models with what they start from, their means."""
    spent = pd.DataFrame(
        [pd.DataFrame([took[name] for name in lineage[model]]).sum() for model in models]
    ).mean()
    return {"tokens": f"{spent['tokens']:.0f}", "seconds": f"{spent['seconds']:.1f}"}


def _write(table: pd.DataFrame, path: Path) -> None:
    with files.replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, lineterminator="\n")
