"""Learning rates as pure functions of the step, so that a resumed run needs no state for them."""

import math
from collections.abc import Mapping
from typing import Any


def learning_rate(step: int, training: Mapping[str, Any]) -> float:
    """The learning rate of update `step` (0 is the first).

    The rate rises linearly over the warm-up, reaches `learning_rate` with its last update, and
    then follows `schedule`:

    - `cosine`: down to `floor` × peak with the last update;
    - `linear`: the same in a straight line;
    - `inverse_sqrt`: peak × √(warm-up / updates so far), never below `floor` × peak.

    Args:
        training: `steps`, `learning_rate`, `schedule` (default cosine), `warmup` (a share of
            the steps; default 0), `floor` (a share of the peak; default 0).
    """
    steps, peak = int(training["steps"]), float(training["learning_rate"])
    schedule, floor = training.get("schedule", "cosine"), float(training.get("floor", 0.0))
    warm = round(float(training.get("warmup", 0.0)) * steps)
    if step < warm:
        return peak * (step + 1) / warm
    if schedule == "inverse_sqrt":
        return peak * max(floor, math.sqrt(max(warm, 1) / (step + 1)))
    if schedule not in ("cosine", "linear"):
        raise ValueError(f"schedule: {schedule!r} is none of cosine, linear and inverse_sqrt")
    done = min(1.0, (step + 1 - warm) / max(1, steps - warm))
    left = 1 - done if schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return peak * (floor + (1 - floor) * left)
