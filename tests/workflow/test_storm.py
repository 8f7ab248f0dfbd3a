"""A short storm: `python tests/storm.py` makes a long one."""

import random
import shutil
from pathlib import Path

import pytest
from comparing import differences
from running import TARGET, copy_checkout
from storming import Storm, rage

KILLS = 5
TRAINED = ("crumb-topline", "crumb-dpo")  # the rest is there before, to save time


@pytest.fixture(scope="module")
def stormy(crumb: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Storm, Path]:
    """The end of a run of `crumb`, in which random processes were killed."""
    folder = copy_checkout(tmp_path_factory.mktemp("storm").resolve() / "checkout")
    for part in ("results", ".snakemake"):
        shutil.copytree(crumb / part, folder / part)
    for name in TRAINED:
        for made in [*folder.glob(f"results/*/{name}"), *folder.glob(f"results/state/*/{name}")]:
            shutil.rmtree(made)
    (folder / TARGET).unlink()
    storm = Storm(KILLS, 12, random.Random(1))
    while not storm.enough():
        rage(storm, folder)
    return storm, folder


def test_the_storm_raged(stormy: tuple[Storm, Path]) -> None:
    storm, _ = stormy
    assert len(storm.killed) == KILLS
    assert storm.starts > 1
    assert len({killed.kind for killed in storm.killed}) > 1


def test_nothing_is_lost_and_nothing_left(stormy: tuple[Storm, Path], crumb: Path) -> None:
    storm, folder = stormy
    assert storm.faults + differences(folder, crumb) == []
