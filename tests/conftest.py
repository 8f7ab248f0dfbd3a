"""Options of the whole test suite, and which worker runs what."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has a core

WORKFLOW = Path(__file__).parent / "workflow"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--slow`."""
    parser.addoption("--slow", action="store_true", help="run the slow tests, too")


@pytest.hookimpl(tryfirst=True)  # before the groups are read
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked `slow` unless `--slow` is given; share the rest out.

    Runs of the workflow go to one worker, which begins with them, since they take the longest; the
    tests of a file stay together, since they share what they make.
    """
    items.sort(key=lambda item: WORKFLOW not in item.path.parents)
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        group = "workflow" if WORKFLOW in item.path.parents else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
        if "slow" in item.keywords and not config.getoption("--slow"):
            item.add_marker(skip)
