"""Codebooks: reproducible, however the corpus is cut, and refused where they do not fit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import speech_tables
import torch
from sklearn.cluster import MiniBatchKMeans
from small_huberts import save

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import codebook, features, kmeans, kmeans_clustering, tokenising

CONFIG = {"features": "mfcc", "clusters": 12, "frames": 1500, "seed": 3}
ONE = {"threads": 1, "device": "cpu"}


@pytest.mark.parametrize("kind", ["mfcc", "hubert"])
def test_same_codebook_again_from_other_shards_and_in_other_batches(
    kind: str, tmp_path: Path
) -> None:
    table = speech_tables.table(60)
    parts = {"all": table, "a": table.slice(0, 25), "b": table.slice(25)}
    paths = {name: tmp_path / f"{name}.parquet" for name in parts}
    for name, part in parts.items():
        files.write_table(part, paths[name], speech_table.SCHEMA)
    weights = save(tmp_path) if kind == "hubert" else None
    config = {**CONFIG, "features": kind, "layer": 2 if weights else 0}
    found = []
    for index, names in enumerate((["all"], ["all"], ["b", "a"])):
        output, machine = tmp_path / f"{index}.safetensors", {**ONE, "micro_batch": 1 + 50 * index}
        kmeans.fit(config, weights, [paths[name] for name in names], output, machine)
        found.append(output.read_bytes())
    assert found[0] == found[1] == found[2]
    modes = {path.stat().st_mode for path in (tmp_path / "0.safetensors", paths["all"])}
    assert len(modes) == 1  # readable by whom other artefacts are
    centroids, origin = codebook.read(tmp_path / "0.safetensors")
    assert centroids.shape == (12, 32 if weights else features.DIMENSION)
    identity = files.sha256(weights) if weights else ""
    assert origin == codebook.Origin(
        kind, config["layer"], 12, centroids.shape[1], 25.0, identity, 1500, 3,
        centre=330 / 16_000 if weights else 0.02,
    )  # fmt: skip
    assert codebook.size(tmp_path / "0.safetensors") == 12


def test_padding_and_frame_rate_are_part_of_the_codebook(tmp_path: Path) -> None:
    speech = speech_tables.write(tmp_path / "s.parquet", 12)
    for kind, config, hop in (
        ("mfcc", {"frame_rate": 50, "padding": 80}, 320),
        ("hubert", {"layer": 1, "padding": 320}, 640),
    ):
        weights = save(tmp_path) if kind == "hubert" else None
        path = tmp_path / f"{kind}.safetensors"
        config |= {"features": kind, "clusters": 8, "frames": 300, "seed": 0}
        kmeans.fit(config, weights, [speech], path, ONE)
        opened, centroids = tokenising.open_tokeniser(path, weights, ONE)
        assert (opened.hop, opened.padding) == (hop, config["padding"])
        assert codebook.read(path)[1].centre == opened.centres(1)[0]
        assert centroids.shape == (8, opened.dimension)


def test_nearest_centroid() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randn(500, 20, generator=generator)
    centroids = torch.randn(30, 20, generator=generator)
    wanted = torch.cdist(frames.double(), centroids.double()).argmin(1)
    assert torch.equal(kmeans.assign(frames, centroids), wanted)


def test_clusters_that_are_there_are_found() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(8, 5)) * 10
    frames = centres[rng.integers(8, size=2000)] + rng.normal(size=(2000, 5)) * 0.1
    found = kmeans.cluster(frames.astype(np.float32), 8, seed=0)
    distances = np.linalg.norm(centres[:, None] - found[None], axis=2)
    assert sorted(distances.argmin(1)) == list(range(8)) and distances.min(1).max() < 0.1


@pytest.mark.parametrize("clusters", [10, 60])
def test_as_good_as_scikit_learn(clusters: int) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, 12)) * rng.gamma(2, size=(200, 1))
    chosen = rng.integers(200, size=12_000)
    frames = (5 + centres[chosen] + 0.5 * rng.normal(size=(12_000, 12))).astype(np.float32)
    theirs = MiniBatchKMeans(
        clusters, n_init=5, batch_size=10_000, max_no_improvement=50, tol=0.0, random_state=0
    ).fit(frames)
    inertia = []
    for found in (kmeans.cluster(frames, clusters, 0), theirs.cluster_centers_):
        inertia.append(np.linalg.norm(frames[:, None] - found[None], axis=2).min(1) ** 2)
    assert inertia[0].sum() < 1.01 * inertia[1].sum()


def test_same_bits_for_the_same_seed() -> None:
    frames = torch.randn(3000, 8, generator=torch.Generator().manual_seed(0))
    found = [kmeans.cluster(frames, 20, seed) for seed in (1, 1, 2)]
    assert found[0].dtype == np.float32 and found[0].tobytes() == found[1].tobytes()
    assert found[0].tobytes() == kmeans.cluster(frames.numpy(), 20, 1).tobytes()
    assert found[0].tobytes() != found[2].tobytes()


def test_a_cluster_that_loses_all_frames_starts_anew() -> None:
    """In 1-D: of centroids at 0, 1, 1 and 100, one of the two at 1 has no frame."""
    frames = torch.tensor([[0.0], [1.0], [60.0], [100.0]]).repeat(50, 1)
    start = torch.tensor([[0.0], [1.0], [1.0], [100.0]])
    found = kmeans_clustering.settle(frames, start)
    assert sorted(found.flatten().tolist()) == [0, 1, 60, 100]


def test_repeated_frames() -> None:
    """The few that are rare are found, however many clusters fall to them."""
    frames = torch.tensor([[3.0, 1.0]]).repeat(5000, 1)
    frames[::1000] += torch.arange(5)[:, None]
    found = kmeans.cluster(frames, 5, 0)
    assert sorted(found[:, 0].tolist()) == [3, 4, 5, 6, 7]
    with pytest.raises(ValueError, match="5000 frames, of which only 5 are different, are too few"):
        kmeans.cluster(frames, 6, 0)


def test_frames_that_are_not_finite() -> None:
    frames = np.ones((30, 4), dtype=np.float32)
    frames[7, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        kmeans.cluster(frames, 3, 0)


def test_fewer_frames_than_clusters(tmp_path: Path) -> None:
    speech = speech_tables.write(tmp_path / "s.parquet", 2)
    with pytest.raises(ValueError, match="too few for 500 clusters"):
        kmeans.fit({**CONFIG, "clusters": 500}, None, [speech], tmp_path / "k", ONE)


def test_a_layer_that_is_not_there(tmp_path: Path) -> None:
    speech = speech_tables.write(tmp_path / "s.parquet", 2)
    config = {**CONFIG, "features": "hubert", "layer": 4}
    with pytest.raises(ValueError, match="layer: 4 is none of 0 to 3"):
        kmeans.fit(config, save(tmp_path), [speech], tmp_path / "k", ONE)


def test_a_codebook_must_fit_what_it_is_used_with(tmp_path: Path) -> None:
    path = tmp_path / "kmeans.safetensors"
    origin = codebook.Origin("hubert", 1, 3, 32, 25.0, "a" * 64, 10, 0, centre=0.02)
    codebook.write(np.zeros((3, 32)), origin, path)
    assert codebook.read(path)[1] == origin
    codebook.check(origin, path, "a" * 64, 32)
    with pytest.raises(ValueError, match="on another HuBERT"):
        codebook.check(origin, path, "b" * 64)
    with pytest.raises(ValueError, match="have 32 dimensions, the features of layer 1 have 64"):
        codebook.check(origin, path, "a" * 64, 64)
    with pytest.raises(ValueError, match="give that HuBERT"):
        codebook.check(origin, path, None)
    with pytest.raises(ValueError, match="fitted on MFCC, but a HuBERT is given"):
        codebook.check(replace(origin, features="mfcc"), path, "a" * 64)


@pytest.mark.parametrize(
    ("name", "value"),
    [("frame_rate", 0), ("frame_rate", "25"), ("layer", None), ("hubert", 5), ("padding", "0")],
)
def test_what_a_codebook_says_of_itself_may_be_nonsense(
    tmp_path: Path, name: str, value: Any
) -> None:
    path = tmp_path / "kmeans.safetensors"
    origin = codebook.Origin("hubert", 1, 3, 32, 25.0, "a" * 64, 10, 0, centre=0.02)
    codebook.write(np.zeros((3, 32)), replace(origin, **{name: value}), path)
    with pytest.raises(ValueError, match=rf"kmeans\.safetensors: its {name} is {value!r}; delete"):
        codebook.read(path)


def test_what_is_no_codebook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kmeans.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="is no codebook"):
        codebook.read(path)
    (tmp_path / "phones.json").write_text('{"words": []}')
    with pytest.raises(ValueError, match="is no list of phones"):
        codebook.size(tmp_path / "phones.json")
