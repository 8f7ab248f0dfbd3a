"""TWIST: the text model's body is kept bit for bit, its token table made anew."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import training_job
from small_texts import KINDS, TEXT, body, save, tables
from transformers import AutoModelForCausalLM, PreTrainedModel

from slamflow.lm import (
    architecture,
    borders,
    configs,
    packing,
    pretraining_task,
    saved,
    twist,
)
from slamflow.lm.vocabulary import Interleaved
from slamflow.training.rank import Place

NEW, CONTEXT = 52, 64
FIRST = {"table": "first"}
SCRIPT = Path(__file__).parents[2] / "workflow_scripts" / "pretrain_model.py"


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of text models by their kinds."""
    root = tmp_path_factory.mktemp("text")
    for kind in KINDS:
        save(root / kind, kind)
    return root


@pytest.mark.parametrize("kind", KINDS)
def test_body_is_kept_and_the_table_cut(text: Path, kind: str, tmp_path: Path) -> None:
    old = AutoModelForCausalLM.from_pretrained(text / kind, dtype=torch.float32)
    random = torch.get_rng_state()
    new = architecture.build(FIRST, NEW, CONTEXT, text / kind, NEW - 2)
    assert torch.equal(random, torch.get_rng_state()) and new.training
    for model in (new, reloaded(new, tmp_path)):
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        kept, made = body(old), body(model)
        assert kept.keys() == made.keys() and len(kept) > 10
        for name, parameter in kept.items():
            assert torch.equal(parameter, made[name]), name
        rows = tables(model)
        assert rows.keys() == tables(old).keys()
        for name, table in tables(old).items():
            assert torch.equal(table[:NEW], rows[name]), name
        assert (rows["table"] is rows["head"]) == (tables(old)["table"] is tables(old)["head"])
        assert (rows["table"] is rows["head"]) == (kind in {"qwen2", "opt", "gpt2"})
        config = model.config
        assert (config.pad_token_id, config.bos_token_id, config.eos_token_id) == (0, 1, 1)
        assert (config.vocab_size, config.units) == (NEW, NEW - 2)
        generation = model.generation_config
        assert generation.eos_token_id == 1 and not generation.do_sample
        assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout) and m.p] == []
    removed = (TEXT - NEW) * (32 if kind in {"qwen2", "opt", "gpt2"} else 64)
    removed += TEXT - NEW if kind == "phi" else 0
    assert old.num_parameters() - new.num_parameters() == removed
    tokens = torch.tensor([[1, 5, 9, 51, 3, 1]])
    with torch.no_grad():  # no dropout; the old model's own ids, but for its positions' base
        if kind != "llama":
            expected = old.eval()(tokens).logits[..., :NEW]
            torch.testing.assert_close(new(tokens).logits, expected, atol=1e-5, rtol=1e-5)
    borders.reader(new, "cpu")
    kept_positions = {"opt": 128, "gpt2": 128, "llama": 2048}  # learned ones, and scaled ones
    assert new.config.max_position_embeddings == kept_positions.get(kind, CONTEXT)


def reloaded(model: PreTrainedModel, folder: Path) -> PreTrainedModel:
    model.save_pretrained(folder)
    return saved.load(folder)


@pytest.mark.parametrize("kind", ["qwen2", "llama"])
def test_theta_takes_effect(text: Path, kind: str, tmp_path: Path) -> None:
    """In the model that is built, and when it is saved and opened again; scaling goes."""
    usual = AutoModelForCausalLM.from_pretrained(text / kind).model.rotary_emb.inv_freq
    init = {**FIRST, "rope_theta": 10_000.0}
    model = architecture.build(init, NEW, CONTEXT, text / kind)
    expected = 10_000.0 ** (-np.arange(0, 16, 2) / 16)
    for found in (model, reloaded(model, tmp_path)):
        assert found.config.max_position_embeddings == CONTEXT
        np.testing.assert_allclose(found.model.rotary_emb.inv_freq, expected, rtol=1e-6)
    assert not np.allclose(usual, expected)
    own = architecture.build(FIRST, NEW, CONTEXT, text / kind)
    torch.testing.assert_close(own.model.rotary_emb.inv_freq, usual)


@pytest.mark.parametrize(("table", "spread"), [("mean", 0.1), ("random", 1.0)])
@pytest.mark.parametrize("kind", ["qwen2", "phi"])
def test_drawn_tables(text: Path, kind: str, table: str, spread: float) -> None:
    """Of the text table's mean and spread in each dimension; larger vocabularies, too."""
    old = AutoModelForCausalLM.from_pretrained(text / kind, dtype=torch.float32)
    count = 2000
    builds = [
        architecture.build({"table": table, "seed": seed}, count, CONTEXT, text / kind)
        for seed in (3, 3, 4)
    ]
    first, again, other = (tables(model) for model in builds)
    for name, rows in tables(old).items():
        assert torch.equal(first[name], again[name]) and not torch.equal(first[name], other[name])
        assert len(first[name]) == count
        wanted, found = rows.std(0, correction=0) * spread, first[name].std(0, correction=0)
        torch.testing.assert_close(found, wanted, rtol=0.1, atol=0)
        error = (first[name].mean(0) - rows.mean(0)).abs() / wanted
        assert error.max() < 5 / count**0.5
    if kind == "phi":
        assert not torch.equal(first["table"], first["head"])


