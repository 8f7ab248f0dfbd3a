"""A HuBERT in transformers' terms, and the head that predicts its targets."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import HubertConfig, HubertModel

TEMPERATURE = 0.1  # of the cosine between a frame and the embeddings of targets


def build(architecture: Mapping[str, Any], clusters: int, seed: int) -> "Predictor":
    """A new HuBERT with its head.

    Args:
        architecture: `conv_dim`, `conv_kernel`, `conv_stride`, `norm` (group or layer: of the
            convolutions; with layer, norms in the transformer come before its parts),
            `hidden_size`, `intermediate_size`, `layers`, `heads`, `position_kernel`,
            `position_groups`.
        clusters: number of different targets.
        seed: draws the weights.
    """
    norm = architecture.get("norm", "group")
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
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        attn_implementation="sdpa",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Predictor(HubertModel(config), clusters)


class Predictor(nn.Module):
    """A HuBERT and its head; after training, only the HuBERT is kept.

    Attributes:
        hubert: the HuBERT.
        project: of its last layer.
        targets: an embedding of each target, [clusters, dimension].
    """

    def __init__(self, hubert: HubertModel, clusters: int) -> None:
        super().__init__()
        width = hubert.config.hidden_size
        self.hubert = hubert
        self.project = nn.Linear(width, width)
        self.targets = nn.Parameter(torch.randn(clusters, width))

    def forward(
        self, waves: torch.Tensor, mask: torch.Tensor, picked: torch.Tensor
    ) -> torch.Tensor:
        """Logits float32 [n, clusters] of `picked` frames of waves [batch, samples].

        The waves fill all frames: crops need no attention mask.

        Args:
            mask: bool [batch, frames]; true where a frame is hidden from the transformer.
            picked: int64 [n], indices into the frames of all crops, one crop after the other.
        """
        hidden = waves[:, None]
        for layer in self.hubert.feature_extractor.conv_layers:
            hidden = layer(hidden)
        hidden = self.hubert.feature_projection(hidden.transpose(1, 2))
        hidden = torch.where(mask[:, :, None], self.hubert.masked_spec_embed.to(hidden), hidden)
        hidden = self.hubert.encoder(hidden).last_hidden_state
        predicted = self.project(hidden.flatten(0, 1)[picked]).float()
        with torch.autocast(waves.device.type, enabled=False):
            targets = functional.normalize(self.targets, dim=-1)
            return functional.normalize(predicted, dim=-1) @ targets.T / TEMPERATURE
