"""Options of the whole test suite, and which worker runs what."""

import os

import pytest
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has a core


class Parts(LoadScopeScheduling):
    """The tests of a file share what they make.

    Those in tests/workflow share a run of `crumb`, and those in tests/slurm a Slurm. Each part goes
    to one worker, the largest first.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        folder = file.split("/")[1]
        return folder if folder in ("slurm", "workflow") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Parts:
    """Share the tests out by parts."""
    return Parts(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--slow`."""
    parser.addoption("--slow", action="store_true", help="run the slow tests, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked `slow` unless `--slow` is given."""
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
