"""How much work trainings are."""

from collections.abc import Mapping
from typing import Any

from slamflow.report.plan.counts import Counts, Unknown, frames, hearing

Names = Mapping[str, str]  # a job's wildcards


def _training(counts: Counts, names: Names) -> dict[str, Any]:
    section = next(it for it in ("hubert", "vocoder", "model") if it in names)
    return dict(counts.config[f"{section}s"][names[section]]["training"])


def _steps(counts: Counts, names: Names, of_a_step: float) -> float:
    """Tokens (HuBERT: frames, DPO: pairs) of all steps of a training, if it is not given hours."""
    budget = _training(counts, names)["budget"]
    if budget["tokens"] is not None:
        return float(budget["tokens"])
    if budget["steps"] is None:
        raise Unknown("steps of a training that is given hours")
    return float(budget["steps"] * of_a_step)


def budget(counts: Counts, names: Names) -> float:
    """Seconds of a training that is given hours."""
    hours = _training(counts, names)["budget"]["hours"]
    if hours is None:
        raise Unknown("hours of a training that is given steps")
    return float(hours) * 3600


def pretraining(counts: Counts, names: Names) -> float:
    """Petaflops: 6 a weight and token."""
    tokens = _steps(counts, names, _training(counts, names)["batch_tokens"])
    return 6 * counts.parameters(names["model"]) * tokens / 1e15


def _drawn(counts: Counts, names: Names) -> float:
    """Pairs of all steps."""
    budget, pairs = _training(counts, names)["budget"], _training(counts, names)["pairs"]
    if budget["tokens"] is not None:
        return float(budget["tokens"]) / _pair(counts, names)
    return _steps(counts, names, pairs)


def pairs_and_parameters(counts: Counts, names: Names) -> float:
    """Pairs of a DPO × the model's weights."""
    return _drawn(counts, names) * counts.parameters(names["model"])


def _pair(counts: Counts, names: Names) -> float:
    """Tokens of a prompt and both its answers."""
    corpus = counts.config["models"][names["model"]]["corpus"]
    return counts.tokens(counts.tokeniser(names["model"]), corpus) / counts.items(corpus)


def preferring(counts: Counts, names: Names) -> float:
    """Petaflops of a DPO, prompts counted once."""
    tokens = _drawn(counts, names) * _pair(counts, names)
    return 6 * counts.parameters(names["model"]) * tokens / 1e15


def masked(counts: Counts, names: Names) -> float:
    """Petaflops of a HuBERT's training."""
    training = _training(counts, names)
    shape = training["architecture"]
    seconds = _steps(counts, names, training["batch_seconds"] * frames(shape)) / frames(shape)
    return 3 * hearing(shape, shape["layers"]) * seconds / 1e15
