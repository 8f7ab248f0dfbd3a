"""A flipped byte of any artefact is noticed by who reads it, and named with the repair."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import damaging
import numpy as np
import pytest
import small_huberts
import small_report
import small_vocoders
import speech_tables
import torch
import training_job
from safetensors.torch import load_file, save_file
from small_models import qwen2
from transformers import AutoModelForCausalLM, HubertModel

from slamflow import files
from slamflow.benchmarks import ngram_scoring
from slamflow.lm import documents, ngram, rows, saved
from slamflow.report import quality_file
from slamflow.report.page import costs
from slamflow.tables import training as training_table
from slamflow.tokeniser import (
    bpe,
    codebook,
    hubert,
    kmeans,
    phone_units,
    quality,
    utterances,
)
from slamflow.training import artefacts
from slamflow.vocoder import mel, origins, released, spectra, vocoding

ROOT = Path(__file__).parents[2]
ONE = {"threads": 1, "device": "cpu"}
LOG = training_table.schema(("loss",)).empty_table()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of each kind, made by what makes it in the workflow."""
    root = tmp_path_factory.mktemp("run") / "results"
    root.mkdir()
    speech = speech_tables.write(root / "speech.parquet", 12)
    (root / "hubert").mkdir()
    files.write_json({"do_normalize": False}, root / "hubert" / "preprocessor_config.json")
    torch.manual_seed(0)
    artefacts.write(HubertModel(small_huberts.config()), root / "hubert", LOG, "card")
    artefacts.write(qwen2(training_job.CLUSTERS + 2, 0.3), root / "model", LOG, "card")
    config = {"features": "mfcc", "clusters": 8, "frames": 500, "seed": 1}
    kmeans.fit(config, None, [speech], root / "kmeans.safetensors", ONE)
    quality.measure(
        {"utterances": 12}, root / "kmeans.safetensors", None, [speech], root / "quality.json", ONE
    )
    files.write_json(phone_units.list_phones([speech]), root / "phones.json", sealed=True)
    bpe.train({"vocabulary": 261}, [speech], root / "tokenizer.json", ONE)
    training_job.write_packed(root, 60)
    ngram.count({"order": 2}, root / "packed.parquet", root / "bigram")
    origin = codebook.read(root / "kmeans.safetensors")[1]
    heard = {"sampling_rate": spectra.SAMPLING_RATE, "voice": "s0", "hop": origins.hop(origin)}
    shape = {"size": 16, "layers": 1, "mel_layers": 1, "kernel": 3}
    settings = mel.MelConfig(features=origins.features(origin), **heard, **shape)
    artefacts.write(mel.UnitMel(settings), root / "vocoder", LOG, "card")
    given = small_vocoders.write(root / "given")
    released.convert({"voice": "lj"}, *given, root / "released")
    small_report.tables_of(root, small_report.SCORES, [small_report.DIFFERENCE])
    return root


def weights_of(model: torch.nn.Module) -> dict[str, Any]:
    return {name: tensor.tolist() for name, tensor in model.state_dict().items()}


def speech_of(path: Path) -> list[Any]:
    return [(row, wave.tolist()) for row, wave in utterances.read(path, 16_000, None)]


def rows_of(path: Path) -> list[Any]:
    training, _, facts = rows.read(path)
    return [training.tokens.tolist(), np.array(list(training.documents)).tolist(), facts]


def mels_of(folder: Path) -> dict[str, Any]:
    return weights_of(vocoding.load(folder, folder.parent / "kmeans.safetensors"))


# file -> what reads it in the workflow, given that file
READERS: dict[str, Callable[[Path], Any]] = {
    "model/model.safetensors": lambda path: weights_of(saved.load(path.parent)),
    "model/config.json": lambda path: weights_of(saved.load(path.parent)),
    "model/generation_config.json": lambda path: weights_of(saved.load(path.parent)),
    "model/training.parquet": lambda path: costs.log(path).to_pylist(),
    "hubert/model.safetensors": lambda path: weights_of(hubert.load(path).model),
    "hubert/config.json": lambda path: hubert.load(path.with_name("model.safetensors")).sha256,
    "hubert/preprocessor_config.json": lambda path: (
        hubert.load(path.with_name("model.safetensors")).normalised
    ),
    "kmeans.safetensors": lambda path: [str(codebook.read(path))],
    "phones.json": codebook.phones,
    "tokenizer.json": lambda path: bpe.load(path).to_str(),
    "quality.json": quality_file.read,
    "bigram/model.safetensors": lambda path: ngram_scoring.read(path).tolist(),
    "bigram/config.json": lambda path: ngram_scoring.read(
        path.with_name("model.safetensors")
    ).tolist(),
    "vocoder/model.safetensors": lambda path: mels_of(path.parent),
    "vocoder/config.json": lambda path: mels_of(path.parent),
    "released/model.safetensors": lambda path: weights_of(vocoding.load(path.parent)),
    "released/config.json": lambda path: weights_of(vocoding.load(path.parent)),
    "speech.parquet": speech_of,
    "units.parquet": lambda path: documents.read([path], 20, 22).tokens.tolist(),
    "packed.parquet": rows_of,
}


