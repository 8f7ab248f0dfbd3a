"""What devices can do is known to training only: a new name of a GPU reruns nothing else."""

from pathlib import Path

import pytest

from slamflow import provenance

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "workflow_scripts").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_only_what_trains_depends_on_the_peaks_of_devices(script: Path) -> None:
    reached = provenance.reached_code(script, [], ROOT)
    holders = {name for name, path in reached.items() if "H100" in path.read_text()}
    assert holders == (
        {"slamflow.training.peaks"} if "slamflow.training.loop" in reached else set()
    )
