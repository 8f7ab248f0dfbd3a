"""The stage that measures transcripts of spoken continuations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from slamflow import files
from slamflow.benchmarks import intervals
from slamflow.corpora.texts.auto_bleu import auto_bleu
from slamflow.generation import perplexity
from slamflow.tables import judgements as judgements_table
from slamflow.tables import transcripts as transcripts_table
from slamflow.training.device import prepare


def measure(
    config: Mapping[str, Any],
    transcripts: Path,
    output: Path,
    machine: Mapping[str, Any],
    model: Path | None = None,
    tokenizer: Path | None = None,
    judgements: Path | None = None,
    label: str = "measure_generation",
) -> None:
    """Write the measures of a table of transcripts as JSON.

    `transcripts`, `empty_transcripts` and `empty_share` count; each other measure has `value`,
    `interval` (95 %, percentile bootstrap over transcripts) and `n`, how many it is a mean of.
    Empty transcripts are in none of those means; where all are empty, value and interval are null.

    - `auto_bleu`: mean over transcripts, between 0 and 1; of the continuation alone if its prompt
      was heard by itself.
    - `gen_ppl`, if there is a language model: exp of the mean over transcripts of the mean negative
      log-likelihood a token (see `perplexity`); given the prompt if that was heard by itself.
      Texts without a counted token are not in it.
    - `gpt_score`, if there are judgements: mean over those from 1 to 5; `unparsable` counts answers
      without a score.

    Args:
        config: `perplexity`: None, or, of a model of others, `model` and `revision`.
        machine: `device`, `threads`, `data_root`, `micro_batch` (tokens at once).
        model: folder of a text model trained here, in place of one of others.
        tokenizer: its tokenizer.json.
        judgements: table of a judge.

    Raises:
        ValueError: there are no transcripts, no such model, or judgements of others.
    """
    table = files.read_table(transcripts, transcripts_table.SCHEMA)
    if not len(table):
        raise ValueError(f"{transcripts}: has no rows; {files.REMAKE}")
    said = [row for row in table.to_pylist() if row["text"].strip()]
    empty = len(table) - len(said)
    found: dict[str, Any] = {
        "transcripts": len(table),
        "empty_transcripts": empty,
        "empty_share": empty / len(table),
        "auto_bleu": _mean(np.array([auto_bleu(row["text"]) for row in said])),
    }
    opened = _language_model(config, machine, model, tokenizer)
    if opened is not None:
        place = prepare(machine)
        opened.network.to(place)
        texts = [(row["prompt"], row["text"]) for row in said]
        nll, tokens = perplexity.negative_log_likelihoods(
            opened, texts, machine.get("micro_batch"), label
        )
        means = nll[tokens > 0] / tokens[tokens > 0]
        found["gen_ppl"] = _mean(means, np.exp) | {"tokens": int(tokens.sum())}
    if judgements is not None:
        found["gpt_score"] = _judged(judgements, table["id"].to_pylist(), len(said))
    files.write_json(found, output, sealed=True)


def _language_model(
    config: Mapping[str, Any],
    machine: Mapping[str, Any],
    model: Path | None,
    tokenizer: Path | None,
) -> perplexity.LanguageModel | None:
    if model is not None and tokenizer is not None:
        return perplexity.trained_here(model, tokenizer)
    wanted = config.get("perplexity")
    return perplexity.published(wanted, machine) if wanted else None


def _mean(values: np.ndarray, scale: Any = np.positive) -> dict[str, Any]:
    """`scale` of the mean of values [n], and of the ends of its interval."""
    if not len(values):
        return {"value": None, "interval": None, "n": 0}
    strata = [intervals.stratum(values, np.arange(len(values)))]
    ends = intervals.interval(strata)
    return {
        "value": float(scale(intervals.mean(strata))),
        "interval": [float(scale(end)) for end in ends],
        "n": len(values),
    }


def _judged(path: Path, names: list[str], said: int) -> dict[str, Any]:
    table = files.read_table(path, judgements_table.SCHEMA)
    if table["id"].to_pylist() != names:
        raise ValueError(f"{path}: judges other transcripts; {files.REMAKE}")
    scores = table["score"].drop_null().to_numpy().astype(np.float64)
    return _mean(scores) | {"unparsable": said - len(scores)}
