"""Results that were copied to another place, and results on another disk."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from observing import finished_jobs, log
from running import TARGET, copy_checkout, planned_jobs, run_snakemake
from small_disks import small_disk

RECIPE = ("--config", "recipe=crumb")
HUBERT = "results/huberts/crumb/model.safetensors"
STATE = Path("results/state/train_hubert/crumb")


def copy(crumb: Path, folder: Path, keep_times: bool, *parts: str) -> Path:
    """What `rsync -a` copies, or without times `cp -r`: each file anew, also hard links."""
    copy_checkout(folder)
    function: Callable[[str, str], object] = shutil.copy2 if keep_times else shutil.copyfile
    for part in parts:
        shutil.copytree(crumb / part, folder / part, copy_function=function)
    return folder


def test_results_that_were_copied_with_snakemakes_notes_are_finished(
    crumb: Path, tmp_path: Path
) -> None:
    folder = copy(crumb, tmp_path / "other place", True, "results", ".snakemake")
    assert planned_jobs(folder, *RECIPE) == set()


@pytest.mark.slow
def test_without_notes_only_times_count(crumb: Path, tmp_path: Path) -> None:
    folder = copy(crumb, tmp_path / "other", True, "results")
    plan = run_snakemake([TARGET, "-n", *RECIPE], folder).stdout
    assert "Nothing to be done" in plan and "missing provenance" in plan


def test_without_times_a_training_is_not_done_again_and_touch_accepts_all(
    crumb: Path, tmp_path: Path
) -> None:
    folder = copy(crumb, tmp_path / "other", False, "results", ".snakemake")
    assert {"train_hubert", "fit_kmeans"} <= {job.rule for job in planned_jobs(folder, *RECIPE)}
    assert not (folder / HUBERT).samefile(folder / STATE / "finished" / "model.safetensors")
    before = (folder / HUBERT).read_bytes()
    run_snakemake([HUBERT, "--cores", "1", *RECIPE], folder)
    assert "made by an earlier run from the same inputs and code; linked" in log(folder, STATE)
    assert (folder / HUBERT).read_bytes() == before
    run_snakemake([TARGET, "--cores", "1", "--touch", *RECIPE], folder)
    assert planned_jobs(folder, *RECIPE) == set()


def test_results_may_be_a_link_to_another_disk_which_must_be_there(
    crumb: Path, tmp_path: Path
) -> None:
    """And a part of them may lie on a third one, to which nothing can be hard-linked."""
    folder = copy(crumb, tmp_path / "other", True, ".snakemake")
    with small_disk(tmp_path / "disk", "300m") as disk, small_disk(tmp_path / "third", "32m"):
        (folder / "results").symlink_to(disk / "results")
        done = run_snakemake([HUBERT, "-n", *RECIPE], folder, check=False)
        assert f"\nresults: its disk is not there ({disk / 'results'})" in done.stdout
        shutil.copytree(crumb / "results", disk / "results")
        shutil.rmtree(disk / "results" / "huberts")
        (tmp_path / "third" / "huberts").mkdir()
        (disk / "results" / "huberts").symlink_to(tmp_path / "third" / "huberts")
        before = finished_jobs(folder)
        run_snakemake([HUBERT, "--cores", "1", *RECIPE], folder)
        assert finished_jobs(folder) - before == {"train_hubert": 1}
        assert "linked" in log(folder, STATE)
        assert (folder / HUBERT).read_bytes() == (crumb / HUBERT).read_bytes()
