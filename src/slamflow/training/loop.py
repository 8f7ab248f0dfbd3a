"""The training loop of every model here: HuBERT, language models, preferences.

A task says what a step's micro-batches are and what their loss is. The loop divides by the weight
of the whole global batch, so the loss is the mean over all its tokens exactly, however it is cut
into micro-batches and over ranks. Every random number is drawn from the seed, the step and the
micro-batch, so a run that was killed and resumed ends in the same weights bit for bit.
"""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import torch

from slamflow import logs, runstate
from slamflow.tables import training as training_table
from slamflow.training import budget, checkpoints, schedules
from slamflow.training.engine import Engine
from slamflow.training.rank import Place

LOG_STEPS = 10  # updates between two looks at the device's numbers


class Task(Protocol):
    """What is trained.

    Attributes:
        model: the model, initialised, on the CPU; the loop moves it.
        measures: the names of what `forward` returns, `loss` first.
    """

    model: torch.nn.Module
    measures: Sequence[str]

    def micro_batches(self, step: int) -> Sequence[Any]:
        """All micro-batches of update `step` (from 0) on all ranks, in one order.

        They depend on the step and on the task's config only. The rank of index i computes those
        of indices i, i + ranks, …; what is costly about a micro-batch belongs into `forward`.
        """

    def forward(self, model: torch.nn.Module, micro_batch: Any) -> dict[str, torch.Tensor]:
        """Sums over the micro-batch (scalars on the device) of each of `measures`.

        `model` computes in the configured precision; compute the loss from its outputs in
        float32.
        """

    def weight(self, step: int) -> float:
        """What the sums of update `step` are divided by: the tokens of its global batch."""

    def export(self, module: torch.nn.Module, log: pa.Table) -> None:
        """Write the artefacts, whole or not at all, `model.safetensors` last (rank 0 only)."""


def train(task: Task, training: Mapping[str, Any], place: Place, state: runstate.Follow) -> None:
    """Train `task.model` and have rank 0 export it.

    Args:
        training: `budget`, `seed`, and what optimisers, schedules and the engine take.
        place: this rank, and the machine settings `checkpoint_minutes` (2), `checkpoint_steps`
            (none: also checkpoints at multiples of these steps).
        state: takes the checkpoints.

    Raises:
        ValueError: the loss is not finite.
    """
    steps, seed = _steps(task, training), int(training.get("seed", 0))
    training = {**training, "steps": steps}
    started = time.perf_counter()
    engine = Engine(task.model, training, place.device)
    history = _History(task.measures, place)
    if place.checkpoint:
        history.restore(
            checkpoints.load(place.checkpoint, engine.module, engine.optimiser, task.measures)
        )
        logs.info(f"goes on after step {history.step} of {steps}")
    logs.info(f"ready to train on {place.device} after {time.perf_counter() - started:.1f} s")
    every = int(place.machine.get("checkpoint_steps") or 0)
    seconds_between = 60 * float(place.machine.get("checkpoint_minutes") or 2)
    saved = time.monotonic()
    progress = logs.Progress(place.label, steps, "steps", done=history.step)
    for step in range(history.step, steps):
        rate = schedules.learning_rate(step, training)
        weight = task.weight(step)
        sums, norm = _update(task, engine, step, weight, rate, seed, place)
        history.add(sums, weight, norm, rate)
        due = bool(every) and (step + 1) % every == 0
        if due or (step + 1) % LOG_STEPS == 0 or step + 1 == steps:
            history.flush()
            due = due or step + 1 == steps or time.monotonic() - saved > seconds_between
            if due and place.rank == 0:
                with state.checkpoint_folder(step + 1) as folder:
                    checkpoints.save(folder, engine.module, engine.optimiser, history.table())
                saved = time.monotonic()
            progress.update(step + 1, **history.latest())
    if place.rank == 0:
        task.export(engine.module.eval(), history.table())
    engine.close()


