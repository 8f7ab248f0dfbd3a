"""The rows of `eval.tsv` and `comparisons.tsv` that say how well models tell pairs apart."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from slamflow.benchmarks import averages, conventions

LENGTH = "slamkit-sum"  # an order-0 model is the length baseline only if terms are summed

Pairs = dict[str, pd.DataFrame]  # by convention
Key = tuple[str, str]  # model, benchmark


def rows(config: Mapping[str, Any], key: Key, pairs: Pairs) -> Iterator[dict[str, Any]]:
    """Rows of one model on one benchmark, the default convention first.

    Args:
        config: see `tables.collect`.
        pairs: from `conventions.read`.

    Raises:
        ValueError: the scores lack what the default convention needs.
    """
    default = default_of(config, key, pairs)
    for convention in sorted(pairs, key=lambda name: name != default):
        found = pairs[convention]
        for result in conventions.summarise(found, convention, average_of(config, key)):
            yield {
                "model": key[0],
                "benchmark": key[1],
                "group": result.group,
                "metric": result.metric,
                "convention": named(convention, found),
                "default": str(convention == default).lower(),
                **_numbers("value", result),
                "n": str(result.items),
                "chance": f"{100 * conventions.CHANCE:.0f}",
            }


def differences(config: Mapping[str, Any], read: Mapping[Key, Pairs]) -> Iterator[dict[str, Any]]:
    """Rows of each aligned model and its base, then of all other pairs of compared models.

    The former by every convention, the benchmark's default first; the latter by the default, but
    for models that were scored among different ids.

    Args:
        config: see `tables.collect`.
        read: what `conventions.read` gives for each model and benchmark.
    """
    aligned = config.get("aligned", {})
    for model, benchmark in read:
        base = aligned.get(model)
        if (base, benchmark) not in read:
            continue
        pairs, others = read[model, benchmark], read[base, benchmark]
        default = default_of(config, (model, benchmark), pairs)
        for name in sorted(pairs.keys() & others.keys(), key=lambda name: (name != default, name)):
            average = average_of(config, (model, benchmark))
            result = conventions.paired_difference(pairs[name], others[name], name, average)
            yield _difference(model, base, benchmark, named(name, pairs[name]), result)
    for benchmark in dict.fromkeys(benchmark for _, benchmark in read):
        yield from _others(config, read, benchmark)


def _others(
    config: Mapping[str, Any], read: Mapping[Key, Pairs], benchmark: str
) -> Iterator[dict[str, Any]]:
    """The rows of pairs of compared, trained models of which neither is aligned from the other."""
    aligned = config.get("aligned", {})
    untrained = {*config.get("orders", {}), *config.get("untrained", [])}
    compared = {tuple(key) for key in config.get("compared", config["evaluate"])}
    counted = {}
    for (model, met), pairs in read.items():
        if met == benchmark and model not in untrained and (model, met) in compared:
            default = default_of(config, (model, benchmark), pairs)
            name = named(default, pairs[default])
            counted[model] = name, conventions.outcomes(pairs[default], default)
    for (model, (name, one)), (against, (other_name, other)) in itertools.combinations(
        counted.items(), 2
    ):
        if name == other_name and against != aligned.get(model) and model != aligned.get(against):
            average = average_of(config, (model, benchmark))
            result = averages.difference(one, other, average)
            yield _difference(model, against, benchmark, name, result)


def _difference(
    model: str, against: str, benchmark: str, convention: str, result: averages.Difference
) -> dict[str, Any]:
    return {
        "model": model,
        "against": against,
        "benchmark": benchmark,
        "group": result.group,
        "metric": result.metric,
        "convention": convention,
        **_numbers("difference", result),
        "p": f"{result.p:.3g}",
        "n": str(result.items),
    }


def default_of(config: Mapping[str, Any], key: Key, pairs: Pairs) -> str:
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


def average_of(config: Mapping[str, Any], key: Key) -> str:
    """How a benchmark is averaged, `micro` or `macro`."""
    return str(config["benchmarks"][key[1]].get("average", "micro"))


def named(convention: str, pairs: pd.DataFrame) -> str:
    """A convention as tables name it.

    Where a model knows text, too, that says what was read or what the choices were.

    Args:
        pairs: of one model, from `conventions.read`.
    """
    modality = str(pairs["modality"].iloc[0])
    if modality == "all":
        return convention
    return f"{convention} {'among units' if modality == 'units' else modality}"


def _numbers(name: str, result: averages.Result) -> dict[str, str]:
    """Value and interval in percent; a second decimal only where the interval is below a point."""
    digits = 2 if 0 < result.high - result.low < 0.01 else 1
    values = {name: result.value, "ci_low": result.low, "ci_high": result.high}
    # adding 0.0 makes a rounded -0.0 positive
    return {key: f"{round(100 * value, digits) + 0.0:.{digits}f}" for key, value in values.items()}
