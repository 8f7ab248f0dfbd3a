"""Optimisers by name."""

from collections.abc import Mapping
from typing import Any

import torch


def build(model: torch.nn.Module, training: Mapping[str, Any]) -> torch.optim.Optimizer:
    """AdamW in torch's fused form, which needs no compiler.

    Weight decay applies to matrices only: not to biases and the gains of norms.

    Args:
        training: `optimiser` (adamw), `learning_rate`, `betas`, `eps`, `weight_decay`.
    """
    name = training.get("optimiser", "adamw")
    if name != "adamw":
        raise ValueError(f"optimiser: {name!r} is unknown; there is adamw")
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {
            "params": [p for p in parameters if p.ndim >= 2],
            "weight_decay": float(training.get("weight_decay", 0.0)),
        },
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    beta1, beta2 = training.get("betas", (0.9, 0.999))
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=float(training["learning_rate"]),
        betas=(float(beta1), float(beta2)),
        eps=float(training.get("eps", 1e-8)),
        fused=True,
    )
