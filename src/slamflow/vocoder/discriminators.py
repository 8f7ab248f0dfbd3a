"""HiFi-GAN's discriminators: what tells recorded waves from made ones.

Source: Kong and others 2020, arXiv 2010.05646, sections 2.3 and 2.4, with the sizes of its
appendix; that of several scales is of Kumar and others 2019 (MelGAN, arXiv 1910.06711).
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

SLOPE = 0.1
PERIODS = (2, 3, 5, 7, 11)
SCALES = 3
CHANNELS = 32  # of the first layer of a period, as published; all others are multiples

Norm = Callable[[nn.Module], nn.Module]


class Judged(NamedTuple):
    """What one discriminator says of waves.

    Attributes:
        score: [batch, …]; near 1 for recorded ones, near 0 for made ones.
        features: what each of its layers found, the score last.
    """

    score: torch.Tensor
    features: list[torch.Tensor]


class Period(nn.Module):
    """Looks at every `period`-th sample, by convolutions along time."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        sizes = [1, channels, 4 * channels, 16 * channels, 32 * channels, 32 * channels]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(before, after, (5, 1), (3 if i < 4 else 1, 1), (2, 0)))
            for i, (before, after) in enumerate(itertools.pairwise(sizes))
        )
        self.last = weight_norm(nn.Conv2d(sizes[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, waves: torch.Tensor) -> Judged:
        """Of waves [batch, samples]."""
        lacking = -waves.shape[1] % self.period
        whole = functional.pad(waves[:, None], (0, lacking), "reflect")
        return _judged(whole.unflatten(2, (-1, self.period)), self.layers, self.last)


class Scale(nn.Module):
    """Looks at all samples, by grouped convolutions."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        shapes = (  # channels before and after, kernel, stride, groups
            (1, 4 * channels, 15, 1, 1),
            (4 * channels, 4 * channels, 41, 2, 4),
            (4 * channels, 8 * channels, 41, 2, 16),
            (8 * channels, 16 * channels, 41, 4, 16),
            (16 * channels, 32 * channels, 41, 4, 16),
            (32 * channels, 32 * channels, 41, 1, 16),
            (32 * channels, 32 * channels, 5, 1, 1),
        )
        self.layers = nn.ModuleList(
            norm(nn.Conv1d(before, after, kernel, stride, kernel // 2, groups=groups))
            for before, after, kernel, stride, groups in shapes
        )
        self.last = norm(nn.Conv1d(32 * channels, 1, 3, padding=1))

    def forward(self, waves: torch.Tensor) -> Judged:
        """Of waves [batch, samples]."""
        return _judged(waves[:, None], self.layers, self.last)


class Discriminators(nn.Module):
    """Those of all periods, and of the waves and their means over 2 and 4 samples."""

    def __init__(self, channels: int = CHANNELS) -> None:
        """Args: `channels`, a multiple of 4: the size of the first layer of a period."""
        super().__init__()
        self.periods = nn.ModuleList(Period(period, channels) for period in PERIODS)
        self.scales = nn.ModuleList(
            Scale(channels, weight_norm if i else spectral_norm) for i in range(SCALES)
        )

    def forward(self, waves: torch.Tensor) -> list[Judged]:
        """What each says of waves [batch, samples]."""
        found = [period(waves) for period in self.periods]
        for number, scale in enumerate(self.scales):
            if number:
                waves = functional.avg_pool1d(waves[:, None], 4, 2, padding=2).squeeze(1)
            found.append(scale(waves))
        return found


def _judged(hidden: torch.Tensor, layers: nn.ModuleList, last: nn.Module) -> Judged:
    features = []
    for layer in layers:
        hidden = functional.leaky_relu(layer(hidden), SLOPE)
        features.append(hidden)
    score = last(hidden)
    return Judged(score.flatten(1), [*features, score])
