"""Likelihoods of a benchmark's utterances under an n-gram model of units; no torch.

The sequence is that of a language model, `<S> u1 … un <S>`, each token after the first predicted.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from slamflow import files, weights
from slamflow.benchmarks import prompts, utterances
from slamflow.lm.vocabulary import UNITS, Layout


def score(
    config: dict,
    model: Path,
    units: Sequence[Path],
    output: Path,
    machine: dict,
    speech: Sequence[Path] = (),
    alignments: Sequence[Path] = (),
) -> None:
    """Write the scores table of one n-gram model on one benchmark.

    Args:
        config: the `scoring` block: `start` (`bos` and `eos` are one token; `none`).
        model: folder with the model.safetensors that `slamflow.lm.ngram` writes.
        units: the units tables of the benchmark's corpus.
        output: path of the scores table.
        machine: nothing is read from it.
        speech, alignments: of the corpus, for the ends of prompts; see `prompts.boundaries`.

    Raises:
        ValueError: units outside the model's vocabulary, ids that occur twice, likelihoods that
            are not finite.
    """
    start = utterances.check_start(config)
    name = Path(model).name
    probabilities = read(Path(model) / "model.safetensors")
    ids = Layout(len(probabilities) - UNITS)
    spoken = utterances.read(units, ids, name, start, prompts.boundaries(speech, alignments))
    terms = likelihoods(probabilities, spoken.distinct)
    utterances.write(spoken, terms, "all", output, name)


def read(path: Path) -> np.ndarray:
    """Log-probabilities in nats, [vocabulary] or [vocabulary, vocabulary].

    Raises:
        ValueError: the file is damaged or holds none.
    """
    try:
        weights.check(path)
        found = load_file(path)["log_probabilities"]
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path}: is no n-gram model ({error}); {files.REMAKE}") from None
    if found.ndim not in (1, 2) or len(set(found.shape)) != 1 or (found > 0).any():
        raise ValueError(f"{path}: holds no log-probabilities; {files.REMAKE}")
    return found


def likelihoods(probabilities: np.ndarray, sequences: Sequence[np.ndarray]) -> utterances.Terms:
    """Negative log-likelihoods of token sequences, each of at least two tokens.

    Args:
        probabilities: log-probabilities in nats, [vocabulary], or [vocabulary, vocabulary] with
            the preceding token first.
        sequences: int64 arrays.
    """
    unigram = probabilities.ndim == 1
    return utterances.Terms(
        [
            -(probabilities[s[1:]] if unigram else probabilities[s[:-1], s[1:]]).astype(np.float64)
            for s in sequences
        ]
    )
