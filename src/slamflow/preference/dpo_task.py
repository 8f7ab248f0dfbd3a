"""What the training loop asks of direct preference optimisation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional

from slamflow import files
from slamflow.lm import attention, saved
from slamflow.preference import likelihood
from slamflow.tables import references as references_table
from slamflow.training import artefacts, order
from slamflow.training.rank import Place

MICRO_BATCH = {"cpu": 8, "cuda": 32}  # pairs, unless the machine says otherwise


class Alignment:
    """Sigmoid loss over pairs; see `loop.Task`.

    Its measures are means over pairs: the loss, the share of pairs whose chosen answer has the
    larger reward, that reward's margin, and both rewards, beta × (ln p − ln p of the base).
    """

    measures = ("loss", "accuracy", "margin", "chosen", "rejected")

    def __init__(
        self,
        config: Mapping[str, Any],
        base: Path,
        pairs: Path,
        references: Path,
        folder: Path,
        place: Place,
    ) -> None:
        training = config["training"]
        self.config, self.folder, self.device = config, folder, place.device
        self.origin = place.origin
        self.model = saved.load(base)
        self.pairs = likelihood.read(pairs, self.model.config.vocab_size)
        table = files.read_table(references, references_table.SCHEMA)
        if table["id"].to_pylist() != self.pairs.ids:
            raise ValueError(f"{references}: is not about the pairs in {pairs}; delete it")
        self.references = np.stack(
            [table[name].to_numpy() for name in ("chosen", "rejected")], axis=1
        )
        self.lengths = self.pairs.lengths()
        self.batch, self.beta = int(training["pairs"]), float(training.get("beta", 0.1))
        self.seed = int(training.get("seed", 0))
        kind = "cpu" if place.device == "cpu" else "cuda"
        self.micro_batch = place.micro_batch(MICRO_BATCH[kind], self.batch)
        if place.device == "cpu":
            attention.by_documents(self.model)

    def micro_batches(self, step: int) -> Sequence[np.ndarray]:
        """Numbers of pairs, of similar lengths in a micro-batch."""
        index = order.batch(step, self.batch, len(self.pairs), self.seed)
        index = index[np.argsort(self.lengths[index], kind="stable")]
        return [index[i : i + self.micro_batch] for i in range(0, len(index), self.micro_batch)]

    def weight(self, step: int) -> float:
        """The pairs of a step."""
        return float(self.batch)

    def forward(self, model: torch.nn.Module, micro_batch: np.ndarray) -> dict[str, torch.Tensor]:
        """Sums over pairs of `measures`; both answers go through the model at once."""
        prompts = [self.pairs.prompts[i] for i in micro_batch]
        both = [self.pairs.chosen[i] for i in micro_batch]
        both += [self.pairs.rejected[i] for i in micro_batch]
        policy = likelihood.answers(model, prompts + prompts, both, self.device)
        base = torch.from_numpy(self.references[micro_batch].T.reshape(-1)).to(policy.device)
        chosen, rejected = (self.beta * (policy.double() - base)).chunk(2)
        margin = chosen - rejected
        return {
            "loss": -functional.logsigmoid(margin).sum(),
            "accuracy": (margin > 0).sum(),
            "margin": margin.sum(),
            "chosen": chosen.sum(),
            "rejected": rejected.sum(),
        }

    def export(self, module: torch.nn.Module, log: pa.Table) -> None:
        """Write the aligned model."""
        facts = {"pairs": len(self.pairs)}
        if log.num_rows:
            facts |= {f"{name} of the last update": log[name][-1].as_py() for name in self.measures}
        card = artefacts.card(
            "Aligned language model", facts, self.config, log, "loss", self.origin
        )
        artefacts.write(module, self.folder, log, card)
