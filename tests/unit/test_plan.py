"""What is planned follows the sizes of a recipe, and what is not known is said."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import HubertModel

from slamflow.config.fields import content_of
from slamflow.config.load import load
from slamflow.lm import architecture, flops
from slamflow.report.plan import counts, growth, rates, writing
from slamflow.report.plan.jobs import Job

ROOT = Path(__file__).parents[2]
TABLES = {name: ROOT / "resources" / "plan" / f"{name}.tsv" for name in ("rates", "yields", "gpus")}
YIELDS = rates.yields(TABLES["yields"])


def config(recipe: str, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """A recipe as the rule's block has it."""
    content = content_of(load(ROOT, {"recipe": recipe, **(overrides or {})}))
    return json.loads(json.dumps(content))


def job(rule: str, gpus: int = 0, **wildcards: str) -> Job:
    return Job(rule, wildcards, 1, gpus, (), "")


def plan(content: dict[str, Any], *jobs: Job) -> pd.DataFrame:
    table = writing.table(
        jobs,
        counts.Counts(content, YIELDS),
        rates.rates(TABLES["rates"]),
        rates.gpus(TABLES["gpus"]),
    )
    return table.set_index("rule")


SLAM = (
    job("cut_audio", corpus="libri-light", shard="0000"),
    job("extract_units", 1, tokeniser="slam", corpus="libri-light", shard="0000"),
    job("pretrain_model", 1, model="slam-pretrained"),
)


def test_twice_the_hours_take_twice_as_long() -> None:
    sizes = [{"corpora": {"libri-light": {"source": {"hours": it}}}} for it in (30_000, 60_000)]
    half, whole = (plan(config("slam", it), *SLAM) for it in sizes)
    for rule in ("cut_audio", "extract_units"):
        for column in ("cpu_hours", "disk_gb"):
            assert whole.loc[rule, column] == pytest.approx(2 * half.loc[rule, column], rel=0.01)
    assert whole.loc["extract_units", "gpu_hours"] == 2 * half.loc["extract_units", "gpu_hours"]
    assert whole.loc["pretrain_model"].equals(half.loc["pretrain_model"])  # by its steps
    assert "align_model" not in whole.index
    shards = {"corpora": {"libri-light": {"source": {"hours": 60_000, "shards": 1000}}}}
    parts = plan(config("slam", shards), *SLAM)
    assert parts.loc["extract_units", "gpu_hours"] == half.loc["extract_units", "gpu_hours"]


def test_the_papers_training_takes_the_papers_day() -> None:
    found = plan(config("slam"), *SLAM, job("align_model", 1, model="slam"))
    assert found.loc["pretrain_model", "gpu_hours"] == pytest.approx(23.5, rel=0.02)
    assert found.loc["align_model", "gpu_hours"] == pytest.approx(0.5, rel=0.01)
    assert "A5000" in found.loc["pretrain_model", "basis"]


def test_what_is_not_known_is_empty_and_named() -> None:
    unsaid = {"corpora": {"libri-light": {"source": {"hours": None}}}}
    known = job("extract_units", 1, tokeniser="slam", corpus="stinystories", shard="0000")
    alone, beside = plan(config("slam", unsaid), *SLAM), plan(config("slam", unsaid), *SLAM, known)
    assert alone.loc["extract_units", ["cpu_hours", "gpu_hours", "disk_gb"]].isna().all()
    assert "without hours of libri-light" in alone.loc["extract_units", "basis"]
    assert beside.loc["extract_units", "cpu_hours"] > 0
    assert "without hours of libri-light" in beside.loc["extract_units", "basis"]
    assert "cpu_hours" in beside.loc["total", "at_least"]
    assert "+" in writing.overview(beside.reset_index())
    unmeasured = plan(config("slam"), job("convert_vocoder", vocoder="twist"))
    assert unmeasured.loc["convert_vocoder", writing.NUMBERS].isna().all()


