"""`slamflow upload`: what a hub gets is loaded back, and is used as a folder is."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import damaging
import pandas as pd
import pytest
import torch
import yaml
from huggingface_hub import ModelCard, constants
from loopback import Hub, serving
from loopback_upload import Bucket, UploadHub
from small_results import CLUSTERS, Results, make, wave
from test_commands import Terminal, fails, run
from test_hubert_places import direct
from transformers import AutoModelForCausalLM

from slamflow import files
from slamflow.commands import readme

NAME, TOKEN = "people/tiny-slm", "hf_writes"
COLUMNS = ["model", "benchmark", "group", "metric", "convention", "default"]
COLUMNS += ["value", "ci_low", "ci_high", "n", "chance"]
ROWS = [
    ["tiny", "lexical", "all", "accuracy", "slamkit-mean", "true", "75.7", "72.2", "79.0", "400"],
    ["tiny", "lexical", "5-19", "accuracy", "slamkit-mean", "true", "74.7", "69.6", "79.5", "179"],
    ["tiny", "lexical", "all", "accuracy", "slamkit-sum", "false", "70.1", "66.0", "74.0", "400"],
    ["other", "lexical", "all", "accuracy", "slamkit-mean", "true", "51.0", "47.0", "55.0", "400"],
]

RUN: dict[str, Any] = {
    "downloads": {
        "ls": {"kind": "huggingface", "type": "dataset", "repository": "people/speech"},
        "lm": {"kind": "huggingface", "type": "model", "repository": "people/text-lm"},
        "tar": {"kind": "archive", "archives": []},
    },
    "corpora": {
        "a": {"source": {"kind": "parquet", "download": "ls"}},
        "b": {"source": {"kind": "audio", "download": "tar"}},
        "c": {"source": {"kind": "generated"}},
    },
    "mixtures": {"all": {"corpora": ["a", "b", "c"]}},
    "models": {
        "slm": {
            "kind": "pretrain",
            "mixture": "all",
            "twist": {"model": None, "download": "lm"},
        },
        "hub": {"kind": "pretrain", "mixture": "all", "twist": {"model": "x/y"}},
        "tiny": {"kind": "align", "base": "slm", "corpus": "a"},
        "cold": {"kind": "pretrain", "mixture": "all", "twist": None},
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    made = make(tmp_path_factory.mktemp("checkout"))
    (made.root / "run_config.yaml").write_text(yaml.safe_dump(RUN))
    table = pd.DataFrame([[*row, "50"] for row in ROWS], columns=COLUMNS)
    table.to_csv(made.root / "eval.tsv", sep="\t", index=False)
    return made


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UploadHub]:
    """A hub without this repository, and an empty cache of it."""
    with serving(Bucket()) as bucket:
        assert isinstance(bucket, Bucket)
        with serving(UploadHub(bucket, NAME, TOKEN)) as server:
            assert isinstance(server, UploadHub)
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            monkeypatch.setenv("HF_TOKEN", TOKEN)
            direct(monkeypatch, server.address)
            monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
            monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
            monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
            yield server


def upload(results: Results, *more: object) -> tuple[object, ...]:
    given = ("--model", results.model, "--tokeniser", results.tokeniser)
    return ("upload", *given, "--repository", NAME, *more)


def test_uploaded_and_loaded_back(
    hub: UploadHub, results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    out, _ = run(capfd, *upload(results, "--vocoder", results.vocoder, "--private"))
    assert f"{hub.address}/{NAME}" in out and f'from_pretrained("{NAME}")' in out
    assert hub.visibility == "private" and len(hub.commits) == 1
    with_hubert = {f"tokeniser/hubert/{name}" for name in ("config.json", "model.safetensors")}
    assert set(hub.files) == with_hubert | {
        *("config.json", "generation_config.json", "model.safetensors", "training.parquet"),
        *("README.md", "eval.tsv", "tokeniser/kmeans.safetensors"),
        *("vocoder/config.json", "vocoder/model.safetensors"),
    }
    assert "model.safetensors" in hub.large
    loaded = AutoModelForCausalLM.from_pretrained(NAME, cache_dir=str(tmp_path / "cache"))
    original = AutoModelForCausalLM.from_pretrained(results.model)
    assert loaded.config.units == CLUSTERS
    for name, weights in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weights)


def test_a_repository_is_used_as_a_folder_is(
    hub: UploadHub, results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    run(capfd, *upload(results, "--vocoder", results.vocoder))
    heard = wave(tmp_path / "in.wav", 3)
    there = ("--tokeniser", results.tokeniser)
    units = run(capfd, "tokenise", *there, heard)[0]
    assert run(capfd, "tokenise", "--tokeniser", NAME, heard)[0] == units
    short = ("--new-tokens", 8)
    folders = ("--model", results.model, *there, "--vocoder", results.vocoder)
    run(capfd, "generate", *folders, *short, heard, tmp_path / "a.wav")
    run(capfd, "generate", "--model", f"{NAME}@main", *short, heard, tmp_path / "b.wav")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    message = fails(capfd, "tokenise", "--tokeniser", f"{NAME}@v2", heard)
    assert "revision v2" in message


def test_the_card_on_the_hub(hub: UploadHub, results: Results, capfd: Terminal) -> None:
    run(capfd, *upload(results, "--licence", "mit"))
    text = hub.files["README.md"].decode()
    card = ModelCard(text)
    data = card.data
    assert (data.license, data.pipeline_tag, data.model_name) == (
        "mit",
        "audio-to-audio",
        "tiny-slm",
    )
    assert (data.datasets, data.base_model) == (["people/speech"], "people/text-lm")
    found = {(each.dataset_config, each.metric_value) for each in data.eval_results}
    assert found == {("all", 75.7), ("5-19", 74.7)}
    assert "| lexical | all | accuracy | slamkit-mean | 75.7 [72.2, 79.0] | 400 |" in text
    titles = [line for line in text.splitlines() if line.startswith("#")]
    assert titles[:2] == ["# Language model of units", "## How to use"]
    assert titles[-3:] == ["## Versions", "## Speech", "## Results"]
    assert "results/models" not in text and f'from_pretrained("{NAME}")' in text
    assert "51.0" not in text and "70.1" not in text
    table = hub.files["eval.tsv"].decode().splitlines()
    assert len(table) == 4 and "slamkit-sum" in table[3]
    [command] = re.findall(r"slamflow generate .*", text)
    assert command == f"slamflow generate --model {NAME} in.wav out.wav"


def test_uploading_again_and_refusals(
    hub: UploadHub, results: Results, capfd: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(capfd, *upload(results))
    assert hub.visibility == "public"
    run(capfd, *upload(results, "--licence", "mit"))
    assert len(hub.commits) == 2 and b"license: mit" in hub.files["README.md"]
    given = [*upload(results)]
    given[-1] = "others/model"
    assert "others/model: cannot be uploaded" in fails(capfd, *given)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "check HF_TOKEN" in fails(capfd, *upload(results))
    monkeypatch.delenv("HF_TOKEN")
    assert "set HF_TOKEN" in fails(capfd, *upload(results))


def test_a_public_repository_gets_nothing_that_should_be_private(
    hub: UploadHub, results: Results, capfd: Terminal
) -> None:
    run(capfd, *upload(results))
    message = fails(capfd, *upload(results, "--private"))
    assert f"{NAME}: is there and public; nothing was uploaded" in message
    assert (hub.visibility, len(hub.commits)) == ("public", 1)


def test_what_was_uploaded_before_is_uploaded_again(
    hub: UploadHub, results: Results, capfd: Terminal
) -> None:
    """From the hub, with its card, results and vocoder; then without what is no longer in it."""
    run(capfd, *upload(results, "--vocoder", results.vocoder, "--licence", "mit"))
    first = dict(hub.files)
    run(capfd, "upload", "--model", NAME, "--repository", NAME)
    assert hub.files == first and len(hub.commits) == 2
    vocoder = ("--tokeniser", NAME, "--vocoder", NAME)
    run(capfd, "upload", "--model", results.model, *vocoder, "--repository", NAME)
    assert set(hub.files) == set(first) and len(hub.commits) == 3
    hub.add(".gitattributes", b"kept")
    hub.add("tokeniser/phones.json", b"{}")
    (results.root / "eval.tsv").rename(results.root / "later.tsv")
    try:
        run(capfd, *upload(results))
    finally:
        (results.root / "later.tsv").rename(results.root / "eval.tsv")
    gone = {name for name in first if name.startswith(("vocoder/", "eval.tsv"))}
    assert len(gone) == 3 and set(hub.files) == set(first) - gone | {".gitattributes"}


def test_a_hubert_of_the_hub_is_named(
    hub: UploadHub, results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    """Its weights are not uploaded; who uses the tokeniser gets them from where they are."""
    alone = tmp_path / "units"
    alone.mkdir()
    (alone / "kmeans.safetensors").symlink_to(results.tokeniser / "kmeans.safetensors")
    heard = wave(tmp_path / "in.wav", 3)
    units = run(capfd, "tokenise", "--tokeniser", results.tokeniser, heard)[0]
    with serving(Hub(hub.cdn, "people/hubert", "model")) as other:
        assert isinstance(other, Hub)
        other.add("config.json", results.hubert.with_name("config.json").read_bytes())
        other.add("model.safetensors", results.hubert.read_bytes(), large=True)
        hub.others.append(other)
        given = ("--model", results.model, "--tokeniser", alone, "--hubert", "people/hubert")
        run(capfd, "upload", *given, "--repository", NAME)
        assert not any("hubert/" in name for name in hub.files)
        named = json.loads(hub.files["tokeniser/hubert.json"])
        assert named == {"model": "people/hubert", "revision": other.commit}
        assert run(capfd, "tokenise", "--tokeniser", NAME, heard)[0] == units


def test_a_model_of_phones_goes_up_with_their_list(
    hub: UploadHub, results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    files.write_json({"phones": list("abc")}, tmp_path / "phones" / "phones.json")
    given = ("--model", results.model, "--tokeniser", tmp_path / "phones")
    out, _ = run(capfd, "upload", *given, "--repository", NAME)
    assert "generate" not in out and "tokeniser/phones.json" in hub.files
    text = hub.files["README.md"].decode()
    assert ModelCard(text).data.pipeline_tag == "text-generation" and "## Speech" not in text


def test_damaged_weights_stay_here(
    hub: UploadHub, results: Results, tmp_path: Path, capfd: Terminal
) -> None:
    model = tmp_path / results.model.name
    shutil.copytree(results.model, model)
    content = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(damaging.flipped(content, 50))
    given = ("--model", model, "--tokeniser", results.tokeniser, "--repository", NAME)
    line = fails(capfd, "upload", *given)
    assert f"{model / 'model.safetensors'}: damaged" in line and not hub.files


def test_lineage_follows_the_config_of_the_run() -> None:
    expected = {"slm": "people/text-lm", "tiny": "people/text-lm", "hub": "x/y", "cold": None}
    for model, base in expected.items():
        assert readme.lineage(RUN, model) == (["people/speech"], base)
    assert readme.lineage(RUN, "gone") == ([], None)
