"""What the training loop asks of pretraining."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional

from slamflow.lm import architecture, borders, cards, flops, inputs, rows
from slamflow.training import artefacts, order
from slamflow.training.rank import Place

MICRO_TOKENS = {"cpu": 4096, "cuda": 32_768}  # of a micro-batch, unless the machine says otherwise
VALIDATION_ROWS = 512  # of each corpus, at most


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
        self.origin, self.ranks, self.initial = place.origin, place.ranks, initial
        self.rows, self.held_out, metadata = rows.read(packed)
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
        self.step_tokens = self.batch * context
        self.static_shapes = place.device != "cpu"

    def micro_batches(self, step: int) -> Sequence[np.ndarray]:
        """Row numbers."""
        return order.parts(self._batch(step), self.micro_batch, self.ranks)

    def weight(self, step: int) -> float:
        """The predicted tokens of the global batch."""
        return float(self.targets[self._batch(step)].sum())

    def forward(self, model: torch.nn.Module, micro_batch: np.ndarray) -> dict[str, torch.Tensor]:
        """The summed negative log-likelihood in nats."""
        return {"loss": self._loss(model, self.rows, micro_batch)}

    def name(self, micro_batch: np.ndarray) -> str:
        """Row numbers among the training rows."""
        return f"training rows {' '.join(map(str, micro_batch))}"

    def flops(self, step: int) -> float:
        """FLOP of an update."""
        lengths = self.rows.lengths(self._batch(step)).astype(float)
        return float(flops.update(self.model, lengths.sum(), (lengths**2).sum() / 2))

    @torch.inference_mode()
    def validate(self, module: torch.nn.Module) -> dict[str, float]:
        """The mean loss a token on held-out rows of each corpus, in float32."""
        found = {}
        corpora, targets = np.array(self.held_out.corpora), self.held_out.targets()
        for corpus in dict.fromkeys(self.held_out.corpora):
            chosen = np.flatnonzero(corpora == corpus)[:VALIDATION_ROWS]
            parts = np.split(chosen, range(self.micro_batch, len(chosen), self.micro_batch))
            total = sum(float(self._loss(module, self.held_out, part)) for part in parts)
            found[corpus] = total / float(targets[chosen].sum())
        return found

    def export(self, module: torch.nn.Module, log: pa.Table) -> None:
        """Write the model with its loss on held-out rows."""
        facts: dict[str, Any] = {
            "parameters": sum(p.numel() for p in module.parameters()),
            "training rows": len(self.rows),
        }
        seen = log["validation"][-1].as_py() if log.num_rows else None
        losses = {each["name"]: each["loss"] for each in seen} if seen else self.validate(module)
        for corpus, loss in losses.items():
            count = min(self.held_out.corpora.count(corpus), VALIDATION_ROWS)
            facts[f"loss on {count} held-out rows of {corpus}"] = loss
        init = self.config["init"]
        start = f"Started from a text model ({init.get('table', 'first')} token table)"
        text = f"{start if self.initial else 'Trained from random weights'} by Slamflow."
        about = cards.about(self.model.config, self.folder, text, init.get("initial"), self.initial)
        card = artefacts.card(
            "Language model of units", facts, self.config, log, "loss", self.origin, about
        )
        artefacts.write(module, self.folder, log, card)

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
