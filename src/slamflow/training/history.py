"""The log of a training, and when a training has failed."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import torch

from slamflow.tables import training as training_table
from slamflow.training import peaks
from slamflow.training.rank import Place

SHOWN = 3  # measures of the progress line, at most
WINDOW = 10  # updates whose mean is compared with the best so far


class History:
    """The training log; numbers stay on the device until `flush`, which all ranks call together.

    Attributes:
        rows: those of the table, one an update.
        watched: the measure that must not diverge.
        budget: see `tables.training`.
    """

    def __init__(
        self, measures: Sequence[str], place: Place, peak: float | None, watched: str = "loss"
    ) -> None:
        """Start the clock; `peak` is that of this device in FLOP/s, if known."""
        self.measures, self.place, self.peak = list(measures), place, peak
        self.watched = watched
        self.rows: list[dict[str, Any]] = []
        self.windows: list[float] = []  # what is watched, its mean over each WINDOW updates
        self.budget: dict[str, Any] = {}
        self.pending: list[tuple[torch.Tensor, float, torch.Tensor, float, float]] = []
        self.since = time.monotonic()

    @property
    def step(self) -> int:
        """The updates that are in the log."""
        return int(self.rows[-1]["step"]) if self.rows else 0

    def restore(self, log: pa.Table) -> None:
        """Go on after `log`."""
        self.rows = log.to_pylist()
        self.budget = budget_of(log)
        for end in range(WINDOW, len(self.rows) + 1, WINDOW):
            self._window(end)

    def start(self) -> None:
        """The first update begins now."""
        self.since = time.monotonic()

    def add(
        self, sums: torch.Tensor, weight: float, norm: torch.Tensor, rate: float, flops: float
    ) -> None:
        """One update, as it is on the device."""
        self.pending.append((sums, weight, norm.detach().double(), rate, flops))

    def flush(self) -> float:
        """Fetch what is pending, summed over the ranks; returns the seconds of an update.

        Raises:
            Failed: the loss or the gradient is not finite, or what is watched diverges.
        """
        sums = torch.stack([entry[0] for entry in self.pending])
        if self.place.ranks > 1:
            torch.distributed.all_reduce(sums)
        norms = torch.stack([entry[2] for entry in self.pending])
        columns = torch.cat([sums, norms[:, None]], dim=1).cpu().tolist()
        now = time.monotonic()
        elapsed = max(now - self.since, 1e-9)
        speed = sum(entry[1] for entry in self.pending) / elapsed
        flops = sum(entry[4] for entry in self.pending) / elapsed
        mfu = flops / (self.peak * self.place.ranks) if self.peak and flops else None
        memory = peaks.memory(self.place.device)
        last = self.rows[-1] if self.rows else {"step": 0, "tokens": 0, "seconds": 0.0}
        step, tokens, seconds = int(last["step"]), float(last["tokens"]), float(last["seconds"])
        for values, (_, weight, _, rate, _) in zip(columns, self.pending, strict=True):
            step, tokens, seconds = step + 1, tokens + weight, seconds + weight / speed
            means = {n: v / weight for n, v in zip(self.measures, values[:-1], strict=True)}
            if not (math.isfinite(means["loss"]) and math.isfinite(values[-1])):
                raise Failed(
                    f"the loss is {means['loss']} and the gradients' norm {values[-1]}", step
                )
            self.rows.append(
                {
                    "step": step,
                    "tokens": round(tokens),
                    **means,
                    "learning_rate": rate,
                    "grad_norm": values[-1],
                    "tokens_per_second": speed,
                    "mfu": mfu,
                    "memory": memory,
                    "validation": None,
                    "seconds": seconds,
                }
            )
            if step % WINDOW == 0:
                self._window(step)
                if found := diverged(self.windows, self.watched):
                    raise Failed(found, step)
        count, self.pending, self.since = len(self.pending), [], now
        return elapsed / count

    def validated(self, losses: Mapping[str, float]) -> None:
        """Held-out losses after the last update."""
        found = [{"name": name, "loss": loss} for name, loss in losses.items()]
        self.rows[-1]["validation"] = found

    def aside(self) -> None:
        """What came after the last `flush` was no training: it takes time, but not from speed."""
        now = time.monotonic()
        self.rows[-1]["seconds"] += now - self.since
        self.since = now

    def _window(self, end: int) -> None:
        taken = [row[self.watched] for row in self.rows[end - WINDOW : end]]
        self.windows.append(sum(taken) / WINDOW)

    def latest(self) -> dict[str, float]:
        """The last update's first measures and speed, for the progress line."""
        last = self.rows[-1]
        names = [*self.measures[:SHOWN], "tokens_per_second", *(["mfu"] if last["mfu"] else [])]
        return {name: last[name] for name in names}

    def table(self) -> pa.Table:
        """The log so far."""
        metadata = {training_table.BUDGET: json.dumps(self.budget, sort_keys=True)}
        return pa.Table.from_pylist(
            self.rows, schema=training_table.schema(self.measures, metadata)
        )


class Failed(Exception):
    """A training that is not worth going on with.

    Attributes:
        step: the update at which that was seen, from 1.
    """

    def __init__(self, reason: str, step: int) -> None:
        super().__init__(f"{reason} at step {step}")
        self.step = step


def diverged(means: Sequence[float], name: str = "loss") -> str | None:
    """What to say if the measure of this name diverges.

    It does if the last two of `means`, those of WINDOW updates each, are both above the best
    before, by more than its size and by more than 1: a single one may be a spike that a training
    recovers from.
    """
    if len(means) < 3:
        return None
    best = min(means[:-2])
    if min(means[-2:]) <= best + max(1.0, abs(best)):
        return None
    return f"the {name} diverges: its mean over {WINDOW} updates was {best:.4g}, is {means[-1]:.4g}"


def budget_of(log: pa.Table) -> dict[str, Any]:
    """The budget in a log's metadata."""
    found = (log.schema.metadata or {}).get(training_table.BUDGET.encode())
    return dict(json.loads(found)) if found else {}
