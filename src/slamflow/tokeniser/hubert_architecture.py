"""A HuBERT in transformers' terms, and the head that predicts its targets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import HubertConfig, HubertModel

from slamflow.tokeniser import hubert

TEMPERATURE = 0.1  # of the cosine between a frame and the embeddings of targets


def build(
    architecture: Mapping[str, Any], clusters: int, seed: int, initial: Path | None = None
) -> "Predictor":
    """A new HuBERT with its head.

    Weights are drawn as transformers draws them, but for those of the positional convolution,
    which are fairseq's: of variance 4 (1 - dropout) / (kernel × width).

    Args:
        architecture: `conv_dim`, `conv_kernel`, `conv_stride`, `norm` (group or layer: of the
            convolutions; with layer, norms in the transformer come before its parts),
            `hidden_size`, `intermediate_size`, `layers`, `heads`, `position_kernel`,
            `position_groups`; `final_size` (in which frames are compared with targets; default:
            `hidden_size`), `dropout` (of the transformer's input, attention and the outputs of its
            parts; default 0), `layer_drop` (share of layers left out of a micro-batch; default 0).
        clusters: number of different targets.
        seed: draws the weights.
        initial: model.safetensors of a HuBERT of this architecture, to go on from.

    Raises:
        ValueError: `initial` has another architecture.
    """
    norm = architecture.get("norm", "group")
    dropout = float(architecture.get("dropout", 0.0))
    config = HubertConfig(
        conv_dim=list(architecture["conv_dim"]),
        conv_kernel=list(architecture["conv_kernel"]),
        conv_stride=list(architecture["conv_stride"]),
        feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer",
        hidden_size=int(architecture["hidden_size"]),
        intermediate_size=int(architecture["intermediate_size"]),
        num_hidden_layers=int(architecture["layers"]),
        num_attention_heads=int(architecture["heads"]),
        num_conv_pos_embeddings=int(architecture.get("position_kernel", 32)),
        num_conv_pos_embedding_groups=int(architecture.get("position_groups", 16)),
        hidden_dropout=dropout,
        attention_dropout=dropout,
        feat_proj_dropout=dropout,
        activation_dropout=0.0,
        final_dropout=0.0,
        layerdrop=float(architecture.get("layer_drop", 0.0)),
        attn_implementation="sdpa",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HubertModel(config)
        convolution = model.encoder.pos_conv_embed.conv
        kernel = convolution.kernel_size[0]
        deviation = (4 * (1 - dropout) / (kernel * config.hidden_size)) ** 0.5
        with torch.no_grad():  # to the weight norm's parts
            convolution.weight = torch.randn_like(convolution.weight) * deviation
        final = int(architecture.get("final_size") or config.hidden_size)
        predictor = Predictor(model, clusters, final)
    if initial is not None:
        _load(model, initial)
    return predictor


class Predictor(nn.Module):
    """A HuBERT and its head; after training, only the HuBERT is kept.

    Attributes:
        hubert: the HuBERT.
        project: of its last layer.
        targets: an embedding of each target, [clusters, final size].
        feature_gradient: what the gradient of the convolutions is multiplied by.
    """

    def __init__(self, hubert: HubertModel, clusters: int, final: int) -> None:
        super().__init__()
        self.hubert = hubert
        self.project = nn.Linear(hubert.config.hidden_size, final)
        self.targets = nn.Parameter(torch.randn(clusters, final))
        self.feature_gradient = 1.0

    def forward(
        self, waves: torch.Tensor, mask: torch.Tensor, picked: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [n, clusters] of `picked` frames, and the convolutions' mean square [batch].

        Both are float32. The waves fill all frames: crops need no attention mask.

        Args:
            waves: [batch, samples].
            mask: bool [batch, frames]; true where a frame is hidden from the transformer.
            picked: int64 [n], indices into the frames of all crops, one crop after the other.
        """
        hidden = waves[:, None]
        for layer in self.hubert.feature_extractor.conv_layers:
            hidden = layer(hidden)
        if self.feature_gradient != 1 and hidden.requires_grad:
            hidden.register_hook(lambda gradient: gradient * self.feature_gradient)
        squares = hidden.float().square().mean((1, 2))
        hidden = self.hubert.feature_projection(hidden.transpose(1, 2))
        hidden = torch.where(mask[:, :, None], self.hubert.masked_spec_embed.to(hidden), hidden)
        hidden = self.hubert.encoder(hidden).last_hidden_state
        predicted = self.project(hidden.flatten(0, 1)[picked]).float()
        if self.training and self.hubert.config.layerdrop:
            predicted = predicted + self._nothing()
        with torch.autocast(waves.device.type, enabled=False):
            targets = functional.normalize(self.targets, dim=-1)
            return functional.normalize(predicted, dim=-1) @ targets.T / TEMPERATURE, squares

    def _nothing(self) -> torch.Tensor:
        """A zero that gives layers which were left out a gradient, of zeros, on every rank."""
        parameters = self.hubert.encoder.layers.parameters()
        return torch.stack([parameter.sum() for parameter in parameters]).sum() * 0.0


def _load(model: HubertModel, weights: Path) -> None:
    wanted, found = model.state_dict(), hubert.load(weights).model.state_dict()
    for name in [*wanted, *found]:
        shapes = [list(state[name].shape) if name in state else None for state in (wanted, found)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"{weights}: is of another architecture than the HuBERT to be trained ({name} is"
                f" {shapes[1]}, not {shapes[0]}); go on from one with the same `architecture`"
            )
    model.load_state_dict(found)
