"""A study: what is planned for a question, and a real one over the models of `crumb`."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from running import TARGET, planned_jobs, run_snakemake

PAGE = "results/study.html"
QUESTION = {
    "about": "Does DPO help?",
    "arms": {"none": ["crumb"], "dpo": ["crumb-dpo"]},
    "baseline": "none",
    "benchmarks": ["crumb-lexical", "crumb-syntactic", "crumb-story-cloze"],
}


def ask(folder: Path, **changes: Any) -> None:
    content = {"recipe": "crumb", "questions": {"dpo": QUESTION | changes}}
    (folder / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="module")
def studied(crumb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of `crumb` with a study of two of its models."""
    folder = tmp_path_factory.mktemp("study") / "checkout"
    shutil.copytree(crumb, folder)
    ask(folder)
    run_snakemake(["--cores", "all", PAGE], folder)
    return folder


def test_a_question_plans_only_what_it_needs(checkout: Path) -> None:
    jobs = planned_jobs(checkout, "--config", "recipe=ablations", target="results/study/twist.tsv")
    trained = {Path(job.outputs[0]).parent.name for job in jobs if job.rule == "pretrain_model"}
    seeds = (1, 2, 3)
    assert trained == {
        "text-lm",
        *(f"study-s{seed}" for seed in seeds),
        *(f"study-twist-s{seed}" for seed in seeds),
    }
    assert not [job for job in jobs if job.rule in ("align_model", "collect_scores")]
    assert len([job for job in jobs if job.rule == "score_benchmark"]) == 4 * 6


def test_answers_are_those_of_the_results_table(studied: Path) -> None:
    answers = pd.read_csv(studied / "results" / "study.tsv", sep="\t")
    table = pd.read_csv(studied / TARGET, sep="\t")
    table = table[table["default"] & (table["group"] == "all")].set_index(["model", "benchmark"])
    assert len(answers) == 2 * len(QUESTION["benchmarks"])
    for row in answers.itertuples():
        (model,) = QUESTION["arms"][row.arm]  # type: ignore[index]
        found = table.loc[(model, row.benchmark)]
        for key in ("value", "ci_low", "ci_high"):
            assert getattr(row, key) == pytest.approx(found[key], abs=0.051)
        assert (row.n, row.metric) == (found["n"], found["metric"])
    dpo = answers[answers["arm"] == "dpo"].set_index("benchmark")
    none = answers[answers["arm"] == "none"].set_index("benchmark")
    assert (dpo["tokens"] > none["tokens"]).all() and (dpo["seconds"] > none["seconds"]).all()
    assert "dpo changes crumb-lexical by" in (studied / PAGE).read_text()
    assert planned_jobs(studied, target=PAGE) == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"about": "Does it?"}, {"draw_study"}),
        ({"benchmarks": ["crumb-lexical"]}, {"answer_question", "collect_study", "draw_study"}),
    ],
    ids=["words", "fewer benchmarks"],
)
def test_what_an_edit_runs_again(changes: dict, expected: set[str], studied: Path) -> None:
    try:
        ask(studied, **changes)
        assert {job.rule for job in planned_jobs(studied, target=PAGE)} == expected
    finally:
        ask(studied)
