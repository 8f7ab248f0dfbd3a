"""Work ahead of the one that needs it."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from slamflow import workers


def test_workers_are_by_default_the_threads_of_the_job() -> None:
    assert workers.number({"threads": 3}) == workers.number({"workers": None, "threads": 3}) == 3
    assert workers.number({"workers": 2, "threads": 3}) == 2
    assert workers.number({}) == 1


def test_work_ahead_is_in_order_and_bounded() -> None:
    begun: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(1000):
            begun.append(number)
            yield number
        raise ValueError("the end")

    waves = workers.ahead(workers.in_order(lambda n: n * n, numbers(), 3, each=2), 2)
    assert [next(waves) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(begun) <= 5 + 2 + 2 * 3
    with pytest.raises(ValueError, match="the end"):
        list(waves)
    given_up = workers.ahead(numbers(), 2)
    next(given_up)
    given_up.close()
    assert list(workers.ahead([], 2)) == []


def test_worker_processes_end_with_their_killed_job() -> None:
    code = (
        "import os, time; from slamflow.alignment import sphinx\n"
        "found = sphinx.spread(os.path.realpath, [('/proc/self',)] * 16, {'threads': 2})\n"
        "next(found); print('ready', flush=True); time.sleep(60)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-c", code]
    job = psutil.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    started = []
    try:
        assert job.stdout.readline() == "ready\n"
        started = job.children()
        assert len(started) >= 2
        job.kill()
        assert not psutil.wait_procs(started, timeout=10)[1]
    finally:
        for process in (job, *started):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        job.communicate()
