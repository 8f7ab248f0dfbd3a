"""GenPPL, auto-BLEU and empty transcripts, against plain computations."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import small_hub_texts
import torch
from small_models import qwen2
from transformers import AutoModelForCausalLM, AutoTokenizer

from slamflow import files
from slamflow.generation import measuring, perplexity
from slamflow.tables import judgements as judgements_table
from slamflow.tables import speech as speech_table
from slamflow.tables import transcripts as transcripts_table
from slamflow.tokeniser import bpe

SAID = [
    "the old dog ran to the old dog",
    "",
    "lily found a red ball",
    "and the river and the river went home",
    "no",
]
PROMPTS = ["lily ran", "the dog", "", "a", "then he said"]
ONE = {"device": "cpu", "threads": 1}


def write(path: Path, said: list[str], prompts: list[str] | None = None) -> Path:
    rows = [
        {"id": f"u{i}", "prompt": prompts and prompts[i], "text": text, "engine": "sphinx"}
        for i, text in enumerate(said)
    ]
    schema = transcripts_table.SCHEMA
    files.write_table(pa.Table.from_pylist(rows, schema=schema), path, schema)
    return path


def plain(model: Any, ids: list[int], given: int) -> list[float]:
    """Negative log-likelihoods of the tokens from `given` on, one forward in float64."""
    with torch.no_grad():
        logits = model.double()(torch.tensor([ids])).logits[0]
    logs = torch.log_softmax(logits, 1)
    return [-float(logs[place - 1, ids[place]]) for place in range(given, len(ids))]


def expected(nlls: list[list[float]]) -> float:
    return math.exp(np.mean([np.mean(each) for each in nlls if each]))


@pytest.mark.parametrize("kind, begins", [("llama", True), ("gpt2", False)])
@pytest.mark.parametrize("prompts", [None, PROMPTS])
def test_perplexity_by_a_model_of_others(
    tmp_path: Path, kind: str, begins: bool, prompts: list[str] | None
) -> None:
    folder = small_hub_texts.save(tmp_path / "lm", kind, begins)
    table, output = write(tmp_path / "t.parquet", SAID, prompts), tmp_path / "g.json"
    config = {"perplexity": {"model": str(folder), "revision": None}}
    measuring.measure(config, table, output, {**ONE, "micro_batch": 40})
    found = json.loads(output.read_text())
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    nlls = []
    for index, text in enumerate(SAID):
        if text:
            before = tokenizer(prompts[index] if prompts else "").input_ids
            said = f" {text}" if prompts and prompts[index] else text
            ids = before + tokenizer(said, add_special_tokens=False).input_ids
            nlls.append(plain(model, ids, max(1, len(before))))
    assert found["gen_ppl"]["value"] == pytest.approx(expected(nlls), rel=1e-4)
    assert found["gen_ppl"]["n"] == sum(map(bool, nlls))
    assert found["gen_ppl"]["tokens"] == sum(map(len, nlls))
    low, high = found["gen_ppl"]["interval"]
    assert low < found["gen_ppl"]["value"] < high
    assert (found["transcripts"], found["empty_transcripts"], found["empty_share"]) == (5, 1, 0.2)
    # "the old dog … the old dog" has 4 of 7 bigrams twice, "and the river …" 4 of 7
    assert found["auto_bleu"]["value"] == pytest.approx((4 / 7 + 4 / 7) / 4)
    assert found["auto_bleu"]["n"] == 4


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A text model as the workflow keeps it, and its tokenizer.json."""
    folder = tmp_path_factory.mktemp("lm")
    rows = [{"id": str(i), "text": text} for i, text in enumerate(small_hub_texts.TRAINED_ON)]
    speech = folder / "s.parquet"
    table = pa.Table.from_pylist(rows, schema=speech_table.SCHEMA)
    files.write_table(table, speech, speech_table.SCHEMA)
    bpe.train({"vocabulary": 280}, [speech], folder / "tokenizer.json", {"threads": 1})
    qwen2(282, 0.3).save_pretrained(folder / "model")
    return folder / "model", folder / "tokenizer.json"


def test_perplexity_by_a_model_trained_here(trained: tuple[Path, Path], tmp_path: Path) -> None:
    long = " ".join(["river"] * 80)  # more than the model's context
    table, output = write(tmp_path / "t.parquet", [*SAID, long]), tmp_path / "g.json"
    measuring.measure({"perplexity": None}, table, output, ONE, *trained)
    found = json.loads(output.read_text())
    model, entries = AutoModelForCausalLM.from_pretrained(trained[0]), bpe.load(trained[1])
    nlls = []
    for text in [*SAID, long]:
        ids = [1, *(int(entry) + 2 for entry in bpe.encode(entries, [text])[0])]
        nlls += [plain(model, ids[:64], 1)] if text else []
    assert found["gen_ppl"]["value"] == pytest.approx(expected(nlls), rel=1e-4)
    assert found["gen_ppl"]["n"] == 5


def test_any_batch_gives_the_same(trained: tuple[Path, Path]) -> None:
    model = perplexity.trained_here(*trained)
    texts = [(None, text) for text in SAID if text]
    alone, together = (
        perplexity.negative_log_likelihoods(model, texts, budget) for budget in (1, 10_000)
    )
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-5)
    np.testing.assert_array_equal(alone[1], together[1])


def test_nothing_heard_is_counted_and_never_nan(trained: tuple[Path, Path], tmp_path: Path) -> None:
    table, output = write(tmp_path / "t.parquet", ["", " "]), tmp_path / "g.json"
    measuring.measure({"perplexity": None}, table, output, ONE, *trained)
    found = json.loads(output.read_text())
    assert (found["empty_transcripts"], found["empty_share"]) == (2, 1.0)
    for measure in ("auto_bleu", "gen_ppl"):
        wanted = {"value": None, "interval": None, "n": 0}
        assert {name: found[measure][name] for name in wanted} == wanted


def test_a_judge_is_averaged_over_what_can_be_read(tmp_path: Path) -> None:
    table, output = write(tmp_path / "t.parquet", SAID), tmp_path / "g.json"
    scores = [5, None, None, 2, 2]
    answers = ["5", None, "hm", "2", "2"]
    rows = [
        {"id": f"u{i}", "score": s, "answer": a}
        for i, (s, a) in enumerate(zip(scores, answers, strict=True))
    ]
    judged, schema = tmp_path / "j.parquet", judgements_table.SCHEMA
    files.write_table(pa.Table.from_pylist(rows, schema=schema), judged, schema)
    measuring.measure({"perplexity": None}, table, output, ONE, judgements=judged)
    found = json.loads(output.read_text())["gpt_score"]
    assert (found["value"], found["n"], found["unparsable"]) == (3.0, 3, 1)
    with pytest.raises(ValueError, match=r"j.parquet: judges other transcripts"):
        other = write(tmp_path / "o.parquet", SAID[:2])
        measuring.measure({"perplexity": None}, other, output, ONE, judgements=judged)


def test_a_model_that_does_not_fit(trained: tuple[Path, Path], tmp_path: Path) -> None:
    qwen2(300, 0.3).save_pretrained(tmp_path / "other")
    with pytest.raises(ValueError, match=r"other: knows 298 entries, and .* has 280"):
        perplexity.trained_here(tmp_path / "other", trained[1])
    with pytest.raises(ValueError, match="other: has no tokenizer"):
        perplexity.published({"model": str(tmp_path / "other"), "revision": None}, ONE)
