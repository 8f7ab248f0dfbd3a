"""`eval.tsv` and `comparisons.tsv`: what the scores of all models on all benchmarks come to.

`eval.tsv` has a row a model, benchmark, group and convention, in percent. `group` is `all` or a
phenomenon or band; `metric` is `accuracy`, or `macro_accuracy` where the benchmark is averaged
over its groups; `n` counts different items. `convention` ends in `among units` where a model that
knows text, too, was asked for likelihoods among units, and in `text to units` or `units to text`
where context and ending of the items are of two kinds. `default` is true on the rows of the
convention that the config names for the benchmark. A benchmark has the rows of all conventions
that its scores suit. Units' quality stands below, as benchmark `units:<tokeniser>`
with the tokeniser and `mfcc` (MFCC k-means of the same K) as models. Metrics are `pnmi`,
`phone_purity` and `cluster_purity` (between 0 and 1) over frames of phones (convention `phones`)
or over all frames (`with-silence`, without intervals), `units_a_second`, and the errors of units
`abx_within` and `abx_across` speakers (between 0 and 1, lower is better); n counts utterances.
Speech without known phones has `units_a_second` only, that of one speaker no `abx_across`.

Spoken continuations have `gen_ppl` (perplexity), `gpt_score` (1 to 5), `auto_bleu` and
`empty_transcripts` (percent), without a chance; `convention` names whether the prompt counts, the
temperature, the recogniser, and the language model or judge; `n` counts transcripts. Empty ones
are left out of all but their own share; a value is missing where there are no others.

`comparisons.tsv` has paired differences in points: of each aligned model and its base by every
convention, then of all other pairs of the models to be compared by the benchmark's default. `p` is
that of a two-sided sign-flip test over clusters of items (`intervals.p_value`), not corrected for
the number of rows.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from slamflow.benchmarks import conventions
from slamflow.report import accuracies, generated, overview, table_file, unit_rows

COLUMNS = ["model", "benchmark", "group", "metric", "convention", "default"]
COLUMNS += ["value", "ci_low", "ci_high", "n", "chance"]
COMPARED = ["model", "against", "benchmark", "group", "metric", "convention"]
COMPARED += ["difference", "ci_low", "ci_high", "p", "n"]


def collect(
    config: dict,
    scores: Mapping[tuple[str, str], Path],
    qualities: Mapping[str, Path],
    output: Path,
    comparisons: Path,
    measures: Mapping[tuple[str, str], Path] | None = None,
) -> str:
    """Write `eval.tsv` and `comparisons.tsv`.

    Args:
        config: `evaluate`: [[model, benchmark], …], the order of the rows;
            `benchmarks`: {name: {convention, average, cluster}} (their `metrics` blocks);
            `aligned`: {model: base}; `orders`: {n-gram model: order}; `untrained`: [model, …];
            `compared`: those of `evaluate` that are compared with each other, all by default;
            `generated`: see `generated.rows`.
        scores: the scores table of each (model, benchmark) in `evaluate`.
        qualities: `quality.json` of each tokeniser.
        output: path of `eval.tsv`.
        comparisons: path of `comparisons.tsv`.
        measures: of the spoken continuations of each (model, benchmark) in `generated`.

    Returns:
        A summary for the terminal: the default row of each model on each benchmark, differences
        of aligned models, units' quality, and warnings of items that leak.

    Raises:
        ValueError: scores that are missing, damaged or do not pair up; it names file and item.
    """
    read: dict[accuracies.Key, accuracies.Pairs] = {}
    for model, benchmark in config["evaluate"]:
        if (model, benchmark) not in scores:
            raise ValueError(f"no scores of model {model} on benchmark {benchmark} were given")
        cluster = config["benchmarks"][benchmark].get("cluster", "item")
        read[model, benchmark] = conventions.read(scores[model, benchmark], cluster)
    rows = [row for key in read for row in accuracies.rows(config, key, read[key])]
    rows += generated.rows(config.get("generated", []), measures or {})
    rows += [row for name in qualities for row in unit_rows.rows(name, qualities[name])]
    table = pd.DataFrame(rows, columns=COLUMNS)
    differences = pd.DataFrame(accuracies.differences(config, read), columns=COMPARED)
    table_file.write(table, output)
    table_file.write(differences, comparisons)
    shown = overview.overview(table, differences, config.get("aligned", {}))
    shown += generated.overview(table)
    return "\n\n".join([*shown, *overview.leaks(table, config)])
