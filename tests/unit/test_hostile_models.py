"""Models of others: no code of theirs runs, nothing is unpickled, nothing else is opened."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_huberts
import torch
from small_codebooks import Evil
from small_models import qwen2
from transformers import AutoModelForCausalLM, AutoTokenizer

from slamflow import pretrained
from slamflow.generation import hub_tokenizer
from slamflow.lm import saved, twist
from slamflow.tokeniser import hubert

CODE = "import os\nos.system('touch {canary}')\nclass Evil:\n    pass\n"
AUTO = {
    "AutoConfig": "evil.Evil",
    "AutoModel": "evil.Evil",
    "AutoModelForCausalLM": "evil.Evil",
    "AutoTokenizer": ["evil.Evil", "evil.Evil"],
}


def edit(path: Path, **changes: Any) -> None:
    found = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**found, **changes}))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


@pytest.fixture
def folder(tmp_path: Path, canary: Path) -> Path:
    """A language model with code beside it."""
    found = tmp_path / "model"
    qwen2(22, 0.3).save_pretrained(found)
    (found / "evil.py").write_text(CODE.format(canary=canary))
    return found


def instead(folder: Path, name: str) -> Path:
    """The place of other weights than those that are there."""
    (folder / "model.safetensors").unlink()
    return folder / name


def index(folder: Path, name: str) -> None:
    path = instead(folder, "model.safetensors.index.json")
    path.write_text(json.dumps({"metadata": {}, "weight_map": {"lm_head.weight": name}}))


def evil(canary: Path) -> Evil:
    return Evil(f"touch {canary}")


Change = Callable[[Path, Path], Any]
REFUSED: dict[str, tuple[Change, str]] = {
    "code of its own": (
        lambda model, _: edit(model / "config.json", model_type="evil", auto_map=AUTO),
        "contains custom code",
    ),
    "attention from the hub": (
        lambda model, _: edit(model / "config.json", attn_implementation="evil/kernel"),
        r"config\.json: attn_implementation asks for code",
    ),
    "attention of a part": (
        lambda model, _: edit(model / "config.json", text={"_attn_implementation": "a/b@c"}),
        r"config\.json: _attn_implementation asks for code",
    ),
    "an adapter": (
        lambda model, _: edit(model / "adapter_config.json", base_model_name_or_path="evil/base"),
        "is an adapter",
    ),
    "an expression": (
        lambda model, canary: edit(
            model / "config.json", hidden_act=f"__import__('os').system('touch {canary}')"
        ),
        "cannot be opened",
    ),
    "a pickle by another name": (
        lambda model, canary: instead(model, "model.safetensors").write_bytes(
            pickle.dumps(evil(canary))
        ),
        "cannot be opened",
    ),
    "torch's file by another name": (
        lambda model, canary: torch.save(evil(canary), instead(model, "model.safetensors")),
        "cannot be opened",
    ),
    "only torch's file": (
        lambda model, canary: torch.save(evil(canary), instead(model, "pytorch_model.bin")),
        "no file named model.safetensors",
    ),
    "torch's file by an index": (
        lambda model, canary: (index(model, "x.bin"), torch.save(evil(canary), model / "x.bin")),
        r"index\.json: names 'x\.bin', and only safetensors beside it",
    ),
    "another folder": (
        lambda model, _: index(model, "../../secret.safetensors"),
        "only safetensors beside it are opened",
    ),
    "a header beyond any": (
        lambda model, _: instead(model, "model.safetensors").write_bytes(b"\xff" * 8 + b"{}"),
        "cannot be opened",
    ),
    "a header of headers": (
        lambda model, _: instead(model, "model.safetensors").write_bytes(
            (90_000).to_bytes(8, "little") + b'{"a":' * 18_000
        ),
        "cannot be opened",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_asks_for_more_is_refused(folder: Path, canary: Path, case: str) -> None:
    change, told = REFUSED[case]
    change(folder, canary)
    with pytest.raises(ValueError, match=told) as caught:
        saved.load(folder)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(str(folder))
    assert not canary.exists()


@pytest.mark.parametrize("name", ["generation_config.json", "config.json"])
def test_code_that_no_one_asks_for_lies_unused(folder: Path, canary: Path, name: str) -> None:
    edit(folder / name, custom_generate="evil.py", auto_map=AUTO, architectures=["os.system"])
    assert saved.load(folder).lm_head.weight.shape[0] == 22
    assert not canary.exists()


def test_no_other_way_in(folder: Path, canary: Path, tmp_path: Path) -> None:
    weights = small_huberts.save(tmp_path / "hubert")
    (tmp_path / "hubert" / "evil.py").write_text(CODE.format(canary=canary))
    edit(tmp_path / "hubert" / "config.json", auto_map=AUTO)
    edit(tmp_path / "hubert" / "preprocessor_config.json", auto_map=AUTO, do_normalize=False)
    assert hubert.load(weights).layers == 3
    edit(folder / "config.json", model_type="evil", auto_map=AUTO)
    edit(folder / "tokenizer_config.json", tokenizer_class="Evil", auto_map=AUTO)
    (folder / "tokenizer.json").write_text("{}")
    for opened in (
        lambda: hub_tokenizer.load(AutoTokenizer, folder),
        lambda: twist.start({"table": "first"}, 22, 64, folder, 20),
        lambda: pretrained.load(AutoModelForCausalLM, folder, trust_remote_code=True),
    ):
        with pytest.raises((ValueError, TypeError)):
            opened()
    assert not canary.exists() and not os.environ.get("HF_MODULES_CACHE")
