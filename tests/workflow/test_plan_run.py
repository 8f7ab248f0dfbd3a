"""The plan of a recipe: made without data, of a dry run's jobs, and anew when they change."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml
from running import ROOT, TARGET, copy_checkout, planned_jobs, run_snakemake

PLAN = "results/plan.tsv"
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))
RECIPE = {"recipe": "pocket_full", "data_root": "/nowhere"}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_checkout(tmp_path_factory.mktemp("plan") / "checkout")
    (folder / "config.yaml").write_text(yaml.safe_dump(RECIPE))
    run_snakemake(["results/text/stories.parquet", "--cores", "1"], folder)  # is planned as well
    done = run_snakemake([PLAN, "--cores", "1"], folder)
    (folder / "terminal.txt").write_text(done.stdout)
    return folder


def due(folder: Path) -> set[str]:
    return {job.rule for job in planned_jobs(folder, target=PLAN)}


def test_has_the_jobs_of_a_dry_run(planned: Path) -> None:
    table = pd.read_csv(planned / PLAN, sep="\t").set_index("rule")
    jobs = Counter(job.rule for job in planned_jobs(planned, "--forceall"))
    assert table.loc["total", "jobs"] == jobs.total()
    assert table["jobs"].drop("total").to_dict() == dict(jobs)
    # all of this recipe was measured once, on two cores in less than an hour
    assert (table["cpu_hours"] > 0).all() and (table["disk_gb"] > 0).all()
    assert 0.2 < table.loc["total", "cpu_hours"] < 4
    assert not table["basis"].str.contains("cpu_hours[a-z, _]* without").any()
    assert "pretrain_model" in (planned / "terminal.txt").read_text()


def test_is_made_again_when_the_work_changes_and_only_then(planned: Path) -> None:
    config = planned / "config.yaml"
    machine = {"device": "cpu", "models": {"slm": {"training": {"micro_batch": 3}}}}
    config.write_text(yaml.safe_dump(RECIPE | machine))
    assert due(planned) == set()
    config.write_text(
        yaml.safe_dump(RECIPE | {"corpora": {"stories": {"source": {"count": 9000}}}})
    )
    assert due(planned) == {"write_plan"}
    config.write_text(yaml.safe_dump(RECIPE))
    for name in ("resources/plan/rates.tsv", "rules/speech.smk"):
        path = planned / name
        before = path.read_text()
        path.write_text(f"{before}\n# more\n")
        assert due(planned) == {"write_plan"}, name
        path.write_text(before)
    assert "write_plan" not in {job.rule for job in planned_jobs(planned, target=TARGET)}


def test_what_the_command_line_says_is_planned(planned: Path) -> None:
    asked: dict[str, list] = {"evaluate": [{"models": ["slm"], "benchmarks": ["lexical"]}]}
    asked["plan"] = ["results/eval.tsv", "results/tokenisers.tsv"]
    path = planned / "asked.json"
    path.write_text(json.dumps(asked))
    run_snakemake([PLAN, "--cores", "1", "--configfile", str(path)], planned)
    table = pd.read_csv(planned / PLAN, sep="\t").set_index("rule")
    assert table.loc["score_benchmark", "jobs"] == 1
    assert table.loc["collect_tokenisers", "jobs"] == 1
    assert "align_model" not in table.index


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_planned(recipe: str, planned: Path) -> None:
    run_snakemake([PLAN, "--cores", "1", "--config", f"recipe={recipe}"], planned)
    table = pd.read_csv(planned / PLAN, sep="\t").set_index("rule")
    assert table.loc["total", "jobs"] == table["jobs"].drop("total").sum() > 10
    assert table.loc["total", "cpu_hours"] > 0


def test_a_run_is_planned_by_its_own_rates(crumb: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "speed" / "rates.py"), str(crumb / "results")]
    shown = ""
    for mode in ([], ["--compare"]):
        done = subprocess.run(
            [*command, "--folder", str(tmp_path), *mode], check=True, capture_output=True, text=True
        )
        shown = done.stdout
    cells = [line.strip("| ").split(" | ") for line in shown.splitlines() if "`" in line]
    ratios = {cell[0].strip("`"): float(cell[4]) for cell in cells}
    # a line through the jobs of a stage keeps their sum, or nearly so where it may not be negative
    assert ratios["total"] == pytest.approx(1, abs=0.1)
    assert ratios["extract_units"] == pytest.approx(1, abs=0.2)
    sizes = next(cell for cell in cells if cell[0] == "`total`")[5:]
    assert float(sizes[0]) == pytest.approx(float(sizes[1]), rel=0.02)
    rates = pd.read_csv(tmp_path / "rates.tsv", sep="\t")
    assert set(rates["rule"]) == set(ratios) - {"total"}
    assert re.search(r"crumb, \d+ jobs", shown)
