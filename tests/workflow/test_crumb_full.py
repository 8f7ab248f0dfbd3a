"""Text, starts from text models and interleaving: a real run beside a finished `crumb`."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from running import TARGET, planned_jobs, run_snakemake
from safetensors import safe_open

from slamflow.tables import training

BEGUN = {"train_bpe", "extract_bpe", "interleave_mixture"}
SCORED = {"pretrain_model", "score_benchmark", "score_crossing", "collect_scores"}


@pytest.fixture(scope="module")
def finished(crumb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full") / "checkout"
    shutil.copytree(crumb, folder)
    write_config(folder, {})
    assert rules(folder) == {*BEGUN, "pack_mixture", *SCORED}
    run_snakemake(["--cores", "all", TARGET], folder)
    return folder


def write_config(folder: Path, overrides: Mapping[str, Any]) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump({"recipe": "crumb_full", **overrides}))


def rules(folder: Path) -> set[str]:
    return {job.rule for job in planned_jobs(folder)}


def test_models_of_text_and_of_both_are_trained_and_scored(finished: Path) -> None:
    assert rules(finished) == set()
    results = finished / "results"
    lines = (results / "eval.tsv").read_text().splitlines()
    scored = {tuple(line.split("\t")[:2]) for line in lines[1:]}
    assert {(f"crumb-{name}", "crumb-lexical") for name in ("text", "twist")} <= scored
    assert ("crumb-interleaved", "crumb-lexical-units") in scored
    crossed = [line.split("\t") for line in lines if "\tcrumb-topic-cloze-to-text\t" in line]
    assert crossed[0][4:6] == ["conditional-mean units to text", "true"] and crossed[0][9] == "12"
    # units, text, PAD, <S> and the two markers
    with safe_open(results / "models/crumb-interleaved/model.safetensors", "pt") as weights:
        assert weights.get_slice("model.embed_tokens.weight").get_shape()[0] == 40 + 300 + 4
    log = pq.read_table(results / "models/crumb-interleaved/training.parquet")
    kinds = {entry["name"] for entry in log["validation"][-1].as_py()}
    assert kinds == {f"crumb-stories:{kind}" for kind in ("speech", "text", "interleaved")}
    assert training.BUDGET.encode() in log.schema.metadata


@pytest.mark.parametrize(
    ("overrides", "due"),
    [
        (
            {"mixtures": {"crumb-interleaved": {"interleaving": {"span": 5.0}}}},
            {"interleave_mixture", *SCORED},
        ),
        (
            {"mixtures": {"crumb-text": {"shares": {"crumb-stories": {"epochs": 2}}}}},
            {"pack_mixture", *SCORED},
        ),
        ({"tokenisers": {"crumb-bpe": {"bpe": {"vocabulary": 290}}}},
         {*BEGUN, "pack_mixture", *SCORED}),
        ({"models": {"crumb-twist": {"twist": {"table": "mean"}}}}, SCORED),
        (
            {"benchmarks": {"crumb-lexical-units": {"scoring": {"modality": "all"}}}},
            {"score_benchmark", "collect_scores"},
        ),
    ],
)  # fmt: skip
def test_what_runs_again(finished: Path, overrides: dict[str, Any], due: set[str]) -> None:
    write_config(finished, overrides)
    try:
        assert rules(finished) == due
    finally:
        write_config(finished, {})


def test_a_model_goes_on_after_prompts(finished: Path) -> None:
    sampling = {"seconds": 0.2, "prompts": 3, "new_tokens": 10}
    write_config(finished, {"benchmarks": {"crumb-lexical": {"sampling": sampling}}})
    made = "results/continuations/crumb-interleaved/crumb-lexical.parquet"
    try:
        run_snakemake(["--cores", "all", made], finished)
    finally:
        write_config(finished, {})
    found = pq.read_table(finished / made).to_pylist()
    assert len(found) == 3
    for row in found:
        assert len(row["prompt"]) <= 5 and max(row["prompt"] + row["continuation"]) < 40
        assert len(row["continuation"]) <= 10
