"""Spoken continuations in the config: what is refused, what is asked for, what reaches stages."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from slamflow.config.load import load
from slamflow.config.plan import Plan

ROOT = Path(__file__).parents[2]
SPOKEN = """
vocoders: {some: {kind: released, folder: some, weights: g, voice: lj, tokeniser: hubert}}
benchmarks:
  spoken:
    corpus: stories
    sampling: {prompts: 50, temperature: 0.7}
    vocoder: some
    transcription: {engine: sphinx, text: stories}
    perplexity: {lm: text-lm}
evaluate:
  - {models: [slm, bigram], benchmarks: [spoken, topic-cloze]}
"""


def plan(text: str = "") -> Plan:
    given = yaml.safe_load(SPOKEN)
    for key, value in (yaml.safe_load(text) or {}).items():
        given["benchmarks"]["spoken"][key] = value
    return Plan(load(ROOT, {"recipe": "pocket_full", **given}), ROOT)


def block(made: Plan, rule: str) -> Any:
    return json.loads(made.block(rule)(SimpleNamespace(model="slm", benchmark="spoken")))


def test_what_holds_no_pairs_is_only_continued() -> None:
    made = plan()
    scored = {Path(path).parts[-2:] for path in made.scores()}
    assert scored == {("slm", "topic-cloze.parquet"), ("bigram", "topic-cloze.parquet")}
    assert made.measures() == ["results/generation/slm/spoken.json"]
    collected = block(made, "collect_scores")
    heard = "prompt counted, temperature 0.7, sphinx stories"
    conventions = {"gen_ppl": f"{heard}, text-lm", "auto_bleu": heard, "empty_transcripts": heard}
    assert collected["generated"] == [["slm", "spoken", conventions]]
    assert "spoken" not in collected["benchmarks"]


def test_pairs_are_scored_and_continued_unless_they_are_not() -> None:
    for scored, wanted in ((True, 4), (False, 2)):
        made = plan(f"{{corpus: story-cloze, scored: {json.dumps(scored)}}}")
        assert len(made.scores()) == wanted
        assert len(made.measures()) == 1


def test_files_and_blocks() -> None:
    made = plan("judge: {model: some-judge, workers: 2}")
    names = "slm", "spoken"
    assert made.transcripts(*names) == "results/transcripts/some/slm/spoken.parquet"
    assert made.heard_words("spoken") == made.speech(["stories"])
    assert made.text_model("spoken") == ["results/models/text-lm/model.safetensors"]
    assert made.text_entries("spoken") == ["results/tokenisers/bpe/tokenizer.json"]
    assert made.judgements(*names) == ["results/judgements/slm/spoken.parquet"]
    assert block(made, "transcribe_speech") == {"engine": "sphinx", "prompt": "counted"}
    assert block(made, "measure_generation") == {"perplexity": None}
    asked = block(made, "judge_transcripts")
    assert (asked["key"], "workers" in asked) == ("OPENAI_API_KEY", False)
    others = plan(
        "{transcription: {engine: whisper, model: a/b, revision: c, prompt: given},"
        " perplexity: {model: d/e, revision: f}}"
    )
    heard = {"engine": "whisper", "prompt": "given", "model": "a/b", "revision": "c"}
    assert block(others, "transcribe_speech") == heard
    assert block(others, "measure_generation") == {"perplexity": {"model": "d/e", "revision": "f"}}
    assert others.text_model("spoken") == others.heard_words("spoken") == []
    assert block(others, "collect_scores")["generated"][0][2]["gen_ppl"] == (
        "prompt given, temperature 0.7, a/b, d/e"
    )


def test_conventions_name_what_is_not_as_usual() -> None:
    changes = "{penalty: 1.1, top_k: 50, top_p: 0.9, seconds: 2.5, new_tokens: 20, seed: 3}"
    made = plan(f"sampling: {changes}")
    [[_, _, found]] = block(made, "collect_scores")["generated"]
    assert found["auto_bleu"] == (
        "prompt counted, temperature 0.8, penalty 1.1, top-k 50, top-p 0.9, seconds 2.5,"
        " new-tokens 20, sphinx stories"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("vocoder: null", "transcription: has nothing to hear: name a `vocoder`"),
        ("{sampling: null, vocoder: null, transcription: null, perplexity: null}",
         "corpus: stories holds no pairs (positive and negative)"),
        ("transcription: null", "perplexity: has nothing to read: add `transcription`"),
        ("perplexity: {lm: slm}",
         "perplexity.lm: slm is no text model: name one that is trained on `features: bpe`"),
        ("perplexity: {lm: text-lm, model: a/b}",
         "perplexity: needs only one of `lm`, `model` and `download`"),
        ("perplexity: {}", "perplexity: needs either `model` or `download`"),
        ("judge: {model: a, instructions: Well}",
         "judge: `instructions` need {text}, where the transcript stands"),
        ("judge: {model: a, instructions: '{prompt} {text}'}",
         "judge.instructions: ask for {prompt}, which is only heard by itself with `prompt:"
         " given`"),
        ("judge: {model: a, url: 'https://user:secret@host'}", "judge.url: "),
    ],
)  # fmt: skip
def test_refused(text: str, line: str) -> None:
    with pytest.raises(ValueError) as error:
        plan(text)
    lines = [each for each in str(error.value).splitlines() if "benchmarks.spoken" in each]
    assert any(f"benchmarks.spoken.{line}" in each for each in lines), str(error.value)
