"""A small training of a HuBERT for the tests: its block, its tokeniser and its data."""

from pathlib import Path
from typing import Any

from slamflow.tokeniser import hubert_data, kmeans

CONFIG: dict[str, Any] = {
    "architecture": {
        "conv_dim": [24, 24, 32],
        "conv_kernel": [40, 8, 4],
        "conv_stride": [20, 8, 4],
        "norm": "group",
        "hidden_size": 32,
        "intermediate_size": 64,
        "layers": 2,
        "heads": 2,
        "position_kernel": 8,
        "position_groups": 4,
    },
    "crop_seconds": 1.0,
    "batch_seconds": 6.0,
    "mask_share": 0.08,
    "mask_frames": 5,
    "budget": {"steps": 40},
    "learning_rate": 5.0e-3,
    "warmup": 0.1,
    "clip": 1.0,
    "seed": 1,
}
HOP, RECEPTIVE, CLUSTERS = 640, 40 + 7 * 20 + 3 * 160, 8
ONE = {"threads": 1, "device": "cpu"}


def prepare(
    folder: Path, speech: Path, codebook: Path, identity: str = "a", hubert: Path | None = None
) -> hubert_data.Stream:
    hubert_data.prepare(folder, [speech], codebook, hubert, HOP, RECEPTIVE, identity, ONE, "test")
    return hubert_data.Stream.open(folder)


def fit(speech: Path, folder: Path, hubert: Path | None = None, layer: int = 0) -> Path:
    kind = "hubert" if hubert else "mfcc"
    config = {"features": kind, "layer": layer, "clusters": CLUSTERS, "frames": 1000, "seed": 1}
    kmeans.fit(config, hubert, [speech], folder / "kmeans.safetensors", ONE)
    return folder / "kmeans.safetensors"
