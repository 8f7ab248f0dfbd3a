"""Every shipped recipe can be planned on a machine that has none of its data."""

from pathlib import Path

import pytest
from running import ROOT, TARGET, planned_jobs

MOST_JOBS = 4000  # of the paper's 83,000 hours; Snakemake plans them in seconds
RECIPES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_plans_without_data(recipe: str, checkout: Path) -> None:
    nowhere = checkout / "nowhere"
    jobs = planned_jobs(checkout, "--config", f"recipe={recipe}", f"data_root={nowhere}")
    outputs = [path for job in jobs for path in job.outputs]
    assert TARGET in outputs
    assert len(outputs) == len(set(outputs))
    assert len(jobs) <= MOST_JOBS
    assert not (checkout / "results").exists()
