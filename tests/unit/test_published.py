"""Published models: converted, they score as the original layout does, computed plainly."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_published import LAYOUTS, UNITS, slamkit, twist
from test_scoring import drawn, units_file
from transformers import AutoModelForCausalLM

from slamflow import files
from slamflow.benchmarks import scoring
from slamflow.lm import published, vocabulary
from slamflow.tables import scores as scores_table


@pytest.mark.parametrize("layout", LAYOUTS)
def test_scores_are_those_of_the_original_layout(layout: str, tmp_path: Path) -> None:
    logits, (offset, start, end) = LAYOUTS[layout](tmp_path / "original")
    model = tmp_path / "converted"
    published.convert({"layout": layout}, tmp_path / "original", UNITS, model, "0")
    spoken = [*drawn(6), [UNITS - 1, 0]]
    output = tmp_path / "scores.parquet"
    scoring.score(
        {}, model, [units_file(tmp_path / "u.parquet", spoken)], output, {"device": "cpu"}
    )
    rows = files.read_table(output, scores_table.SCHEMA).to_pylist()
    assert len(rows) == len(spoken)
    for row, units in zip(rows, spoken, strict=True):
        tokens = torch.tensor([start, *(unit + offset for unit in units), end])
        terms = -logits(tokens[:-1]).log_softmax(-1)[torch.arange(len(units) + 1), tokens[1:]]
        assert row["tokens"] == len(terms)
        assert row["nll"] == pytest.approx(terms.sum().item(), rel=1e-5)
        assert row["first_nll"] == pytest.approx(terms[0].item(), rel=1e-4)
        assert row["end_nll"] == pytest.approx(terms[-1].item(), rel=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_transformers_opens_what_was_converted(layout: str, tmp_path: Path) -> None:
    logits, (offset, start, end) = LAYOUTS[layout](tmp_path / "original")
    model = tmp_path / "converted"
    published.convert({"layout": layout, "model": "a/b"}, tmp_path / "original", UNITS, model, "0")
    opened = AutoModelForCausalLM.from_pretrained(model).eval()
    ids = vocabulary.layout(opened.config)
    assert (ids.units, ids.offset, ids.start, ids.end) == (UNITS, offset, start, end)
    assert ids.pad not in range(offset, offset + UNITS)
    tokens = torch.tensor([start, offset, offset + 3, offset + UNITS - 1])
    with torch.no_grad():
        found = opened(tokens[None]).logits[0]
    np.testing.assert_allclose(found, logits(tokens).float(), rtol=1e-4, atol=1e-4)
    assert {path.name for path in model.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "training.parquet", "card.md",
    }  # fmt: skip
    card = (model / "card.md").read_text()
    assert f'"layout": "{layout}"' in card and '"model": "a/b"' in card
    assert files.sha256(tmp_path / "original" / "config.json") in card


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("given", LAYOUTS)
def test_another_layout_is_refused_in_one_line(layout: str, given: str, tmp_path: Path) -> None:
    if layout == given:
        return
    LAYOUTS[layout](tmp_path / "original")
    with pytest.raises(ValueError, match=rf"original: is not of layout {given} \(") as caught:
        published.load(given, tmp_path / "original", UNITS)
    assert layout in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("layout", "units", "line"),
    [
        ("slamkit", 21, "has 22 ids, and with the tokeniser's 21 units it would have 23; name the"),
        ("slamkit", 10, "has 22 ids, and with the tokeniser's 10 units it would have 12; name the"),
        ("slm-scaling", 21, "has 22 ids, and with the tokeniser's 21 units it would have 23;"),
        ("twist", 50, "has 27 ids from which units begin at 4, too few for the tokeniser's 50;"),
    ],
)
def test_a_tokeniser_of_other_units_is_refused(
    layout: str, units: int, line: str, tmp_path: Path
) -> None:
    LAYOUTS[layout](tmp_path / "original")
    with pytest.raises(ValueError, match=r"original: has 2. ids") as caught:
        published.load(layout, tmp_path / "original", units)
    assert line in str(caught.value)


def test_what_is_pickled_is_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "original"
    twist(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"original: has no model\.safetensors, and nothing that"):
        published.load("twist", folder, UNITS)


@pytest.mark.parametrize(
    ("layout", "change", "line"),
    [
        ("twist", {"bos_token_id": 9}, "has bos_token_id 9 and eos_token_id 3; both must be ids"
         " outside of its units, 4 to 23"),
        ("twist", {"model_type": "optt"}, "its config.json cannot be read as one of optt"),
        ("twist", {"hidden_size": 48}, "others of its weights are not as its config.json says"),
        ("slm-scaling", {"format_version": 2}, "is not of layout slm-scaling"),
        ("slm-scaling", {"model_args": {"dim": 4}}, "is not of layout slm-scaling"),
        ("slamkit", {"base_config": {"vocab_size": 22}}, "cannot be read as one of None"),
    ],
)  # fmt: skip
def test_a_config_that_does_not_fit_is_refused(
    layout: str, change: dict[str, Any], line: str, tmp_path: Path
) -> None:
    LAYOUTS[layout](tmp_path / "original")
    path = tmp_path / "original" / "config.json"
    files.write_json(json.loads(path.read_text()) | change, path)
    with pytest.raises(ValueError, match=r"^[^\n]*original[^\n]*$") as caught:
        published.load(layout, tmp_path / "original", UNITS)
    assert line in str(caught.value)


def test_a_model_without_the_keys_has_our_ids(tmp_path: Path) -> None:
    slamkit(tmp_path / "original")
    config = published.load("slamkit", tmp_path / "original", UNITS)[0].config
    said = vocabulary.layout(config)
    for key in ("units", "unit_offset", "boundary", "end", "pad"):
        delattr(config, key)
    assert vocabulary.layout(config) == said == vocabulary.Layout(UNITS)
