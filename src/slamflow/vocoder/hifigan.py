"""Code-HiFi-GAN: units to waves by upsampling convolutions.

Sources: Kong and others 2020 (HiFi-GAN, arXiv 2010.05646, appendix A); Polyak and others 2021
(units in place of mels, arXiv 2104.00355); Lee and others 2021 (durations, arXiv 2107.05604). Its
names of settings and weights are those of the released models.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel

from slamflow.vocoder import durations

KIND = "code_hifigan"
SLOPE = 0.1
LAST_SLOPE = 0.01  # before the last convolution


class HifiganConfig(PreTrainedConfig):
    """The settings of a released model, and `units`, `hop` (samples a frame) and `voice`.

    With `voices`, a list of names, it speaks in any of them, and in `voice` if it is not told.
    """

    model_type = KIND


class ResidualBlock(nn.Module):
    """Pairs of convolutions, the first of each dilated."""

    def __init__(self, channels: int, kernel: int, dilations: list[int]) -> None:
        super().__init__()

        def layer(dilation: int) -> nn.Conv1d:
            reach = (kernel - 1) * dilation // 2
            return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=reach)

        self.convs1 = nn.ModuleList(layer(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(layer(1) for _ in dilations)

    def forward(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        for first, second in zip(self.convs1, self.convs2, strict=True):
            found = first(functional.leaky_relu(hidden, SLOPE) * mask)
            hidden = hidden + second(functional.leaky_relu(found, SLOPE) * mask)
        return hidden


class CodeHifigan(PreTrainedModel):
    """The generator, without weight norm."""

    config_class = HifiganConfig

    def __init__(self, config: HifiganConfig) -> None:
        super().__init__(config)
        channels, size = config.upsample_initial_channel, config.embedding_dim
        self.dict = nn.Embedding(config.num_embeddings, size)
        if voices := getattr(config, "voices", None):
            self.voices = nn.Embedding(len(voices), size)
        self.conv_pre = nn.Conv1d(config.model_in_dim, channels, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        rates, kernels = config.upsample_rates, config.upsample_kernel_sizes
        for rate, kernel in zip(rates, kernels, strict=True):
            up = nn.ConvTranspose1d(
                channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2
            )
            self.ups.append(up)
            channels //= 2
            for width, dilations in zip(
                config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
            ):
                self.resblocks.append(ResidualBlock(channels, width, dilations))
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3)
        shape = config.dur_predictor_params
        self.dur_predictor = durations.DurationPredictor(
            shape["encoder_embed_dim"],
            shape["var_pred_hidden_dim"],
            shape["var_pred_kernel_size"],
            shape["var_pred_dropout"],
        )
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Weights are torch's own until they are loaded."""

    @property
    def units(self) -> int:
        """How many units it can speak."""
        return int(self.config.units)

    def lasting(
        self, units: torch.Tensor, lengths: torch.Tensor, voices: torch.Tensor | None = None
    ) -> torch.Tensor:
        """ln(count + 1), [batch, n], of units without repeats [batch, n]; see `forward`."""
        there = durations.mask(lengths, units.shape[1])
        found: torch.Tensor = self.dur_predictor(self._embedded(units, voices), there)
        return found

    def forward(
        self, frames: torch.Tensor, lengths: torch.Tensor, voices: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Samples [batch, t × hop] of a unit a frame [batch, t].

        What lies behind an utterance does not reach into it: each convolution sees zeros there.

        Args:
            lengths: frames of each utterance, [batch].
            voices: of each utterance, its place among the config's `voices`, [batch]; None for
                the config's `voice`. A vocoder of one voice ignores them.
        """
        there = durations.mask(lengths, frames.shape[1]).mT
        hidden = self.conv_pre(self._embedded(frames, voices).mT * there)
        kinds = len(self.config.resblock_kernel_sizes)
        for index, (up, rate) in enumerate(zip(self.ups, self.config.upsample_rates, strict=True)):
            hidden = up(functional.leaky_relu(hidden, SLOPE) * there)
            there = there.repeat_interleave(rate, 2)
            blocks = list(self.resblocks)[index * kinds : (index + 1) * kinds]
            hidden = torch.stack([block(hidden, there) for block in blocks]).mean(0)
        hidden = self.conv_post(functional.leaky_relu(hidden, LAST_SLOPE) * there)
        return torch.tanh(hidden).squeeze(1)

    def waves(
        self, frames: torch.Tensor, lengths: torch.Tensor, voices: torch.Tensor | None = None
    ) -> list[torch.Tensor]:
        """Samples [frames × hop] of each utterance; see `forward`."""
        found = self(frames, lengths, voices).float()
        return [w[: n * self.config.hop] for w, n in zip(found, lengths.tolist(), strict=True)]

    def _embedded(self, units: torch.Tensor, voices: torch.Tensor | None) -> torch.Tensor:
        """[batch, n, size] of units [batch, n]."""
        found: torch.Tensor = self.dict(units)
        if not getattr(self.config, "voices", None):
            return found
        if voices is None:
            place = self.config.voices.index(self.config.voice)
            voices = torch.full(units.shape[:1], place, device=units.device)
        return found + self.voices(voices)[:, None]
