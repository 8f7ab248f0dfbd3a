"""A short storm: `python tests/storm.py` makes a long one."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from comparing import differences
from running import copy_checkout
from storming import Storm, rage

KILLS = 5


@pytest.fixture(scope="module")
def stormy(crumb: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Storm, Path]]:
    """A run of `crumb` in which random processes were killed; the speech was there before."""
    folder = copy_checkout(tmp_path_factory.mktemp("storm").resolve() / "checkout")
    shutil.copytree(crumb / ".snakemake" / "metadata", folder / ".snakemake" / "metadata")
    for part in ("text", "speech", "rejected"):
        shutil.copytree(crumb / "results" / part, folder / "results" / part)
    storm = Storm(KILLS, 12, random.Random(1))
    while not storm.enough():
        rage(storm, folder)
    yield storm, folder


def test_the_storm_raged(stormy: tuple[Storm, Path]) -> None:
    storm, _ = stormy
    assert len(storm.killed) == KILLS
    assert storm.starts > 1
    assert len({killed.kind for killed in storm.killed}) > 1


def test_nothing_is_lost_and_nothing_left(stormy: tuple[Storm, Path], crumb: Path) -> None:
    storm, folder = stormy
    assert storm.faults + differences(folder, crumb) == []
