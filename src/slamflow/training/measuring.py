"""How many steps fit into hours, measured before the first update."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from slamflow import folders, logs, runstate
from slamflow.training import budget, checkpoints, device
from slamflow.training.engine import Engine
from slamflow.training.history import History
from slamflow.training.rank import Place

WARM_UP = 3  # updates that are not timed: first calls compile and allocate
LEAST = 5  # updates that are timed, at least
SHARE, MOST = 0.02, 60.0  # of the hours, and seconds, that timing goes on for


def steps(
    hours: float,
    update: Callable[[int], torch.Tensor],
    validate: Callable[[], Any] | None,
    training: Mapping[str, Any],
    engine: Engine,
    history: History,
    place: Place,
    state: runstate.Follow,
) -> tuple[int, float]:
    """The steps that end with the budget, and the seconds of one; the same on all ranks.

    Updates on the first real batches are timed with a learning rate of 0, which leaves the weights
    as they are, and then the optimiser forgets them: what follows is as if nothing had been.

    Args:
        hours: wall time since the job began.
        update: makes update `step` and returns the gradients' norm.
        validate: a look at held-out data, if there is one; rank 0 takes it.
    """
    begun = time.monotonic()
    for step in range(WARM_UP):
        update(step)
    device.synchronise(place.device)
    start, done, going = time.monotonic(), 0, 1
    while going:
        for _ in range(LEAST):
            update(WARM_UP + done)
            done += 1
        device.synchronise(place.device)
        elapsed = time.monotonic() - start
        (going,) = agreed([elapsed < min(SHARE * hours * 3600, MOST)], place)
    pace = budget.Pace(
        step=elapsed / done,
        checkpoint=_seconds(lambda: _save(engine, history, place, state.folder / ".measured.tmp")),
        checkpoint_minutes=float(place.machine.get("checkpoint_minutes") or 2),
        checkpoint_steps=int(place.machine.get("checkpoint_steps") or 0),
        validation=_seconds(validate) if validate and place.rank == 0 else 0.0,
        validation_steps=int(training.get("validation_steps") or 0),
    )
    engine.forget()
    # what has been measured is kept in one more checkpoint
    left = budget.left(hours, time.monotonic() - place.started) - pace.checkpoint
    if left < 0 and place.rank == 0:
        logs.say(f"{place.label}: the budget of {hours:g} h is spent before the first step")
    chosen = pace.steps(left)
    said = torch.tensor([chosen, pace.step], dtype=torch.float64, device=place.device)
    if place.ranks > 1:
        torch.distributed.broadcast(said, 0)
    found = int(said[0]), float(said[1])
    logs.info(
        f"budget of {hours:g} h: {found[0]} steps of {found[1]:.4g} s, measured over {done} in"
        f" {time.monotonic() - begun:.1f} s; a checkpoint takes {pace.checkpoint:.2g} s,"
        f" validation {pace.validation:.2g} s"
    )
    return found


def agreed(values: Sequence[int], place: Place) -> list[int]:
    """What rank 0 says; all ranks call this together."""
    if place.ranks == 1:
        return list(values)
    said = torch.tensor(values, device=place.device)
    torch.distributed.broadcast(said, 0)
    return [int(value) for value in said.tolist()]


def _seconds(call: Callable[[], Any]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def _save(engine: Engine, history: History, place: Place, folder: Path) -> None:
    state = engine.state()
    if place.rank == 0:
        folders.remove(folder)
        folder.mkdir()
        checkpoints.save(folder, engine.module, state, history.table())
        folders.sync(folder)
        folders.remove(folder)
