"""The convolutions of a HuBERT as matrix products.

The group norm over time after the first convolution never sees its output. That output is
linear in the wave, y = w · x(t) for the patch x(t) of `kernel` samples, so its mean over time is
w · mean(x) and its variance wᵀ cov(x) w. Both are taken in float64 from the patches of the whole
wave, and the norm becomes a factor on the weights and an offset, each wave's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

_PATCHES = 1 << 15  # of which statistics are taken at a time


@dataclass(frozen=True)
class Convolution:
    """One convolution and what follows it.

    Attributes:
        taps: its weights as ⌈kernel / stride⌉ matrices [≤ stride × channels in, channels out].
        bias: [channels out].
        norm: over time (GroupNorm), over channels (LayerNorm), or none.
        activation: in place where that is possible.
    """

    kernel: int
    stride: int
    taps: list[torch.Tensor]
    bias: torch.Tensor | None
    norm: nn.GroupNorm | nn.LayerNorm | None
    activation: Any


def prepare(model: Any) -> list[Convolution]:
    """The convolutions of a transformers' HubertModel, on its device."""
    shape = model.config
    made = []
    for layer in model.feature_extractor.conv_layers:
        weight = layer.conv.weight.detach().permute(2, 1, 0)  # [kernel, channels in, out]
        (kernel,), (stride,) = layer.conv.kernel_size, layer.conv.stride
        taps = [tap.flatten(0, 1).contiguous() for tap in weight.split(stride)]
        activation = layer.activation
        if shape.feat_extract_activation == "gelu":
            activation = torch.ops.aten.gelu_
        norm = getattr(layer, "layer_norm", None)
        bias = None if layer.conv.bias is None else layer.conv.bias.detach()
        made.append(Convolution(kernel, stride, taps, bias, norm, activation))
    return made


@dataclass(frozen=True)
class Wave:
    """A wave on the device, and its own first convolution."""

    samples: torch.Tensor
    frames: int
    taps: list[torch.Tensor]
    bias: torch.Tensor | None


def first(
    layer: Convolution, wave: torch.Tensor, hop: int, receptive: int, device: torch.device
) -> Wave:
    """The first convolution as it is for this wave, its group norm included."""
    frames = (len(wave) - receptive) // hop + 1
    samples = wave.to(device).contiguous()
    if not isinstance(layer.norm, nn.GroupNorm):
        return Wave(samples, frames, layer.taps, layer.bias)
    assert layer.norm.num_groups == layer.norm.num_channels
    count = (len(samples) - layer.kernel) // layer.stride + 1
    parts = samples.as_strided((count, layer.kernel), (layer.stride, 1)).split(_PATCHES)
    middle = sum((p.double().sum(0) for p in parts), samples.new_zeros((), dtype=torch.float64))
    middle = middle / count
    centred = ((part.double() - middle) for part in parts)
    spread = sum((c.T @ c for c in centred), samples.new_zeros((), dtype=torch.float64)) / count
    weight = torch.cat(layer.taps).double()  # [kernel, channels]
    variance = (weight * (spread @ weight)).sum(0)
    gain = layer.norm.weight.double() / torch.sqrt(variance + layer.norm.eps)
    offset = layer.norm.bias.double() - middle @ weight * gain  # a bias of its own cancels
    taps = list((weight * gain).float().split(layer.stride))
    return Wave(samples, frames, taps, offset.float())


def convolve(
    layer: Convolution,
    hidden: torch.Tensor,
    taps: Sequence[torch.Tensor],
    bias: torch.Tensor | None,
    target: torch.Tensor | None = None,
) -> torch.Tensor:
    """[frames out, channels out] of contiguous [frames, channels]: a sum of matrix products.

    Frame t takes the rows of `stride` frames that begin at t × stride, (t + 1) × stride, …
    """
    channels = hidden.shape[1]
    count = (len(hidden) - layer.kernel) // layer.stride + 1
    flat, step = hidden.flatten(), layer.stride * channels
    if target is None:
        target = hidden.new_empty(count, taps[0].shape[1])
    for index, tap in enumerate(taps):
        rows = flat[index * step :].as_strided((count, len(tap)), (step, 1))
        if index:
            target.addmm_(rows, tap)
        elif bias is None:
            torch.mm(rows, tap, out=target)
        else:
            torch.addmm(bias, rows, tap, out=target)
    return target


def finish(layer: Convolution, hidden: torch.Tensor) -> torch.Tensor:
    """Norm over channels, if there is one, and activation of [frames, channels]."""
    if isinstance(layer.norm, nn.LayerNorm):
        norm = layer.norm
        hidden = functional.layer_norm(
            hidden.float(), norm.normalized_shape, norm.weight, norm.bias, norm.eps
        )
    return layer.activation(hidden)


def cast(layer: Convolution, dtype: torch.dtype) -> Convolution:
    """The same with weights of `dtype`."""
    bias = None if layer.bias is None else layer.bias.to(dtype)
    taps = [tap.to(dtype) for tap in layer.taps]
    return Convolution(layer.kernel, layer.stride, taps, bias, layer.norm, layer.activation)
