"""Features of a HuBERT that do not depend on the batch.

transformers' HubertModel lets zeros that fill up a batch leak into the features of short
utterances: through the group norm over time, the positional convolution and, in part, attention.
Here statistics are taken over, and attention goes to, what is really there, and the layers above
the tapped one do not run. The result of an utterance equals that of transformers' model for it
alone, up to rounding.

Utterances of more than WINDOW seconds are the exception: their statistics, convolutions and
positions are still those of the whole, but attention sees WINDOW seconds at a time, so that time
grows with length and not with its square. On ten minutes of read speech (LibriSpeech, a speaker
every 12 s; the pocket HuBERT, layer 3) features then differ from the whole computation by 5 % of
their RMS, and 9 % of the units of 500 and 3 % of those of 100 are others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import HubertModel

from slamflow import files
from slamflow.tokeniser import (
    convolutions,
    hubert_convolutions,
    hubert_normalisation,
    hubert_projection,
    hubert_weights,
    hubert_windows,
)

WINDOW = 300.0  # seconds; longer utterances go through the transformer in windows of these
OVERLAP = 30.0  # seconds on both sides of what is kept of a window


@dataclass(frozen=True)
class Hubert:
    """A HuBERT for inference.

    Attributes:
        model: in float32, on `device`.
        convolutions: those of the model, as matrix products.
        sha256: of its model.safetensors.
        normalised: waves are brought to mean 0 and variance 1 first, as its preprocessor says.
    """

    model: HubertModel
    convolutions: list[hubert_convolutions.Convolution]
    sha256: str
    normalised: bool
    device: str

    @property
    def hop(self) -> int:
        """Samples from frame to frame."""
        return convolutions.hop(self.model.config.conv_stride)

    @property
    def receptive(self) -> int:
        """Samples that a frame of the convolutions sees; frame t begins at t × `hop`."""
        shape = self.model.config
        return convolutions.receptive(shape.conv_kernel, shape.conv_stride)

    @property
    def layers(self) -> int:
        return int(self.model.config.num_hidden_layers)

    @property
    def dimension(self) -> int:
        return int(self.model.config.hidden_size)

    def frames(self, samples: int) -> int:
        """The number of frames of a wave."""
        return max(0, (samples - self.receptive) // self.hop + 1)


def load(weights: Path, device: str = "cpu") -> Hubert:
    """Open the HuBERT whose model.safetensors is `weights`; its config lies beside it.

    Raises:
        ValueError: see `hubert_weights.open_model` and `hubert_normalisation.wanted`.
    """
    folder = Path(weights).parent
    if torch.device(device).type == "cuda":
        # float32 is float32 in the positional convolution, too
        torch.backends.cudnn.allow_tf32 = False
    model: Any = hubert_weights.open_model(folder).to(device)
    prepared = hubert_convolutions.prepare(model)
    normalised = hubert_normalisation.wanted(folder)
    return Hubert(model, prepared, files.sha256(weights), normalised, device)


@torch.inference_mode()
def features(
    hubert: Hubert,
    waves: Sequence[torch.Tensor],
    layer: int,
    dtype: torch.dtype = torch.float32,
    padding: int = 0,
) -> list[torch.Tensor]:
    """Features of each wave at `layer`: float32 [frames, dimension], on the device.

    Args:
        waves: float32 [samples] at 16 kHz on any device, each at least `hubert.receptive` long.
        layer: index into transformers' `hidden_states`: 0 is the transformer's input,
            `hubert.layers` the output of its last layer, without the final norm that some have.
        dtype: of matrix products and convolutions; norms, statistics and residual sums stay in
            float32.
        padding: samples of zeros at both ends of each wave. A HuBERT that normalises does so
            without them, and they stay zeros, as transformers' preprocessor has it.
    """
    assert 0 <= layer <= hubert.layers, layer
    assert all(len(wave) >= hubert.receptive for wave in waves)
    if hubert.normalised:
        waves = [hubert_normalisation.normalise(wave, padding) for wave in waves]
    projected = hubert_projection.project(hubert.model, hubert.convolutions, waves, dtype)
    found: list[torch.Tensor] = [torch.empty(0)] * len(waves)
    with torch.autocast(hubert.model.device.type, dtype, enabled=dtype != torch.float32):
        short = []
        for index, hidden in enumerate(projected):
            if len(hidden) > _in_frames(hubert, WINDOW):
                found[index] = _in_windows(hubert, hidden, layer)
            else:
                short.append(index)
        rows = _together(hubert.model, [projected[index] for index in short], layer)
        for index, row in zip(short, rows, strict=True):
            found[index] = row
    return found


def _in_frames(hubert: Hubert, seconds: float) -> int:
    return round(seconds * convolutions.SAMPLING_RATE / hubert.hop)


def _together(model: Any, projected: Sequence[torch.Tensor], layer: int) -> list[torch.Tensor]:
    """Hidden states `layer` of utterances [frames, dimension], as one batch."""
    if not projected:
        return []
    lengths = [len(hidden) for hidden in projected]
    batch = nn.utils.rnn.pad_sequence(list(projected), batch_first=True)
    real = None
    if min(lengths) < max(lengths):
        ends = torch.tensor(lengths, device=batch.device)
        real = torch.arange(batch.shape[1], device=batch.device) < ends[:, None]
    hidden = _layers(model, _embed(model, batch, real), real, layer)
    return [row[:length] for row, length in zip(hidden, lengths, strict=True)]


def _in_windows(hubert: Hubert, projected: torch.Tensor, layer: int) -> torch.Tensor:
    """Hidden state `layer` of a long utterance [frames, dimension]."""
    model = hubert.model
    size, overlap = _in_frames(hubert, WINDOW), _in_frames(hubert, OVERLAP)
    reach = model.config.num_conv_pos_embeddings // 2  # of the positional convolution
    found = torch.empty_like(projected)
    for start, stop, first, end in hubert_windows.windows(len(projected), size, overlap):
        before = min(start, reach)
        hidden = _embed(model, projected[None, start - before : stop + reach], None)
        hidden = hidden[:, before : before + stop - start]
        hidden = _layers(model, hidden, None, layer)
        found[first:end] = hidden[0, first - start : end - start]
    return found


def _embed(model: Any, hidden: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """What goes into the first layer, of projected features [batch, frames, dimension].

    Args:
        real: [batch, frames], None if all are; the others must be zero.
    """
    embed = model.encoder.pos_conv_embed
    positions = hidden.transpose(1, 2)
    if embed.batch_norm is not None:
        positions = embed.batch_norm(positions)
        if real is not None:  # the norm makes something of zeros
            positions = positions.masked_fill(~real[:, None], 0.0)
    positions = embed.activation(embed.padding(embed.conv(positions))).transpose(1, 2)
    hidden = hidden + positions
    return hidden if model.config.do_stable_layer_norm else model.encoder.layer_norm(hidden)


def _layers(
    model: Any, hidden: torch.Tensor, real: torch.Tensor | None, layer: int
) -> torch.Tensor:
    """The transformer's first `layer` layers of [batch, frames, dimension]."""
    mask = None if real is None else real[:, None, None]
    for block in model.encoder.layers[:layer]:
        hidden = block(hidden, attention_mask=mask)
    return hidden.float()
