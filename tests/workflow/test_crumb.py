"""A real run of `crumb`, end to end: what lies there afterwards, and what the user saw."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from running import REPORT, TARGET, planned_jobs, run_snakemake

RECIPE = ("--config", "recipe=crumb")


@pytest.fixture(scope="module")
def table(crumb: Path) -> pd.DataFrame:
    return pd.read_csv(crumb / TARGET, sep="\t")


def test_every_evaluated_pair_has_a_default_row(crumb: Path, table: pd.DataFrame) -> None:
    config = yaml.safe_load((crumb / "results" / "run_config.yaml").read_text())
    wanted = {
        (model, benchmark)
        for row in config["evaluate"]
        for model in row["models"]
        for benchmark in row["benchmarks"]
    }
    accuracies = table[~table["benchmark"].str.startswith("units:")]
    default = accuracies[accuracies["default"] & (accuracies["group"] == "all")]
    found = list(zip(default["model"], default["benchmark"], strict=True))
    assert set(found) == wanted
    assert len(found) == len(set(found))


def test_numbers_lie_within_their_intervals(table: pd.DataFrame) -> None:
    accuracies = table[table["metric"].str.contains("accuracy")]
    assert accuracies["value"].between(0, 100).all()
    assert (accuracies["ci_low"] <= accuracies["value"]).all()
    assert (accuracies["value"] <= accuracies["ci_high"]).all()
    assert (accuracies["chance"] == 50).all()
    assert (table["n"] > 0).all()


def test_nothing_is_left_to_do(crumb: Path) -> None:
    assert planned_jobs(crumb, *RECIPE) == set()
    assert planned_jobs(crumb, *RECIPE, target=REPORT) == set()
    assert "Nothing to be done" in run_snakemake([TARGET, "-n", *RECIPE], crumb).stdout


def test_every_job_has_a_log_and_a_timing(crumb: Path) -> None:
    jobs = planned_jobs(crumb, "--forceall", *RECIPE, target=REPORT)
    logs = list((crumb / "results" / "logs").rglob("*.log"))
    timings = list((crumb / "results" / "timings").rglob("*.tsv"))
    assert len(logs) == len(timings) == len(jobs)


def test_nothing_half_written_is_left(crumb: Path) -> None:
    names = [path.name for path in (crumb / "results").rglob("*")]
    assert not [name for name in names if name.endswith(".tmp")]


def test_the_terminal_stays_readable(crumb: Path) -> None:
    text = (crumb / "terminal.txt").read_text()
    jobs = len(planned_jobs(crumb, "--forceall", *RECIPE, target=REPORT))
    assert "Traceback" not in text
    assert not re.search(r"[A-Z]\w*Warning\b", text)  # those of Python libraries
    assert max(map(len, text.splitlines())) < 200
    assert len(text.splitlines()) < 100 + 12 * jobs


def test_the_report_shows_the_run(crumb: Path) -> None:
    text = (crumb / REPORT).read_text()
    table = pd.read_csv(crumb / TARGET, sep="\t", dtype=str)
    for row in table[(table["default"] == "true") & table["ci_low"].notna()].itertuples():
        assert f"{row.value} [{row.ci_low}, {row.ci_high}]" in text
    graph = re.search(r'aria-label="Graph of rules: ([^"]*)"', text)
    assert graph is not None  # as Snakemake noted it
    for edge in ("train_hubert → fit_kmeans", "pretrain_model → score_references"):
        assert edge in graph[1]
    assert "score_benchmark → collect_scores" in graph[1]
    for name in ("crumb", "crumb-dpo", "crumb-topline"):
        assert len(re.findall(rf'<th scope="row">{name}</th>', text)) >= 2  # scores, and the ledger


def test_models_open_in_transformers(crumb: Path) -> None:
    from transformers import AutoModelForCausalLM

    for name in ("crumb", "crumb-dpo"):
        model = AutoModelForCausalLM.from_pretrained(crumb / "results" / "models" / name)
        assert model.config.vocab_size == 42  # 40 units, padding and <S>
