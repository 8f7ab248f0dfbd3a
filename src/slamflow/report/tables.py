"""`eval.tsv` and `comparisons.tsv`: what the scores of all models on all benchmarks come to.

`eval.tsv` has a row a model, benchmark, group and convention, in percent. `group` is `all` or a
phenomenon or band; `metric` is `accuracy`, or `macro_accuracy` where the benchmark is averaged
over its groups; `n` counts different items. `convention` ends in `among units` where a model that
knows text, too, was asked for likelihoods among units. `default` is true on the rows of the
convention that the config names for the benchmark. A benchmark has the rows of all conventions
that its scores suit. Units' quality stands below, as benchmark `units:<tokeniser>`
with the tokeniser and `mfcc` (MFCC k-means of the same K) as models. Metrics are `pnmi`,
`phone_purity` and `cluster_purity` (between 0 and 1) over frames of phones (convention `phones`)
or over all frames (`with-silence`, without intervals), `units_a_second`, and the errors of units
`abx_within` and `abx_across` speakers (between 0 and 1, lower is better); n counts utterances.
Speech without known phones has `units_a_second` only, that of one speaker no `abx_across`.

`comparisons.tsv` has the paired difference of each aligned model and its base, in points.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from slamflow import files
from slamflow.benchmarks import conventions
from slamflow.report import quality_file

COLUMNS = ["model", "benchmark", "group", "metric", "convention", "default"]
COLUMNS += ["value", "ci_low", "ci_high", "n", "chance"]
COMPARED = ["model", "against", "benchmark", "group", "metric", "convention"]
COMPARED += ["difference", "ci_low", "ci_high", "n"]
# of units' quality: convention, metric, and where value and interval are in quality.json
SHARES = ("pnmi", "phone_purity", "cluster_purity")
RATE = "units_a_second"
ABX = {f"abx_{speakers}": ("abx", "units", speakers) for speakers in ("within", "across")}
_MEASURES: list[tuple[str, str, tuple[str, ...], tuple[str, ...]]] = [
    *(("phones", metric, (metric,), ("intervals", metric)) for metric in SHARES),
    ("phones", RATE, (RATE,), ()),
    *(("phones", metric, (*at, "error"), (*at, "interval")) for metric, at in ABX.items()),
    *(("with-silence", metric, ("with_silence", metric), ()) for metric in SHARES),
]
LENGTH = "slamkit-sum"  # an order-0 model is the length baseline only if terms are summed
FAIR = (45.0, 55.0)  # percent, for models that cannot know the answer

Pairs = dict[str, pd.DataFrame]  # by convention


def collect(
    config: dict,
    scores: Mapping[tuple[str, str], Path],
    qualities: Mapping[str, Path],
    output: Path,
    comparisons: Path,
) -> str:
    """Write `eval.tsv` and `comparisons.tsv`.

    Args:
        config: `evaluate`: [[model, benchmark], …], the order of the rows;
            `benchmarks`: {name: {convention, average, cluster}} (their `metrics` blocks);
            `aligned`: {model: base}; `orders`: {n-gram model: order}; `untrained`: [model, …].
        scores: the scores table of each (model, benchmark) in `evaluate`.
        qualities: `quality.json` of each tokeniser.
        output: path of `eval.tsv`.
        comparisons: path of `comparisons.tsv`.

    Returns:
        A summary for the terminal: the default row of each model on each benchmark, differences
        of aligned models, units' quality, and warnings of items that leak.

    Raises:
        ValueError: scores that are missing, damaged or do not pair up; it names file and item.
    """
    read: dict[tuple[str, str], Pairs] = {}
    for model, benchmark in config["evaluate"]:
        if (model, benchmark) not in scores:
            raise ValueError(f"no scores of model {model} on benchmark {benchmark} were given")
        cluster = config["benchmarks"][benchmark].get("cluster", "item")
        read[model, benchmark] = conventions.read(scores[model, benchmark], cluster)
    rows = [row for key in read for row in _rows(config, key, read[key])]
    rows += [row for name in qualities for row in _quality(name, qualities[name])]
    table = pd.DataFrame(rows, columns=COLUMNS)
    differences = pd.DataFrame(_differences(config, read), columns=COMPARED)
    _write(table, output)
    _write(differences, comparisons)
    return "\n\n".join([*overview(table, differences), *leaks(table, config)])


def _rows(config: dict, key: tuple[str, str], pairs: Pairs) -> Iterator[dict[str, Any]]:
    """Rows of one model on one benchmark, the default convention first."""
    metrics = config["benchmarks"][key[1]]
    default = _default(config, key, pairs)
    for convention in sorted(pairs, key=lambda name: name != default):
        found = pairs[convention]
        for result in conventions.summarise(found, convention, metrics.get("average", "micro")):
            yield {
                "model": key[0],
                "benchmark": key[1],
                "group": result.group,
                "metric": result.metric,
                "convention": _named(convention, found),
                "default": str(convention == default).lower(),
                **_numbers("value", result),
                "n": str(result.items),
                "chance": f"{100 * conventions.CHANCE:.0f}",
            }


def _default(config: dict, key: tuple[str, str], pairs: Pairs) -> str:
    """The convention that a benchmark names; of the length baseline, one that sums.

    Raises:
        ValueError: its scores lack what that convention needs.
    """
    default = str(config["benchmarks"][key[1]].get("convention", "slamkit-mean"))
    if default not in pairs:
        raise ValueError(
            f"benchmark {key[1]}: the scores of {key[0]} do not suit the convention {default!r}: "
            f"it needs {conventions.needs(default)}; or choose one of {', '.join(pairs)}"
        )
    if config.get("orders", {}).get(key[0]) == 0:
        return LENGTH if LENGTH in pairs else default.replace("-mean", "-sum")
    return default


def _named(convention: str, pairs: pd.DataFrame) -> str:
    """A convention and, where a model knows other ids, too, whether units alone were choices."""
    among_units = (pairs["modality"] == "units").any()
    return f"{convention} among units" if among_units else convention


def _numbers(name: str, result: conventions.Result) -> dict[str, str]:
    """Value and interval in percent; a second decimal only where the interval is below a point."""
    digits = 2 if 0 < result.high - result.low < 0.01 else 1
    values = {name: result.value, "ci_low": result.low, "ci_high": result.high}
    # adding 0.0 makes a rounded -0.0 positive
    return {key: f"{round(100 * value, digits) + 0.0:.{digits}f}" for key, value in values.items()}


def _differences(config: dict, read: Mapping[tuple[str, str], Pairs]) -> Iterator[dict[str, Any]]:
    for model, benchmark in read:
        against = config.get("aligned", {}).get(model)
        if (against, benchmark) not in read:
            continue
        average = config["benchmarks"][benchmark].get("average", "micro")
        pairs, base = read[model, benchmark], read[against, benchmark]
        default = _default(config, (model, benchmark), pairs)
        for convention in sorted(
            pairs.keys() & base.keys(), key=lambda name: (name != default, name)
        ):
            result = conventions.paired_difference(
                pairs[convention], base[convention], convention, average
            )
            yield {
                "model": model,
                "against": against,
                "benchmark": benchmark,
                "group": result.group,
                "metric": result.metric,
                "convention": _named(convention, pairs[convention]),
                **_numbers("difference", result),
                "n": str(result.items),
            }


def _quality(tokeniser: str, path: Path) -> Iterator[dict[str, Any]]:
    measured = quality_file.read(path)
    for part, model in (("tokeniser", tokeniser), ("mfcc", "mfcc")):
        for convention, metric, *places in _MEASURES:
            value, interval = (
                quality_file.value(measured, (part, *place), path) if place else None
                for place in places
            )
            if value is None:
                continue
            low, high = (f"{end:.3f}" for end in interval) if interval else (None, None)
            yield {
                "model": model,
                "benchmark": f"units:{tokeniser}",
                "group": conventions.ALL,
                "metric": metric,
                "convention": convention,
                "default": str(convention == "phones").lower(),
                "value": f"{value:.1f}" if metric == RATE else f"{value:.3f}",
                "ci_low": low,
                "ci_high": high,
                "n": str(quality_file.value(measured, ("utterances",), path)),
            }


def _write(table: pd.DataFrame, path: Path) -> None:
    with files.replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, lineterminator="\n")


def default_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The one row of each model on each benchmark that its default convention gives."""
    spoken = ~table["benchmark"].str.startswith("units:")
    return table[(table["default"] == "true") & (table["group"] == conventions.ALL) & spoken]