@pytest.fixture
def flip() -> Iterator[Callable[[Path, int], None]]:
    """Flip a bit, see `damaging`; all is as before in the end."""
    before: dict[Path, bytes] = {}

    def flip(path: Path, place: int) -> None:
        path.write_bytes(damaging.flipped(before.setdefault(path, path.read_bytes()), place))

    yield flip
    for path, content in before.items():
        path.write_bytes(content)


@pytest.mark.parametrize("name", READERS)
def test_is_noticed_and_named(results: Path, flip: Callable[[Path, int], None], name: str) -> None:
    path, read = results / name, READERS[name]
    good, found = read(path), 0
    for place in (0, 17, 50, 83, 99):
        flip(path, place)
        try:
            assert read(path) == good
        except ValueError as error:
            line = str(error)
            assert line.startswith((f"{path}: ", f"{path.parent}: ")) and "\n" not in line
            assert "delete" in line and "snakemake again" in line
            found += 1
    assert found >= (5 if path.suffix == ".safetensors" else 3)


def test_scripts_say_so_in_a_line_and_write_nothing(
    results: Path, flip: Callable[[Path, int], None], tmp_path: Path
) -> None:
    weights = results / "bigram" / "model.safetensors"
    flip(weights, 50)
    script = ROOT / "workflow_scripts" / "score_ngrams.py"
    command = [sys.executable, str(script), "--config", json.dumps({"start": "bos"})]
    command += ["--model", str(weights), "--units", str(results / "units.parquet")]
    command += ["--scores", str(tmp_path / "scores.parquet"), "--log", str(tmp_path / "log")]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environment, text=True, capture_output=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {weights}: damaged (it has not the digest it had); delete it and run snakemake"
        f" again to make it anew (see {tmp_path / 'log'})\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_weights_are_the_same_bytes_every_time_and_open_elsewhere(
    results: Path, tmp_path: Path
) -> None:
    model = qwen2(training_job.CLUSTERS + 2, 0.3)
    for name in ("a", "b"):
        artefacts.write(model, tmp_path / name, LOG, "card")
    digests = {files.sha256(tmp_path / name / "model.safetensors") for name in ("a", "b")}
    assert len(digests) == 1
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    assert weights_of(opened) == weights_of(model)
    mode = (tmp_path / "a" / "model.safetensors").stat().st_mode
    assert mode == (tmp_path / "a" / "config.json").stat().st_mode  # not for us alone


def test_weights_without_a_digest_are_believed(tmp_path: Path) -> None:
    """Those of others, and those that someone has saved anew with a config of their own."""
    model = qwen2(training_job.CLUSTERS + 2, 0.3)
    artefacts.write(model, tmp_path / "ours", LOG, "card")
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    opened.config.rope_theta = 5e5
    opened.save_pretrained(tmp_path / "theirs")
    assert weights_of(saved.load(tmp_path / "theirs")) == weights_of(model)
    plain = load_file(tmp_path / "ours" / "model.safetensors")
    save_file(plain, tmp_path / "ours" / "model.safetensors", {"format": "pt"})
    assert weights_of(saved.load(tmp_path / "ours")) == weights_of(model)


def test_a_config_changed_by_hand_is_not_what_the_weights_mean(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "model"
    artefacts.write(qwen2(training_job.CLUSTERS + 2, 0.3), folder, LOG, "card")
    path = folder / "config.json"
    path.write_text(path.read_text().replace('"rms_norm_eps": 1e-06', '"rms_norm_eps": 1e-05'))
    told = r"config\.json: is not what model\.safetensors was written with; delete model"
    with pytest.raises(ValueError, match=told):
        saved.load(folder)
    folder.rename(tmp_path / "fetched")
    told = r"config\.json: is not what model\.safetensors was written with; fetch both anew, or"
    with pytest.raises(ValueError, match=told):
        saved.load(tmp_path / "fetched")
    weights = tmp_path / "fetched" / "model.safetensors"
    weights.write_bytes(damaging.flipped(weights.read_bytes(), 50))
    told = r"model\.safetensors: damaged \(it has not the digest it had\); fetch this model anew$"
    with pytest.raises(ValueError, match=told):
        saved.load(tmp_path / "fetched")


@pytest.mark.parametrize(
    ("old", "new"),
    [('"h": 71', '"h": 70'), ('"prepend": " "', '"prepend": "_"'), ('"NFC"', '"NFD"')],
)
def test_entries_of_a_bpe_that_do_not_follow_from_its_merges(
    results: Path, tmp_path: Path, old: str, new: str
) -> None:
    """Its file has no place for a digest."""
    text = (results / "tokenizer.json").read_text()
    (tmp_path / "tokenizer.json").write_text(text.replace(old, new, 1))
    assert old in text
    with pytest.raises(ValueError, match=r"tokenizer\.json: damaged \(not all follows from its"):
        bpe.load(tmp_path / "tokenizer.json")


def test_nothing_is_made_of_a_table_of_another_kind(results: Path) -> None:
    path = results / "packed.parquet"
    told = r"packed\.parquet: has no column `id`; delete it"
    with pytest.raises(ValueError, match=told):
        list(utterances.read(path, 16_000, None))
    with pytest.raises(ValueError, match=r"units\.parquet: has no column `held_out`"):
        rows.read(results / "units.parquet")
