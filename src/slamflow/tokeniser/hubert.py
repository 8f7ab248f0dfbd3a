"""Features of a HuBERT that do not depend on the batch.

transformers' HubertModel lets zeros that fill up a batch leak into the features of short
utterances: through the group norm over time, the positional convolution and, in part, attention.
Here statistics are taken over, and attention goes to, what is really there, and the layers above
the tapped one do not run. The result of an utterance equals that of transformers' model for it
alone, up to rounding.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import HubertModel

from slamflow import files
from slamflow.tokeniser import convolutions


@dataclass(frozen=True)
class Hubert:
    """A HuBERT for inference.

    Attributes:
        model: in float32, on `device`.
        sha256: of its model.safetensors.
        normalised: waves are brought to mean 0 and variance 1 first, as it was trained.
    """

    model: HubertModel
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
        ValueError: it is no HuBERT.
    """
    folder = Path(weights).parent
    try:
        model, report = HubertModel.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    except (OSError, SafetensorError, ValueError) as error:
        raise ValueError(f"{folder}: cannot be opened as a HuBERT ({error})") from None
    missing = sorted(set(report["missing_keys"]) - {"masked_spec_embed"})
    if missing:
        raise ValueError(f"{folder}: its weights lack {missing[0]} and {len(missing) - 1} others")
    preprocessor = folder / convolutions.PREPROCESSOR
    settings = json.loads(preprocessor.read_text()) if preprocessor.exists() else {}
    return Hubert(
        model.eval().to(device), files.sha256(weights), bool(settings.get("do_normalize")), device
    )


@torch.inference_mode()
def features(hubert: Hubert, waves: Sequence[torch.Tensor], layer: int) -> list[torch.Tensor]:
    """Features of each wave at `layer`: float32 [frames, dimension], on the device.

    Args:
        waves: float32 [samples] at 16 kHz on the CPU, each at least `hubert.receptive` long.
        layer: index into transformers' `hidden_states`: 0 is the transformer's input,
            `hubert.layers` the output of its last layer, without the final norm that some have.
    """
    assert 0 <= layer <= hubert.layers, layer
    assert all(len(wave) >= hubert.receptive for wave in waves)
    if hubert.normalised:
        waves = [_normalised(wave) for wave in waves]
    lengths = torch.tensor([len(wave) for wave in waves])
    batch = nn.utils.rnn.pad_sequence(list(waves), batch_first=True).to(hubert.device)
    hidden, lengths = _convolutions(hubert.model, batch, lengths.to(hubert.device))
    hidden = hubert.model.feature_projection(hidden.transpose(1, 2))
    real = torch.arange(hidden.shape[1], device=hidden.device) < lengths[:, None]
    hidden = _transformer(hubert.model, hidden * real[:, :, None], real, layer)
    return [row[:length] for row, length in zip(hidden, lengths.tolist(), strict=True)]


def _normalised(wave: torch.Tensor) -> torch.Tensor:
    """As transformers' Wav2Vec2FeatureExtractor does it."""
    return (wave - wave.mean()) / torch.sqrt(wave.var(correction=0) + 1e-7)


def _convolutions(
    model: HubertModel, batch: torch.Tensor, lengths: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """[batch, channels, frames] and the frames of each, of waves [batch, samples]."""
    hidden = batch[:, None]
    for index, layer in enumerate(model.feature_extractor.conv_layers):
        kernel, stride = model.config.conv_kernel[index], model.config.conv_stride[index]
        lengths = (lengths - kernel) // stride + 1
        if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
            hidden = layer.activation(_group_norm(layer.layer_norm, layer.conv(hidden), lengths))
        else:
            hidden = layer(hidden)
    return hidden, lengths


def _group_norm(norm: nn.GroupNorm, hidden: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """GroupNorm with a channel a group (the statistics are over time), frames past `lengths` aside.

    Args:
        hidden: [batch, channels, frames].
        lengths: [batch].
    """
    assert norm.num_groups == norm.num_channels
    real = (torch.arange(hidden.shape[2], device=hidden.device) < lengths[:, None])[:, None]
    count = lengths[:, None, None]
    mean = (hidden * real).sum(2, keepdim=True) / count
    centred = (hidden - mean) * real
    variance = centred.square().sum(2, keepdim=True) / count
    gain = norm.weight[:, None] * torch.rsqrt(variance + norm.eps)
    return centred * gain + norm.bias[:, None]


def _transformer(
    model: HubertModel, hidden: torch.Tensor, real: torch.Tensor, layer: int
) -> torch.Tensor:
    """Hidden state `layer` of projected features [batch, frames, dimension], zero if not `real`."""
    encoder = model.encoder
    hidden = hidden + _positions(encoder.pos_conv_embed, hidden, real)
    if not model.config.do_stable_layer_norm:
        hidden = encoder.layer_norm(hidden)
    mask = None if bool(real.all()) else real[:, None, None]
    for block in encoder.layers[:layer]:
        hidden = block(hidden, attention_mask=mask)
    return hidden


def _positions(embed: Any, hidden: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """The positional convolution; a batch norm before it would make something of zeros."""
    if embed.batch_norm is None:
        return embed(hidden)
    normed = embed.batch_norm(hidden.transpose(1, 2)) * real[:, None]
    return embed.activation(embed.padding(embed.conv(normed))).transpose(1, 2)