def _steps(task: Task, training: Mapping[str, Any]) -> int:
    kind, amount = budget.asked(training)
    if kind == "steps":
        return int(amount)
    step_tokens = getattr(task, "step_tokens", None)
    if kind == "tokens" and step_tokens:
        return budget.of_tokens(amount, step_tokens)
    raise ValueError(f"budget: this stage knows no {kind}; give it in steps")


def _update(
    task: Task,
    engine: Engine,
    step: int,
    weight: float,
    rate: float,
    seed: int,
    place: Place,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One update; returns this rank's sums of the measures, float64, and the gradients' norm."""
    own = list(enumerate(task.micro_batches(step)))[place.rank :: place.ranks]
    sums = torch.zeros(len(task.measures), dtype=torch.float64, device=place.device)
    for index, micro_batch in own:
        torch.manual_seed(_seed(seed, step, index))
        measured = task.forward(engine.model, micro_batch)
        engine.backward(measured["loss"] / weight, last=index == own[-1][0])
        sums += torch.stack([measured[name].detach().double() for name in task.measures])
    if not own:
        engine.backward(engine.no_loss(), last=True)
    return sums, engine.step(rate)


def _seed(seed: int, step: int, index: int) -> int:
    digest = hashlib.sha256(f"{seed} {step} {index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class _History:
    """The training log; numbers stay on the device until `flush`, which all ranks call together."""

    def __init__(self, measures: Sequence[str], place: Place) -> None:
        self.schema = training_table.schema(measures)
        self.measures, self.place = list(measures), place
        self.rows: list[dict[str, float]] = []
        self.pending: list[tuple[torch.Tensor, float, torch.Tensor, float]] = []
        self.since = time.monotonic()

    @property
    def step(self) -> int:
        return int(self.rows[-1]["step"]) if self.rows else 0

    def restore(self, log: pa.Table) -> None:
        self.rows = log.to_pylist()
        self.since = time.monotonic()

    def add(self, sums: torch.Tensor, weight: float, norm: torch.Tensor, rate: float) -> None:
        self.pending.append((sums, weight, norm.detach().double(), rate))

    def flush(self) -> None:
        """Fetch what is pending, summed over the ranks, and check that it is finite."""
        sums = torch.stack([entry[0] for entry in self.pending])
        if self.place.ranks > 1:
            torch.distributed.all_reduce(sums)
        norms = torch.stack([entry[2] for entry in self.pending])
        columns = torch.cat([sums, norms[:, None]], dim=1).cpu().tolist()
        now = time.monotonic()
        weights = [entry[1] for entry in self.pending]
        speed = sum(weights) / max(now - self.since, 1e-9)
        last = self.rows[-1] if self.rows else {"step": 0, "tokens": 0, "seconds": 0.0}
        step, tokens, seconds = int(last["step"]), float(last["tokens"]), float(last["seconds"])
        for values, weight, (*_, rate) in zip(columns, weights, self.pending, strict=True):
            step, tokens, seconds = step + 1, tokens + weight, seconds + weight / speed
            means = {n: v / weight for n, v in zip(self.measures, values[:-1], strict=True)}
            if not (math.isfinite(means["loss"]) and math.isfinite(values[-1])):
                raise ValueError(
                    f"{self.place.label}: the loss is {means['loss']} and the gradients' norm"
                    f" {values[-1]} at step {step}; try a lower learning_rate, a longer warmup"
                    " or a smaller clip"
                )
            self.rows.append(
                {
                    "step": step,
                    "tokens": round(tokens),
                    **means,
                    "learning_rate": rate,
                    "grad_norm": values[-1],
                    "tokens_per_second": speed,
                    "seconds": seconds,
                }
            )
        self.pending, self.since = [], now

    def latest(self) -> dict[str, float]:
        """The last update's measures and speed, for the progress line."""
        return {name: self.rows[-1][name] for name in [*self.measures, "tokens_per_second"]}

    def table(self) -> pa.Table:
        return pa.Table.from_pylist(self.rows, schema=self.schema)
