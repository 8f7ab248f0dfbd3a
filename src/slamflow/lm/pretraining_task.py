"""What the training loop asks of pretraining."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional

from slamflow.lm import architecture, borders, inputs, rows
from slamflow.training import artefacts, order
from slamflow.training.rank import Place

MICRO_TOKENS = {"cpu": 4096, "cuda": 32_768}  # of a micro-batch, unless the machine says otherwise
VALIDATION_ROWS = 512  # at most


class Pretraining:
    """Next-token prediction; see `loop.Task`."""

    measures = ("loss",)

    def __init__(
        self,
        config: Mapping[str, Any],
        packed: Path,
        folder: Path,
        place: Place,
        initial: Path | None = None,
    ) -> None:
        training = config["training"]
        self.config, self.folder, self.device = config, folder, place.device
        self.origin = place.origin
        self.rows, self.held_out, metadata = rows.read(packed)
        if not len(self.rows):
            raise ValueError(f"{packed}: has no training rows")
        context = int(metadata["context"])
        vocabulary = int(metadata["vocabulary"])
        units = int(metadata["units"]) if "units" in metadata else None
        self.model = architecture.build(config["init"], vocabulary, context, initial, units)
        self.read = borders.reader(self.model, self.device)
        self.batch = max(1, round(int(training["batch_tokens"]) / context))
        self.seed = int(training.get("seed", 0))
        tokens = MICRO_TOKENS["cpu" if place.device == "cpu" else "cuda"]
        self.micro_batch = place.micro_batch(tokens // context, self.batch)
        self.targets = self.rows.targets()

    def micro_batches(self, step: int) -> Sequence[np.ndarray]:
        """Row numbers."""
        index = self._batch(step)
        return [index[i : i + self.micro_batch] for i in range(0, len(index), self.micro_batch)]

    def weight(self, step: int) -> float:
        """The predicted tokens of the global batch."""
        return float(self.targets[self._batch(step)].sum())

    def forward(self, model: torch.nn.Module, micro_batch: np.ndarray) -> dict[str, torch.Tensor]:
        """The summed negative log-likelihood in nats."""
        return {"loss": self._loss(model, self.rows, micro_batch)}

    def export(self, module: torch.nn.Module, log: pa.Table) -> None:
        """Write the model with its loss on held-out rows."""
        facts: dict[str, Any] = {
            "parameters": sum(p.numel() for p in module.parameters()),
            "training rows": len(self.rows),
        }
        count = min(len(self.held_out), VALIDATION_ROWS)
        if count:
            facts[f"loss on {count} held-out rows"] = self._validate(module, count)
        card = artefacts.card(
            "Language model of speech units", facts, self.config, log, "loss", self.origin
        )
        artefacts.write(module, self.folder, log, card)

    @torch.inference_mode()
    def _validate(self, module: torch.nn.Module, count: int) -> float:
        chosen = np.arange(count)
        parts = np.split(chosen, range(self.micro_batch, count, self.micro_batch))
        total = sum(float(self._loss(module, self.held_out, part)) for part in parts)
        return total / float(self.held_out.targets()[:count].sum())

    def _loss(self, model: torch.nn.Module, source: rows.Rows, index: np.ndarray) -> torch.Tensor:
        taken, labels = self.read(source, index)
        logits = model(**taken, use_cache=False).logits
        return functional.cross_entropy(
            logits.float().flatten(0, 1),
            labels.flatten(),
            ignore_index=inputs.IGNORED,
            reduction="sum",
        )

    def _batch(self, step: int) -> np.ndarray:
        return order.batch(step, self.batch, len(self.rows), self.seed)
