"""DeepSpeed's engine: data-parallel sums of gradients, precision, the update.

Stage 0 of ZeRO: every rank holds the whole model and the optimiser's state. Clipping is ours,
without a host synchronisation.
"""

from collections.abc import Mapping
from typing import Any

import deepspeed
import torch

from slamflow.training import optimisers
from slamflow.training.device import compute_type

# Would be compiled for a minute or two at the first initialisation on a CPU.
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


class Engine:
    """A model under training, on this rank's device.

    Attributes:
        model: call it for a forward pass, in the configured precision.
        module: the bare model; its parameters are float32.
    """

    def __init__(self, module: torch.nn.Module, training: Mapping[str, Any], device: str) -> None:
        dtype = compute_type(str(training.get("precision", "float32")), device)
        deepspeed.init_distributed(
            dist_backend="gloo" if device == "cpu" else "nccl", verbose=False
        )
        self.module = module.to(device).train()
        self.optimiser = optimisers.build(self.module, training, dtype)
        self.clip = float(training.get("clip", 0.0))
        self.model, *_ = deepspeed.initialize(
            model=self.module,
            optimizer=self.optimiser,
            config={
                "train_micro_batch_size_per_gpu": 1,  # not used: the loop forms its micro-batches
                "gradient_accumulation_steps": 1,
                "gradient_allreduce_op": "sum",  # the loss is already divided by the global weight
                "zero_optimization": {"stage": 0},
                "torch_autocast": {"enabled": dtype == torch.bfloat16, "dtype": "bfloat16"},
                "steps_per_print": 10**9,
                "timers": {"throughput": {"enabled": False}},  # it synchronises every step
            },
        )
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]

    def backward(self, loss: torch.Tensor, last: bool) -> None:
        """Add this micro-batch's gradients; with the step's last one, sum them over the ranks."""
        self.model.set_gradient_accumulation_boundary(last)
        self.model.backward(loss)

    def no_loss(self) -> torch.Tensor:
        """A zero that reaches every parameter, for a rank without a micro-batch in this step."""
        return torch.stack([p.sum() for p in self.parameters]).sum() * 0.0

    def step(self, learning_rate: float) -> torch.Tensor:
        """Clip and update; returns the gradients' norm before clipping, on the device."""
        limit = self.clip if self.clip > 0 else float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, limit, foreach=True)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate * group["factor"]
        self.model.step()
        return norm

    def close(self) -> None:
        """Leave the group of ranks."""
        torch.distributed.destroy_process_group()