def overview(table: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """The default rows for people: a line a model, a column a benchmark; then what else there is.

    Args:
        table, differences: what `eval.tsv` and `comparisons.tsv` hold, as text.
    """
    rows = default_rows(table)
    benchmarks = list(dict.fromkeys(rows["benchmark"]))
    wide = _wide(rows.assign(cell=_cells(rows, "value")), "model", "benchmark", benchmarks)
    wide.loc["chance"] = rows.groupby("benchmark")["chance"].first()
    wide.loc["items"] = rows.groupby("benchmark")["n"].first()
    blocks = ["Accuracy in percent with 95 % intervals\n" + _aligned(wide)]
    # the first convention of a comparison is the benchmark's default
    rows = differences.drop_duplicates(["model", "benchmark"])
    if len(rows):
        names = rows["model"] + " - " + rows["against"]
        rows = rows.assign(model=names, cell=_cells(rows, "difference"))
        wide = _wide(rows, "model", "benchmark", benchmarks)
        blocks.append("Paired differences in points\n" + _aligned(wide))
    units = table["benchmark"].str.startswith("units:")
    rows = table[units & (table["default"] == "true")]
    if len(rows):
        names = rows["model"] + " (" + rows["benchmark"] + ")"
        rows = rows.assign(model=names, cell=rows["value"])
        wide = _wide(rows, "model", "metric", [*SHARES, RATE, *ABX])
        blocks.append("Units against the true phones\n" + _aligned(wide))
    return blocks


def _cells(rows: pd.DataFrame, value: str) -> pd.Series:
    return rows[value] + " [" + rows["ci_low"] + ", " + rows["ci_high"] + "]"


def _wide(rows: pd.DataFrame, index: str, columns: str, order: list[str]) -> pd.DataFrame:
    wide = rows.pivot(index=index, columns=columns, values="cell")
    return wide.reindex(index=list(dict.fromkeys(rows[index])), columns=order)


def _aligned(wide: pd.DataFrame) -> str:
    filled = wide.dropna(axis="columns", how="all").rename_axis(index=None, columns=None)
    text = filled.to_string(na_rep="")
    return "\n".join(line.rstrip() for line in text.splitlines())


def leaks(table: pd.DataFrame, config: dict) -> list[str]:
    """A warning for each default row of a model that cannot know the answer but does.

    Those are n-gram models of order 0 (length) and 1 (unigram), and untrained models; outside
    45 to 55 percent the items can be told apart without language, or are too few to say.
    """
    ignorant = {model for model, order in config.get("orders", {}).items() if order <= 1}
    ignorant |= set(config.get("untrained", []))
    rows = default_rows(table)
    suspect = rows[rows["model"].isin(ignorant) & ~rows["value"].astype(float).between(*FAIR)]
    return [
        f"warning: {row.model} scores {row.value} % [{row.ci_low}, {row.ci_high}] on "
        f"{row.benchmark}, outside {FAIR[0]:.0f}–{FAIR[1]:.0f} %: the items leak, or are too few "
        f"({row.n}) to say"
        for row in suspect.itertuples()
    ]
