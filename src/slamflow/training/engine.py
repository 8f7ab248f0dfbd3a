"""DeepSpeed's engine: data-parallel sums of gradients, ZeRO, precision, the update.

Clipping is ours, without a host synchronisation.
"""

from collections.abc import Mapping
from typing import Any

import deepspeed
import torch

from slamflow.training import checkpoints, optimisers, sharding
from slamflow.training.device import compute_type

# Would be compiled for a minute or two at the first initialisation on a CPU.
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False

BUCKET = 50_000_000  # gradients that ZeRO sums at once, at most; it has a buffer of this size


class Engine:
    """A model under training, on this rank's device.

    Attributes:
        model: call it for a forward pass, in the configured precision.
        module: the bare model; its parameters are float32, and whole on every rank.
        dtype: of matrix products.
    """

    def __init__(self, module: torch.nn.Module, training: Mapping[str, Any], device: str) -> None:
        """Move the model to `device` and make its optimiser.

        Args:
            training: `zero` (0: every rank has the optimiser's whole state; 1: a part of it; 2:
                also of the gradients), `precision`, `clip`, and what `optimisers.build` takes.

        Raises:
            ValueError: Muon with ZeRO.
        """
        self.dtype = compute_type(str(training.get("precision", "float32")), device)
        deepspeed.init_distributed(
            dist_backend="gloo" if device == "cpu" else "nccl", verbose=False
        )
        self.module = module.to(device).train()
        self.optimiser = optimisers.build(self.module, training, self.dtype)
        self.clip = float(training.get("clip", 0.0)) or float("inf")
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        stage = int(training.get("zero") or 0)
        if stage and training.get("optimiser") == "muon":
            raise ValueError("optimiser: muon needs zero: 0; ZeRO cuts matrices into pieces")
        zero: dict[str, Any] = {"stage": stage}
        if stage:
            size = sum(p.numel() for p in self.parameters)
            zero |= {"compute_grad_norm": False, "reduce_bucket_size": min(BUCKET, size)}
        self.model, found, *_ = deepspeed.initialize(
            model=self.module,
            optimizer=self.optimiser,
            config={
                "train_micro_batch_size_per_gpu": 1,  # not used: the loop forms its micro-batches
                "gradient_accumulation_steps": 1,
                "gradient_allreduce_op": "sum",  # the loss is already divided by the global weight
                "gradient_clipping": 0.0,  # ours
                "zero_optimization": zero,
                "zero_allow_untested_optimizer": True,
                "torch_autocast": {
                    "enabled": self.dtype == torch.bfloat16,
                    "dtype": "bfloat16",
                    "lower_precision_safe_modules": [],  # whose gradients are summed in bfloat16
                },
                "steps_per_print": 10**9,
                "timers": {"throughput": {"enabled": False}},  # it synchronises every step
            },
        )
        self.zero = found if stage else None

    def backward(self, loss: torch.Tensor, last: bool) -> None:
        """Add this micro-batch's gradients; with the step's last one, sum them over the ranks.

        Under ZeRO 2 each call sums, so all ranks make equally many in a step.
        """
        self.model.set_gradient_accumulation_boundary(last)
        self.model.backward(loss)

    def step(self, learning_rate: float, step: int, steps: int) -> torch.Tensor:
        """Clip and make update `step` (from 0) of `steps`.

        Returns:
            The gradients' norm before clipping, on the device.
        """
        if self.zero:
            norm = sharding.clip(self.zero, self.clip)
        else:
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.clip, foreach=True)
        optimisers.prepare(self.optimiser, learning_rate, step, steps)
        self.model.step()
        return norm

    def state(self) -> checkpoints.State:
        """The optimiser's state by parameter; all ranks call this together, after an update."""
        return sharding.gathered(self.zero) if self.zero else optimisers.state(self.optimiser)

    def restore(self, state: checkpoints.State) -> None:
        """Take the optimiser's state, after the module has its weights, before any update."""
        if self.zero:
            sharding.spread(self.zero, state)
        else:
            optimisers.restore(self.optimiser, state)

    def forget(self) -> None:
        """Have the optimiser as before the first update."""
        for entries in self.optimiser.state.values():
            for value in entries.values():
                value.zero_()

    def close(self) -> None:
        """Leave the group of ranks."""
        torch.distributed.destroy_process_group()
