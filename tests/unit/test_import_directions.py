"""Imports go in one direction, and code digests stay apart."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "slamflow"
# Each line uses only those above it, and the members of the first line each other.
LAYERS = (
    {"audio", "commandline", "device_locks", "devices", "disks", "files", "folders"}
    | {"identities", "lease", "logs", "orphans"}
    | {"config", "pretrained", "provenance", "rejections", "runstate", "runstate_checkpoints"}
    | {"seals", "tables", "values", "weights", "workers"},
    {"training"},
    {"downloads"},
    {"synthesis"},
    {"corpora"},
    {"tokeniser"},
    {"alignment"},
    {"lm"},
    {"preference"},
    {"vocoder"},
    {"benchmarks"},
    {"generation"},
    {"report"},
    {"commands"},
    {"__main__"},
)
HEIGHT = {part: height for height, layer in enumerate(LAYERS) for part in layer}
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = sorted((ROOT / "workflow_scripts").glob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The parts of our package that a file imports from, e.g. `tables`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "slamflow":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            parts = str(name).split(".")
            if parts[0] == "slamflow" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_uses_only_what_stands_above(path: Path) -> None:
    if path.name == "__init__.py":
        assert not path.read_text(), "files of this name are empty, so that digests stay apart"
        return
    part = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for used in imported(path):
        assert used == part or HEIGHT[used] < max(HEIGHT[part], 1)
        assert part == "config" or used != "config"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script_is_thin_and_knows_no_config(path: Path) -> None:
    assert "config" not in set(imported(path))
    assert len(path.read_text().splitlines()) < 60
