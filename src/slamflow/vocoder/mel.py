"""A light vocoder of one voice: units to log-mels by a small network, and Griffin-Lim to waves.

The network reads the centroids of units, not their numbers. So it speaks the units of any codebook
of the features that it was trained with.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel

from slamflow.vocoder import durations
from slamflow.vocoder.spectra import MELS, STEP, wave

KIND = "unit_mel"


class MelConfig(PreTrainedConfig):
    """`features` (see `origins.features`), `hop` (samples a frame), `voice`, and the shape.

    The shape is `size`, `layers`, `mel_layers` and `kernel`.
    """

    model_type = KIND


class Block(nn.Module):
    """A dilated convolution beside the identity."""

    def __init__(self, size: int, kernel: int, dilation: int) -> None:
        super().__init__()
        reach = (kernel - 1) * dilation // 2
        self.norm = nn.LayerNorm(size)
        self.layer = nn.Conv1d(size, size, kernel, dilation=dilation, padding=reach)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Of [batch, t, size]; what `mask` [batch, t, 1] hides counts as zero."""
        found = functional.gelu(self.norm(hidden)) * mask
        return hidden + self.layer(found.mT).mT


class UnitMel(PreTrainedModel):
    """Units to log-mels, and to durations.

    Attributes:
        mean, deviation: of the centroids that it was trained with, [dimension].
        centroids: of the units that it is to speak, less the mean and over the deviation,
            [units, dimension]; see `learn`.
    """

    config_class = MelConfig

    def __init__(self, config: MelConfig) -> None:
        super().__init__(config)
        size, self.ratio = config.size, config.hop // STEP
        dimension = int(config.features["dimension"])
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("deviation", torch.ones(dimension))
        self.register_buffer("centroids", torch.empty(0, dimension), persistent=False)
        self.enter = nn.Linear(dimension, size)
        self.blocks = nn.ModuleList(
            Block(size, config.kernel, 2 ** (i % 4)) for i in range(config.layers)
        )
        self.spread = nn.Linear(size, size * self.ratio)
        self.mel_blocks = nn.ModuleList(
            Block(size, config.kernel, 1) for _ in range(config.mel_layers)
        )
        self.norm = nn.LayerNorm(size)
        self.project = nn.Linear(size, MELS)
        self.lengths = durations.DurationPredictor(size, size)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Weights are drawn as torch draws them."""

    @property
    def units(self) -> int:
        """How many units it can speak."""
        return len(self.centroids)

    def learn(self, centroids: torch.Tensor, first: bool = False) -> None:
        """Speak the units of these centroids [units, dimension].

        Args:
            first: they are those to be trained with, which give `mean` and `deviation`.
        """
        if first:
            self.mean = centroids.mean(0)
            self.deviation = centroids.std(0).clamp(min=1e-6)
        self.centroids = (centroids.to(self.mean) - self.mean) / self.deviation

    def lasting(self, units: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """ln(count + 1), [batch, n], of units without repeats [batch, n]."""
        there = durations.mask(lengths, units.shape[1])
        found: torch.Tensor = self.lengths(self.enter(self.centroids[units]), there)
        return found

    def mels(self, frames: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Log-mels [batch, t × hop / STEP, MELS] of a unit a frame [batch, t].

        Args:
            lengths: frames of each utterance, [batch].
        """
        there = durations.mask(lengths, frames.shape[1])
        hidden = self.enter(self.centroids[frames])
        for block in self.blocks:
            hidden = block(hidden, there)
        hidden = self.spread(hidden).unflatten(2, (self.ratio, -1)).flatten(1, 2)
        there = there.repeat_interleave(self.ratio, 1)
        for block in self.mel_blocks:
            hidden = block(hidden, there)
        found: torch.Tensor = self.project(functional.gelu(self.norm(hidden)))
        return found

    def forward(
        self,
        frames: torch.Tensor,
        frame_lengths: torch.Tensor,
        units: torch.Tensor,
        lengths: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`mels` of a unit a frame, and `lasting` of the same without repeats."""
        return self.mels(frames, frame_lengths), self.lasting(units, lengths)

    def waves(self, frames: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
        """Samples [frames × hop] of each utterance.

        Each is made by itself: Griffin-Lim makes much of the rounding that a batch brings.
        """
        return [
            wave(self.mels(taken[None, :length], length[None])[0].float())
            for taken, length in zip(frames, lengths, strict=True)
        ]
