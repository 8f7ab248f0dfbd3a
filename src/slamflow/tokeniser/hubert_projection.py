"""Waves to the projected features that a HuBERT's transformer begins with.

Waves are laid one after the other and cut into blocks, so nothing is padded, memory is bounded and
intermediate results stay in the cache. Blocks share nothing but the weights and the statistics of
their wave: where they are cut, and what else is in the batch, changes rounding alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from slamflow.tokeniser import convolutions, hubert_convolutions
from slamflow.tokeniser.convolutions import SAMPLING_RATE

BLOCK = {"cpu": 2 * SAMPLING_RATE, "cuda": 240 * SAMPLING_RATE}  # samples in a block


@torch.inference_mode()
def project(
    model: Any,
    layers: Sequence[hubert_convolutions.Convolution],
    waves: Sequence[torch.Tensor],
    dtype: torch.dtype,
) -> list[torch.Tensor]:
    """Convolutions and feature projection of each wave: float32 [frames, dimension].

    Args:
        model: the HubertModel that `layers` were made of.
        waves: float32 [samples], each long enough for a frame.
        dtype: of the convolutions but the first, and of the projection.
    """
    device = model.device
    hop = convolutions.hop([layer.stride for layer in layers])
    receptive = convolutions.receptive([c.kernel for c in layers], [c.stride for c in layers])
    prepared = [
        hubert_convolutions.first(layers[0], wave, hop, receptive, device) for wave in waves
    ]
    rest = [hubert_convolutions.cast(layer, dtype) for layer in layers[1:]]
    found: list[list[torch.Tensor]] = [[] for _ in waves]
    for block in _blocks([wave.frames for wave in prepared], BLOCK[device.type] // hop):
        pieces = [
            prepared[index].samples[start * hop : (stop - 1) * hop + receptive]
            for index, start, stop in block
        ]
        hidden, starts = _rows(layers[0], [prepared[index] for index, *_ in block], pieces, hop)
        for layer in rest:
            hidden = hubert_convolutions.finish(
                layer, hubert_convolutions.convolve(layer, hidden.to(dtype), layer.taps, layer.bias)
            )
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            projected = model.feature_projection(hidden.float()).float()
        for (index, start, stop), place in zip(block, starts, strict=True):
            found[index].append(projected[place : place + stop - start])
    return [parts[0] if len(parts) == 1 else torch.cat(parts) for parts in found]


def _blocks(frames: Sequence[int], size: int) -> Iterator[list[tuple[int, int, int]]]:
    """Pieces (wave, first frame, end) that together have `size` frames at most."""
    block: list[tuple[int, int, int]] = []
    room = size
    for index, total in enumerate(frames):
        start = 0
        while start < total:
            stop = min(total, start + room)
            block.append((index, start, stop))
            room -= stop - start
            start = stop
            if not room:
                yield block
                block, room = [], size
    if block:
        yield block


def _rows(
    layer: hubert_convolutions.Convolution,
    waves: Sequence[hubert_convolutions.Wave],
    pieces: Sequence[torch.Tensor],
    hop: int,
) -> tuple[torch.Tensor, list[int]]:
    """The first convolution of pieces one after the other, and the frame at which each begins.

    Each begins at a whole frame; the frames that see two pieces are nobody's.
    """
    rows = hop // layer.stride
    starts, lengths, place = [], [], 0
    for piece in pieces:
        starts.append(place)
        lengths.append((len(piece) - layer.kernel) // layer.stride + 1)
        place += -(-len(piece) // hop)
    total = starts[-1] * rows + lengths[-1]
    hidden = pieces[0].new_zeros(total, layer.taps[0].shape[1])
    for wave, piece, start, length in zip(waves, pieces, starts, lengths, strict=True):
        target = hidden[start * rows : start * rows + length]
        hubert_convolutions.convolve(layer, piece[:, None], wave.taps, wave.bias, target)
    if isinstance(layer.norm, nn.GroupNorm):
        return layer.activation(hidden), starts
    return hubert_convolutions.finish(layer, hidden), starts
