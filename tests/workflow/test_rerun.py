"""The rerun matrix: an edit, and the exact set of rules that run again after it.

Each edit is made in a copy of a finished run of `crumb`, and a dry run says what is due.
"""

import ast
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import PARTS, REPORT, planned_jobs

SOURCE = Path("src/slamflow")

COLLECT = {"collect_scores"}
SCORE = {"score_benchmark", *COLLECT}
ALIGN = {"align_model", *SCORE}
PRETRAIN = {"pretrain_model", "score_references", *ALIGN}
COUNT = {"count_ngrams", "score_ngrams", *COLLECT}
PACK = {"pack_mixture", *PRETRAIN, *COUNT}
UNITS = {"extract_units", "build_preferences", *PACK}
QUALITY = {"measure_quality", *COLLECT}
KMEANS = {"fit_kmeans", *QUALITY, *UNITS}
HUBERT = {"train_hubert", *KMEANS}
SPEECH = {"synthesise_speech", "list_phones", "extract_phones", *HUBERT}
EVERYTHING = {"generate_text", *SPEECH}
ITEMS = {  # those of a benchmark that the topline does not meet
    "generate_text",
    "synthesise_speech",
    "extract_units",
    "score_ngrams",
    *SCORE,
}


@pytest.fixture(scope="module")
def copied(crumb: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run with all that Snakemake knows of it."""
    folder = tmp_path_factory.mktemp("rerun") / "checkout"
    shutil.copytree(crumb, folder)
    write_config(folder, {})
    return folder


@pytest.fixture
def finished(copied: Path, tmp_path: Path) -> Iterator[Path]:
    """The finished run; edits of the code, the recipes and the config are undone after the test."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for part in PARTS:
        if (copied / part).is_dir():
            shutil.copytree(copied / part, kept / part)
        elif (copied / part).exists():
            shutil.copy2(copied / part, kept / part)
    yield copied
    for part in PARTS:
        if (copied / part).is_dir():
            shutil.rmtree(copied / part)
        else:
            (copied / part).unlink(missing_ok=True)
        if (kept / part).exists():
            shutil.move(kept / part, copied / part)


def write_config(folder: Path, overrides: dict[str, Any]) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump({"recipe": "crumb", **overrides}))


def config(overrides: dict[str, Any]) -> Callable[[Path], None]:
    """Override keys of the recipe."""
    return lambda folder: write_config(folder, overrides)


def code(module: str) -> Callable[[Path], None]:
    """Change what the last function of a module of ours does: it looks at one more name."""

    def edit(folder: Path) -> None:
        path = folder / SOURCE / module
        lines = path.read_text().splitlines(keepends=True)
        functions = [
            node for node in ast.parse("".join(lines)).body if isinstance(node, ast.FunctionDef)
        ]
        last = functions[-1].body[-1]
        lines.insert(last.lineno - 1, " " * last.col_offset + "__name__\n")
        path.write_text("".join(lines))

    return edit


def comment(folder: Path) -> None:
    """Comment, reformat and touch every module and script of ours."""
    for path in [*(folder / "src").rglob("*.py"), *(folder / "workflow_scripts").glob("*.py")]:
        path.write_text(f"# A remark.\n\n\n{path.read_text()}\n\n# Another.\n")


def docstring(folder: Path) -> None:
    """Say more in every docstring that opens a line."""
    for path in (folder / "src").rglob("*.py"):
        text = re.sub(r'^( *)"""(?=[A-Z])', r'\1"""More: ', path.read_text(), flags=re.MULTILINE)
        path.write_text(text)


def touch(folder: Path) -> None:
    """Make all code newer than the results, as a change of branches does."""
    for part in ("src", "workflow_scripts", "rules", "recipes", "Snakefile"):
        for path in [folder / part, *(folder / part).rglob("*")]:
            os.utime(path)


def reorder(folder: Path) -> None:
    """Turn the order of all keys of the recipe round."""
    path = folder / "recipes" / "crumb.yaml"

    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return value

    path.write_text(yaml.safe_dump(turned(yaml.safe_load(path.read_text())), sort_keys=False))


def rename_synthesiser(folder: Path) -> None:
    path = folder / "recipes" / "crumb.yaml"
    text = path.read_text()
    path.write_text(re.sub(r"crumb-espeak\b", "speaker", text))


def touch_input(folder: Path) -> None:
    os.utime(folder / "results" / "text" / "crumb-stories.parquet")


def training(model: str, **keys: Any) -> Callable[[Path], None]:
    return config({"models": {model: {"training": keys}}})


MACHINE = {
    "data_root": "/elsewhere",
    "device": "cpu",
    "corpora": {"crumb-stories": {"speech": {"workers": 3}}},
    "huberts": {"crumb": {"training": {"checkpoint_minutes": 0.5}}},
    "tokenisers": {"crumb": {"micro_batch": 7, "workers": 3}},
    "models": {"crumb": {"training": {"ranks": 2, "micro_batch": 3}}},
}
NEW_MODEL = {
    "models": {"crumb-wide": {"like": "crumb", "init": {"hidden_size": 128}}},
    "evaluate": [{"models": ["crumb-wide", "crumb"], "benchmarks": ["crumb-lexical"]}],
}
RATES = {"synthesisers": {"crumb-espeak": {"rates": [175, 215]}}}
PACKING = {"mixtures": {"crumb": {"packing": {"seed": 9}}}}

