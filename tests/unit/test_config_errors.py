"""Errors of the config: one line a problem, with the file and the key that are to blame."""

from pathlib import Path
from typing import Any

import pytest

from slamflow.config.load import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout in which only config.yaml is to be written."""
    for part in ("recipes", "resources"):
        (tmp_path / part).symlink_to(ROOT / part)
    return tmp_path


def error(root: Path, text: str, command_line: dict[str, Any] | None = None) -> str:
    (root / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r".") as caught:
        load(root, command_line or {})
    return str(caught.value)


NEW = "(A new one needs `like: <sibling>` or all of its keys.)"
HEADS = "hidden_size 192 is no multiple of heads 5"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("models: slm", "models: should hold names, each with its keys, not text"),
        ("models: [slm]", "models: should hold names, each with its keys, not a list"),
        ("models: {slm: 3}", "models.slm: should hold keys and values, not a number"),
        ("models: {slm: {init: x}}", "models.slm.init: should hold keys and values, not text"),
        ("models: {1: {like: slm}}", "models.1: a name should be text, not a number"),
        ("models: {slm: {1: 2}}", "models.slm.1: Keys should be strings, not 1"),
        ("evaluate: slm", "evaluate: should be a list, not text"),
        ("evaluate: [slm]", "evaluate.0: should hold keys and values, not text"),
        ("models: {new: {like: [slm]}}",
         "models.new.like: should be the name of a sibling, not a list"),
        ("models: {new: {like: slmm}}",
         "models.new.like: there is no models.slmm. Did you mean slm?"),
        ("model: {slm: {}}", "model: unknown key. Did you mean models?"),
        ("recipe: pokcet", "recipe: there is no recipes/pokcet.yaml. Did you mean pocket?"
         " Shipped are ablations, crumb, crumb_full, hubert_base, hubert_pocket, pocket,"
         " pocket_full, real, reproduce, slam, slam_data, slam_day, slam_large, slam_scaled,"
         " slam_swag, tokeniser_sweep, twist_350m, vocoder_pocket."),
    ],
)  # fmt: skip
def test_what_cannot_be_merged_is_one_line(text: str, line: str, root: Path) -> None:
    assert error(root, text) == f"config.yaml: {line}"


@pytest.mark.parametrize(
    "text",
    [
        "models: {slm: {training: {budget: {steps: 3}}}, slm: {}}",
        "? [models]\n: slm\n",
        "? {a: b}\n: slm\n",
    ],
)
def test_keys_that_no_mapping_has(text: str, root: Path) -> None:
    assert error(root, text).startswith("config.yaml: ")


def test_a_file_that_is_no_text(root: Path) -> None:
    (root / "config.yaml").write_bytes(b"recipe: \xff")
    with pytest.raises(ValueError, match=r"^config\.yaml: not UTF-8 .*convert the file$"):
        load(root, {})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("models: {slm: {init: {heads: 5}}}", f"models.slm.init: {HEADS}"),
        ("models: {slm: {kind: pretrai}}", "models.slm.kind: there is no pretrai, only pretrain,"
         " align, ngram, published. Did you mean pretrain?"),
        ("models: {slm: {kind: null}}", "models.slm.kind: is missing"),
        ("corpora: {stories: {speech: null}}", "corpora.stories: text (source.kind: generated)"
         " needs a `speech` block"),
        ("corpora: {lexical: {source: {minimum_heard: null}}}",
         "corpora.lexical.source: content: lexical needs `minimum_heard`"),
        ("models: {slm: {training: {budget: null}}}",
         "models.slm.training.budget: is missing (how long it is trained)"),
        ("models: {slm: {training: {budget: {steps: 3, hours: 1}}}}",
         "models.slm.training.budget: needs one of `steps`, `tokens` and `hours`"),
        ("models: {slm: {training: {zero: 1}}}", "models.slm.training: optimiser: muon needs"
         " zero: 0, not 1, which cuts matrices into pieces"),
        ("models: {slm: {training: {ranks: 3, nodes: 2}}}", "models.slm.training: ranks 3 cannot"
         " be spread over 2 nodes evenly: set `ranks` to a multiple of 2"),
        ("models: {slm: {training: {decay: 0.1}}}",
         "models.slm.training: decay 0.1 has no effect with schedule: cosine"),
        ("models: {slm: {training: {schedule: wsd, warmup: 0.5, decay: 0.6}}}",
         "models.slm.training: warmup 0.5 and decay 0.6 are more than all steps"),
        ("models: {new: {like: slm, kind: ngram, order: 1, init: null, mixtur: stories,"
         " training: null}}", "models.new.mixtur: unknown key. Did you mean mixture?"),
        # a block named like a key of its section's things
        ("corpora: {speech: {like: stories, source: {coun: 3}}}",
         "corpora.speech.source.coun: unknown key. Did you mean count?"),
    ],
)  # fmt: skip
def test_the_file_that_set_the_key_is_named_once(text: str, line: str, root: Path) -> None:
    """Other things are like these, and do not repeat the line."""
    assert error(root, text) == f"config.yaml: {line}"


def test_the_last_file_that_set_a_key_of_a_block_is_named(root: Path) -> None:
    text = "models: {slm: {init: {layers: 2}}}"
    given = {"models": {"slm": {"init": {"heads": "5"}}}}
    assert error(root, text, given) == f"command line: models.slm.init: {HEADS}"
    given = {"models": {"slm": {"training": {"budget": {"steps": "5"}}}}}
    text = "models: {slm: {init: {heads: 5}}}"
    assert error(root, text, given) == f"config.yaml: models.slm.init: {HEADS}"


def test_a_thing_that_is_like_a_sound_sibling_has_its_own_line(root: Path) -> None:
    text = "models: {wide: {like: slm, init: {heads: 5}}}"
    assert error(root, text) == f"config.yaml: models.wide.init: {HEADS}"
    text = "models: {wide: {like: slm, kind: ngram, order: 0, training: null}}"
    assert error(root, text) == "config.yaml: models.wide.init: unknown key."


def test_what_seeds_made_is_one_line(root: Path) -> None:
    text = "models: {many: {like: slm, seeds: [1, 2], init: {heads: 5}}}"
    assert error(root, text) == f"config.yaml: models.many.init: {HEADS}"


@pytest.mark.parametrize(
    ("thing", "line"),
    [
        ("{like: slm, seeds: 3}", "should be a list of different whole numbers"),
        ("{like: slm, seeds: []}", "should be a list of different whole numbers"),
        ("{like: slm, seeds: [1, 1]}", "should be a list of different whole numbers"),
        ("{like: slm, seeds: [-1]}", "should be a list of different whole numbers"),
        ("{like: bigram, seeds: [1]}", "only models that are trained have seeds"),
        ("{like: slm, seeds: [1]}, many-s1: {like: slm}", "there is a models.many-s1 already"),
    ],
)
def test_seeds_that_are_none(thing: str, line: str, root: Path) -> None:
    assert error(root, f"models: {{many: {thing}}}") == f"config.yaml: models.many.seeds: {line}"


@pytest.mark.parametrize(
    ("thing", "line"),
    [
        ("{like: hubert, layers: 3}", ".layers: should be a list of different whole numbers"),
        ("{like: hubert, layers: [1], clusters: [5, 5]}",
         ".clusters: should be a list of different whole numbers"),
        ("{like: hubert, clusters: [5]}, many-k5: {like: hubert}",
         ": there is a tokenisers.many-k5 already"),
        ("{like: hubert, layers: [1, 2], kmeans: {file: k.bin, frames: null}}",
         ".kmeans.file: is a codebook of one layer and one size: no sweep"),
    ],
)  # fmt: skip
def test_sweeps_that_are_none(thing: str, line: str, root: Path) -> None:
    assert error(root, f"tokenisers: {{many: {thing}}}") == f"config.yaml: tokenisers.many{line}"


@pytest.mark.parametrize(
    ("section", "thing", "meant"),
    [
        ("tokenisers", "huberts: {kmeans: {layer: 2}}", "hubert"),
        ("tokenisers", "huberts: {corpora: [stories]}", "hubert"),
        ("huberts", "pocke: {corpora: [stories]}", "pocket"),
        ("huberts", "pocke: null", "pocket"),
        ("synthesisers", "espeek: {rates: [100, 200]}", "espeak"),
    ],
)
def test_an_override_of_a_name_that_the_recipe_lacks(
    section: str, thing: str, meant: str, root: Path
) -> None:
    name = thing.partition(":")[0]
    assert error(root, f"{section}: {{{thing}}}") == (
        f"config.yaml: {section}.{name}: recipes/pocket.yaml has no such name."
        f" Did you mean {meant}? {NEW}"
    )


def test_a_whole_new_thing_needs_no_sibling(root: Path) -> None:
    text = """
    huberts: {pocke: {path: resources/hubert-pocket}}
    tokenisers: {mfcc: {features: mfcc, corpora: [stories], kmeans: {clusters: 9, frames: 99}}}
    """
    (root / "config.yaml").write_text(text)
    config = load(root, {"huberts": {"pocke": {"path": "resources/hubert-pocket/"}}})
    assert {"pocke", "pocket"} == set(config.huberts)
    assert "mfcc" in config.tokenisers


def test_a_name_that_was_removed(root: Path) -> None:
    text = "mixtures: {stories-phones: null}"
    assert error(root, text) == (
        "recipes/pocket.yaml: models.topline.mixture: there is no mixtures.stories-phones:"
        " config.yaml removes it"
    )
    text = "models: {slm: null}"
    assert error(root, text) == (
        "recipes/pocket.yaml: models.topline.like: there is no models.slm: config.yaml removes it"
    )
