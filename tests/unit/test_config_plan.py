"""What the config tells the rules, and what it keeps of a run."""

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from slamflow import devices
from slamflow.config.load import load
from slamflow.config.plan import Plan
from slamflow.config.schema import Config

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("corpus", "source", "changed_stages"),
    [
        ("librispeech", "{minimum: 1}", ["cut_audio"]),
        ("librispeech", "{maximum: 9}", ["cut_audio"]),
        ("librispeech", "{segments: libri-light}", ["cut_audio"]),
        ("librispeech", "{speaker: null}", ["list_source"]),
        ("librispeech", "{folder: other}", ["list_source", "cut_audio"]),
        ("librispeech", "{pattern: '*.wav'}", ["list_source"]),
        ("librispeech", "{shards: 2}", ["list_source"]),
        ("librispeech", "{version: 1}", ["list_source"]),
        ("librispeech", "{rejected_at_most: 0.5}", []),
        ("tinystories", "{count: 9}", ["read_text"]),
        ("tinystories", "{minimum_words: 9}", ["read_text"]),
        ("tinystories", "{maximum_words: 99}", ["read_text"]),
        ("tinystories", "{format: lines}", ["read_text"]),
        ("tinystories", "{file: other.txt}", ["list_source", "read_text"]),
        ("tinystories", "{version: 1}", ["list_source"]),
    ],
)
def test_a_corpus_is_listed_again_only_for_other_files(
    corpus: str, source: str, changed_stages: list[str]
) -> None:
    overrides = {"recipe": "real", "corpora": {corpus: {"source": yaml.safe_load(source)}}}
    plain, changed = (Plan(load(ROOT, it), ROOT) for it in ({"recipe": "real"}, overrides))
    names = SimpleNamespace(corpus=corpus)
    stages = ["list_source", "cut_audio" if corpus == "librispeech" else "read_text"]
    differing = [it for it in stages if plain.block(it)(names) != changed.block(it)(names)]
    assert differing == changed_stages


def test_where_a_hubert_and_a_codebook_come_from() -> None:
    text = """
    downloads:
      d: {kind: archive, archives: [{url: 'https://a.org/b.tar', checksum: 'sha256:%s'}]}
    huberts:
      hub: {like: pocket, path: null, model: a/b, revision: c}
      fetched: {like: pocket, path: null, download: d}
      second: {like: hubert-pocket, targets: hubert-pocket-1, initial: hubert-pocket-1}
    tokenisers:
      of-pocket: {like: hubert-pocket, hubert: pocket}
      of-hub: {like: hubert-pocket, hubert: hub}
      of-fetched: {like: hubert-pocket, hubert: fetched}
      of-second: {like: hubert-pocket, hubert: second}
      given: {like: of-fetched, kmeans: {frames: null, file: k.bin, download: d}, quality: null}
    """
    found = load(ROOT, {"recipe": "hubert_pocket", **yaml.safe_load(text % ("0" * 64))})
    plan = Plan(found, ROOT)
    manifest = "results/downloads/d.parquet"
    assert plan.hubert("of-pocket") == ["resources/hubert-pocket/model.safetensors"]
    assert plan.hubert("of-hub") == plan.hubert("mfcc-pocket") == []
    assert (
        plan.hubert("of-fetched") == plan.hubert("given") == plan.converted("given") == [manifest]
    )
    assert plan.hubert("of-second") == ["results/huberts/second/model.safetensors"]
    assert plan.initial("second") == ["results/huberts/hubert-pocket-1/model.safetensors"]
    assert plan.converted("of-fetched") == plan.initial("hubert-pocket-1") == []
    places = {
        name: json.loads(plan.block("extract_units")(SimpleNamespace(tokeniser=name))).get("hubert")
        for name in ("of-pocket", "of-hub", "of-fetched", "of-second")
    }
    fetched = places["of-fetched"]
    assert places["of-hub"] == {"model": "a/b", "revision": "c"}
    assert fetched["model"] == "downloads/d" and places["of-pocket"] == places["of-second"] is None
    assert plan.gate("of-second") == ["results/tokenisers/of-second/quality.json"]
    assert plan.gate("hubert-pocket-an4") == plan.gate("given") == []
    measured = re.compile(plan.names("tokenisers", measured="True"))
    assert measured.fullmatch("of-hub") and not measured.fullmatch("given")


def test_text_is_a_tokeniser() -> None:
    plan = Plan(load(ROOT, {"recipe": "pocket_full"}), ROOT)
    assert plan.codebook(plan.tokeniser("text-lm")) == "results/tokenisers/bpe/tokenizer.json"
    assert plan.mixture_units("stories-text") == plan.units("bpe", ["stories"])
    assert plan.benchmark_units("text-lm", "lexical") == ["results/units/bpe/lexical/0000.parquet"]
    assert plan.hubert("bpe") == plan.gate("bpe") == []
    bpe = SimpleNamespace(tokeniser="bpe", corpus="lexical", shard="0000")
    assert plan.block("train_bpe")(bpe) == '{"vocabulary":512}'
    assert plan.block("extract_bpe")(bpe) == "{}"
    found = {kind: plan.names("tokenisers", features=kind) for kind in ("bpe", "hubert|mfcc")}
    assert found == {"bpe": "bpe", "hubert|mfcc": "hubert"}


def test_pocket_full_is_pocket_and_more() -> None:
    pocket, full = (Plan(load(ROOT, {"recipe": name}), ROOT) for name in ("pocket", "pocket_full"))
    assert set(pocket.scores()) < set(full.scores())
    text, units = (full.config.models[name] for name in ("text-lm", "slm"))
    assert text.kind == units.kind == "pretrain" and text.init == units.init


