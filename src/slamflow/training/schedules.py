"""Learning rates as pure functions of the step, so that a resumed run needs no state for them."""

import math
from collections.abc import Mapping
from typing import Any


def learning_rate(step: int, training: Mapping[str, Any]) -> float:
    """The learning rate of update `step` (0 is the first).

    The rate rises linearly over the warm-up, reaches `learning_rate` with its last update, and
    then follows `schedule`:

    - `cosine`: down to `floor` × peak with the last update;
    - `inverse_sqrt`: peak × √(warm-up / updates so far), never below `floor` × peak;
    - `constant`.

    Args:
        training: `steps`, `learning_rate`, `schedule` (default cosine), `warmup` (below 1 a share
            of the steps, otherwise a number of updates; default 0), `floor` (a share of the peak,
            default 0).
    """
    steps, peak = int(training["steps"]), float(training["learning_rate"])
    schedule, floor = training.get("schedule", "cosine"), float(training.get("floor", 0.0))
    warm = warmup_steps(training)
    if step < warm:
        return peak * (step + 1) / warm
    if schedule == "constant":
        return peak
    if schedule == "inverse_sqrt":
        return peak * max(floor, math.sqrt(max(warm, 1) / (step + 1)))
    if schedule == "cosine":
        done = min(1.0, (step + 1 - warm) / max(1, steps - warm))
        return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))
    raise ValueError(f"schedule: {schedule!r} is none of cosine, inverse_sqrt, constant")


def warmup_steps(training: Mapping[str, Any]) -> int:
    """The number of warm-up updates."""
    warmup = float(training.get("warmup", 0))
    return round(warmup * int(training["steps"])) if warmup < 1 else int(warmup)
