"""Optimisers: Muon's updates, which matrices get them, and its state in a checkpoint."""

import math
from pathlib import Path

import pytest
import torch
import training_job
from torch import nn

from slamflow.lm import architecture
from slamflow.tables import training as training_table
from slamflow.training import checkpoints, optimisers

TRAINING = {"optimiser": "muon", "learning_rate": 0.02, "muon_factor": 2.5, "weight_decay": 0.01}


class Small(nn.Module):
    """A model with an embedding and one layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(5, 16)
        self.body = nn.Module()
        self.body.layers = nn.ModuleList([nn.Linear(16, 32)])

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        return self.body.layers[0](self.table(index))


def update(model: nn.Module, optimiser: torch.optim.Optimizer, index: int) -> None:
    optimiser.zero_grad()
    model(torch.tensor([index % 5, (index + 1) % 5])).square().mean().backward()
    optimiser.step()


@pytest.mark.parametrize("shape", [(24, 24), (16, 48), (48, 16)])
@pytest.mark.parametrize("dtype, error", [(torch.float32, 1e-3), (torch.bfloat16, 0.1)])
def test_orthogonal_keeps_directions_and_levels_their_sizes(
    shape: tuple[int, int], dtype: torch.dtype, error: float
) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = optimisers.orthogonal(matrix, dtype)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ found @ right.T  # diagonal if the singular vectors are the same
    sizes = turned.diagonal()
    assert (found.shape, found.dtype) == (matrix.shape, matrix.dtype)
    assert ((sizes > 0.5) & (sizes < 1.5)).all()
    assert (turned - torch.diag(sizes)).abs().max() < error


def test_muon_takes_the_matrices_of_layers_and_adamw_the_rest() -> None:
    model = Small()
    optimiser = optimisers.build(model, TRAINING)
    layer, table = model.body.layers[0], model.table
    before = [p.detach().clone() for p in (layer.weight, layer.bias, table.weight)]
    update(model, optimiser, 0)
    states = [set(optimiser.state[p]) for p in (layer.weight, layer.bias, table.weight)]
    assert states[0] == {"step", "momentum"}
    assert states[1] == states[2] == {"step", "exp_avg", "exp_avg_sq"}
    moved = [
        (new - old).detach()
        for old, new in zip(before, (layer.weight, layer.bias, table.weight), strict=True)
    ]
    # AdamW's first update has the size of the learning rate; factors are the engine's
    assert moved[1].abs().max() == pytest.approx(0.02, rel=1e-3)
    spread = moved[0].square().mean().sqrt() / 0.02
    assert 0.02 < spread < 0.3  # 0.2, but the gradient of two rows has rank 2 of 16


@pytest.mark.parametrize("kind", ["qwen2", "gpt2", "falcon", "gpt_neox", "opt", "mpt"])
def test_muon_finds_the_layers_of_each_architecture(kind: str) -> None:
    """All matrices in them, whatever their list is named, but no table and no head."""
    without = {"kv_heads", *({"intermediate_size"} if kind in ("falcon", "mpt") else ())}
    init = {k: v for k, v in training_job.INIT.items() if k not in without}
    model = architecture.build({**init, "architecture": kind, "tie": kind == "mpt"}, 50, 64)
    optimiser = optimisers.build(model, TRAINING)
    (group,) = [group for group in optimiser.param_groups if group["muon"]]
    tables = {
        id(p)
        for module in (*model.modules(), model.get_output_embeddings())
        if isinstance(module, nn.Embedding) or module is model.get_output_embeddings()
        for p in module.parameters(recurse=False)
    }
    wanted = {id(p) for p in model.parameters() if p.ndim == 2} - tables
    assert {id(p) for p in group["params"]} == wanted and len(wanted) >= 8


def test_muon_without_layers_is_refused() -> None:
    with pytest.raises(ValueError, match="muon finds no matrices of layers in Linear"):
        optimisers.build(nn.Linear(3, 2), TRAINING)
    adamw = {**TRAINING, "optimiser": "adamw"}
    assert len(optimisers.build(nn.Linear(3, 2), adamw).param_groups) == 2


def test_ranks_share_the_work_and_all_get_the_same(tmp_path: Path) -> None:
    model = Small()
    optimiser = optimisers.build(model, TRAINING)
    for index in range(3):
        update(model, optimiser, index)
    torch.multiprocessing.spawn(in_a_rank, args=(tmp_path,), nprocs=2)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert all(torch.equal(tensor, found[name]) for name, tensor in model.state_dict().items())


def in_a_rank(rank: int, folder: Path) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    model = Small()
    optimiser = optimisers.build(model, TRAINING)
    for index in range(3):
        update(model, optimiser, index)
    torch.save(model.state_dict(), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_muon_goes_on_from_a_checkpoint_bit_for_bit(tmp_path: Path) -> None:
    log = training_table.schema(("loss",)).empty_table()
    model = Small()
    optimiser = optimisers.build(model, TRAINING)
    for index in range(3):
        update(model, optimiser, index)
    checkpoints.save(tmp_path, model, optimisers.state(optimiser), log)
    resumed = Small()
    other = optimisers.build(resumed, TRAINING)
    optimisers.restore(other, checkpoints.load(tmp_path, resumed, ("loss",))[0])
    for index in range(3, 6):
        update(model, optimiser, index)
        update(resumed, other, index)
    pairs = zip(model.parameters(), resumed.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_ademamix_is_the_papers_formula() -> None:
    """Algorithm 1 of arXiv 2409.03137, with both schedules over all steps, in float64."""
    beta1, beta2, beta3, alpha, decay, steps = 0.9, 0.99, 0.999, 4.0, 0.1, 8
    training = {"optimiser": "ademamix", "learning_rate": 0.02, "betas": [beta1, beta2]}
    training |= {"slow_beta": beta3, "slow_weight": alpha, "weight_decay": decay}
    model = nn.Linear(3, 2, bias=False).double()
    optimiser = optimisers.build(model, training)
    theta = model.weight.detach().clone()
    fast, square, slow = (torch.zeros_like(theta) for _ in range(3))
    for step in range(steps):
        rate = 0.02 / (step + 1)
        model.weight.grad = torch.randn(2, 3, dtype=torch.float64)
        gradient = model.weight.grad.clone()
        t = step + 1
        weight = min(t * alpha / steps, alpha)
        log1, log3 = math.log(beta1), math.log(beta3)
        part = t / steps
        wanted = min(math.exp(log1 * log3 / ((1 - part) * log3 + part * log1)), beta3)
        fast = beta1 * fast + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        slow = wanted * slow + (1 - wanted) * gradient
        corrected = fast / (1 - beta1**t), square / (1 - beta2**t)
        update = (corrected[0] + weight * slow) / (corrected[1].sqrt() + 1e-8)
        theta = theta - rate * (update + decay * theta)
        if step == 4:  # a restart: it goes on from the state of its parameters
            kept = optimisers.state(optimiser)
            optimiser = optimisers.build(model, training)
            optimisers.restore(optimiser, kept)
        optimisers.prepare(optimiser, rate, step, steps)
        optimiser.step()
        torch.testing.assert_close(model.weight.detach(), theta, rtol=1e-9, atol=1e-12)


def test_unknown_optimiser() -> None:
    with pytest.raises(ValueError, match="there are adamw, muon and ademamix"):
        optimisers.build(Small(), {"optimiser": "sgd", "learning_rate": 1.0})
