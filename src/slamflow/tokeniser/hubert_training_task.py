"""What the training loop asks of HuBERT: crops of speech, masks and their targets.

The first iteration of HuBERT (Hsu et al. 2021, arXiv 2106.07447): the targets are clusters of
MFCC, and the loss is the cross-entropy of masked frames alone.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import nn
from torch.nn import functional
from transformers import HubertConfig, HubertModel

from slamflow import logs
from slamflow.tokeniser import features, hubert, kmeans, utterances
from slamflow.training import artefacts, order
from slamflow.training.rank import Place

TARGET_FRAMES = 100_000  # that the targets' codebook is fitted on
TEMPERATURE = 0.1  # of the cosine between a frame and the targets' embeddings
MICRO_SECONDS = {"cpu": 32, "cuda": 320}  # of a micro-batch, unless the machine says otherwise

MicroBatch = tuple[np.ndarray, np.ndarray]  # first frames [crops], masks [crops, frames]


class Predictor(nn.Module):
    """A HuBERT with the head that predicts clusters; only the HuBERT is kept."""

    def __init__(self, architecture: Mapping[str, Any], clusters: int) -> None:
        super().__init__()
        self.hubert = HubertModel(configuration(architecture))
        width = int(architecture["hidden_size"])
        self.project = nn.Linear(width, width)
        self.targets = nn.Parameter(torch.randn(clusters, width))

    def forward(self, waves: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits [masked frames, clusters] of waves [batch, samples], mask [batch, frames]."""
        hidden = self.hubert(waves, mask_time_indices=mask).last_hidden_state[mask]
        projected = functional.normalize(self.project(hidden).float(), dim=-1)
        return projected @ functional.normalize(self.targets, dim=-1).T / TEMPERATURE


def configuration(architecture: Mapping[str, Any]) -> HubertConfig:
    """transformers' config of a HuBERT; see the config's `architecture` block."""
    return HubertConfig(
        conv_dim=list(architecture["conv_dim"]),
        conv_kernel=list(architecture["conv_kernel"]),
        conv_stride=list(architecture["conv_stride"]),
        hidden_size=architecture["hidden_size"],
        intermediate_size=architecture["intermediate_size"],
        num_hidden_layers=architecture["layers"],
        num_attention_heads=architecture["heads"],
        num_conv_pos_embeddings=architecture["position_kernel"],
        num_conv_pos_embedding_groups=architecture["position_groups"],
        feat_extract_norm=architecture["norm"],
        do_stable_layer_norm=architecture["norm"] == "layer",
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        attn_implementation="sdpa",
    )


