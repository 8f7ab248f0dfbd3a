"""The answer to a question of a study: `study/{question}.tsv`, and all of them: `study.tsv`.

A row an arm and benchmark, in percent, by the benchmark's default convention. `value` is the mean
over the arm's models, `by_seed` has each, in the order of their seeds. `difference` is that to the
baseline, in points: of the same items, and of the same seeds where `paired` says so. Intervals are
those of seeds and items together; see `study_intervals`. `n` counts different items. `tokens`,
`seconds` and `flop` are means over the arm's models of what their training took, with that of the
models they start from (the base of DPO, the text model of TWIST, where they were trained here), so
that arms of equal tokens, equal time or equal compute can be told; see `page.costs`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from slamflow import files
from slamflow.report import study_arms, table_file
from slamflow.report import study_intervals as intervals
from slamflow.report.page import costs
from slamflow.report.study_arms import Arm
from slamflow.tables import training as training_table

COLUMNS = ["question", "arm", "baseline", "benchmark", "metric", "convention"]
COLUMNS += ["value", "ci_low", "ci_high", "difference", "difference_low", "difference_high"]
COLUMNS += ["paired", "seeds", "n", "tokens", "seconds", "flop", "by_seed"]


def answer(
    config: dict,
    scores: Mapping[tuple[str, str], Path],
    trainings: Mapping[str, Path],
    output: Path,
) -> str:
    """Write the answer to a question, COLUMNS.

    Args:
        config: `arms`: {arm: {model: seed}}, `baseline`: one of them, `benchmarks`: {name:
            {convention, average, cluster}}, `lineage`: {model: [model, what it starts from, …]},
            `aligned`: those trained by DPO.
        scores: the scores table of each (model, benchmark).
        trainings: `training.parquet` of each model of `lineage`, in the model's folder.
        output: its stem is the question's name.

    Returns:
        The answer in words, a line an arm and benchmark.

    Raises:
        ValueError: arms that were not scored on the same items, or scores that do not suit the
            benchmark's convention.
    """
    took = {
        model: _took(path, "aligned" if model in config["aligned"] else "trained")
        for model, path in trainings.items()
    }
    rows = []
    for benchmark, metrics in config["benchmarks"].items():
        arms = {
            arm: study_arms.read(
                {scores[model, benchmark]: seed for model, seed in models.items()}, metrics
            )
            for arm, models in config["arms"].items()
        }
        baseline = arms[config["baseline"]]
        for arm, found in arms.items():
            difference = {} if found is baseline else _difference(found, baseline)
            row = {"question": output.stem, "arm": arm, "baseline": config["baseline"]}
            row |= {"benchmark": benchmark, **found.named, **_value(found), **difference}
            rows.append(row | _budget(config["lineage"], config["arms"][arm], took))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table_file.write(table, output)
    said = (sentence(row) for _, row in table.iterrows())
    return "\n".join(filter(None, said))


def collect(answers: Sequence[Path], output: Path) -> None:
    """Write the answers to all questions as one table, in their order."""
    table_file.write(pd.concat(map(read, answers)), output)


def read(path: Path) -> pd.DataFrame:
    """A table of answers as text, empty where there is nothing.

    Raises:
        ValueError: it is none.
    """
    table = table_file.read(path, ())
    if list(table) != COLUMNS:
        raise ValueError(f"{path}: has not the columns of answers; {files.REMAKE}")
    return table


def sentence(row: pd.Series) -> str:
    """What an arm changes, in words with its interval; nothing for the baseline."""
    if row["arm"] == row["baseline"]:
        return ""
    difference, low, high = (
        f"{round(float(row[key]), 1) + 0.0:.1f}"
        for key in ("difference", "difference_low", "difference_high")
    )
    return f"{row['arm']} changes {row['benchmark']} by {difference} [{low}, {high}] points"


def _value(arm: Arm) -> dict[str, str]:
    low, high = intervals.ends(intervals.over_seeds(arm.sampled))
    each = arm.sampled.means
    return {
        **_percent({"value": each.mean(), "ci_low": low, "ci_high": high}),
        "seeds": str(len(each)),
        "by_seed": " ".join(_percent(dict(enumerate(each))).values()),
    }


def _difference(arm: Arm, baseline: Arm) -> dict[str, str]:
    """Arm minus baseline on the same items, seed by seed where both have the same ones.

    Models of an arm that share a seed cannot be told apart by it, and are not paired by it.
    """
    study_arms.check_same(baseline.items, baseline.file, arm.items, arm.file)
    paired = arm.seeds == baseline.seeds and len(set(arm.seeds)) == len(arm.seeds)
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


def _took(path: Path, kind: str) -> dict[str, float | None]:
    """The tokens, seconds and floating-point operations of a training."""
    log = files.read_table(path, training_table.schema(()), ["tokens", "seconds"])
    return {
        "tokens": costs.tokens(path.parent, kind, log),
        "seconds": log["seconds"][-1].as_py() if len(log) else 0.0,
        "flop": costs.flop(path.parent, kind, log),
    }


def _budget(
    lineage: Mapping[str, Sequence[str]],
    models: Sequence[str],
    took: Mapping[str, Mapping[str, float | None]],
) -> dict[str, str]:
    """What an arm's models took with what they start from: means; nothing where it is not known."""
    found = {}
    for measure, form in {"tokens": ".0f", "seconds": ".1f", "flop": ".3e"}.items():
        spent = [took[name][measure] for model in models for name in lineage[model]]
        known = [each for each in spent if each is not None]
        if len(known) == len(spent):
            found[measure] = f"{sum(known) / len(models):{form}}"
    return found
