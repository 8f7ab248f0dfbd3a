"""What the rules ask of the machine."""

import json
from pathlib import Path
from types import SimpleNamespace

from slamflow.config.load import load
from slamflow.config.plan import Plan

ROOT = Path(__file__).parents[2]


def plan(device: str, ranks: int | None = None) -> Plan:
    training = {} if ranks is None else {"ranks": ranks}
    overrides = {"recipe": "pocket", "device": device, "models": {"slm": {"training": training}}}
    return Plan(load(ROOT, overrides), ROOT)


def test_a_job_asks_for_as_many_gpus_as_it_has_ranks() -> None:
    slm = SimpleNamespace(model="slm")
    assert plan("cpu", 4).gpus("models")(slm) == 0
    assert plan("cuda").gpus("models")(slm) == 1
    assert plan("cuda", 4).gpus("models")(slm) == 4
    assert plan("cuda", 4).gpus()(slm) == 1


def test_training_has_as_many_ranks_as_gpus_were_granted() -> None:
    """Snakemake caps what a rule asks for by what the profile lends."""
    slm = SimpleNamespace(model="slm")
    settings = plan("cuda", 4).machine("models", "training")
    assert json.loads(settings(slm, 2, SimpleNamespace(gpu=2)))["ranks"] == 2
    settings = plan("cpu", 4).machine("models", "training")
    assert json.loads(settings(slm, 2, SimpleNamespace(gpu=0)))["ranks"] == 4
