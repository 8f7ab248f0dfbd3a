"""Benchmarks in the config: default conventions that scores can suit, and items of two kinds."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from slamflow.config.load import load
from slamflow.config.plan import Plan

ROOT = Path(__file__).parents[2]
CONDITIONAL = "metrics: {convention: conditional-mean}"


def plan(text: str, recipe: str = "pocket_full") -> Plan:
    return Plan(load(ROOT, {"recipe": recipe, **yaml.safe_load(text)}), ROOT)


@pytest.mark.parametrize(
    ("recipe", "text", "line"),
    [
        ("pocket", f"benchmarks: {{lexical: {{{CONDITIONAL}}}}}",
         "benchmarks.lexical.metrics.convention: is conditional-mean, which needs prompts, and"
         " lexical is single words"),
        ("pocket", f"benchmarks: {{topic-cloze: {{{CONDITIONAL}}}}}",
         "benchmarks.topic-cloze.metrics.convention: is conditional-mean, which needs units whose"
         " times are known, and those of topline are not"),
        ("slam", f"benchmarks: {{topic-storycloze: {{{CONDITIONAL}}}}}",
         "benchmarks.topic-storycloze.metrics.convention: is conditional-mean, which needs words"
         " whose times are known, and those of topic-storycloze are not"),
        ("slam", "benchmarks: {salmon: {scoring: {start: bos}}}",
         "benchmarks.salmon.metrics.convention: is salmon-mean, which needs scoring.start none, and"
         " it is bos"),
        ("pocket", "benchmarks: {lexical: {scoring: {start: none}}}",
         "benchmarks.lexical.metrics.convention: is slamkit-mean, which needs scoring.start bos or"
         " eos, and it is none"),
        ("pocket_full", "benchmarks: {topic-cloze-to-text: {scoring: {modality: units}}}",
         "benchmarks.topic-cloze-to-text.scoring: with text, `start` must be bos and `modality`"
         " all"),
        ("pocket_full", "benchmarks: {topic-cloze-to-text: {corpus: lexical}}",
         "benchmarks.topic-cloze-to-text.scoring: needs a context of words, and lexical is single"
         " words"),
        ("pocket_full", "evaluate: [{models: [slm], benchmarks: [topic-cloze-to-text]}]",
         "benchmarks.topic-cloze-to-text.scoring: has text, and slm knows none: name models of an"
         " interleaved mixture"),
        ("pocket_full", "evaluate: [{models: [bigram], benchmarks: [topic-cloze-to-text]}]",
         "benchmarks.topic-cloze-to-text.scoring: has text, and bigram knows none: name models of"
         " an interleaved mixture"),
        ("slam", "benchmarks: {topic-storycloze: {scoring: {context: text}}}",
         "benchmarks.topic-storycloze.scoring: needs the words of topic-storycloze, and it is not"
         " known when these are spoken; give it an `alignment` that finds words"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(recipe: str, text: str, line: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        plan(text, recipe)
    assert line in [said.partition(": ")[2] for said in str(caught.value).splitlines()]


def test_speech_that_tells_where_prompts_end() -> None:
    made = plan("{}")
    for model in ("slm", "slm-dpo", "bigram", "slm-interleaved"):
        assert made.benchmark_speech(model, "syntactic") == [
            "results/speech/syntactic/0000.parquet"
        ]
        assert made.benchmark_alignments(model, "syntactic") == []
    for model in ("topline", "text-lm"):  # their units have no times
        assert made.benchmark_speech(model, "syntactic") == []
    aligned = plan("corpora: {topic-storycloze: {alignment: {engine: sphinx}}}", "slam")
    for benchmark, alignments in (
        ("spoken-storycloze", []),
        ("topic-storycloze", ["results/alignments/topic-storycloze/0000.parquet"]),
    ):
        found = aligned.benchmark_speech("slam", benchmark)
        assert found == [path.replace("alignments", "speech") for path in alignments]
        assert aligned.benchmark_alignments("slam", benchmark) == alignments


def test_items_of_two_kinds_have_a_rule_of_their_own() -> None:
    made = plan("{}")
    crossed = set(made.names("benchmarks", crossed="True").split("|"))
    assert crossed == {f"{name}-cloze-to-{kind}" for name in ("topic", "story")
                       for kind in ("speech", "text")}  # fmt: skip
    assert made.text_tokeniser("slm-interleaved") == "bpe"
    assert made.text_tokeniser("slm") is made.text_tokeniser("bigram") is None
    assert made.text_codebook("slm-interleaved") == "results/tokenisers/bpe/tokenizer.json"
    with pytest.raises(ValueError, match="slm knows no text beside units"):
        made.text_codebook("slm")
    names = SimpleNamespace(benchmark="story-cloze-to-text")
    scoring = json.loads(made.block("score_crossing")(names))
    assert (scoring["context"], scoring["ending"]) == ("units", "text")
    plain = json.loads(made.block("score_benchmark")(SimpleNamespace(benchmark="story-cloze")))
    assert plain == {"modality": "all", "start": "bos"}  # its scores stay if that changes


def test_salmon_is_scored_as_its_authors_do() -> None:
    for recipe in ("slam", "reproduce", "slam_large", "twist_350m"):
        benchmark = plan("{}", recipe).config.benchmarks["salmon"]
        assert (benchmark.scoring.start, benchmark.metrics.convention) == ("none", "salmon-mean")
