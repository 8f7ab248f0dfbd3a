"""What the training loop asks of HuBERT's training."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.nn import functional

from slamflow import files
from slamflow.tokeniser import convolutions, features, hubert_architecture, hubert_data
from slamflow.training import artefacts, order
from slamflow.training.rank import Place

USE = """\
import torch
from transformers import HubertModel

model = HubertModel.from_pretrained("results/huberts/{name}").eval()
wave = torch.zeros(1, 16000)  # a second
states = model(wave, output_hidden_states=True).hidden_states"""
MICRO_SECONDS = {"cpu": 32.0, "cuda": 600.0}  # of a micro-batch, unless the machine says otherwise


class MaskedPrediction:
    """Prediction of the targets of masked frames; see `loop.Task`.

    A micro-batch is a list of (first frame, mask [frames]) of crops. Crops lie on a grid that each
    epoch shifts; masks depend on the seed, the step and the crop's place in the batch, so neither
    depends on how the batch is cut into micro-batches. Masked frames without a target do not count.
    """

    measures = ("loss", "accuracy")

    def __init__(
        self,
        config: Mapping[str, Any],
        clusters: int,
        initial: Path | None,
        data: Path,
        folder: Path,
        place: Place,
    ) -> None:
        self.config, self.data, self.folder, self.device = config, data, folder, place.device
        self.origin, self.ranks = place.origin, place.ranks
        self.seed = int(config.get("seed", 0))
        shape = config["architecture"]
        self.model = hubert_architecture.build(shape, clusters, self.seed, initial)
        self.model.feature_gradient = float(config.get("feature_gradient", 1.0))
        self.penalty = float(config.get("feature_penalty", 0.0))
        if place.device == "cpu":  # where fused attention in bfloat16 takes five times as long
            self.model.hubert.set_attn_implementation("eager")
        self.hop = convolutions.hop(shape["conv_stride"])
        self.receptive = convolutions.receptive(shape["conv_kernel"], shape["conv_stride"])
        rate = features.SAMPLING_RATE / self.hop
        self.crop = max(int(config["mask_frames"]), round(float(config["crop_seconds"]) * rate))
        seconds = self.crop / rate
        self.batch = max(1, round(float(config["batch_seconds"]) / seconds))
        most = MICRO_SECONDS["cpu" if place.device == "cpu" else "cuda"]
        self.micro_batch = place.micro_batch(int(most / seconds), self.batch)

    def micro_batches(self, step: int) -> Sequence[list[tuple[int, np.ndarray]]]:
        """The crops of a step."""
        firsts, masks = self._batch(step)
        crops = list(zip(firsts.tolist(), masks, strict=True))
        return order.parts(crops, self.micro_batch, self.ranks)

    def weight(self, step: int) -> float:
        """The masked frames of the global batch that have a target."""
        firsts, masks = self._batch(step)
        targets = self._stream.targets
        there = [targets[first : first + self.crop] != hubert_data.NONE for first in firsts]
        return max(1.0, float((masks & np.stack(there)).sum()))

    def forward(
        self, model: torch.nn.Module, micro_batch: list[tuple[int, np.ndarray]]
    ) -> dict[str, torch.Tensor]:
        """Summed cross-entropy in nats, with the penalty, and correct predictions.

        The penalty of a crop is `feature_penalty` × the mean square of its convolutions' output ×
        its counted frames, so that the loss of a step has the mean over crops, weighted by these.
        """
        crops = [self._stream.crop(first, self.crop) for first, _ in micro_batch]
        waves = torch.from_numpy(np.stack([wave for wave, _ in crops])).to(self.device)
        masks = np.stack([mask for _, mask in micro_batch])
        targets = np.stack([target for _, target in crops])
        counted = masks & (targets != hubert_data.NONE)
        wanted = torch.from_numpy(targets[counted].astype(np.int64)).to(self.device)
        picked = torch.from_numpy(np.flatnonzero(counted)).to(self.device)
        logits, squares = model(waves, torch.from_numpy(masks).to(self.device), picked)
        loss = functional.cross_entropy(logits, wanted, reduction="sum")
        if self.penalty:
            frames = torch.from_numpy(counted.sum(1)).to(squares)
            loss = loss + self.penalty * (squares * frames).sum()
        return {"loss": loss, "accuracy": (logits.detach().argmax(1) == wanted).sum()}

    @property
    def step_tokens(self) -> int:
        """The frames of a step."""
        return self.batch * self.crop

    def name(self, micro_batch: list[tuple[int, np.ndarray]]) -> str:
        """Where its crops begin in the prepared audio."""
        rate = features.SAMPLING_RATE / self.hop
        return f"crops at {' '.join(f'{first / rate:.0f}' for first, _ in micro_batch)} s"

    def export(self, module: torch.nn.Module, log: pa.Table) -> None:
        """Write the HuBERT without its predictor."""
        model: Any = module
        facts = {
            "parameters": sum(p.numel() for p in model.hubert.parameters()),
            "frames a second": features.SAMPLING_RATE / self.hop,
        }
        about = artefacts.About(
            text="A HuBERT that Slamflow trained to predict units of masked speech. It takes speech"
            f" at {features.SAMPLING_RATE} Hz and gives a vector a frame at each of its layers.",
            use=USE.format(name=self.folder.name),
            library="transformers",
            task="feature-extraction",
            tags=("hubert",),
        )
        card = artefacts.card(
            "HuBERT trained on units", facts, self.config, log, "loss", self.origin, about
        )
        files.write_json(
            {
                "feature_extractor_type": "Wav2Vec2FeatureExtractor",
                "do_normalize": False,
                "feature_size": 1,
                "padding_side": "right",
                "padding_value": 0.0,
                "return_attention_mask": True,
                "sampling_rate": features.SAMPLING_RATE,
            },
            self.folder / convolutions.PREPROCESSOR,
        )
        artefacts.write(model.hubert, self.folder, log, card)

    @functools.cached_property
    def _stream(self) -> hubert_data.Stream:
        stream = hubert_data.Stream.open(self.data)
        assert (stream.hop, stream.receptive) == (self.hop, self.receptive)
        if len(stream.targets) < 2 * self.crop:
            raise ValueError(
                f"there are only {len(stream.targets)} frames of speech to train on; crop_seconds"
                f" asks for crops of {self.crop}"
            )
        return stream

    @functools.lru_cache(maxsize=1)  # noqa: B019  one task lives as long as its process
    def _batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """First frames [batch] and masks [batch, crop]."""
        crops = len(self._stream.targets) // self.crop - 1  # one is kept for the shift
        chosen = order.batch(step, self.batch, crops, self.seed)
        epochs = np.arange(step * self.batch, (step + 1) * self.batch) // crops
        shifts = [
            np.random.default_rng([self.seed, epoch]).integers(self.crop)
            for epoch in epochs.tolist()
        ]
        drawn = np.random.default_rng([self.seed, step, self.batch]).random((self.batch, self.crop))
        return chosen * self.crop + shifts, spans(drawn, self.config)


def spans(drawn: np.ndarray, config: Mapping[str, Any]) -> np.ndarray:
    """Masks, bool [batch, frames], of uniform random numbers of that shape.

    A share `mask_share` of the frames start a span of `mask_frames`; spans overlap, and one starts
    in each row at least.
    """
    starts = drawn < float(config["mask_share"])
    last = drawn.shape[1] - int(config["mask_frames"])
    starts[np.arange(len(drawn)), drawn[:, : last + 1].argmin(1)] = True
    mask = starts.copy()
    for shift in range(1, int(config["mask_frames"])):
        mask[:, shift:] |= starts[:, :-shift]
    return mask
