"""ZeRO on CPU ranks: it shares the state, changes no result, and goes on after a kill."""

import functools
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import training_job
from safetensors.numpy import load_file
from test_training import PRETRAIN, assert_equal, children, newest, wait_for

from slamflow.lm import architecture
from slamflow.training import launcher

RANKS = {"ranks": 2, "threads": 2, "micro_batch": 1}  # two micro-batches a rank and step
VOCABULARY = training_job.CLUSTERS + 2
STAGES = pytest.mark.parametrize("stage", [pytest.param(1, marks=pytest.mark.slow), 2])


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_job.write_packed(tmp_path_factory.mktemp("packed"), 80)


@pytest.fixture(scope="module")
def unbroken(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Gives the folder of a job of two ranks at a stage."""

    @functools.cache
    def made(stage: int) -> Path:
        folder = tmp_path_factory.mktemp(f"zero{stage}")
        training_job.run(PRETRAIN, folder, RANKS, config=config(stage), packed=packed)
        return folder

    return made


def config(stage: int) -> dict[str, Any]:
    training = {**training_job.TRAINING, "weight_decay": 0.1, "zero": stage}
    return {"init": training_job.INIT, "training": training}


def weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "model" / "model.safetensors")


def assert_close(found: Path, expected: Path) -> None:
    """Up to the order of sums in float32; differences of 1e-6 were seen."""
    theirs = weights(expected)
    for name, tensor in weights(found).items():
        np.testing.assert_allclose(tensor, theirs[name], atol=1e-4, err_msg=name)
    logs = [pq.read_table(folder / "model" / "training.parquet") for folder in (found, expected)]
    for column in ("loss", "grad_norm", "tokens"):
        np.testing.assert_allclose(logs[0][column], logs[1][column], rtol=1e-4)


@STAGES
def test_zero_changes_no_result(stage: int, unbroken: Callable[[int], Path]) -> None:
    assert_close(unbroken(stage), unbroken(0))


@STAGES
def test_killed_and_resumed(
    stage: int, unbroken: Callable[[int], Path], packed: Path, tmp_path: Path
) -> None:
    """With as many ranks bit for bit as unbroken, with another number of them nearly."""
    often = {**RANKS, "checkpoint_steps": 4}
    job = training_job.start(PRETRAIN, tmp_path / "2", often, config=config(stage), packed=packed)
    checkpoints = tmp_path / "2" / "state" / "checkpoints"
    wait_for(lambda: newest(checkpoints) > 4, job)
    os.kill(children(children(job.pid)[0])[1], signal.SIGKILL)  # the second rank
    assert job.wait() != 0
    assert newest(checkpoints) < 30 and not (tmp_path / "2" / "model").exists()
    shutil.copytree(tmp_path / "2", tmp_path / "3")
    for ranks in (2, 3):
        folder = tmp_path / str(ranks)
        machine = {**RANKS, "ranks": ranks}
        training_job.run(PRETRAIN, folder, machine, config=config(stage), packed=packed)
        assert "goes on after step" in (folder / "log.txt").read_text()
    assert_equal(weights(tmp_path / "2"), weights(unbroken(stage)))
    assert_close(tmp_path / "3", unbroken(stage))


def test_each_rank_holds_its_part(tmp_path: Path) -> None:
    port = launcher.free_port()
    torch.multiprocessing.spawn(_measure, (port, tmp_path), nprocs=2)
    whole = sum(p.numel() for p in _model().parameters())
    for rank in range(2):
        states, gradients, norms, sums = np.loadtxt(tmp_path / f"{rank}.txt")
        assert states / whole == pytest.approx([1, 0.5, 0.5], rel=0.01)
        assert gradients[:2] / whole == pytest.approx([1, 1]) and gradients[2] < 0.1 * whole
        assert norms == pytest.approx([norms[0]] * 3, rel=1e-5)
        assert sums == pytest.approx([sums[0]] * 3, rel=1e-5)


def _model() -> torch.nn.Module:
    return architecture.build(training_job.INIT, VOCABULARY, 64)


def _measure(rank: int, port: int, folder: Path) -> None:
    """What a rank has at each stage, after three updates of two micro-batches.

    Elements of the optimiser's first moments, and of gradients before a step's last sum; the
    gradients' norm; the weights' absolute sum.
    """
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "DS_ACCELERATOR": "cpu"}
    from slamflow.training.engine import Engine

    found = []
    for stage in (0, 1, 2):
        engine = Engine(_model(), config(stage)["training"], "cpu")
        for step in range(3):
            for last in (False, True):
                tokens = torch.arange(20)[None] * (rank + 1) % VOCABULARY
                engine.backward(engine.model(tokens).logits.square().mean(), last)
                if not last:
                    grown = [p.grad.numel() for p in engine.parameters if p.grad is not None]
            norm = engine.step(1e-3, step, 30)
        moments = [state["exp_avg"].numel() for state in engine.optimiser.state.values()]
        weights = sum(p.detach().double().abs().sum().item() for p in engine.parameters)
        found.append([sum(moments), sum(grown), norm.item(), weights])
    np.savetxt(folder / f"{rank}.txt", np.transpose(found))
    engine.close()
