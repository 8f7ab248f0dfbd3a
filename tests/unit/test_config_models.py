"""Mixtures and models in the config: what is refused, and what reaches the stages."""

import json
import typing
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from slamflow.config.fields import Block
from slamflow.config.load import load
from slamflow.config.merging import MEANT
from slamflow.config.plan import Plan

ROOT = Path(__file__).parents[2]
PUBLISHED = """models:
  gslm: {kind: published, layout: slm-scaling, model: a/b, revision: c, tokeniser: hubert}"""


def plan(text: str, recipe: str = "pocket_full") -> Plan:
    return Plan(load(ROOT, {"recipe": recipe, **yaml.safe_load(text)}), ROOT)


def block(made: Plan, rule: str, **names: str) -> Any:
    return json.loads(made.block(rule)(SimpleNamespace(**names)))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("models: {slm-twist: {init: {hidden_size: 96}}}",
         "models.slm-twist: needs either `init` or `twist`; null removes the other"),
        ("models: {slm: {init: null}}",
         "models.slm: needs either `init` or `twist`; null removes the other"),
        ("models: {slm-twist: {twist: {model: Qwen/Qwen2.5-0.5B}}}",
         "models.slm-twist.twist: needs only one of `base`, `path`, `model` and `download`"),
        ("models: {slm-twist: {twist: {base: null}}}",
         "models.slm-twist.twist: needs either `model` or `download`"),
        ("models: {slm-twist: {twist: {base: bigram}}}",
         "models.slm-twist.twist.base: bigram is an n-gram model: no weights to start from"),
        ("models: {text-lm: {init: null, twist: {base: slm-twist}}}",
         "models.text-lm: is built from itself: models.text-lm → models.slm-twist →"
         " models.text-lm"),
        ("tokenisers: {bpe: {bpe: {vocabulary: 400}}}",
         "models.slm-twist.twist.base: bpe has 400 entries, and `table: first` needs 502: set its"
         " bpe.vocabulary, or `table: mean`"),
        ("models: {slm-interleaved: {twist: {base: slm}}}",
         "models.slm-interleaved.twist.base: slm was trained on hubert, and stories-interleaved"
         " has text of bpe"),
        ("corpora: {preferences: {pairs: {length: 511}}}",
         "models.slm-dpo.corpus: preferences has pairs of up to 511 units and two <S>, and slm a"
         " context of 512: set pairs.length to 510"),
        ("synthesisers: {espeak: {engine: command, command: [say, '{voice}', '{text}', '{wav}'],"
         " rates: null, pitches: null}}\n"
         "models: {topline: null}\nmixtures: {stories-phones: null}\ntokenisers: {phones: null}\n"
         "corpora: {lexical: null}\nbenchmarks: {lexical: null, lexical-units: null}\n"
         "evaluate: [{models: [slm-interleaved], benchmarks: [topic-cloze-units]}]",
         "mixtures.stories-interleaved.interleaving: it is not known when the words of stories are"
         " spoken; give one an `alignment` that finds words"),
        ("models: {bigram: {mixture: stories-interleaved}}",
         "models.bigram.mixture: stories-interleaved holds text, too: no n-grams"),
        ("mixtures: {stories-interleaved: {interleaving: null}}",
         "mixtures.stories-interleaved: `text` and `interleaving` go together"),
        ("mixtures: {stories-interleaved: {text: hubert}}",
         "mixtures.stories-interleaved.text: hubert is no tokeniser of text"),
        ("mixtures: {stories-interleaved: {tokeniser: phones}}",
         "mixtures.stories-interleaved.tokeniser: phones has no units of speech"),
        ("mixtures: {stories-interleaved: {interleaving: {balance: [0, 0, 0]}}}",
         "mixtures.stories-interleaved: interleaving.balance: one of the weights must be above 0"),
        ("mixtures: {stories: {shares: {lexical: {epochs: 2}}}}",
         "mixtures.stories: shares: lexical is none of its corpora"),
        ("mixtures: {stories: {shares: {stories: {epochs: 2, weight: 1}}}}",
         "mixtures.stories.shares.stories: needs one of `epochs`, `tokens` and `weight`"),
        ("models: {slam: {kind: published, layout: slamkit, tokeniser: hubert}}",
         "models.slam: needs either `model` or `download`"),
        ("models: {slam: {kind: published, layout: slam, model: a/b, tokeniser: hubert}}",
         "models.slam.layout: Input should be 'slamkit', 'twist' or 'slm-scaling', not 'slam'"),
        (PUBLISHED.replace("hubert", "phones"),
         "models.gslm.tokeniser: phones has no units of speech"),
        (f"{PUBLISHED}\n  slm-dpo: {{base: gslm}}",
         "models.slm-dpo.base: gslm has other ids than models trained here (layout slm-scaling):"
         " no DPO"),
        (f"{PUBLISHED}\n  slm-twist: {{twist: {{base: gslm}}}}",
         "models.slm-twist.twist.base: gslm is a published model of units, no text model"),
        (f"{PUBLISHED}\n  many: {{like: gslm, seeds: [1]}}",
         "models.many.seeds: only models that are trained have seeds"),
        ("models: {slm: {training: {budget: {hours: 1, tokens: 9}}}}",
         "models.slm.training.budget: needs one of `steps`, `tokens` and `hours`"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(text: str, line: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        plan(text)
    assert line in [said.partition(": ")[2] for said in str(caught.value).splitlines()]


def test_where_a_model_starts() -> None:
    made = plan(
        "downloads: {qwen: {kind: huggingface, type: model, repository: a/b, revision: c}}\n"
        "models:\n"
        "  fetched: {like: slm-twist, twist: {base: null, download: qwen, rope_theta: 10000}}\n"
        "  folder: {like: slm-twist, twist: {base: null, path: weights/opt}}\n"
        "  hub: {like: slm-twist, twist: {base: null, model: Qwen/Qwen2.5-0.5B, revision: abc}}\n"
    )
    files = {
        name: made.initial_model(name) for name in ("slm", "slm-twist", "folder", "fetched", "hub")
    }
    assert files == {
        "slm": [],
        "slm-twist": ["results/models/text-lm/model.safetensors"],
        "folder": ["weights/opt/model.safetensors"],
        "fetched": ["results/downloads/qwen.parquet"],
        "hub": [],
    }
    starts = {name: block(made, "pretrain_model", model=name)["init"] for name in files}
    assert "initial" not in starts["slm"] and starts["slm"]["hidden_size"] == 192
    common = {"table": "first", "seed": 1, "options": {}}
    assert starts["slm-twist"] == {**common, "rope_theta": None}
    assert "path" not in starts["folder"] and "initial" not in starts["folder"]
    assert starts["fetched"] == {
        **common,
        "rope_theta": 10_000.0,
        "initial": {"model": "downloads/qwen", "revision": None},
    }
    assert starts["hub"]["initial"] == {"model": "Qwen/Qwen2.5-0.5B", "revision": "abc"}


def test_what_a_mixture_hands_on() -> None:
    made = plan("mixtures: {stories-interleaved: {shares: {stories: {epochs: 2}}}}")
    plain = block(made, "pack_mixture", mixture="stories")
    assert plain["shares"] == {} and "interleaving" not in plain
    turns = block(made, "interleave_mixture", mixture="stories-interleaved")
    assert turns["shares"]["stories"]["epochs"] == 2
    assert turns["interleaving"] == {
        "draw": "poisson", "span": 10.0, "share": 0.3, "switch": 0.1, "balance": [1.0, 1.0, 1.0],
    }  # fmt: skip
    names = made.names("mixtures", interleaved="True"), made.names("mixtures", interleaved="False")
    assert names[0] == "stories-interleaved" and "stories-interleaved" not in names[1].split("|")
    assert made.mixture_text("stories-interleaved")[0] == "results/units/bpe/stories/0000.parquet"


def test_words_that_are_found_reach_interleaving() -> None:
    made = plan(
        "corpora: {librispeech: {alignment: {engine: ctc, model: a/b}, source: {transcripts: t}},"
        " an4: {alignment: {engine: sphinx_phones}}}",
        "real",
    )
    corpora = ["librispeech", "an4", "tinystories"]
    assert made.word_alignments(corpora) == ["results/alignments/librispeech/0000.parquet"]
    assert made.phone_alignments(corpora) == ["results/alignments/an4/0000.parquet"]


def test_one_share_replaces_another() -> None:
    text = (
        "mixtures:\n"
        "  twice: {like: stories, shares: {stories: {epochs: 2}}}\n"
        "  some: {like: twice, shares: {stories: {tokens: 1000}}}\n"
    )
    shares = block(plan(text), "pack_mixture", mixture="some")["shares"]
    assert shares == {"stories": {"epochs": None, "tokens": 1000, "weight": None}}


def test_seeds_draw_the_token_table_too() -> None:
    made = plan("models: {slm-interleaved: {seeds: [4, 5]}}")
    blocks = [block(made, "pretrain_model", model=f"slm-interleaved-s{seed}") for seed in (4, 5)]
    assert [each["init"]["seed"] for each in blocks] == [4, 5]


def test_a_published_model_is_scored_as_units_of_its_tokeniser() -> None:
    made = plan(
        f"{PUBLISHED}\n"
        "  slam: {kind: published, layout: slamkit, download: slam, tokeniser: mfcc}\n"
        "  slam-dpo: {like: slm-dpo, base: slam}\n"
        "downloads: {slam: {kind: huggingface, type: model, repository: d/e, revision: f}}\n"
        "tokenisers:\n"
        "  mfcc: {features: mfcc, corpora: [stories], kmeans: {clusters: 9, frames: 99}}\n"
        "evaluate: [{models: [gslm, slam-dpo, slm], benchmarks: [lexical]}]\n"
    )
    place = {"model": "a/b", "revision": "c"}
    assert block(made, "convert_model", model="gslm") == {"layout": "slm-scaling", **place}
    place = {"model": "downloads/slam", "revision": None}
    assert block(made, "convert_model", model="slam") == {"layout": "slamkit", **place}
    assert made.published("gslm") == [] and made.published("slam") == [
        "results/downloads/slam.parquet"
    ]
    units = made.benchmark_units("gslm", "lexical")
    assert units == made.benchmark_units("slm", "lexical") and "results/units/hubert/" in units[0]
    assert made.benchmark_units("slam-dpo", "lexical")[0].startswith("results/units/mfcc/lexical/")
    cards = [f"results/models/{model}/card.md" for model in ("gslm", "slam-dpo", "slm")]
    assert made.cards() == cards
    collected = block(made, "collect_scores")
    assert collected["aligned"] == {"slam-dpo": "slam"} and not collected["untrained"]
    assert set(made.names("models", kind="published").split("|")) == {"gslm", "slam"}


def test_what_is_submitted_to_zerospeech() -> None:
    made = plan("{}", "slam")
    assert made.submitted("slam", "syntactic", "test") == "results/scores/slam/sblimp-test.parquet"
    found = block(made, "write_submission", model="slam", task="lexical", split="dev")
    assert found == {"convention": "slamkit-mean"}
    with pytest.raises(ValueError, match="no benchmark is the test split of ZeroSpeech's lexical"):
        made.submitted("slam", "lexical", "test")


def test_what_is_continued() -> None:
    text = "benchmarks: {topic-cloze: {sampling: {seconds: 2, micro_batch: 99}}}"
    made = plan(text)
    names = made.names("benchmarks", continued="True")
    alike = {
        f"{cloze}-{to}"
        for cloze in ("topic-cloze", "story-cloze")
        for to in ("to-text", "to-speech")
    }  # as the recipe has them, and the other is like this one
    own = {"continuations", "continuations-dpo"}
    assert set(names.split("|")) == {"topic-cloze", "topic-cloze-units"} | alike | own
    found = block(made, "continue_speech", model="slm", benchmark="topic-cloze")
    assert found["seconds"] == 2 and found["top_k"] == 25 and "micro_batch" not in found


def blocks(parent: type[Block] = Block) -> Iterator[type[Block]]:
    for block in parent.__subclasses__():
        yield block
        yield from blocks(block)


def test_null_is_a_value_where_it_is_not_what_is_taken_anyway() -> None:
    text = "benchmarks: {topic-cloze: {sampling: {seconds: null, top_k: null, prompts: null}}}"
    found = block(plan(text), "continue_speech", model="slm", benchmark="topic-cloze")
    assert (found["seconds"], found["top_k"], found["prompts"]) == (None, None, None)
    optional = {
        name
        for each in blocks()
        for name, field in each.model_fields.items()
        if type(None) in typing.get_args(field.annotation)
        and not (field.is_required() or field.default is None)
    }
    assert optional == set(MEANT)
