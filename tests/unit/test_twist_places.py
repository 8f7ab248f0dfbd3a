"""Where text models come from, and which of them are refused."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from loopback import Hub, Server, serving
from small_texts import save
from transformers import AutoModelForCausalLM

from slamflow.lm import architecture, initial

NEW, CONTEXT = 52, 64
FIRST = {"table": "first"}


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a text model."""
    return save(tmp_path_factory.mktemp("text") / "qwen2", "qwen2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 3}, r"its weights lack model\.layers\.2\.\S+ and 11 others"),
        ({"num_hidden_layers": 1}, r"model\.layers\.1\.\S+ and 11 others .* not as its config"),
        ({"intermediate_size": 48}, r"model\.layers\.0\.mlp\S+ and 5 others .* not as its"),
        ({"model_type": "someone's"}, "config.json cannot be read .*someone's"),
        ({"model_type": "hubert"}, "cannot be opened as a causal language model"),
        ({"model_type": "gemma3"}, "gemma3 is no plain text model"),
    ],
)
def test_weights_are_what_the_config_says(
    text: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(text, folder)
    config = json.loads((folder / "config.json").read_text()) | change
    config.pop("layer_types", None)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=message) as failure:
        architecture.build(FIRST, NEW, CONTEXT, folder)
    assert "\n" not in str(failure.value) and str(folder) in str(failure.value)


def test_only_safetensors(text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(text, folder)
    weights = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"model: cannot be opened .* model\.safetensors"):
        architecture.build(FIRST, NEW, CONTEXT, folder)


@pytest.fixture
def hub(text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a text model in two files, and what must not be fetched; the cache is empty."""
    AutoModelForCausalLM.from_pretrained(text).save_pretrained(
        tmp_path / "shards", max_shard_size="40kB"
    )
    with serving(Server()) as cdn, serving(Hub(cdn, "people/text", "model")) as server:
        assert isinstance(server, Hub)
        for path in (tmp_path / "shards").iterdir():
            server.add(path.name, path.read_bytes(), large=path.suffix == ".safetensors")
        for name in ("pytorch_model.bin", "modeling_text.py", "onnx/model.safetensors"):
            server.add(name, b"never asked for", large=True)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        files_of = constants.HUGGINGFACE_CO_URL_TEMPLATE.removeprefix(constants.ENDPOINT)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + files_of)
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        yield server


def test_from_the_hub(hub: Hub, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gated one, with the token of the environment; only what is needed is fetched."""
    hub.token = "secret"
    config = {"init": {"initial": {"model": "people/text", "revision": Hub.commit}, **FIRST}}
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ValueError, match="set HF_TOKEN if it is gated"):
        initial.given([], config, {})
    monkeypatch.setenv("HF_TOKEN", "secret")
    folder = initial.given([], config, {})
    assert folder is not None and folder.name == Hub.commit
    assert len(list(folder.glob("*.safetensors"))) > 1
    found = architecture.build(config["init"], NEW, CONTEXT, folder)
    expected = architecture.build(FIRST, NEW, CONTEXT, text)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor)
    fetched = {path.split("/")[-1] for _, path, _ in hub.asked if "/resolve/" in path}
    assert not fetched & {"pytorch_model.bin", "modeling_text.py"}
    assert not any("onnx" in path for _, path, _ in hub.asked if "/resolve/" in path)


def test_places(text: Path, tmp_path: Path) -> None:
    """A file of this workflow, a folder, and a download below the data's root."""
    weights = text / "model.safetensors"
    assert initial.given([weights], {"init": FIRST}, {}) == text
    assert initial.given([], {"init": {}}, {}) is None
    block = {"init": {"initial": {"model": str(text), "revision": None}}}
    assert initial.given([], block, {}) == text
    shutil.copytree(text, tmp_path / "downloads" / "qwen")
    block = {"init": {"initial": {"model": "downloads/qwen"}}}
    listed = [tmp_path / "results" / "downloads" / "qwen.parquet"]
    found = initial.given(listed, block, {"data_root": str(tmp_path)})
    assert found == tmp_path / "downloads" / "qwen"
