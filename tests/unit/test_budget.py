"""Budgets in steps, tokens and hours, on real launches."""

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import training_job
from safetensors.numpy import load_file

from slamflow.tables import training as training_table
from slamflow.training import budget, history, schedules

PRETRAIN = "slamflow.lm.pretraining:pretrain"
TRAINING = {**training_job.TRAINING, "decay": 0.2, "schedule": "wsd"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_job.write_packed(tmp_path_factory.mktemp("packed"), 80, held_out=0.1)


def config(**asked: float) -> dict[str, Any]:
    return {"init": training_job.INIT, "training": {**TRAINING, "budget": asked}}


def read(folder: Path) -> tuple[pa.Table, dict[str, Any], dict[str, np.ndarray]]:
    """The log, what it says of the budget, and the weights."""
    log = pq.read_table(folder / "model" / "training.parquet")
    return log, history.budget_of(log), load_file(folder / "model" / "model.safetensors")


@pytest.mark.parametrize("given", [{}, {"steps": 3, "hours": 1.0}, {"epochs": 2}, {"steps": None}])
def test_one_kind_of_budget(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs one of steps, tokens and hours"):
        budget.asked({"budget": given})
    assert budget.asked({"budget": {"steps": 0, "tokens": None}}) == ("steps", 0)


def test_steps_fill_the_time_with_what_comes_between_them() -> None:
    plain = budget.Pace(0.1, 0.0, 2.0, 0, 0.0, 0)
    assert plain.steps(100.05) == 1000
    # 2 s of validation each 10 steps, a checkpoint of 1 s each minute; at the end both, and export
    busy = budget.Pace(0.1, 1.0, 1.0, 0, 2.0, 10)
    steps = busy.steps(3600)
    training = steps * 0.1 + steps // 10 * 2.0
    assert training + training / 60 * 1 + 2 + 2 == pytest.approx(3600, abs=3)
    # one of 6 s each five minutes, which is 2 %
    steps = budget.Pace(0.1, 6.0, 1.0, 0, 2.0, 10).steps(3600)
    training = steps * 0.1 + steps // 10 * 2.0
    assert training + training / 300 * 6 + 2 + 12 == pytest.approx(3600, abs=3)
    assert plain.steps(-5) == 1


def test_some_of_the_hours_is_kept_in_reserve() -> None:
    """A day of steps that take 1 % longer than those at its beginning does not end after it."""
    day = 24 * 3600
    steps = budget.Pace(0.5, 0.0, 2.0, 0, 0.0, 0).steps(budget.left(24.0, spent=600.0))
    assert 0.98 * day < 600 + 0.505 * steps <= day


def test_killed_before_the_first_step_does_not_measure_again(packed: Path, tmp_path: Path) -> None:
    given = config(hours=24 / 3600)
    machine = {"checkpoint_minutes": 60}  # no checkpoint but at the end
    job = training_job.start(PRETRAIN, tmp_path, machine, config=given, packed=packed)
    path = tmp_path / "log.txt"
    while "ready to train" not in (path.read_text() if path.exists() else ""):
        assert job.poll() is None, job.communicate()[1]
        time.sleep(0.005)
    os.kill(job.pid, signal.SIGKILL)
    job.communicate()
    (said,) = re.findall(r"budget of .* h: (\d+) steps", path.read_text())
    training_job.run(PRETRAIN, tmp_path, machine, config=given, packed=packed)
    log, asked, _ = read(tmp_path)
    assert log.num_rows == asked["steps"] == int(said)
    assert path.read_text().count("budget of") == 1


def test_tokens_are_whole_steps(packed: Path, tmp_path: Path) -> None:
    """256 tokens a step: 1,200 are five."""
    training_job.run(PRETRAIN, tmp_path, {}, config=config(tokens=1200), packed=packed)
    log, asked, _ = read(tmp_path)
    assert asked == {"tokens": 1200, "steps": 5} and log.num_rows == 5


@pytest.mark.slow  # and alone: a second worker takes time from the one that measured its speed
def test_hours_are_kept(packed: Path, tmp_path: Path) -> None:
    seconds = 16.0
    start = time.monotonic()
    training_job.run(PRETRAIN, tmp_path, {}, config=config(hours=seconds / 3600), packed=packed)
    assert time.monotonic() - start == pytest.approx(seconds, rel=0.2)
    assert read(tmp_path)[0]["seconds"][-1].as_py() < seconds


def test_schedule_and_hours_end_together(packed: Path, tmp_path: Path) -> None:
    given = config(hours=20 / 3600)
    training_job.run(PRETRAIN, tmp_path, {}, config=given, packed=packed)
    log, asked, _ = read(tmp_path)
    assert asked["steps"] == log.num_rows > 50
    rates = [schedules.learning_rate(i, {**TRAINING, **asked}) for i in range(log.num_rows)]
    assert log["learning_rate"].to_pylist() == rates
    assert rates[-1] == pytest.approx(TRAINING["floor"] * TRAINING["learning_rate"])
    card = (tmp_path / "model" / "card.md").read_text()
    assert f"| updates | {log.num_rows:,} |" in card and "hours asked for" in card


def test_killed_and_resumed_keeps_its_steps(packed: Path, tmp_path: Path) -> None:
    """It ends in the weights of a run that was told this number of steps and never measured."""
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    given = config(hours=20 / 3600)
    job = training_job.start(
        PRETRAIN, broken, {"checkpoint_steps": 20}, config=given, packed=packed
    )
    checkpoints = broken / "state" / "checkpoints"
    while not (found := sorted(checkpoints.glob("[0-9]*/training.parquet"))):
        assert job.poll() is None, job.communicate()[1]
        time.sleep(0.005)
    os.kill(job.pid, signal.SIGKILL)
    job.communicate()
    before = history.budget_of(pq.read_table(found[0]))
    training_job.run(PRETRAIN, broken, {}, config=given, packed=packed)
    assert "goes on after step" in (broken / "log.txt").read_text()
    log, asked, weights = read(broken)
    assert asked == before and log.num_rows == asked["steps"]
    training_job.run(PRETRAIN, whole, {}, config=config(steps=asked["steps"]), packed=packed)
    other, _, expected = read(whole)
    assert log["loss"] == other["loss"]
    for name, tensor in weights.items():
        np.testing.assert_array_equal(tensor, expected[name], err_msg=name)


def test_a_log_without_a_budget() -> None:
    table = training_table.schema(("loss",)).empty_table()
    assert history.budget_of(table) == {}
    said = json.dumps({"steps": 3})
    table = training_table.schema(("loss",), {training_table.BUDGET: said}).empty_table()
    assert history.budget_of(table) == {"steps": 3}
