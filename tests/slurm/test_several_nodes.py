"""A training whose ranks are on both nodes ends as one whose ranks are on one."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import NODES, Cluster
from observing import log
from running import run_snakemake
from submitting import MODEL, STATE, copy_run, submitted

pytestmark = pytest.mark.slow  # a minute, most of which is waiting


def train_with(folder: Path, **training: Any) -> None:
    """Change the model's training in a checkout's config."""
    path = folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["models"]["crumb-topline"]["training"].update(training)
    path.write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def one_node(undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ranks on this host."""
    folder = copy_run(undisturbed, tmp_path_factory.mktemp("one") / "checkout", "models")
    train_with(folder, ranks=2, budget={"steps": 30})
    run_snakemake(["--cores", "all", MODEL], folder)
    return folder


def test_the_weights_are_the_same(cluster: Cluster, one_node: Path, tmp_path: Path) -> None:
    folder = copy_run(one_node, tmp_path.resolve() / "checkout", "models")
    train_with(folder, nodes=2)
    with submitted(cluster, folder, [MODEL], look=25) as call:
        job = call.wait_for(cluster.running, "job")
        pairs = cluster.run("scontrol", "--oneliner", "show", "job", job).split()
        call.wait()
    asked = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    assert asked["NumNodes"] == str(len(NODES))
    assert "srun" in log(folder, STATE)
    assert (folder / MODEL).read_bytes() == (one_node / MODEL).read_bytes()
