"""The config: merging, errors in one line each, blocks without names and machine settings."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from slamflow.config import document
from slamflow.config.fields import TAGS
from slamflow.config.load import load
from slamflow.config.merging import SECTIONS
from slamflow.config.plan import Plan

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))


def override(text: str) -> dict[str, Any]:
    return {"recipe": "pocket", **yaml.safe_load(text)}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "models: {slm: {training: {learning_rat: 1}}}",
            "command line: models.slm.training.learning_rat: unknown key."
            " Did you mean learning_rate?",
        ),
        (
            "models: {slmm: {training: {learning_rate: 1}}}",
            "command line: models.slmm: recipes/pocket.yaml has no such name. Did you mean slm?"
            " (A new one needs `like: <sibling>` or all of its keys.)",
        ),
        (
            "models: {slm: {mixture: storys}}",
            "command line: models.slm.mixture: there is no mixtures.storys. Did you mean stories?",
        ),
        (
            "mixtures: {stories: {packing: {context: 4}}}",
            "command line: mixtures.stories.packing.context:"
            " Input should be greater than or equal to 8, not 4",
        ),
        (
            "models: {slm-dpo: {training: {beta: '0'}}}",
            "command line: models.slm-dpo.training.beta: Input should be greater than 0, not '0'",
        ),
        (
            "benchmarks: {lexical: {corpus: stories}}",
            "command line: benchmarks.lexical.corpus:"
            " stories holds no pairs (positive and negative)",
        ),
        (
            "models: {a: {like: slm-dpo, base: b}, b: {like: slm-dpo, base: a}}",
            "command line: models.a: is built from itself: models.a → models.b → models.a",
        ),
        (
            "models: {a: {like: b}, b: {like: a}}",
            "command line: models.a.like: goes round in a circle (a → b → a)",
        ),
        (
            "models: {Slm: {like: slm}}",
            "command line: models.Slm: names are small letters, digits, - and _, a letter first",
        ),
        (
            "tokenisers: {hubert: {kmeans: {layer: 99}}, new: {like: hubert, hubert: null}}",
            "command line: tokenisers.new: features: hubert with hubert: null",
        ),
        (
            "corpora: {stories: {speech: null}}",
            "command line: corpora.stories: text (source.kind: generated) needs a `speech` block",
        ),
    ],
)
def test_a_problem_is_one_line_with_file_key_and_repair(text: str, line: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        load(ROOT, override(text))
    assert str(caught.value) == line


def test_a_broken_file_names_itself(tmp_path: Path) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "pocket.yaml").write_text("corpora: {}\n")
    for content, said in [
        ("recipe: pocket\nrecipe: crumb\n", "config.yaml: .*`recipe` stands twice"),
        ("recipe: [\n", "config.yaml: while parsing"),
        ("- a\n", "config.yaml: should hold keys and values"),
        ("recipe: pokcet\n", r"no recipes/pokcet.yaml. Did you mean pocket\?"),
        ("models: {slm: {steps: 3}}\n", "config.yaml: models.slm: recipes/pocket.yaml has no such"),
    ]:
        (tmp_path / "config.yaml").write_text(content)
        with pytest.raises(ValueError, match=said):
            load(tmp_path, {})


def test_numbers_in_either_notation_and_command_line_strings() -> None:
    for rate in ("1e-3", "1.0e-3", 0.001):
        training = {"learning_rate": rate}
        config = load(ROOT, {"recipe": "pocket", "models": {"slm": {"training": training}}})
        assert config.models["slm"].training.learning_rate == 0.001
    config = load(ROOT, {"recipe": "pocket", "tokenisers": {"hubert": {"quality": "null"}}})
    assert config.tokenisers["hubert"].quality is None


def test_others_huberts_and_codebooks_need_no_sibling() -> None:
    text = """
    huberts: {hub: {model: facebook/hubert-base-ls960}, fetched: {download: weights}}
    downloads: {weights: {kind: huggingface, type: model, repository: a/b, revision: c}}
    tokenisers:
      theirs: {hubert: hub, kmeans: {layer: 9, clusters: 500, file: km500.bin}}
    """
    config = load(ROOT, {"recipe": "pocket", **yaml.safe_load(text)})
    assert config.tokenisers["theirs"].converted and config.huberts["fetched"].download


def test_layers_and_clusters_spread() -> None:
    text = "tokenisers: {s: {like: hubert, layers: [1, 2], clusters: [50]}}"
    config = load(ROOT, {"recipe": "pocket", **yaml.safe_load(text)})
    assert {"s-l1-k50", "s-l2-k50"} == {n for n in config.tokenisers if n.startswith("s")}
    kmeans = config.tokenisers["s-l2-k50"].kmeans
    assert kmeans and (kmeans.layer, kmeans.clusters) == (2, 50)


def test_like_copies_and_seeds_spread() -> None:
    text = """
    models:
      small: {like: slm, init: {layers: 1}, seeds: [3, 4]}
    evaluate: [{models: [small, slm], benchmarks: [lexical]}]
    """
    config = load(ROOT, override(text))
    assert "small" not in config.models
    small = config.models["small-s4"]
    assert (small.init.layers, small.init.seed, small.training.seed) == (1, 4, 4)
    assert small.training.budget == config.models["slm"].training.budget
    assert config.evaluate[0].models == ["small-s3", "small-s4", "slm"]


def test_one_budget_replaces_another_and_yaml_has_its_own_switches() -> None:
    text = "models: {slm: {training: {budget: {hours: 2}, compile: off}}}"
    training = load(ROOT, override(text)).models["slm"].training
    assert (training.budget.hours, training.budget.steps, training.compile) == (2, None, "off")


def test_blocks_hold_no_names_and_no_machine_settings() -> None:
    plain = Plan(load(ROOT, {"recipe": "pocket"}), ROOT)
    text = """
    data_root: elsewhere
    device: cpu
    models: {slm: {training: {micro_batch: 3, checkpoint_minutes: 9}}}
    corpora: {stories: {speech: {workers: 1, synthesiser: other}}}
    synthesisers: {other: {like: espeak}}
    """
    changed = Plan(load(ROOT, override(text)), ROOT)
    for rule, wildcards in [
        ("pretrain_model", {"model": "slm"}),
        ("synthesise_speech", {"corpus": "stories"}),
        ("align_model", {"model": "slm-dpo"}),
        ("collect_scores", {}),
    ]:
        names = SimpleNamespace(**wildcards)
        assert plain.block(rule)(names) == changed.block(rule)(names)
    machine = changed.machine("models", "training")
    assert json.loads(machine(SimpleNamespace(model="slm"), threads=2, resources=None)) == {
        "data_root": "elsewhere",
        "device": "cpu",
        "threads": 2,
        "ranks": 2,
        "micro_batch": 3,
        "checkpoint_minutes": 9.0,
        "compile": "auto",
        "tensorboard": False,
    }


@pytest.mark.parametrize("cores, threads", [(1, 1), (2, 1), (9, 4), (64, 8), (None, 8)])
def test_half_of_the_cores(cores: int | None, threads: int) -> None:
    assert Plan.half(cores) == threads


@pytest.mark.parametrize("recipe", RECIPES)
def test_shipped_recipes_are_valid_and_have_the_editor_header(recipe: str) -> None:
    load(ROOT, {"recipe": recipe})
    path = ROOT / "recipes" / f"{recipe}.yaml"
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(document.json_schema()))


def test_the_config_that_is_shipped_has_the_editor_header() -> None:
    text = (ROOT / "config.yaml").read_text()
    header = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert header and (ROOT / header[1]).read_text() == document.json_schema()
    jsonschema.validate(yaml.safe_load(text), json.loads(document.json_schema()))


def test_the_schema_refuses_unknown_keys() -> None:
    schema = json.loads(document.json_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"models": {"slm": {"training": {"learning_rat": 1}}}}, schema)


def test_generated_files_are_in_sync() -> None:
    repair = "run python -m slamflow.config.document"
    assert (ROOT / "recipes" / "schema.json").read_text() == document.json_schema(), repair
    assert (ROOT / "docs" / "config.md").read_text() == document.markdown(), repair


def test_every_key_is_described() -> None:
    schema = json.loads(document.json_schema())
    for name, thing in {"Config": schema, **schema["$defs"]}.items():
        for key, value in thing["properties"].items():
            assert key in TAGS or value.get("description"), f"{name}.{key}"


def test_no_two_recipes_give_one_name_to_different_things() -> None:
    """Recipes share results/, so a name must mean the same in each."""
    plans = {recipe: Plan(load(ROOT, {"recipe": recipe}), ROOT) for recipe in RECIPES}
    meanings: dict[tuple[str, str], dict[str, str]] = {}
    for recipe, plan in plans.items():
        for section in SECTIONS:
            for name in getattr(plan.config, section, {}):
                meanings.setdefault((section, name), {})[recipe] = _meaning(plan, section, name)
    for (section, name), found in meanings.items():
        assert len(set(found.values())) == 1, f"{section}.{name} differs between {sorted(found)}"


def _meaning(plan: Plan, section: str, name: str) -> str:
    """A thing with everything that it is built from, written out."""
    from slamflow.config.checks import references
    from slamflow.config.fields import settings_of

    thing = getattr(plan.config, section)[name]
    parts = [_meaning(plan, *reference[1:]) for reference in references(thing, ())]
    return json.dumps([settings_of(thing), parts], sort_keys=True, default=str)


def test_importing_the_config_is_quick_and_light() -> None:
    """The Snakefile is parsed again by every job on a cluster."""
    code = (
        "import sys, time; start = time.process_time()\n"
        "import slamflow.config.load, slamflow.config.plan\n"
        "print(time.process_time() - start)\n"
        "print({'torch', 'pandas', 'pyarrow', 'numpy', 'transformers'} & set(sys.modules) or '')"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True,
            env={"PYTHONPATH": str(ROOT / "src")},
        ).stdout.splitlines()
        for _ in range(3)
    ]  # fmt: skip
    assert runs[0][1] == ""
    assert min(float(run[0]) for run in runs) < 0.5
