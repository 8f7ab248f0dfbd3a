"""The published HuBERT base can be written down."""

from pathlib import Path

import torch
from transformers import HubertConfig, HubertModel

from slamflow.tokeniser import hubert_architecture


def test_published_base_architecture(tmp_path: Path) -> None:
    architecture = {
        "conv_dim": [512] * 7,
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "hidden_size": 768,
        "intermediate_size": 3072,
        "layers": 12,
        "heads": 12,
        "position_kernel": 128,
        "position_groups": 16,
        "final_size": 256,
        "dropout": 0.1,
        "layer_drop": 0.05,
    }
    with torch.device("meta"):  # shapes without memory
        made = hubert_architecture.build(architecture, 500, 0)
        made.hubert.config.save_pretrained(tmp_path)
        opened = HubertModel(HubertConfig.from_pretrained(tmp_path))
    assert sum(p.numel() for p in made.hubert.parameters()) == 94_371_712  # Hsu et al.: 95M
    assert (made.project.out_features, made.targets.shape) == (256, (500, 256))
    assert opened.config.layerdrop == 0.05 and opened.config.hidden_dropout == 0.1
    shapes = [{n: t.shape for n, t in m.state_dict().items()} for m in (made.hubert, opened)]
    assert shapes[0] == shapes[1]
