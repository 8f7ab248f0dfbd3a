"""A HuBERT of others is found in a folder, below data_root, on the hub and in its cache."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from loopback import Hub, Server, serving
from small_huberts import save

from slamflow import files
from slamflow.tokeniser import hubert, hubert_places

NAME = "people/hubert"
CONVERTED = "refs/pr/7"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("hubert"))


@pytest.fixture
def hub(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a HuBERT, and an empty cache of it."""
    with serving(Server()) as cdn, serving(Hub(cdn, NAME, "model")) as server:
        assert isinstance(server, Hub)
        server.add("config.json", small.with_name("config.json").read_bytes())
        server.add("model.safetensors", small.read_bytes(), large=True)
        server.add("pytorch_model.bin", b"never asked for", large=True)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        direct(monkeypatch, server.address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        yield server


def direct(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """What HF_ENDPOINT does before the hub's library is imported."""
    files_of = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + files_of)
    monkeypatch.setattr(constants, "ENDPOINT", address)


def place(revision: str | None = None, **machine: Any) -> Path:
    return hubert_places.weights({"model": NAME, "revision": revision}, machine)


@pytest.mark.parametrize("revision", [None, "main", Hub.commit])
def test_from_the_hub(hub: Hub, small: Path, revision: str | None) -> None:
    found = place(revision)
    assert files.sha256(found) == files.sha256(small)
    assert hubert.load(found).dimension == 32
    assert not any("pytorch_model" in path for method, path, _ in hub.asked if "resolve" in path)


def test_a_conversion_in_a_pull_request(hub: Hub, small: Path) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(ValueError, match=r"has no model\.safetensors.*`refs/pr/N`") as failure:
        place()
    assert NAME in str(failure.value) and "\n" not in str(failure.value)
    hub.add("model.safetensors", small.read_bytes(), large=True)
    hub.commit = "6" * 40
    hub.revisions |= {CONVERTED: hub.commit, hub.commit: hub.commit}
    assert files.sha256(place(CONVERTED)) == files.sha256(small)


def test_no_such_model_and_no_such_revision(hub: Hub) -> None:
    with pytest.raises(ValueError, match=r"revision v2\) is no folder and cannot be had"):
        place("v2")
    with pytest.raises(ValueError, match="people/other"):
        hubert_places.weights({"model": "people/other", "revision": None}, {})


def test_a_gated_model(hub: Hub) -> None:
    hub.gated = True
    with pytest.raises(ValueError, match="set HF_TOKEN if it is gated") as failure:
        place()
    assert "\n" not in str(failure.value)


def test_without_a_network_the_cache_is_used(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = place()
    direct(monkeypatch, "http://127.0.0.1:9")  # nobody listens
    asked = len(hub.asked)
    assert place() == found and len(hub.asked) == asked
    with pytest.raises(ValueError, match="where jobs have no network"):
        hubert_places.weights({"model": "people/other", "revision": None}, {})


def test_in_a_folder(small: Path, tmp_path: Path) -> None:
    assert hubert_places.weights({"model": str(small.parent)}, {}) == small
    below = save(tmp_path / "downloads" / "mhubert")
    machine = {"data_root": str(tmp_path)}
    assert hubert_places.weights({"model": "downloads/mhubert"}, machine) == below
    below.rename(below.with_name("pytorch_model.bin"))
    with pytest.raises(ValueError, match=r"downloads/mhubert has no model\.safetensors"):
        hubert_places.weights({"model": "downloads/mhubert"}, machine)
    below.with_name("config.json").unlink()
    with pytest.raises(ValueError, match=r"has no config\.json"):
        hubert_places.weights({"model": "downloads/mhubert"}, machine)
    with pytest.raises(ValueError, match="run snakemake again, which fetches the download"):
        hubert_places.weights({"model": "downloads/other"}, machine)
