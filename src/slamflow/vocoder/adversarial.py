"""A generator of waves and its discriminators, with the losses of both.

Sources: Kong and others 2020, arXiv 2010.05646, section 2.5 (its equations 2 to 7, and its weights
of the losses); Mao and others 2017 (least squares, arXiv 1611.04076).
"""

from collections.abc import Sequence
from typing import Any

import torch
import torchaudio
from torch import nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import weight_norm

from slamflow.vocoder import durations
from slamflow.vocoder.discriminators import Discriminators, Judged
from slamflow.vocoder.hifigan import CodeHifigan

OF_MELS, OF_FEATURES = 45.0, 2.0  # weights in the generator's loss
FFT, STEP, MELS, FLOOR = 1024, 256, 80, 1e-5  # of the mels that are compared
PLAIN = (nn.Conv1d, nn.ConvTranspose1d)  # what has weight norm, outside the duration predictor


class Adversarial(nn.Module):
    """What is trained: the generator, with weight norm, and the discriminators."""

    def __init__(self, generator: CodeHifigan, channels: int) -> None:
        """Args: `channels`, see `Discriminators`."""
        super().__init__()
        self.generator = generator
        for layer in _normed(generator).values():
            weight_norm(layer)
        self.discriminators = Discriminators(channels)
        self.spectra = torchaudio.transforms.MelSpectrogram(
            *(generator.config.sampling_rate, FFT, FFT, STEP),
            n_mels=MELS,
            power=1.0,
            norm="slaney",
            mel_scale="slaney",
        )

    def forward(
        self,
        frames: torch.Tensor,
        waves: torch.Tensor,
        units: torch.Tensor,
        counts: torch.Tensor,
        sizes: torch.Tensor,
        voices: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """The losses, means over the batch; `loss` is the sum that is minimised.

        One backward pass gives each part the gradients of its own loss only: the discriminators
        see the made waves detached, and the generator's terms go through discriminators whose
        parameters are detached.

        Args:
            frames: a unit a frame of each segment, [batch, t].
            waves: its samples, [batch, t × hop].
            units: of the utterance that the segment is from, without repeats, [batch, n].
            counts: frames of each of them, [batch, n].
            sizes: how many units the utterance has, [batch].
            voices: see `CodeHifigan.forward`.
        """
        lengths = torch.full(frames.shape[:1], frames.shape[1], device=frames.device)
        made = self.generator(frames, lengths, voices).float()
        real, taken = _halves(self.discriminators(torch.cat([waves, made.detach()])))
        found = {"discriminator": told_apart(real, taken)}
        still = {name: p.detach() for name, p in self.discriminators.named_parameters()}
        judged: list[Judged] = functional_call(self.discriminators, still, (made,))
        found["adversarial"] = believed(judged)
        found["feature"] = alike(real, judged)
        found["mel"] = (self.mels(made) - self.mels(waves)).abs().mean()
        lasting = self.generator.lasting(units, sizes, voices).float()
        there = durations.mask(sizes, units.shape[1])[:, :, 0]
        wrong = (lasting - counts.float().log1p()).square() * there
        found["duration"] = (wrong.sum(1) / sizes).mean()
        found["loss"] = (
            found["discriminator"]
            + found["adversarial"]
            + OF_FEATURES * found["feature"]
            + OF_MELS * found["mel"]
            + found["duration"]
        )
        return found

    def mels(self, waves: torch.Tensor) -> torch.Tensor:
        """Natural logarithms of mel magnitudes [batch, MELS, t] of waves [batch, samples]."""
        with torch.autocast(waves.device.type, enabled=False):
            found: torch.Tensor = self.spectra(waves.float()).clamp(min=FLOOR).log()
        return found


def told_apart(real: Sequence[Judged], made: Sequence[Judged]) -> torch.Tensor:
    """The discriminators' loss: squared distances from 1 of real waves, from 0 of made ones."""
    parts = [(1 - each.score.float()).square().mean() for each in real]
    parts += [each.score.float().square().mean() for each in made]
    return torch.stack(parts).sum()


def believed(made: Sequence[Judged]) -> torch.Tensor:
    """The generator's adversarial loss: squared distances from 1 of made waves."""
    return torch.stack([(1 - each.score.float()).square().mean() for each in made]).sum()


def alike(real: Sequence[Judged], made: Sequence[Judged]) -> torch.Tensor:
    """Feature matching: mean distances of what all layers find, real ones detached."""
    parts = [
        (there.detach().float() - here.float()).abs().mean()
        for those, these in zip(real, made, strict=True)
        for there, here in zip(those.features, these.features, strict=True)
    ]
    return torch.stack(parts).sum()


def without_norm(generator: CodeHifigan) -> CodeHifigan:
    """A copy of a generator, on the CPU, with its weight norm multiplied out."""
    plain = CodeHifigan(generator.config)
    weights = {f"{name}.weight": layer.weight for name, layer in _normed(generator).items()}
    for name, tensor in generator.state_dict().items():
        if ".parametrizations." not in name:
            weights[name] = tensor
    plain.load_state_dict(weights)
    return plain.eval()


def _normed(generator: CodeHifigan) -> dict[str, Any]:
    return {
        name: layer
        for name, layer in generator.named_modules()
        if isinstance(layer, PLAIN) and not name.startswith("dur_predictor.")
    }


def _halves(judged: Sequence[Judged]) -> tuple[list[Judged], list[Judged]]:
    """What was said of the first half of a batch, and of the second."""
    halves = []
    for part in (0, 1):
        halves.append(
            [
                Judged(each.score.chunk(2)[part], [f.chunk(2)[part] for f in each.features])
                for each in judged
            ]
        )
    return halves[0], halves[1]
