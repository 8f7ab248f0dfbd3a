"""The rows of `eval.tsv` on spoken continuations, from `generation/{model}/{benchmark}.json`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from slamflow.report import quality_file

ALL = "all"  # the group that is everything
EMPTY = "empty_transcripts"


class Metric(NamedTuple):
    """What its values are multiplied by, their decimals, and its name for people."""

    scale: int
    digits: int
    title: str


METRICS = {
    "gen_ppl": Metric(1, 1, "GenPPL (lower is better)"),
    "gpt_score": Metric(1, 2, "GPTScore (1 to 5)"),
    "auto_bleu": Metric(100, 2, "auto-BLEU (%, lower is less repetition)"),
    EMPTY: Metric(100, 1, "empty transcripts (%)"),
}


def rows(
    generated: list[list[Any]], measures: Mapping[tuple[str, str], Path]
) -> Iterator[dict[str, Any]]:
    """Rows of each model and benchmark; where nothing was heard, there is no value but of that.

    Args:
        generated: [[model, benchmark, {metric: convention}], …], the order of the rows.
        measures: the JSON of each (model, benchmark).

    Raises:
        ValueError: a file is missing, or lacks something.
    """
    for model, benchmark, conventions in generated:
        if (model, benchmark) not in measures:
            raise ValueError(f"no measures of model {model} on benchmark {benchmark} were given")
        path = measures[model, benchmark]
        found = quality_file.read(path)
        for metric in METRICS:
            if metric in conventions:
                yield {
                    "model": model,
                    "benchmark": benchmark,
                    "group": ALL,
                    "metric": metric,
                    "convention": conventions[metric],
                    "default": "true",
                    **_numbers(found, metric, path),
                }


def _numbers(found: Any, metric: str, path: Path) -> dict[str, str | None]:
    scale, digits, _ = METRICS[metric]
    if metric == EMPTY:
        share = quality_file.value(found, ("empty_share",), path)
        number = quality_file.value(found, ("transcripts",), path)
        return {"value": f"{scale * share:.{digits}f}", "n": str(number)}
    value, interval, number = (
        quality_file.value(found, (metric, key), path) for key in ("value", "interval", "n")
    )
    if value is None or interval is None:
        return {"n": str(number)}
    low, high = (f"{scale * end:.{digits}f}" for end in interval)
    return {
        "value": f"{scale * value:.{digits}f}",
        "ci_low": low,
        "ci_high": high,
        "n": str(number),
    }


def overview(table: pd.DataFrame) -> list[str]:
    """The rows for people: a line a model and benchmark, a column a metric.

    Args:
        table: what `eval.tsv` holds, as text.
    """
    found = table[table["metric"].isin(METRICS)]
    if not len(found):
        return []
    bounds = " [" + found["ci_low"] + ", " + found["ci_high"] + "]"
    cells = found["value"].fillna("–") + bounds.fillna("")
    found = found.assign(model=found["model"] + " (" + found["benchmark"] + ")", cell=cells)
    wide = found.pivot(index="model", columns="metric", values="cell")
    wide = wide.reindex(index=list(dict.fromkeys(found["model"])), columns=list(METRICS))
    wide = wide.dropna(axis="columns", how="all").rename_axis(index=None, columns=None)
    title = "Spoken continuations, auto-BLEU and empty transcripts in percent"
    return [f"{title}\n{wide.to_string(na_rep='')}"]
