"""How long a training is: in steps, in tokens or in hours."""

import math
from collections.abc import Mapping
from typing import Any


def asked(training: Mapping[str, Any]) -> tuple[str, float]:
    """Kind (steps, tokens or hours) and amount of `training["budget"]`.

    Raises:
        ValueError: it is not exactly one of them.
    """
    found = {kind: amount for kind, amount in training["budget"].items() if amount is not None}
    if len(found) != 1 or not found.keys() <= {"steps", "tokens", "hours"}:
        raise ValueError(f"budget: needs one of steps, tokens and hours, not {dict(found)}")
    ((kind, amount),) = found.items()
    return kind, amount


def untrained(training: Mapping[str, Any]) -> bool:
    """Whether the initial weights are asked for."""
    return asked(training) == ("steps", 0)


def of_tokens(tokens: float, tokens_of_a_step: float) -> int:
    """The steps that `tokens` are, the last one begun counting whole."""
    return math.ceil(tokens / tokens_of_a_step)
