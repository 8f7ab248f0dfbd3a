"""Nothing that `pocket` evaluates is in what its models, or its HuBERT, learn from."""

import re
from functools import cache
from typing import Any

import pytest
from pocket_corpora import PLANS, block, pairs, sentences, table, texts

from slamflow.config.plan import Plan
from slamflow.config.schema_models import AlignedModel
from slamflow.corpora.generated import shares
from slamflow.synthesis import speaking

POCKET = PLANS["pocket"]
EVALUATED = sorted({POCKET.config.benchmarks[name].corpus for _, name in POCKET.evaluated()})
Rendition = tuple[str, str, int, int]  # what is said, voice, rate, pitch


def learnt(plan: Plan) -> set[str]:
    """The corpora that something of a recipe is trained or fitted on, recordings aside."""
    config = plan.config
    learners = [config.huberts, config.tokenisers, config.mixtures]
    mixed = {name for kind in learners for it in kind.values() for name in it.corpora or ()}
    aligned = {it.corpus for it in config.models.values() if isinstance(it, AlignedModel)}
    return {name for name in mixed | aligned if not config.corpora[name].source.recorded}


LEARNT = [(name, recipe) for recipe, plan in PLANS.items() for name in sorted(learnt(plan))]


def letters(sentence: str) -> str:
    """Without capitals and punctuation, which are not heard."""
    return " ".join(re.findall("[a-z']+", sentence.lower()))


def said(row: dict[str, Any]) -> set[str]:
    """What is spoken: the letters and, where there are some, the phonemes."""
    return {letters(row["text"]), speaking.normalise(row["phonemes"] or row["text"])}


@cache
def renditions(corpus: str, recipe: str) -> set[Rendition]:
    told = block("synthesise_speech", corpus, recipe)
    speech, synthesiser = told["speech"], told["synthesiser"]
    return {
        (form, *speaking.draw(synthesiser, speech["seed"], row["item"] or row["id"], number))
        for row in table(corpus, recipe).to_pylist()
        for number in range(speech["renditions"])
        for form in said(row)
    }


def test_all_that_is_evaluated_and_learnt_from_is_looked_at() -> None:
    assert EVALUATED == ["lexical", "story-cloze", "syntactic", "topic-cloze"]
    assert {("stories", "pocket"), ("preferences", "pocket")} <= set(LEARNT)
    assert ("voices", "hubert_pocket") in LEARNT
    assert any(it.training for it in PLANS["hubert_pocket"].config.huberts.values())


@pytest.mark.parametrize("corpus", EVALUATED)
@pytest.mark.parametrize(("learnt", "recipe"), LEARNT)
def test_no_evaluated_story_or_sentence_is_learnt_from(
    corpus: str, learnt: str, recipe: str
) -> None:
    for parts in (texts, sentences):
        assert not {*map(letters, parts(corpus))} & {*map(letters, parts(learnt, recipe))}


@pytest.mark.parametrize("corpus", EVALUATED)
@pytest.mark.parametrize(("learnt", "recipe"), LEARNT)
def test_no_evaluated_rendition_is_learnt_from(corpus: str, learnt: str, recipe: str) -> None:
    assert not renditions(corpus, "pocket") & renditions(learnt, recipe)


def test_lexical_words_are_learnt_from_stories_but_never_alone() -> None:
    rows = table("lexical").to_pylist()
    heard = {word for story in texts("stories") for word in letters(story).split()}
    assert all((row["text"] in heard) == (row["role"] == "positive") for row in rows)
    alone = set[str]().union(*map(said, rows))
    for corpus, recipe in LEARNT:
        assert alone.isdisjoint(set().union(*map(said, table(corpus, recipe).to_pylist())))


def test_sentences_have_shares() -> None:
    """So that other counts and seeds are disjoint, too."""
    assert {shares.share(it) for it in sentences("stories")} == {"training"}
    for corpus in ("topic-cloze", "story-cloze"):
        assert {shares.share(it) for it in sentences(corpus)} == {"evaluation"}
    assert {shares.share(right) for right, _ in pairs("syntactic")} == {"evaluation"}


def test_shares_split_direct_speech_with_its_sentence() -> None:
    spoken = 'Lily is here. She asks, "Where is my towel?" But the wave stops her!'
    assert len(shares.split(spoken)) == 3
