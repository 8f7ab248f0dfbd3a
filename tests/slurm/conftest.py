"""A running Slurm, and a finished small training that no Slurm has seen."""

from collections.abc import Iterator
from pathlib import Path

import cluster as slurm
import pytest
import yaml
from configuring import missing
from running import copy_checkout, run_snakemake
from submitting import MODEL, tell_partitions

# The topline of `crumb` needs no HuBERT. Its training is long enough to be disturbed three times.
CONFIG = {
    "recipe": "crumb",
    "corpora": {"crumb-stories": {"source": {"count": 60}, "speech": {"shards": 1}}},
    "models": {"crumb-topline": {"training": {"budget": {"steps": 300}, "checkpoint_steps": 5}}},
}


@pytest.fixture(scope="session")
def cluster() -> Iterator[slurm.Cluster]:
    """A Slurm of two nodes."""
    if lacking := missing():
        pytest.skip(f"Slurm is not installed here: no {', '.join(lacking)}")
    with slurm.started() as running:
        yield running


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, cluster: slurm.Cluster) -> Path:
    """A checkout that knows the partitions, with a model trained on this host."""
    folder = copy_checkout(tmp_path_factory.mktemp("undisturbed").resolve() / "checkout")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    tell_partitions(folder)
    run_snakemake(["--cores", "all", MODEL], folder)
    return folder
