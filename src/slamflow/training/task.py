"""What the training loop asks of what it trains."""

from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa
import torch


class Task(Protocol):
    """What is trained.

    It may also have
    - `step_tokens`: the tokens of a step, which a budget in tokens counts;
    - `static_shapes`: whether inputs of its model have few different shapes (default: no);
    - `watched`: which of `measures` must not diverge (default: `loss`);
    - `flops(step) -> float`: the floating-point operations of update `step` on all ranks;
    - `validate(module) -> dict[str, float]`: the loss on each held-out corpus, by its name;
    - `name(micro_batch) -> str`: what is in a micro-batch, in a user's terms.

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
