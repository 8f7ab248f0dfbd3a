"""Jobs that reach their time limit: a training goes on in its next job, another one has failed."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest
from cluster import Cluster
from observing import find, log, rank_of, step_of
from submitting import MODEL, STATE, copy_run, error, submitted

pytestmark = pytest.mark.slow  # a time limit is a minute at least, and the warning as inexact

SPEECH = "results/speech/crumb-stories/0000.parquet"


def test_a_training_goes_on_after_its_time_limit(
    cluster: Cluster, undisturbed: Path, tmp_path: Path
) -> None:
    folder = copy_run(undisturbed, tmp_path.resolve() / "checkout", "models")
    short = ["--set-resources", "pretrain_model:runtime=7"]  # so the warning comes after 90 seconds
    with submitted(cluster, folder, [MODEL, *short]) as call:
        rank = call.wait_for(lambda: find(folder, rank_of(STATE)), "rank")
        call.wait_for(lambda: step_of(folder / STATE), "checkpoint")
        os.kill(rank, signal.SIGSTOP)  # a slow one
        before = step_of(folder / STATE)
        call.wait_for(lambda: (folder / STATE / "stop.json").exists() or None, "warning")
        os.kill(rank, signal.SIGCONT)
        call.wait_for(lambda: "queues job" in log(folder, STATE) or None, "end in order")
        text = log(folder, STATE)
        call.wait()
        states = [state for state, _ in cluster.jobs().values()]
    stopped = re.search(r"stopped by SIGUSR1, with a checkpoint of step (\d+) of 300", text)
    assert stopped and before is not None and before <= int(stopped[1]) < 300
    assert f"goes on after step {stopped[1]} of 300" in log(folder, STATE)
    assert states[-1] == "COMPLETED"
    assert (folder / MODEL).read_bytes() == (undisturbed / MODEL).read_bytes()


def test_another_stage_says_so_in_one_line(
    cluster: Cluster, undisturbed: Path, tmp_path: Path
) -> None:
    folder = copy_run(undisturbed, tmp_path.resolve() / "checkout", "speech")
    short = ["--set-resources", "synthesise_speech:runtime=1"]
    with submitted(cluster, folder, [SPEECH, *short]) as call:
        script = call.wait_for(lambda: find(folder, synthesis), "job")
        while call.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(script, signal.SIGSTOP)  # again and again: Slurm's warning wakes it
            time.sleep(0.1)
        call.wait(1)
        terminal = call.terminal.read_text()
    assert error(terminal).startswith(
        "error: synthesise_speech crumb-stories/0000: reached its time limit;"
        " ask for more with --set-resources synthesise_speech:runtime=MINUTES"
    )


def synthesis(command: list[str]) -> bool:
    return command[1:2] == ["workflow_scripts/synthesise_speech.py"]
