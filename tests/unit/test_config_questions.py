"""Questions of a study in the config: what is refused, and what reaches the stages."""

import re

import pytest
import yaml
from test_config_models import ROOT, block, plan

from slamflow.config.load import load

SMALL = """
models:
  wide: {like: slm, init: {hidden_size: 96}, seeds: [1, 2]}
  wide-dpo: {like: slm-dpo, base: wide, seeds: [2, 3]}
questions:
  width:
    about: Wider?
    arms: {narrow: [slm], wide: [wide]}
    baseline: narrow
    benchmarks: [lexical]
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("arms: {narrow: [slm], wide: [wid]}",
         "questions.width.arms.wide: there is no models.wid. Did you mean wide?"),
        ("arms: {narrow: [slm], wide: [bigram]}",
         "questions.width.arms.wide: bigram is not trained here: it has no tokens and no seconds"),
        ("arms: {narrow: [slm]}", "questions.width: arms: a question has two or more"),
        ("arms: {narrow: [slm], wide: []}", "questions.width.arms.wide: is empty"),
        ("arms: {narrow: [slm], wide: [slm, slm]}", "questions.width.arms.wide: has slm twice"),
        ("baseline: none", "questions.width: baseline: none is none of its arms"),
        ("benchmarks: [lexicall]",
         "questions.width.benchmarks: there is no benchmarks.lexicall. Did you mean lexical?"),
        ("benchmarks: [spoken]", "questions.width.benchmarks: spoken is continued, not scored"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(text: str, line: str) -> None:
    values = yaml.safe_load(SMALL)
    values["benchmarks"] = {"spoken": {"like": "topic-cloze", "sampling": {}, "scored": False}}
    values["models"].pop("wide-dpo")
    values["models"]["wide"].pop("seeds")
    values["questions"]["width"] |= yaml.safe_load(text)
    with pytest.raises(ValueError) as raised:
        load(ROOT, {"recipe": "pocket_full", **values})
    assert str(raised.value) == f"command line: {line}"


def test_a_model_with_seeds_is_an_arm_of_all_of_them() -> None:
    made = plan(SMALL.replace("seeds: [2, 3]", "seeds: [2]"))
    found = block(made, "answer_question", question="width")
    assert found["arms"] == {"narrow": {"slm": 1}, "wide": {"wide-s1": 1, "wide-s2": 2}}
    assert found["baseline"] == "narrow"
    assert found["benchmarks"]["lexical"]["convention"] == "slamkit-mean"
    assert found["lineage"]["wide-s1"] == ["wide-s1"]


def test_an_aligned_model_with_seeds_begins_with_the_base_of_its_own_seed() -> None:
    made = plan(SMALL.replace("seeds: [2, 3]", "seeds: [2]"))
    assert made.base("wide-dpo-s2") == "wide-s2"
    with pytest.raises(ValueError, match=r"wide-dpo\.base: there is no models\.wide-s3"):
        plan(SMALL)


def test_arms_replace_those_of_a_sibling() -> None:
    text = SMALL.replace("seeds: [2, 3]", "seeds: [2]") + (
        "  other: {like: width, arms: {plain: [slm], aligned: [wide-dpo]}, baseline: plain}\n"
    )
    made = plan(text)
    assert set(made.config.questions["other"].arms) == {"plain", "aligned"}
    assert set(made.config.questions["width"].arms) == {"narrow", "wide"}


def test_a_question_joins_what_is_evaluated() -> None:
    made = plan(SMALL.replace("seeds: [2, 3]", "seeds: [2]"))
    assert ("wide-s2", "lexical") in made.evaluated()
    assert ("wide-s2", "syntactic") not in made.evaluated()
    assert len(made.evaluated()) == len(set(made.evaluated()))
    assert made.question_scores("width")[0] == "results/scores/slm/lexical.parquet"


def test_comparisons_of_seeds_and_of_questions_are_left_to_the_study() -> None:
    text = SMALL.replace("seeds: [2, 3]", "seeds: [2]")
    text = text.replace("models:\n", "models:\n  deep: {like: slm, init: {layers: 9}}\n")
    text += "evaluate:\n  - {models: [slm-dpo, slm, wide, deep], benchmarks: [lexical]}\n"
    found = block(plan(text, "pocket"), "collect_scores")
    assert found["compared"] == [[name, "lexical"] for name in ("slm-dpo", "slm", "deep")]
    assert ["wide-s1", "lexical"] in found["evaluate"]
    found = block(plan("{}", "ablations"), "collect_scores")
    assert not [model for model, _ in found["compared"] if model.startswith("study")]
    assert ["study-dpo-s1", "lexical"] in found["evaluate"]


def test_what_a_question_spends_is_also_what_its_models_start_from() -> None:
    made = plan("{}", "ablations")
    found = block(made, "answer_question", question="dpo")
    assert found["lineage"]["study-dpo-s2"] == ["study-dpo-s2", "study-s2"]
    assert set(found["aligned"]) == {f"study-dpo-s{seed}" for seed in (1, 2, 3)}
    lineage = block(made, "answer_question", question="twist")["lineage"]
    assert lineage["study-twist-s3"] == ["study-twist-s3", "text-lm"]
    assert "results/models/text-lm/training.parquet" in made.question_trainings("twist")


def test_the_page_has_the_order_of_the_config() -> None:
    found = block(plan("{}", "ablations"), "draw_study")["questions"]
    assert [each["name"] for each in found][:3] == ["dpo", "dpo-length", "twist"]
    assert found[1]["arms"] == ["none", "dpo-50", "dpo-100", "dpo-200"]
    assert found[1]["about"] == "How long should DPO be?"


def test_the_example_of_the_documentation_is_a_config() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "study.md").read_text(), re.DOTALL)
    config = load(ROOT, yaml.safe_load(text))
    assert config.questions["width"].arms["wide"] == ["wide-s1", "wide-s2", "wide-s3"]


def test_without_questions_there_is_no_study() -> None:
    made = plan("{}", "pocket")
    with pytest.raises(ValueError, match="no `questions`"):
        made.answers()


def test_arms_of_the_ablations_differ_in_one_thing() -> None:
    """Models of one seed in two arms have the same settings but for those that the arms are of."""
    config = plan("{}", "ablations").config
    assert all(
        [config.models[name].training.seed for name in arm] == [1, 2, 3]
        for question in config.questions.values()
        for arm in question.arms.values()
    )
    study = config.models["study-s1"]
    for name in ("study-k100-s1", "study-context-128-s1", "study-half-s1", "study-twist-s1"):
        other = config.models[name]
        assert other.training == study.training
        assert (other.mixture == study.mixture) != (other.init == study.init)
    for question in config.questions.values():
        names = {name for arm in question.arms.values() for name in arm}
        assert question.about.endswith("?") and len(names) == 3 * len(question.arms)
