"""Codebooks of others are read as what loads them would, and converted for their HuBERT."""

import gzip
import json
import runpy
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.cluster import KMeans
from small_codebooks import OLD, OLD_CENTROIDS, Evil, fitted, refused
from small_huberts import save

from slamflow import files
from slamflow.tokeniser import codebook, codebook_joblib, tokenising

SCRIPT = Path(__file__).resolve().parents[2] / "workflow_scripts" / "convert_codebook.py"
CONFIG = {"layer": 2, "clusters": 6, "padding": 40}
RANDOM = [None, 3, np.random.RandomState(3)]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("compress", [0, 3, ("zlib", 9), ("gzip", 3)])
@pytest.mark.parametrize("random", RANDOM, ids=["none", "number", "state"])
def test_what_joblib_writes(tmp_path: Path, random: Any, compress: Any, protocol: int) -> None:
    model = fitted(random=random)
    joblib.dump(model, tmp_path / "k.bin", compress=compress, protocol=protocol)
    found = codebook_joblib.read(tmp_path / "k.bin")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, model.cluster_centers_.astype(np.float32))


@pytest.mark.parametrize("module", ["sklearn.cluster._kmeans", "sklearn.cluster.k_means_"])
@pytest.mark.parametrize("joblibs", ["joblib", "sklearn.externals.joblib"])
@pytest.mark.parametrize("packed", [bytes, zlib.compress, gzip.compress])
def test_what_old_versions_wrote(
    tmp_path: Path, module: str, joblibs: str, packed: Callable[[bytes], bytes]
) -> None:
    """Names stand in protocol 3 without their lengths, so that they can be those of any version."""
    written = OLD.replace(b"csklearn.cluster._kmeans\n", f"c{module}\n".encode())
    written = written.replace(b"cjoblib.", f"c{joblibs}.".encode())
    (tmp_path / "k.bin").write_bytes(packed(written))
    np.testing.assert_array_equal(codebook_joblib.read(tmp_path / "k.bin"), OLD_CENTROIDS)


def test_kmeans_in_double_precision_and_the_other_byte_order(tmp_path: Path) -> None:
    model = fitted(kind=KMeans)
    for dtype in (">f8", ">f4", "<f8", "<f2"):
        model.cluster_centers_ = model.cluster_centers_.astype(dtype)
        joblib.dump(model, tmp_path / "k.bin")
        np.testing.assert_array_equal(
            codebook_joblib.read(tmp_path / "k.bin"), model.cluster_centers_.astype(np.float32)
        )


def test_numpy_and_safetensors(tmp_path: Path) -> None:
    centroids = fitted().cluster_centers_
    np.save(tmp_path / "k.npy", centroids)
    save_file({"anything": centroids}, tmp_path / "k.safetensors")
    for name in ("k.npy", "k.safetensors"):
        np.testing.assert_array_equal(codebook_joblib.read(tmp_path / name), centroids)
    save_file({"one": centroids, "two": centroids}, tmp_path / "k.safetensors")
    assert "holds 2 tensors, not one" in refused(tmp_path / "k.safetensors")
    np.save(tmp_path / "k.npy", centroids[0])
    assert "holds float32 of shape (32,)" in refused(tmp_path / "k.npy")
    np.save(tmp_path / "k.npy", np.array([[Evil("x")]]), allow_pickle=True)
    refused(tmp_path / "k.npy")
    header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 30, 1 << 30)}
    with (tmp_path / "k.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
    refused(tmp_path / "k.npy")
    for text in (b"{'shape': (", b"[" * 9000, b"1" * 9000):
        written = b"\x93NUMPY\x01\0" + len(text).to_bytes(2, "little") + text
        (tmp_path / "k.npy").write_bytes(written)
        refused(tmp_path / "k.npy")


def test_other_compressions_say_what_to_do(tmp_path: Path) -> None:
    for compress in ("bz2", "xz", "lzma"):
        joblib.dump(fitted(), tmp_path / "k.bin", compress=(compress, 3))
        assert "save it anew with compress=0" in refused(tmp_path / "k.bin")


def convert(config: Any, source: Path, weights: Path, output: Path) -> None:
    """Run the script as its rule does, but for the process."""
    options = {"hubert": weights, "codebook": output}
    machine = json.dumps({"data_root": str(source.parent)})
    arguments = [part for name, path in options.items() for part in (f"--{name}", str(path))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys,
            "argv",
            [
                str(SCRIPT),
                *arguments,
                "--machine",
                machine,
                "--config",
                json.dumps({**config, "file": source.name}),
            ],
        )
        runpy.run_path(str(SCRIPT), run_name="__main__")


def test_a_converted_codebook_opens_with_its_hubert(tmp_path: Path) -> None:
    weights, source, output = (
        save(tmp_path / "hubert"),
        tmp_path / "km.bin",
        tmp_path / "k.safetensors",
    )
    model = fitted()
    joblib.dump(model, source)
    convert(CONFIG, source, weights, output)
    centroids, origin = codebook.read(output)
    np.testing.assert_array_equal(centroids, model.cluster_centers_)
    assert origin == codebook.Origin(
        "hubert", 2, 6, 32, 25.0, files.sha256(weights), 0, 0, 40, files.sha256(source),
        centre=(330 - 40) / 16_000,
    )  # fmt: skip
    opened, there = tokenising.open_tokeniser(output, weights, {"device": "cpu", "threads": 1})
    assert (opened.layer, opened.padding, opened.frame_rate) == (2, 40, 25.0)
    assert there.shape == (6, 32) and origin.centre == opened.centres(1)[0]
    before = output.read_bytes()
    convert({"layer": 2, "clusters": None, "padding": 40}, source, weights, output)
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clusters": 500}, "has 6 clusters; write `clusters: 6`"),
        ({"layer": 4}, "layer: 4 is none of 0 to 3"),
        (
            {"dimension": 48},
            "its centroids have 48 dimensions, the features of .* have 32; name the",
        ),
        ({"centre": np.nan}, "some of its centroids are not finite"),
        ({"centre": 1e300}, "some of its centroids are not finite"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    weights, source, output = save(tmp_path / "h"), tmp_path / "km.bin", tmp_path / "k.safetensors"
    model = fitted(changes.pop("dimension", 32))
    if "centre" in changes:
        model.cluster_centers_ = model.cluster_centers_.astype(np.float64)
        model.cluster_centers_[0, 0] = changes.pop("centre")
    joblib.dump(model, source)
    with pytest.raises(ValueError, match=message):
        codebook_joblib.convert({**CONFIG, **changes}, source, weights, output)
    assert not output.exists()


def test_more_clusters_than_units_have_numbers(tmp_path: Path) -> None:
    weights = save(tmp_path)
    np.save(tmp_path / "k.npy", np.zeros((65_535, 32), dtype=np.float16))
    with pytest.raises(ValueError, match="has 65535 clusters; units can be of 65534 at most"):
        codebook_joblib.convert({"layer": 2}, tmp_path / "k.npy", weights, tmp_path / "k")


def test_no_hubert(tmp_path: Path) -> None:
    joblib.dump(fitted(), tmp_path / "km.bin")
    with pytest.raises(ValueError, match="does not describe a HuBERT"):
        codebook_joblib.convert(
            CONFIG, tmp_path / "km.bin", tmp_path / "model.safetensors", tmp_path / "k.safetensors"
        )
