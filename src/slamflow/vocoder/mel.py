"""A light vocoder of one voice: units to log-mels by a small network, and Griffin-Lim to waves.

The network reads the centroids of units, not their numbers. So it speaks the units of any codebook
of the features that it was trained with.
"""

import functools

import torch
import torchaudio
from torch import nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel

from slamflow.vocoder import durations

KIND = "unit_mel"
SAMPLING_RATE = 16_000  # Hz
STEP = 128  # samples from mel to mel
FFT = 512  # samples of a window: longer ones blur quick speech
MELS = 80
FLOOR = 1e-4  # of a mel's magnitude
ITERATIONS = 32  # of Griffin-Lim; twice as many gain little
SEED = 0  # of its first phases


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


def log_mel(samples: torch.Tensor) -> torch.Tensor:
    """Natural logarithms of mel magnitudes, [samples / STEP, MELS]; mel t is centred at t × STEP.

    Args:
        samples: [a multiple of STEP], float.
    """
    reflected = len(samples) > FFT // 2
    spectrum = torch.stft(
        samples,
        FFT,
        STEP,
        window=torch.hann_window(FFT, device=samples.device),
        center=True,
        pad_mode="reflect" if reflected else "constant",
        return_complex=True,
    )
    magnitudes = spectrum.abs()[:, : len(samples) // STEP]
    return (_filters().to(samples.device) @ magnitudes).clamp(min=FLOOR).log().T


def wave(mel: torch.Tensor) -> torch.Tensor:
    """Samples [t × STEP] whose log-mels are about `mel` [t, MELS], by Griffin-Lim.

    Sources: Griffin and Lim 1984; its fast form of Perraudin and others 2013. First phases are
    drawn from a fixed seed, so that the same mels give the same wave.
    """
    device = mel.device
    # one more is centred at the wave's end; fewer than half a window cannot be reflected
    size = max(len(mel), FFT // 2 // STEP + 1)
    whole = torch.cat([mel, mel[-1:].expand(size + 1 - len(mel), -1)])
    spectrum = (_inverse().to(device) @ whole.exp().T).clamp(min=0)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(SEED)
        found: torch.Tensor = torchaudio.functional.griffinlim(
            spectrum,
            window=torch.hann_window(FFT, device=device),
            n_fft=FFT,
            hop_length=STEP,
            win_length=FFT,
            power=1.0,
            n_iter=ITERATIONS,
            momentum=0.99,
            length=size * STEP,
            rand_init=True,
        )
    return found[: len(mel) * STEP]


@functools.cache
def _filters() -> torch.Tensor:
    """[MELS, FFT / 2 + 1]."""
    found: torch.Tensor = torchaudio.functional.melscale_fbanks(
        FFT // 2 + 1, 0.0, SAMPLING_RATE / 2, MELS, SAMPLING_RATE, norm="slaney", mel_scale="slaney"
    )
    return found.T.contiguous()


@functools.cache
def _inverse() -> torch.Tensor:
    """[FFT / 2 + 1, MELS]; what it makes of mels has them again, but for what is below zero."""
    return torch.linalg.pinv(_filters())
