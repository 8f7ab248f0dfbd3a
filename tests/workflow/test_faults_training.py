"""A training whose checkpoints fill the disk."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from disturbing import CONFIG
from observing import log
from running import copy_checkout, run_snakemake
from small_disks import remount, small_disk

STATE = Path("results/state/pretrain_model/crumb")
MODEL = "results/models/crumb/model.safetensors"


@pytest.mark.slow
def test_older_checkpoints_are_kept_and_training_goes_on(crumb: Path, tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path.resolve() / "checkout")
    for part in ("results", ".snakemake"):
        shutil.copytree(crumb / part, folder / part)
    shutil.rmtree(folder / "results" / "models" / "crumb")
    shutil.rmtree(folder / STATE)
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    command = [MODEL, "--cores", "all"]
    with small_disk(folder / STATE, "2600k") as disk:  # two checkpoints of 1 MB, and a half
        done = run_snakemake(command, folder, check=False)
        full = disk / "checkpoints" / "000000009"
        assert f"error: pretrain_model crumb: {full}: the disk is full; make room" in done.stdout
        assert sorted(path.name for path in full.parent.iterdir()) == ["000000003", "000000006"]
        remount(disk, "size=20m")
        run_snakemake(command, folder)
        assert re.search(r"goes on after step 6 of 20$", log(folder, STATE), re.M)
    assert (folder / MODEL).read_bytes() == (crumb / MODEL).read_bytes()
