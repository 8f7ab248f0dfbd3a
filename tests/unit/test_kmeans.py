"""Codebooks: reproducible, however the corpus is cut, and refused where they do not fit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import speech_tables
import torch
from small_huberts import save

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import codebook, features, kmeans

CONFIG = {"features": "mfcc", "clusters": 12, "frames": 1500, "seed": 3}
ONE = {"threads": 1, "device": "cpu"}


def test_same_codebook_again_and_from_other_shards(tmp_path: Path) -> None:
    table = speech_tables.table(60)
    parts = {"all": table, "a": table.slice(0, 25), "b": table.slice(25)}
    paths = {name: tmp_path / f"{name}.parquet" for name in parts}
    for name, part in parts.items():
        files.write_table(part, paths[name], speech_table.SCHEMA)
    found = []
    for index, names in enumerate((["all"], ["all"], ["b", "a"])):
        output = tmp_path / f"{index}.safetensors"
        kmeans.fit(CONFIG, None, [paths[name] for name in names], output, ONE)
        found.append(output.read_bytes())
    assert found[0] == found[1] == found[2]
    modes = {path.stat().st_mode for path in (tmp_path / "0.safetensors", paths["all"])}
    assert len(modes) == 1  # readable by whom other artefacts are
    centroids, origin = codebook.read(tmp_path / "0.safetensors")
    assert centroids.shape == (12, features.DIMENSION)
    assert origin == codebook.Origin("mfcc", 0, 12, 39, 25.0, "", 1500, 3)
    assert codebook.size(tmp_path / "0.safetensors") == 12


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
    origin = codebook.Origin("hubert", 1, 3, 32, 25.0, "a" * 64, 10, 0)
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


def test_what_is_no_codebook_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kmeans.safetensors"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match="is no codebook"):
        codebook.read(path)
    (tmp_path / "phones.json").write_text('{"words": []}')
    with pytest.raises(ValueError, match="is no list of phones"):
        codebook.size(tmp_path / "phones.json")