def test_text_and_units_interleaved(text: Path, tmp_path: Path) -> None:
    """Entry t of the text has row t + 2 of the text model; the rest are its first rows."""
    entries, units = TEXT - 2, 20
    place = Interleaved(units, entries)
    for kind in ("qwen2", "llama"):
        folder = tmp_path / kind
        shutil.copytree(text / kind, folder)
        with pytest.raises(ValueError, match=r"was trained on no entries .* interleaves 298"):
            architecture.build(FIRST, place.size, CONTEXT, folder, units)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "units": entries}))
        old = tables(saved.load(folder))
        model = architecture.build(FIRST, place.size, CONTEXT, folder, units)
        assert model.config.units == units and model.config.vocab_size == units + entries + 4
        for name, rows in tables(model).items():
            assert torch.equal(rows[place.text : place.to_speech], old[name][2:]), name
            assert torch.equal(rows[: place.text], old[name][: units + 2])
            assert torch.equal(rows[place.to_speech :], old[name][units + 2 : units + 4])
        drawn = architecture.build({"table": "random"}, place.size, CONTEXT, folder, units)
        rows = tables(drawn)["table"]
        assert torch.equal(rows[place.text : place.to_speech], old["table"][2:])
        assert not torch.equal(rows[: place.text], old["table"][: units + 2])
        with pytest.raises(ValueError, match=r"298 entries .* interleaves 290"):
            architecture.build(FIRST, Interleaved(units, 290).size, CONTEXT, folder, units)


@pytest.mark.parametrize(
    ("kind", "init", "vocabulary", "context", "message"),
    [
        ("qwen2", FIRST, TEXT + 1, 64, r"has 300 rows .* needs 301; write `table: mean`"),
        ("gpt2", FIRST, NEW, 129, "gpt2 has 128 positions, too few for .* context 129"),
        ("gpt2", {**FIRST, "rope_theta": 1e4}, NEW, 64, "rope_theta: gpt2 has no rotary"),
        ("qwen2", {**FIRST, "options": {"width": 3}}, NEW, 64, "options: qwen2 has no width"),
        ("qwen2", {**FIRST, "options": {"vocab_size": 3}}, NEW, 64, "vocab_size is set by"),
        ("qwen2", {**FIRST, "options": {"sliding_window": 63}}, NEW, 64, "sliding_window: 64"),
        ("qwen2", {**FIRST, "options": {"hidden_size": 16}}, NEW, 64, "not as its config"),
        ("qwen2", {**FIRST, "options": {"rms_norm_eps": "a"}}, NEW, 64, "qwen2 refuses these"),
    ],
)
def test_impossible_starts(
    text: Path, kind: str, init: dict[str, Any], vocabulary: int, context: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as failure:
        architecture.build(init, vocabulary, context, text / kind)
    assert "\n" not in str(failure.value)


def test_training_starts_from_it(text: Path, tmp_path: Path) -> None:
    """The task that the loop is given has the text model's body, and its export opens."""
    units = training_job.write_units(tmp_path / "units" / "corpus" / "0000.parquet", 30)
    settings = {"context": CONTEXT, "held_out": 0.2, "seed": 1}
    packing.pack(settings, [units], training_job.CLUSTERS + 2, tmp_path / "packed.parquet")
    config = {"init": {**FIRST, "rope_theta": 1e4}, "training": training_job.TRAINING}
    place = Place(0, 1, "cpu", None, {}, "test")
    task = pretraining_task.Pretraining(
        config, tmp_path / "packed.parquet", tmp_path / "model", place, text / "qwen2"
    )
    assert task.model.config.vocab_size == training_job.CLUSTERS + 2
    loss = task.forward(task.model, task.micro_batches(0)[0])["loss"]
    loss.backward()
    assert loss.isfinite() and task.model.model.layers[0].mlp.up_proj.weight.grad.any()


def test_the_script_starts_from_it(text: Path, tmp_path: Path) -> None:
    """Without updates, the model that the launched script writes has the text model's weights."""
    units = training_job.write_units(tmp_path / "units" / "corpus" / "0000.parquet", 5)
    settings = {"context": CONTEXT, "held_out": 0.0, "seed": 1}
    packing.pack(settings, [units], training_job.CLUSTERS + 2, tmp_path / "packed.parquet")
    training = {**training_job.TRAINING, "budget": {"steps": 0}}
    arguments = {
        "packed": tmp_path / "packed.parquet",
        "initial": text / "qwen2" / "model.safetensors",
        "model": tmp_path / "model" / "model.safetensors",
        "state": tmp_path / "state",
        "config": json.dumps({"init": {**FIRST, "rope_theta": 1e4}, "training": training}),
        "machine": json.dumps({"device": "cpu", "threads": 1}),
        "code": "none",
    }
    command = [sys.executable, str(SCRIPT)]
    command += [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1] / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    old, new = saved.load(text / "qwen2"), saved.load(tmp_path / "model")
    for name, parameter in new.state_dict().items():
        assert torch.equal(parameter, old.state_dict()[name][: len(parameter)]), name
    assert new.config.units == training_job.CLUSTERS


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [
        ((896, 4864, 24, 14, 2), 358_347_904),  # Qwen2.5-0.5B
        ((1536, 8960, 28, 12, 2), 1_311_111_680),  # Qwen2.5-1.5B
    ],
)
def test_published_numbers_of_parameters(sizes: tuple[int, ...], parameters: int) -> None:
    """Cut to 500 units, the text model's full-size config, without memory for its weights."""
    names = "hidden_size intermediate_size layers heads kv_heads".split()
    config = configs.fresh(dict(zip(names, sizes, strict=True)), 151_936, 32_768)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        assert model.num_parameters() == parameters + (151_936 - 502) * sizes[0]
        twist.cut(model, 502, slice(502, 502), "first", 0)
    assert model.num_parameters() == parameters and model.config.vocab_size == 502
