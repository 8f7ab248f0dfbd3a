"""What the training loop asks of direct preference optimisation."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional

from slamflow import files
from slamflow.lm import cards, saved
from slamflow.preference import borders, likelihood, packing, reading
from slamflow.tables import references as references_table
from slamflow.training import artefacts, order
from slamflow.training.device import send
from slamflow.training.rank import Place


class Alignment:
    """Sigmoid loss over pairs; see `loop.Task`.

    Its measures are means over pairs. A reward is beta × (ln p − ln p of the base model).

    - `loss`: −ln σ(margin);
    - `accuracy`: the share of pairs whose chosen answer has the larger reward;
    - `margin`: the chosen answer's reward less the rejected one's;
    - `chosen`, `rejected`: both rewards;
    - `token_margin`: the same as `margin`, of rewards a token;
    - `longer`: the share of pairs whose longer answer has the larger reward; ½ for equal lengths;
    - `lengthening`: tokens that the chosen answer is longer than the rejected one.
    """

    measures = (
        "loss",
        "accuracy",
        "margin",
        "chosen",
        "rejected",
        "token_margin",
        "longer",
        "lengthening",
    )

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
        self.origin, self.ranks = place.origin, place.ranks
        self.model, self.base = saved.load(base), base.name
        borders.by_blocks(self.model)
        self.pairs = reading.read(pairs, self.model.config.vocab_size)
        table = files.read_table(references, references_table.SCHEMA)
        if table["id"].to_pylist() != self.pairs.ids:
            raise ValueError(f"{references}: is not about the pairs in {pairs}; delete it")
        self.references = np.stack([table[name].to_numpy() for name in ("chosen", "rejected")], 1)
        self.batch, self.beta = int(training["pairs"]), float(training.get("beta", 0.1))
        self.seed = int(training.get("seed", 0))
        self.work = likelihood.flops(self.model, self.pairs)
        self.step_tokens = round(self.batch * self.pairs.lengths.mean())
        share = math.ceil(self.batch / self.ranks)
        most = place.machine.get("micro_batch")
        self.room = packing.room(self.pairs.lengths, place.device, most, share)

    def micro_batches(self, step: int) -> Sequence[np.ndarray]:
        """Numbers of pairs."""
        index = order.batch(step, self.batch, len(self.pairs), self.seed)
        return packing.micro_batches(self.pairs.lengths, index, self.room.tokens, self.ranks)

    def weight(self, step: int) -> float:
        """The pairs of a step."""
        return float(self.batch)

    def name(self, micro_batch: np.ndarray) -> str:
        """The pairs' ids."""
        return f"pairs {' '.join(self.pairs.ids[i] for i in micro_batch)}"

    def flops(self, step: int) -> float:
        """FLOP of an update."""
        index = order.batch(step, self.batch, len(self.pairs), self.seed)
        return float(self.work[index].sum())

    def forward(self, model: torch.nn.Module, micro_batch: np.ndarray) -> dict[str, torch.Tensor]:
        """Sums over pairs of `measures`."""
        packed = packing.pack(self.pairs, micro_batch, self.room, self.device)
        policy = likelihood.answers(model, packed, len(micro_batch))
        base = send(self.references[micro_batch].T, self.device)
        tokens = send(self.pairs.counted[micro_batch].T, self.device)
        rewards = self.beta * (policy - base)
        margin, difference = rewards[0] - rewards[1], tokens[0] - tokens[1]
        return {
            "loss": -functional.logsigmoid(margin).sum(),
            "accuracy": (margin > 0).sum(),
            "margin": margin.sum(),
            "chosen": rewards[0].sum(),
            "rejected": rewards[1].sum(),
            "token_margin": (rewards / tokens).diff(dim=0).neg().sum(),
            "longer": (0.5 + 0.5 * (margin.sign() * difference.sign())).sum(),
            "lengthening": difference.sum(),
        }

    def export(self, module: torch.nn.Module, log: pa.Table) -> None:
        """Write the aligned model."""
        difference = -np.diff(self.pairs.counted, axis=1)
        facts = {
            "pairs": len(self.pairs),
            "tokens of a pair": float(self.pairs.lengths.mean()),
            "pairs whose chosen answer is longer": float((difference > 0).mean()),
            "pairs whose chosen answer is shorter": float((difference < 0).mean()),
        }
        if log.num_rows:
            facts |= {f"{name} of the last update": log[name][-1].as_py() for name in self.measures}
        text = f"Aligned with preferences (DPO) from the model `{self.base}` by Slamflow."
        about = cards.about(self.model.config, self.folder, text)
        card = artefacts.card(
            "Aligned language model", facts, self.config, log, "loss", self.origin, about
        )
        artefacts.write(module, self.folder, log, card)
