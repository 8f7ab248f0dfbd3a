"""Cards of models: the hub reads their heads, and what they tell to type works."""

import re
from pathlib import Path

import pytest
import small_texts
import training_job
import yaml
from huggingface_hub import ModelCard, ModelCardData
from small_published import UNITS, slamkit

from slamflow import files, runstate
from slamflow.lm import pretraining, published
from slamflow.tables import training as training_table
from slamflow.training import artefacts

FENCED = re.compile(r"```python\n(.*?)\n```", re.DOTALL)
ORIGIN = {"code": "c0de", "inputs": {"results/packed/stories.parquet": "5" * 64}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """results/models/slm of a language model in no steps."""
    root = tmp_path_factory.mktemp("checkout")
    packed = training_job.write_packed(root, 40, held_out=0.2)
    training = {**training_job.TRAINING, "budget": {"steps": 0}}
    config = {"init": training_job.INIT, "training": training}
    folder = root / "results" / "models" / "slm"
    with runstate.RunState(root / "state", config, [packed], "c0de") as state:
        pretraining.pretrain(config, packed, folder, state, {"device": "cpu"}, "test")
    return folder


def head(card: str) -> ModelCardData:
    """What a hub makes of it: YAML alone, and no key that it does not know."""
    assert card.startswith("---\n") and isinstance(yaml.safe_load(card.split("---\n")[1]), dict)
    return ModelCard(card).data


def test_head_of_a_language_model(model: Path) -> None:
    card = (model / "card.md").read_text()
    data = head(card)
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-generation")
    assert {"speech", "slamflow"} < set(data.tags)
    assert data.base_model is data.license is data.datasets is None  # none of them is known
    assert "Trained from random weights" in card and "20 units" in card
    for section in ("How to use", "Training", "Config", "Made from", "Versions"):
        assert f"\n## {section}\n\n" in card
    packed = model.parents[2] / "packed.parquet"
    assert f"| `{packed}` | {files.sha256(packed)} |" in card


def test_what_it_tells_to_type_works(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a user does it in the checkout."""
    [source] = FENCED.findall((model / "card.md").read_text())
    monkeypatch.chdir(model.parents[2])
    exec(source, {})
    numbers = [int(number) for number in re.findall(r"\d+", capsys.readouterr().out)]
    assert 1 <= len(numbers) <= 20 and max(numbers) < training_job.CLUSTERS


def test_a_start_from_a_text_model_is_named(tmp_path: Path) -> None:
    packed = training_job.write_packed(tmp_path, 10)
    initial = small_texts.save(tmp_path / "snapshots" / "5a", "qwen2")
    place = {"model": "people/text-lm", "revision": None}
    training = {**training_job.TRAINING, "budget": {"steps": 0}}
    config = {"init": {"table": "mean", "initial": place}, "training": training}
    with runstate.RunState(tmp_path / "state", config, [packed], "c0de") as state:
        pretraining.pretrain(
            config, packed, tmp_path / "slm", state, {"device": "cpu"}, "test", initial
        )
    card = (tmp_path / "slm" / "card.md").read_text()
    assert head(card).base_model == "people/text-lm"
    assert "Started from a text model (mean token table)" in card


def test_a_published_model_names_the_original(tmp_path: Path) -> None:
    """Where it is the hub's, from whose cache it comes, and no folder of a like name."""
    (tmp_path / "snapshots").mkdir()
    for place, expected in (("snapshots/5a", "people/slm"), ("slm", None)):
        slamkit(tmp_path / place)
        config = {"layout": "slamkit", "model": "people/slm"}
        published.convert(config, tmp_path / place, UNITS, tmp_path / "model", "0")
        data = head((tmp_path / "model" / "card.md").read_text())
        assert data.base_model == expected and "speech-language-model" in data.tags


def test_a_card_of_anything_else() -> None:
    """Where nothing is said of what it is, it has no section on use."""
    log = training_table.schema(("loss",)).empty_table()
    card = artefacts.card("Vocoder: light", {"b": 1234, "c": 0.5}, {"a": 1}, log, "loss", ORIGIN)
    data = head(card)
    assert (data.library_name, data.pipeline_tag) == ("slamflow", None)
    assert "How to use" not in card and "| c | 0.5 |" in card and "1,234" in card


def test_a_commit_that_is_not_known_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefacts, "CHECKOUT", tmp_path)  # no repository
    log = training_table.schema(("loss",)).empty_table()
    card = artefacts.card("Vocoder", {}, {}, log, "loss", ORIGIN)
    assert "| code | c0de |" in card and "commit" not in card and "None" not in card
