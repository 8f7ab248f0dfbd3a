"""How long a training is: in steps, in tokens or in hours."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHECKPOINTS = 0.02  # of the time, at most, unless `checkpoint_steps` says when they are made
MARGIN = 0.01  # of hours: what the measured updates do not know of those to come


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


def left(hours: float, spent: float) -> float:
    """The seconds that are left of a budget of `hours` after `spent` seconds, less the margin."""
    return (1 - MARGIN) * 3600 * hours - spent


@dataclass(frozen=True)
class Pace:
    """What a training takes, in seconds.

    Attributes:
        step: an update.
        checkpoint, checkpoints_minutes, checkpoint_steps: a checkpoint, and how often there is one.
        validation, validation_steps: a look at held-out data, and how often (0: at the end only).
    """

    step: float
    checkpoint: float
    checkpoint_minutes: float
    checkpoint_steps: int
    validation: float
    validation_steps: int

    def steps(self, seconds: float) -> int:
        """The steps that fill `seconds`, with what comes between and after them; at least 1.

        At the end are a checkpoint, a validation, and writing the model, which is not as much as
        a checkpoint.
        """
        step = self.step
        step += self.validation / self.validation_steps if self.validation_steps else 0.0
        step += self.checkpoint / self.checkpoint_steps if self.checkpoint_steps else 0.0
        step *= 1 + min(self.checkpoint / (60 * self.checkpoint_minutes), CHECKPOINTS)
        left = seconds - self.validation - 2 * self.checkpoint
        return max(1, math.floor(left / step))
