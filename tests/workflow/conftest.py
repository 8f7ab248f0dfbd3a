"""A fresh checkout, and one finished run of `crumb` for all tests that only look at it."""

from pathlib import Path

import pytest
from running import REPORT, TARGET, copy_checkout, run_snakemake


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A fresh copy of the workflow, without results."""
    return copy_checkout(tmp_path / "checkout")


@pytest.fixture(scope="session")
def crumb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workflow in which `crumb` was run to its end. Read it, never change it."""
    folder = copy_checkout(tmp_path_factory.mktemp("crumb") / "checkout")
    targets = (TARGET, REPORT)
    done = run_snakemake(["--cores", "all", *targets, "--config", "recipe=crumb"], folder)
    (folder / "terminal.txt").write_text(done.stdout)
    return folder