def test_the_config_of_a_run_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(load(ROOT, {"recipe": "pocket"}), tmp_path)
    plan.write_run_config()
    path = tmp_path / "results" / "run_config.yaml"
    assert Config.model_validate(yaml.safe_load(path.read_text())) == plan.config
    path.write_text("before")

    def full(self: Path, *_: Any, **__: Any) -> None:
        with self.open("w") as file:
            file.write("half")
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        plan.write_run_config()
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert path.read_text() == "before"


def plan(device: str, ranks: int | None = None, nodes: int | None = None) -> Plan:
    training = {"nodes": nodes} if ranks is None else {"ranks": ranks, "nodes": nodes}
    models = {"slm": {"training": training}, "slm-dpo": {"training": {"ranks": None}}}
    return Plan(load(ROOT, {"recipe": "pocket", "device": device, "models": models}), ROOT)


def test_a_job_asks_for_as_many_gpus_as_it_has_ranks() -> None:
    slm = SimpleNamespace(model="slm")
    assert plan("cpu", 4).gpus("models")(slm) == 0
    assert plan("cuda").gpus("models")(SimpleNamespace(model="slm-dpo")) == 1  # without ranks
    assert plan("cuda", 4).gpus("models")(slm) == 4
    assert plan("cuda", 4).gpus()(slm) == 1


def test_what_a_job_on_several_nodes_asks_of_slurm() -> None:
    asked = {"nodes": 2, "gpu": 0, "gres": "gpu:2", "tasks": 0}  # for each node, but for `nodes`
    assert resources(plan("cuda", 4, 2)) == asked
    assert resources(plan("cpu", 4, 2)) == {**asked, "gres": "", "tasks": 2}
    assert resources(plan("cuda", 4)) == {"nodes": 1, "gpu": 4, "gres": "", "tasks": 0}
    assert plan("cuda", 4, 2).ranks("models")(SimpleNamespace(model="slm")) == 2


def resources(plan: Plan) -> dict[str, int | str]:
    slm = SimpleNamespace(model="slm")
    kinds = {"nodes": plan.nodes, "gpu": plan.gpus, "gres": plan.gres, "tasks": plan.tasks}
    return {name: found("models")(slm) for name, found in kinds.items()}


@pytest.mark.parametrize(
    ("visible", "device", "gpus"),
    [
        ("0", "nvidia0", 1),
        ("GPU-1a", "nvidiactl", 1),
        ("0", "dxg", 1),
        ("", "nvidia0", 0),
        ("0", "nvidia-caps", 0),
    ],
)
def test_a_job_asks_for_a_gpu_where_one_may_be_used(
    visible: str, device: str, gpus: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable may be a leftover where there is no driver."""
    (tmp_path / device).touch()
    monkeypatch.setattr(devices, "DEVICES", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    slm = SimpleNamespace(model="slm")
    assert plan("auto").gpus()(slm) == gpus
    assert plan("cuda").gpus()(slm) == 1


def test_training_has_as_many_ranks_as_gpus_were_granted() -> None:
    """Snakemake caps what a rule asks for by what the profile lends."""
    slm = SimpleNamespace(model="slm")
    settings = plan("cuda", 4).machine("models", "training")
    assert json.loads(settings(slm, 2, SimpleNamespace(gpu=2)))["ranks"] == 2
    settings = plan("cpu", 4).machine("models", "training")
    assert json.loads(settings(slm, 2, SimpleNamespace(gpu=0)))["ranks"] == 4


def test_a_job_that_was_granted_no_gpu_looks_for_none() -> None:
    """Another one may have the GPU that it would find."""
    slm = SimpleNamespace(model="slm")

    def device(asked: str, gpus: int) -> str:
        granted = SimpleNamespace(gpu=gpus)
        return str(json.loads(plan(asked).machine()(slm, 2, granted))["device"])

    assert [device("auto", 0), device("auto", 1), device("cpu", 0)] == ["cpu", "auto", "cpu"]
    assert device("cuda", 0) == "cuda"  # it was asked for by name
    several = SimpleNamespace(gpu=0, gres="gpu:4")
    settings = plan("auto").machine("models", "training")
    assert json.loads(settings(slm, 2, several))["device"] == "auto"


def test_code_edited_while_jobs_run_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "workflow_scripts" / "list_phones.py"
    script.parent.mkdir()
    script.write_text("print(1)\n")
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    code = Plan(load(ROOT, {}), tmp_path).code("list_phones")
    before = code(SimpleNamespace())
    script.write_text("print(22)\n")
    now[0] += 1
    assert code(SimpleNamespace()) != before


def test_estimates_are_for_the_plan_alone() -> None:
    text = """
    downloads: {libri-light: {archives: [{url: 'https://dl.fbaipublicfiles.com/librilight/data/large.tar',
      checksum: 'md5:4dfbac018f50b99797ece101fc9f0c30', gigabytes: 1}]}}
    corpora: {libri-light: {source: {hours: 1, items: 1}}}
    tokenisers: {slam: {units_a_second: 1, gigaflops: 1}}
    models: {slam-pretrained: {twist: {parameters: 1}}}
    """
    plans = [
        Plan(load(ROOT, {"recipe": "slam", **overrides}), ROOT)
        for overrides in ({}, yaml.safe_load(text))
    ]
    names = {"download": "libri-light", "corpus": "libri-light", "tokeniser": "slam"}
    wildcards = SimpleNamespace(model="slam-pretrained", **names)
    stages = ["fetch_download", "list_source", "cut_audio", "extract_units", "convert_codebook"]
    stages += ["pretrain_model", "collect_scores", "write_plan"]
    one, other = ([plan.block(stage)(wildcards) for stage in stages] for plan in plans)
    assert [stage for stage, a, b in zip(stages, one, other, strict=True) if a != b] == [
        "write_plan"
    ]