class HubertTraining:
    """Masked prediction; see `loop.Task`.

    The training block has, beside what the loop takes, `architecture`, `target_clusters`,
    `crop_seconds`, `batch_seconds` (of a step, over all ranks), `mask_share` (of the frames begin
    a masked span) and `mask_frames` (in a span). Its measures are means over masked frames.
    """

    measures = ("loss", "accuracy")

    def __init__(
        self, config: Mapping[str, Any], speech: Sequence[Path], folder: Path, place: Place
    ) -> None:
        training = config["training"]
        self.config, self.folder, self.device = config, folder, place.device
        self.seed = int(training["seed"])
        torch.manual_seed(self.seed)
        self.model = Predictor(training["architecture"], int(training["target_clusters"]))
        self.hop = math.prod(training["architecture"]["conv_stride"])
        self.receptive = hubert.receptive(self.model.hubert.config)
        rate = features.SAMPLING_RATE / self.hop
        self.crop = max(int(training["mask_frames"]), round(training["crop_seconds"] * rate))
        self.batch = max(1, round(training["batch_seconds"] * rate / self.crop))
        micro = MICRO_SECONDS["cpu" if place.device == "cpu" else "cuda"] * rate / self.crop
        self.micro_batch = int(place.machine.get("micro_batch") or max(1, round(micro)))
        self.wave, self.labels = self._read(speech, utterances.root(place.machine))
        self.crops = len(self.labels) // self.crop - 1  # less what the shift of an epoch takes
        if self.crops < 1:
            seconds = len(self.labels) / rate
            raise ValueError(f"{speech[0]}: {seconds:.1f} s of speech are too few for crops")

    def micro_batches(self, step: int) -> Sequence[MicroBatch]:
        """Crops of all speech in a row; each epoch's crops begin at a shift of their own."""
        starts, masks = self._batch(step)
        parts = range(0, len(starts), self.micro_batch)
        return [(starts[i : i + self.micro_batch], masks[i : i + self.micro_batch]) for i in parts]

    def weight(self, step: int) -> float:
        """The masked frames of the global batch."""
        return float(self._batch(step)[1].sum())

    def forward(self, model: nn.Module, micro_batch: MicroBatch) -> dict[str, torch.Tensor]:
        """Sums over masked frames."""
        starts, masks = micro_batch
        samples = np.arange((self.crop - 1) * self.hop + self.receptive)
        waves = self.wave[starts[:, None] * self.hop + samples].astype(np.float32) / 32768
        labels = self.labels[starts[:, None] + np.arange(self.crop)][masks].astype(np.int64)
        mask = torch.from_numpy(masks).to(self.device)
        target = torch.from_numpy(labels).to(self.device)
        logits = model(torch.from_numpy(waves).to(self.device), mask).float()
        return {
            "loss": functional.cross_entropy(logits, target, reduction="sum"),
            "accuracy": (logits.argmax(-1) == target).sum(),
        }

    def export(self, module: nn.Module, log: pa.Table) -> None:
        """Write the HuBERT without its head."""
        trained = module.hubert
        assert isinstance(trained, HubertModel)
        rate = features.SAMPLING_RATE / self.hop
        facts: dict[str, Any] = {
            "parameters": sum(parameter.numel() for parameter in trained.parameters()),
            "hours of speech": len(self.labels) / rate / 3600,
            "frames a second": rate,
        }
        if log.num_rows:
            facts["accuracy on masked frames, last update"] = log["accuracy"][-1].as_py()
        card = artefacts.card("HuBERT", facts, self.config, log, "loss")
        artefacts.write(trained, self.folder, log, card)

    @functools.lru_cache(maxsize=1)  # noqa: B019 (a task lives as long as its process)
    def _batch(self, step: int) -> MicroBatch:
        training = self.config["training"]
        first = step * self.batch // self.crops
        shift = np.random.default_rng([self.seed, first]).integers(self.crop)
        starts = order.batch(step, self.batch, self.crops, self.seed) * self.crop + shift
        rng = np.random.default_rng([self.seed, step, 1])
        spans = rng.random((self.batch, self.crop)) < training["mask_share"]
        spans[:, 0] |= ~spans.any(1)  # a crop without a mask would teach nothing
        masks = spans.copy()
        for distance in range(1, int(training["mask_frames"])):
            masks[:, distance:] |= spans[:, :-distance]
        return starts, masks

    def _read(self, speech: Sequence[Path], root: Path | None) -> tuple[np.ndarray, np.ndarray]:
        """All speech in a row, int16 [samples], and its targets, uint16 [frames].

        Each utterance is filled up to whole frames, so that its targets are its own.
        """
        logs.info("reads speech and makes targets")
        waves, cepstra = [], []
        for path in speech:
            for _, wave in utterances.read(path, features.SAMPLING_RATE, root):
                frames = -(-len(wave) // self.hop)
                whole = np.zeros(frames * self.hop, dtype=np.int16)
                whole[: len(wave)] = np.clip(np.rint(wave * 32768), -32768, 32767)
                waves.append(whole)
                tensor = torch.from_numpy(wave)
                cepstra.append(features.mfcc(tensor, frames, self.receptive // 2, self.hop))
        everything = torch.cat(cepstra)
        drawn = np.random.default_rng(self.seed).permutation(len(everything))[:TARGET_FRAMES]
        clusters = int(self.config["training"]["target_clusters"])
        centroids = kmeans.cluster(everything[np.sort(drawn)].numpy(), clusters, self.seed)
        labels = [kmeans.assign(part, torch.from_numpy(centroids)) for part in cepstra]
        end = np.zeros(self.receptive, dtype=np.int16)  # the last frames look past the end
        return np.concatenate([*waves, end]), torch.cat(labels).numpy().astype(np.uint16)
