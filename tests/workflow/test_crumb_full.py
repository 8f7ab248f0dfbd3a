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

from slamflow import files
from slamflow.tables import speech, training
from slamflow.tables import voices as voices_table

BEGUN = {"train_bpe", "extract_bpe", "interleave_mixture"}
SCORED = {"pretrain_model", "score_benchmark", "score_crossing", "collect_scores"}
SPOKEN = {"train_vocoder", "continue_speech", "vocode_units", "transcribe_speech"}
MEASURED = "measure_generation"


@pytest.fixture(scope="module")
def finished(crumb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full") / "checkout"
    shutil.copytree(crumb, folder)
    write_config(folder, {})
    assert rules(folder) == {*BEGUN, "pack_mixture", *SCORED, *SPOKEN, MEASURED}
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
            {"pack_mixture", *SCORED, MEASURED},
        ),
        ({"tokenisers": {"crumb-bpe": {"bpe": {"vocabulary": 290}}}},
         {*BEGUN, "pack_mixture", *SCORED, MEASURED}),
        ({"models": {"crumb-twist": {"twist": {"table": "mean"}}}}, SCORED),
        (
            {"benchmarks": {"crumb-lexical-units": {"scoring": {"modality": "all"}}}},
            {"score_benchmark", "collect_scores"},
        ),
        (
            {"benchmarks": {"crumb-topic-cloze-to-text": {"scoring": {"context": "text"}}}},
            {"score_crossing", "collect_scores"},
        ),
        (
            {"benchmarks": {"crumb-spoken": {"transcription": {"prompt": "given"}}}},
            {"transcribe_speech", MEASURED, "collect_scores"},
        ),
        (
            {"benchmarks": {"crumb-spoken": {"sampling": {"temperature": 0.5}}}},
            {*SPOKEN - {"train_vocoder"}, MEASURED, "collect_scores"},
        ),
        (
            {"vocoders": {"crumb": {"training": {"learning_rate": 1.0e-3}}}},
            {*SPOKEN - {"continue_speech"}, MEASURED, "collect_scores"},
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


def test_what_is_spoken_is_measured(finished: Path) -> None:
    lines = (finished / TARGET).read_text().splitlines()
    rows = [line.split("\t") for line in lines if "\tcrumb-spoken\t" in line]
    heard = "prompt counted, temperature 0.8, seconds 1, new-tokens 20, sphinx crumb-stories"
    found = {(row[0], row[3]): row for row in rows}
    assert len(rows) == len(found) == 6 and {row[5] for row in rows} == {"true"}
    for model in ("crumb", "crumb-dpo"):
        assert found[model, "gen_ppl"][4] == f"{heard}, crumb-text"
        empty = found[model, "empty_transcripts"]
        assert (empty[4], empty[9]) == (heard, "3")
        left = 3 - round(float(empty[6]) * 3 / 100)
        assert found[model, "auto_bleu"][9] == str(left)


def test_continuations_and_corpora_are_spoken(finished: Path) -> None:
    voices = "results/voices/crumb/crumb-dpo/crumb-spoken.parquet"
    resynthesis = "results/resyntheses/crumb/crumb-story-cloze.parquet"
    run_snakemake(["--cores", "all", voices, resynthesis], finished)
    spoken = files.read_table(finished / voices, voices_table.SCHEMA).to_pylist()
    assert len(spoken) == 3 and {row["speaker"] for row in spoken} == {"en-us+f3"}
    assert all(0 < row["prompt_end"] <= row["duration"] for row in spoken)
    again = files.read_table(finished / resynthesis, speech.SCHEMA, ("id", "duration")).to_pylist()
    [original] = (finished / "results" / "speech" / "crumb-story-cloze").iterdir()
    heard = files.read_table(original, speech.SCHEMA, ("id", "duration")).to_pylist()
    for one, other in zip(again, heard, strict=True):
        assert one["id"] == other["id"] and abs(one["duration"] - other["duration"]) < 0.2