MATRIX: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    # what changes nothing
    "no edit": (config({}), set()),
    "comments and blank lines": (comment, set()),
    "docstrings": (docstring, set()),
    "times of the code": (touch, set()),
    "time of a small input": (touch_input, set()),
    "order of keys": (reorder, set()),
    "name of a synthesiser": (rename_synthesiser, set()),
    "machine settings": (config(MACHINE), set()),
    "how logs look": (code("logs.py"), set()),
    "how state is kept": (code("runstate.py"), set()),
    "how an owner is known": (code("lease.py"), set()),
    "how the config is read": (code("config/merging.py"), set()),
    # keys
    "another seed of the stories": (
        config({"corpora": {"crumb-stories": {"source": {"seed": 9}}}}),
        EVERYTHING,
    ),
    "rates of speech": (config(RATES), SPEECH),
    "length of HuBERT's training": (
        config({"huberts": {"crumb": {"training": {"budget": {"steps": 21}}}}}),
        HUBERT,
    ),
    "clusters of the targets": (
        config({"tokenisers": {"crumb-mfcc": {"kmeans": {"clusters": 31}}}}),
        HUBERT,
    ),
    "clusters": (config({"tokenisers": {"crumb": {"kmeans": {"clusters": 41}}}}), KMEANS),
    "agreement of units": (
        config({"tokenisers": {"crumb": {"units": {"agreement": 0.9}}}}),
        UNITS,
    ),
    "utterances measured": (
        config({"tokenisers": {"crumb": {"quality": {"utterances": 41}}}}),
        QUALITY,
    ),
    "packing": (config(PACKING), PACK),
    "learning rate": (training("crumb", learning_rate=1e-3), PRETRAIN),
    "seed of the alignment": (training("crumb-dpo", seed=9), ALIGN),
    "order of an n-gram model": (config({"models": {"crumb-bigram": {"order": 1}}}), COUNT),
    "items of a benchmark": (
        config({"corpora": {"crumb-syntactic": {"source": {"seed": 9}}}}),
        ITEMS,
    ),
    "averaging": (
        config({"benchmarks": {"crumb-lexical": {"metrics": {"convention": "slamkit-sum"}}}}),
        COLLECT,
    ),
    "a new model": (config(NEW_MODEL), {"pretrain_model", *SCORE}),
    # code
    "generator of one benchmark": (code("corpora/generated/syntactic.py"), ITEMS),
    "speech engine": (code("synthesis/espeak.py"), EVERYTHING),  # it says how words sound, too
    "training of HuBERT": (code("tokeniser/hubert_training.py"), HUBERT),
    "extraction of units": (code("tokeniser/units.py"), UNITS),
    "nearest centroids": (code("tokeniser/tokenising.py"), HUBERT),  # of targets, too
    "picture of the quality": (code("report/quality_picture.py"), QUALITY),
    "quality of units": (code("tokeniser/quality.py"), QUALITY),
    "n-gram counts": (code("lm/ngram.py"), COUNT),
    "DPO": (code("preference/dpo.py"), ALIGN),
    "result table": (code("report/tables.py"), COLLECT),
}


@pytest.mark.parametrize("edit", MATRIX)
def test_runs_again(edit: str, finished: Path) -> None:
    change, expected = MATRIX[edit]
    change(finished)
    assert {job.rule for job in planned_jobs(finished)} == expected


def test_the_page_is_written_again(finished: Path) -> None:
    def due() -> set[str]:
        return {job.rule for job in planned_jobs(finished, target=REPORT)}

    touch(finished)
    assert due() == set()
    style = finished / SOURCE / "report" / "page" / "templates" / "style.css"
    style.write_text(f"{style.read_text()}/* another */")
    assert due() == {"write_report"}
    code("report/tables.py")(finished)
    assert due() == {"collect_scores", "write_report"}


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ("items of a benchmark", "crumb-syntactic"),
        ("seed of the alignment", "crumb-dpo"),
        ("order of an n-gram model", "crumb-bigram"),
        ("a new model", "crumb-wide"),
    ],
)
def test_only_the_named_thing_runs_again(edit: str, named: str, finished: Path) -> None:
    MATRIX[edit][0](finished)
    due = {path for job in planned_jobs(finished) for path in job.outputs}
    assert due
    assert {path for path in due if named not in path} <= {
        "results/eval.tsv",
        "results/comparisons.tsv",
    }


def test_models_of_a_sibling_stay(finished: Path) -> None:
    training("crumb", learning_rate=1e-3)(finished)
    trained = {job.outputs[0] for job in planned_jobs(finished) if job.rule == "pretrain_model"}
    models = {Path(path).parent.name for path in trained}
    assert models == {"crumb", "crumb-topline", "crumb-untrained"}  # those written `like: crumb`


def test_no_block_holds_a_name(finished: Path) -> None:
    """Things are named in crumb as nowhere else: none of these names is in a tracked block."""
    blocks = []
    for path in (finished / ".snakemake" / "metadata").rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text())
            if record.get("rule") not in ("collect_scores", "write_report"):
                blocks.append(str(record.get("params")))
    assert blocks
    assert not [block for block in blocks if "crumb" in block]
