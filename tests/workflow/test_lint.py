"""The tools of the pre-commit hooks find nothing to complain about."""

import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT, run_snakemake

TOOLS = Path(sys.executable).parent
RULES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "rules").glob("*.smk"))


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check"],
        ["ruff", "format", "--check"],
        ["mypy", "--cache-dir=/dev/null"],  # a cache from before a file was added misleads it
        ["snakefmt", "--check", "Snakefile", *RULES],
    ],
    ids=["ruff check", "ruff format", "mypy", "snakefmt"],
)
def test_tool(command: list[str]) -> None:
    done = subprocess.run(
        [TOOLS / command[0], *command[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_snakemake_lint(checkout: Path) -> None:
    run_snakemake(["--lint"], checkout)
