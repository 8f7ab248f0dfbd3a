"""Optimisers by name."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic
ITERATIONS = 5  # of it


def build(
    model: torch.nn.Module, training: Mapping[str, Any], dtype: torch.dtype = torch.float32
) -> torch.optim.Optimizer:
    """AdamW in torch's fused form, or Muon for the matrices of the layers and AdamW for the rest.

    Weight decay applies to matrices only: not to biases and the gains of norms. A group's
    `factor` multiplies the schedule's learning rate.

    Args:
        training: `optimiser` (adamw or muon; default adamw), `learning_rate`, `betas`, `eps`,
            `weight_decay`, `muon_factor`.
        dtype: of Muon's matrix products.

    Raises:
        ValueError: an unknown optimiser.
    """
    name = training.get("optimiser", "adamw")
    if name not in ("adamw", "muon"):
        raise ValueError(f"optimiser: {name!r} is unknown; there are adamw and muon")
    decay = float(training.get("weight_decay", 0.0))
    hidden: list[torch.Tensor] = []
    matrices: list[torch.Tensor] = []
    vectors: list[torch.Tensor] = []
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name == "muon" and ".layers." in key and parameter.ndim == 2:
            hidden.append(parameter)
        else:
            (matrices if parameter.ndim >= 2 else vectors).append(parameter)
    factor = float(training.get("muon_factor", 1.0))
    groups = [
        {"params": matrices, "weight_decay": decay, "factor": 1.0, "muon": False},
        {"params": vectors, "weight_decay": 0.0, "factor": 1.0, "muon": False},
        {"params": hidden, "weight_decay": decay, "factor": factor, "muon": True},
    ]
    beta1, beta2 = training.get("betas", (0.9, 0.999))
    found = [group for group in groups if group["params"]]
    kind = functools.partial(MuonAndAdamW, dtype) if name == "muon" else torch.optim.AdamW
    return kind(
        found,
        lr=float(training["learning_rate"]),
        betas=(float(beta1), float(beta2)),
        eps=float(training.get("eps", 1e-8)),
        fused=True,
    )


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
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._update(parameter, parameter.grad, group["lr"], group["weight_decay"])
        return loss

    def _update(
        self, parameter: torch.Tensor, gradient: torch.Tensor, rate: float, decay: float
    ) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())  # not used, but AdamW looks for it in each state
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"].lerp_(gradient, 1 - self.momentum)
        update = orthogonal(gradient.lerp(momentum, self.momentum), self.dtype)
        parameter.mul_(1 - rate * decay)
        parameter.add_(update, alpha=-rate * 0.2 * max(parameter.shape) ** 0.5)


def orthogonal(matrix: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`matrix` with all singular values near 1, by Newton–Schulz iterations computed in `dtype`."""
    a, b, c = NEWTON_SCHULZ
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    found = wide.to(dtype)
    found = found / (found.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return (found if wide is matrix else found.T).to(matrix.dtype)
