"""Likelihoods of a benchmark's utterances under an n-gram model of units; no torch.

The sequence is that of a language model, `<S> u1 … un <S>`, each token after the first predicted.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from slamflow.benchmarks import utterances
from slamflow.lm.vocabulary import UNITS, Layout


def score(config: dict, model: Path, units: Sequence[Path], output: Path, machine: dict) -> None:
    """Write the scores table of one n-gram model on one benchmark.

    Args:
        config: the `scoring` block: `start` (`bos`).
        model: folder with the model.safetensors that `slamflow.lm.ngram` writes.
        units: the units tables of the benchmark's corpus.
        output: path of the scores table.
        machine: nothing is read from it.

    Raises:
        ValueError: units outside the model's vocabulary, ids that occur twice, likelihoods that
            are not finite.
    """
    start = utterances.check_start(config)
    name = Path(model).name
    probabilities = load_file(Path(model) / "model.safetensors")["log_probabilities"]
    spoken = utterances.read(units, Layout(len(probabilities) - UNITS), name)
    terms = likelihoods(probabilities, spoken.distinct)
    utterances.write(spoken, terms, start, output, name)


def likelihoods(probabilities: np.ndarray, sequences: Sequence[np.ndarray]) -> utterances.Terms:
    """Negative log-likelihoods of token sequences, each of at least two tokens.

    Args:
        probabilities: log-probabilities in nats, [vocabulary], or [vocabulary, vocabulary] with
            the preceding token first.
        sequences: int64 arrays.
    """
    total, first, end = (np.full(len(sequences), np.nan) for _ in range(3))
    for index, tokens in enumerate(sequences):
        before, after = tokens[:-1], tokens[1:]
        terms = -(probabilities[after] if probabilities.ndim == 1 else probabilities[before, after])
        total[index], end[index] = terms.sum(), terms[-1]
        if len(terms) > 1:
            first[index] = terms[0]
    return utterances.Terms(total, first, end)
