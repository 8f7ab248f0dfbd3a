"""The training loop of every model here: HuBERT, language models, preferences.

A task says what a step's micro-batches are and what their loss is. The loop divides by the weight
of the whole global batch, so the loss is the mean over all its tokens exactly, however it is cut
into micro-batches and over ranks. Every random number is drawn from the seed, the step and the
micro-batch, so a run that was killed and resumed ends in the same weights bit for bit.
"""

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import torch

from slamflow import logs, runstate
from slamflow.training import budget, checkpoints, compiling, measuring, peaks, schedules, stopping
from slamflow.training.board import Board
from slamflow.training.engine import Engine
from slamflow.training.history import WINDOW, Failed, History
from slamflow.training.rank import Place
from slamflow.training.task import Task

LOG_STEPS = WINDOW  # updates between two looks at the device's numbers, at most
LOOK_SECONDS = 5.0  # where updates are slow: time between two looks, for a job that is to stop


def train(task: Task, training: Mapping[str, Any], place: Place, state: runstate.Follow) -> None:
    """Train `task.model` and have rank 0 export it; or stop with a checkpoint, if asked to.

    Args:
        training: `budget`, `seed`, `validation_steps`, and what optimisers, schedules and the
            engine take.
        place: this rank, and the machine settings `checkpoint_minutes` (2), `checkpoint_steps`
            (none: also checkpoints at multiples of these steps), `compile`, `tensorboard`.
        state: takes the checkpoints.

    Raises:
        ValueError: the loss is not finite, what is watched diverges, or the task cannot count its
            budget.
    """
    started = time.perf_counter()
    engine = Engine(task.model, training, place.device)
    watched = str(getattr(task, "watched", "loss"))
    history = History(task.measures, place, peaks.products(place.device, engine.dtype), watched)
    if place.checkpoint:
        kept, log = checkpoints.load(place.checkpoint, engine.module, task.measures)
        engine.restore(kept)
        history.restore(log)
    static = bool(getattr(task, "static_shapes", False))
    compiling.apply(engine.module, place.machine, place.device, static)
    if not history.budget:
        history.budget = _budget(task, training, engine, history, place, state)
        if "hours" in history.budget:  # a run that is killed from now on does not measure again
            _save(engine, history, place, state)
    steps = int(history.budget["steps"])
    if place.checkpoint:
        logs.info(f"goes on after step {history.step} of {steps}")
    logs.info(f"ready to train on {place.device} after {time.perf_counter() - started:.1f} s")
    try:
        whole = _steps(task, {**training, "steps": steps}, engine, history, place, state)
    except Failed as failure:
        raise ValueError(_advice(failure, task, training, place, state)) from failure
    if place.rank == 0 and not whole:
        stopping.answer(state.folder, history.step, steps)
    elif place.rank == 0:
        state.check()
        task.export(engine.module.eval(), history.table())
    engine.close()


def _steps(
    task: Task,
    training: Mapping[str, Any],
    engine: Engine,
    history: History,
    place: Place,
    state: runstate.Follow,
) -> bool:
    """Make the updates that are left; False if it was stopped before the last one."""
    steps, validation = int(training["steps"]), int(training.get("validation_steps") or 0)
    every = int(place.machine.get("checkpoint_steps") or 0)
    least = seconds_between = 60 * float(place.machine.get("checkpoint_minutes") or 2)
    shown = place.rank == 0 and bool(place.machine.get("tensorboard"))
    board = Board(state.folder / "tensorboard" if shown else None, history.step)
    progress = logs.Progress(place.label, steps, "steps", done=history.step)
    flops = getattr(task, "flops", None) if history.peak else None
    saved, looked, look = time.monotonic(), history.step, 1
    history.start()
    for step in range(history.step, steps):
        rate, weight = schedules.learning_rate(step, training), task.weight(step)
        sums = _gradients(task, engine, step, weight, int(training.get("seed", 0)), place)
        norm = engine.step(rate, step, steps)
        history.add(sums, weight, norm, rate, flops(step) if flops else 0.0)
        done, last = step + 1, step + 1 == steps
        save = last or (bool(every) and done % every == 0)
        validate = last or (bool(validation) and done % validation == 0)
        if not (save or validate or done - looked >= look):
            continue
        pace = history.flush()
        if validate and place.rank == 0 and (losses := _validate(task, engine)):
            history.validated(losses)
            history.aside()
        save |= time.monotonic() - saved > seconds_between
        stop = place.rank == 0 and not last and stopping.asked(state.folder)
        look = max(1, min(LOG_STEPS, int(LOOK_SECONDS / pace)))
        saves, stops, look = measuring.agreed([save or stop, stop, look], place)
        looked = done
        if saves:
            began = time.monotonic()
            _save(engine, history, place, state)
            saved = time.monotonic()
            seconds_between = max(least, (saved - began) / budget.CHECKPOINTS)
            history.aside()
        board.write(history.rows)
        progress.update(done, **history.latest())
        if stops:
            return False
    return True


