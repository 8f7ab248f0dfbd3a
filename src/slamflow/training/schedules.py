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
    - `wsd`: stays there, and goes in a straight line down to `floor` × peak with the last of the
      last updates, a share `decay` of all (Hu and others 2024, arXiv 2404.06395);
    - `inverse_sqrt`: peak × √(warm-up / updates so far), never below `floor` × peak.

    Args:
        training: `steps`, `learning_rate`, `schedule` (default cosine), `warmup` (a share of
            the steps; default 0), `floor` (a share of the peak; default 0), `decay` (default 0.2).

    Raises:
        ValueError: an unknown schedule.
    """
    steps, peak = int(training["steps"]), float(training["learning_rate"])
    schedule, floor = training.get("schedule", "cosine"), float(training.get("floor", 0.0))
    warm = round(float(training.get("warmup", 0.0)) * steps)
    if step < warm:
        return peak * (step + 1) / warm
    if schedule == "inverse_sqrt":
        return peak * max(floor, math.sqrt(max(warm, 1) / (step + 1)))
    if schedule not in ("cosine", "linear", "wsd"):
        raise ValueError(f"schedule: {schedule!r} is none of cosine, linear, inverse_sqrt and wsd")
    falling = steps - warm
    if schedule == "wsd":
        falling = min(falling, round(float(training.get("decay", 0.2)) * steps))
    done = min(1.0, max(0, step + 1 - steps + falling) / max(1, falling))
    left = 0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1 - done
    return peak * (floor + (1 - floor) * left)
