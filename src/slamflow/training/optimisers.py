"""Optimisers by name."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic
ITERATIONS = 5  # of it
LAYER = re.compile(r"\.\d+\.")  # in a parameter's name: in a list of layers, whatever its name is


def build(
    model: torch.nn.Module, training: Mapping[str, Any], dtype: torch.dtype = torch.float32
) -> torch.optim.Optimizer:
    """AdamW in torch's fused form; Muon for the matrices of the layers and AdamW for the rest; or
    AdEMAMix (Pagliardini and others 2024, arXiv 2409.03137) from pytorch_optimizer.

    Weight decay applies to matrices only: not to biases and the gains of norms. A group's
    `factor` multiplies the schedule's learning rate.

    Args:
        training: `optimiser` (adamw, muon or ademamix; default adamw), `learning_rate`, `betas`,
            `eps`, `weight_decay`, `muon_factor`, and of AdEMAMix `slow_beta` and `slow_weight`
            (its beta3 and alpha, which grow over all steps as in the paper).
        dtype: of Muon's matrix products.

    Raises:
        ValueError: an unknown optimiser, or Muon for a model that has no list of layers.
    """
    name = training.get("optimiser", "adamw")
    if name not in ("adamw", "muon", "ademamix"):
        raise ValueError(f"optimiser: {name!r} is unknown; there are adamw, muon and ademamix")
    decay = float(training.get("weight_decay", 0.0))
    hidden: list[torch.Tensor] = []
    matrices: list[torch.Tensor] = []
    vectors: list[torch.Tensor] = []
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name == "muon" and LAYER.search(key) and parameter.ndim == 2:
            hidden.append(parameter)
        else:
            (matrices if parameter.ndim >= 2 else vectors).append(parameter)
    if name == "muon" and not hidden:
        raise ValueError(
            f"optimiser: muon finds no matrices of layers in {type(model).__name__}; choose adamw"
        )
    factor = float(training.get("muon_factor", 1.0))
    groups = [
        {"params": matrices, "weight_decay": decay, "factor": 1.0, "muon": False},
        {"params": vectors, "weight_decay": 0.0, "factor": 1.0, "muon": False},
        {"params": hidden, "weight_decay": decay, "factor": factor, "muon": True},
    ]
    beta1, beta2 = map(float, training.get("betas", (0.9, 0.999)))
    found = [group for group in groups if group["params"]]
    common: dict[str, Any] = {
        "lr": float(training["learning_rate"]),
        "eps": float(training.get("eps", 1e-8)),
    }
    if name == "ademamix":
        from pytorch_optimizer import AdEMAMix  # a second, which other runs need not wait for

        betas = (beta1, beta2, float(training.get("slow_beta", 0.9999)))
        alpha = float(training.get("slow_weight", 5.0))
        return AdEMAMix(found, betas=betas, alpha=alpha, weight_decouple=True, **common)
    kind = functools.partial(MuonAndAdamW, dtype) if name == "muon" else torch.optim.AdamW
    return kind(found, betas=(beta1, beta2), fused=True, **common)


def prepare(optimiser: torch.optim.Optimizer, learning_rate: float, step: int, steps: int) -> None:
    """Set what update `step` (from 0) of `steps` depends on, so that nobody need remember it."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["factor"]
        if "t_alpha_beta3" in group:  # of AdEMAMix, which counts its updates in the group
            group.update(step=step, t_alpha_beta3=steps)


def state(optimiser: torch.optim.Optimizer) -> dict[int, dict[str, torch.Tensor]]:
    """The state of each parameter, in the order of the groups."""
    return dict(optimiser.state_dict()["state"])


def restore(
    optimiser: torch.optim.Optimizer, state: Mapping[int, Mapping[str, torch.Tensor]]
) -> None:
    """Take what `state` has returned."""
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": dict(state), "param_groups": groups})


class MuonAndAdamW(torch.optim.AdamW):
    """Muon (Jordan and others 2024) for groups with `muon`, AdamW for the others.

    Muon's update is Nesterov momentum 0.95, made orthogonal, times 0.2 √(larger side), so that its
    entries are as large as AdamW's (Liu and others 2025, arXiv 2502.16982).
    """

    momentum = 0.95

    def __init__(self, dtype: torch.dtype, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update."""
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["muon"]]
        try:
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group["muon"]:
                self._update([p for p in group["params"] if p.grad is not None], group)
        return loss

    def _update(self, parameters: Sequence[torch.Tensor], group: Mapping[str, Any]) -> None:
        rate, decay = group["lr"], group["weight_decay"]
        wanted = []
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros(())  # not used, but AdamW looks for it in each state
                state["momentum"] = torch.zeros_like(parameter)
            gradient = parameter.grad
            assert gradient is not None
            momentum = state["momentum"].lerp_(gradient, 1 - self.momentum)
            wanted.append(gradient.lerp(momentum, self.momentum))
        for parameter, update in zip(parameters, _all_orthogonal(wanted, self.dtype), strict=True):
            parameter.mul_(1 - rate * decay)
            parameter.add_(update, alpha=-rate * 0.2 * max(parameter.shape) ** 0.5)


def _all_orthogonal(matrices: Sequence[torch.Tensor], dtype: torch.dtype) -> list[torch.Tensor]:
    """Each of `matrices` made orthogonal, in `dtype`; each rank computes its share of them."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for index, matrix in enumerate(matrices):
        sizes.setdefault(tuple(sorted(matrix.shape)), []).append(index)
    shared = torch.distributed.is_available() and torch.distributed.is_initialized()
    rank = torch.distributed.get_rank() if shared else 0
    ranks = torch.distributed.get_world_size() if shared else 1
    found = [torch.zeros_like(matrix, dtype=dtype) for matrix in matrices]
    for (rows, _), indices in sizes.items():
        if own := indices[rank::ranks]:
            wide = [matrices[i] if matrices[i].shape[0] == rows else matrices[i].T for i in own]
            made = orthogonal(torch.stack(wide).to(dtype), dtype)
            for i, update in zip(own, made, strict=True):
                found[i] = update if matrices[i].shape[0] == rows else update.T
    if ranks == 1:
        return found
    together = torch.cat([matrix.flatten() for matrix in found])
    torch.distributed.all_reduce(together)  # exact: all ranks but one have zeros
    parts = together.split([matrix.numel() for matrix in found])
    return [part.view_as(matrix) for part, matrix in zip(parts, matrices, strict=True)]


def orthogonal(matrices: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Matrices with all singular values near 1, by Newton–Schulz iterations.

    Args:
        matrices: [rows, columns] or [matrices, rows, columns].
        dtype: in which they are computed; they are returned in their own.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrices if matrices.shape[-2] <= matrices.shape[-1] else matrices.mT
    found = wide.to(dtype).reshape(-1, *wide.shape[-2:])
    found = found / (torch.linalg.vector_norm(found, dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = found @ found.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        found = torch.baddbmm(found, polynomial, found, beta=a)
    return (found if wide is matrices else found.mT).reshape(matrices.shape).to(matrices.dtype)
