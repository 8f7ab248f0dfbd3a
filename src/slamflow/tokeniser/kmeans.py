"""The codebook: k-means on frames drawn from the corpora, and the nearest centroid of a frame."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slamflow import logs, workers
from slamflow.tokeniser import codebook, encoder, features, kmeans_clustering, utterances


def fit(
    config: Mapping[str, Any],
    hubert: Path | None,
    speech: Sequence[Path],
    output: Path,
    machine: Mapping[str, Any],
    label: str = "fit_kmeans",
) -> None:
    """Fit a codebook and write it as kmeans.safetensors.

    Shards, their order and `micro_batch` change no bit of it: utterances are encoded one by one,
    as in a batch they are rounded otherwise, and k-means makes much of little. Another machine,
    device or number of threads may give another codebook, as good.

    Args:
        config: `features` (hubert or mfcc), `layer`, `clusters`, `frames` (fitted on; of whole
            utterances drawn by seed), `seed`, `padding` (samples of zeros around each wave), and
            for MFCC `frame_rate` (default: 25 Hz).
        hubert: model.safetensors; None for MFCC.
        speech: speech tables.
        machine: see `encoder.open_encoder`; `data_root`.

    Raises:
        ValueError: the corpora have fewer frames than there are clusters.
    """
    kind, layer = config["features"], int(config.get("layer", 0))
    padding = int(config.get("padding", 0))
    rate = float(config.get("frame_rate") or features.SAMPLING_RATE / features.HOP)
    hop = round(features.SAMPLING_RATE / rate)
    opened = encoder.open_encoder(kind, layer, hubert, machine, padding=padding, hop=hop)
    opened = replace(opened, seconds=0.0)
    wanted, seed = int(config["frames"]), int(config["seed"])
    frames = collect(opened, speech, wanted, seed, machine, label)
    tensor = torch.from_numpy(frames).to(opened.device)
    centroids = cluster(tensor, int(config["clusters"]), seed)
    origin = codebook.Origin(
        features=kind,
        layer=opened.layer,
        clusters=len(centroids),
        dimension=opened.dimension,
        frame_rate=opened.frame_rate,
        hubert=opened.identity or "",
        frames=wanted,
        seed=seed,
        padding=padding,
        centre=float(opened.centres(1)[0]),
    )
    codebook.write(centroids, origin, output)


def collect(
    opened: encoder.Encoder,
    speech: Sequence[Path],
    wanted: int,
    seed: int,
    machine: Mapping[str, Any],
    label: str,
) -> np.ndarray:
    """Up to `wanted` frames of utterances drawn by seed, float32 [frames, dimension].

    Which they are, and their order, depends on the seed and the utterances alone.
    """
    chosen: list[dict[str, int]] = [{} for _ in speech]  # id -> its place in the draw
    expected = 0.0
    for place, (_, table, name, seconds) in enumerate(utterances.drawn(speech, seed)):
        if expected >= wanted:
            break
        chosen[table][name] = place
        expected += opened.frames(round(seconds * features.SAMPLING_RATE))
    progress = logs.Progress(label, sum(map(len, chosen)), "utterances")
    found: dict[int, np.ndarray] = {}
    for path, places in zip(speech, chosen, strict=True):
        if not places:
            continue
        root = utterances.root(machine)
        count = workers.number(machine)
        read = utterances.read(path, features.SAMPLING_RATE, root, set(places), workers=count)
        for _, row, frames in encoder.encode_all(opened, read, path):
            found[places[row["id"]]] = frames.cpu().numpy()
            progress.update(len(found))
    if not found:
        raise ValueError("there are no utterances to fit k-means on")
    return np.concatenate([found[place] for place in sorted(found)])[:wanted]


def cluster(frames: np.ndarray | torch.Tensor, clusters: int, seed: int) -> np.ndarray:
    """Centroids float32 [clusters, dimension] of float32 frames [n, dimension] on any device.

    Raises:
        ValueError: see `kmeans_clustering.cluster`.
    """
    tensor = frames if isinstance(frames, torch.Tensor) else torch.from_numpy(frames)
    found: np.ndarray = kmeans_clustering.cluster(tensor.float(), clusters, seed).cpu().numpy()
    return found


def assign(frames: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """The index of the nearest centroid of each frame, int64 [n].

    Args:
        frames: float32 [n, dimension].
        centroids: float32 [clusters, dimension].
    """
    return kmeans_clustering.nearest(frames, centroids)[0]