def test_downloads_are_summed_and_those_of_unknown_size_named() -> None:
    found = plan(
        config("slam"),
        job("fetch_download", download="librispeech"),
        job("fetch_download", download="spokenswag"),
    )
    assert found.loc["fetch_download", "download_gb"] == pytest.approx(59.3)
    assert "size of spokenswag" in found.loc["fetch_download", "basis"]


def test_a_training_takes_the_hours_that_it_is_given() -> None:
    jobs = [Job("pretrain_model", {"model": "slam-day-pretrained"}, 8, 2, (), "")]
    found = plan(config("slam_day"), *jobs).loc["pretrain_model"]
    assert found["gpu_hours"] == 2 * 23.5
    assert found["cpu_hours"] == 8 * 23.5


def test_a_budget_of_tokens_is_one_of_steps() -> None:
    tokens = {"training": {"budget": {"tokens": 800 * 4096}}}
    one = plan(config("pocket"), job("pretrain_model", model="slm"))
    other = plan(config("pocket", {"models": {"slm": tokens}}), job("pretrain_model", model="slm"))
    assert one.equals(other)


def test_operations_of_a_hubert_are_those_that_torch_counts() -> None:
    folder = ROOT / "resources" / "hubert-pocket"
    model = HubertModel.from_pretrained(folder).eval()
    sizes = []
    for seconds in (4, 12):  # the difference leaves out what the ends take
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.feature_projection(
                model.feature_extractor(torch.zeros(1, seconds * 16_000)).transpose(1, 2)
            )
        sizes.append(counter.get_total_flops())
    content = config("pocket", {"tokenisers": {"hubert": {"kmeans": {"layer": 0}}}})
    found = counts.Counts(content, YIELDS).flops("hubert")
    shape = json.loads((folder / "config.json").read_text())
    positions = 2 * 25 * shape["hidden_size"] ** 2 / shape["num_conv_pos_embedding_groups"]
    positions *= shape["num_conv_pos_embeddings"]
    assert found - positions == pytest.approx((sizes[1] - sizes[0]) / 8, rel=0.01)


@pytest.mark.parametrize("name", ["opt", "qwen2"])
def test_parameters_are_those_of_the_model(name: str) -> None:
    init = {"architecture": name, "hidden_size": 128, "layers": 3, "heads": 4, "kv_heads": None}
    init |= {"intermediate_size": 320}
    content = copy.deepcopy(config("pocket"))
    content["models"]["slm"]["init"] |= init
    model = architecture.build(init, 502, 64)
    found = counts.Counts(content, YIELDS).parameters("slm")
    assert found == pytest.approx(flops.products(model), rel=0.01)


def test_every_stage_has_its_place_in_the_plan() -> None:
    found = {
        rule
        for path in (ROOT / "rules").glob("*.smk")
        for rule in re.findall(r"^rule (\w+):", path.read_text(), re.MULTILINE)
    }
    assert found - {"write_plan"} == set(growth.GROWS)


@pytest.mark.parametrize(
    ("found", "written", "said"),
    [
        (b"\t0\t", b"\tmany\t", "line 2: seconds_a_job is 'many'"),
        (b"\t0\t", b"\t-1\t", "line 2: seconds_a_job is '-1'"),
        (b"\t0\t", b"\tnan\t", "line 2: seconds_a_job is 'nan'"),
        (b"seconds_a_job", b"start", "has no column `seconds_a_job`"),
        (b"rule", b"\xff\xfe", "is no table"),
        (b"\t0\t", b"\t", "line 2: has not 13 fields"),
        (b"", None, "is no table"),
    ],
    ids=["word", "negative", "nan", "column", "bytes", "field", "empty"],
)
def test_a_damaged_table_of_rates_is_named(
    found: bytes, written: bytes | None, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "rates.tsv"
    whole = TABLES["rates"].read_bytes()
    path.write_bytes(whole.replace(found, written, 1) if written else b"")
    with pytest.raises(ValueError, match=rf"rates\.tsv: {said}.*speed/rates\.py"):
        rates.rates(path)