def _save(engine: Engine, history: History, place: Place, state: runstate.Follow) -> None:
    """Write a checkpoint of what is in the log; all ranks call this together."""
    kept = engine.state()
    if place.rank == 0:
        with state.checkpoint_folder(history.step) as folder:
            checkpoints.save(folder, engine.module, kept, history.table())


def _gradients(
    task: Task, engine: Engine, step: int, weight: float, seed: int, place: Place
) -> torch.Tensor:
    """The gradients of a step, in the engine; returns this rank's sums of the measures, float64."""
    micro_batches = list(enumerate(task.micro_batches(step)))
    rounds = -(-len(micro_batches) // place.ranks)
    own = micro_batches[place.rank :: place.ranks]
    sums = torch.zeros(len(task.measures), dtype=torch.float64, device=place.device)
    for number, (index, micro_batch) in enumerate(own, 1):
        torch.manual_seed(_seed(seed, step, index))
        measured = task.forward(engine.model, micro_batch)
        engine.backward(measured["loss"] / weight, last=number == rounds)
        sums += torch.stack([measured[name].detach().double() for name in task.measures])
    if len(own) < rounds:
        # what another rank computes, for nothing: ZeRO sums gradients in the order of the backward
        # pass, which must be the same on all ranks
        measured = task.forward(engine.model, micro_batches[0][1])
        engine.backward(measured["loss"] * 0.0, last=True)
    return sums


def _seed(seed: int, step: int, index: int) -> int:
    digest = hashlib.sha256(f"{seed} {step} {index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _budget(
    task: Task,
    training: Mapping[str, Any],
    engine: Engine,
    history: History,
    place: Place,
    state: runstate.Follow,
) -> dict[str, Any]:
    """The budget with its steps; see `tables.training`."""
    kind, amount = budget.asked(training)
    if kind == "steps":
        return {"steps": int(amount)}
    if kind == "tokens":
        tokens = getattr(task, "step_tokens", None)
        if not tokens:
            raise ValueError(f"{place.label}: budget: counts no tokens; give steps or hours")
        return {"tokens": int(amount), "steps": budget.of_tokens(amount, tokens)}

    def update(step: int) -> torch.Tensor:
        _gradients(task, engine, step, task.weight(step), int(training.get("seed", 0)), place)
        return engine.step(0.0, step, step + 1)

    validate = (lambda: _validate(task, engine)) if hasattr(task, "validate") else None
    steps, seconds = measuring.steps(
        amount, update, validate, training, engine, history, place, state
    )
    return {"hours": amount, "steps": steps, "measured": seconds}


def _validate(task: Task, engine: Engine) -> dict[str, float]:
    """The task's held-out losses."""
    look = getattr(task, "validate", None)
    if look is None:
        return {}
    engine.module.eval()
    with compiling.eager(engine.module):
        found: dict[str, float] = look(engine.module)
    engine.module.train()
    return found


def _advice(
    failure: Failed,
    task: Task,
    training: Mapping[str, Any],
    place: Place,
    state: runstate.Follow,
) -> str:
    name = getattr(task, "name", None)
    held = (
        f" ({_short(', '.join(map(name, task.micro_batches(failure.step - 1))))})" if name else ""
    )
    latest = state.latest()
    kept = f"the last good checkpoint is {latest[1]}" if latest else "there is no checkpoint yet"
    tried = "a lower learning_rate" + (
        ", a longer warmup or a smaller clip" if training.get("clip") else " or a longer warmup"
    )
    return f"{place.label}: {failure}{held}; {kept}; try {tried}"


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:120]}…"
