"""What is said about a job that failed on a cluster, from what Slurm and Snakemake write."""

import logging
from pathlib import Path

import pytest

from slamflow.config import failures

FAILED = "SLURM-job '7' failed, SLURM status is: 'FAILED'. Detailed failure reason unavailable."
MEMORY = "fit_kmeans crumb: took more memory than it asked for"
TIME = "fit_kmeans crumb: reached its time limit"


def said(tmp_path: Path, message: str, printed: str) -> str:
    """The line about a job of `fit_kmeans` that printed this."""
    path = tmp_path / "7.log"
    path.write_text(printed)
    return failures.line("fit_kmeans", message, [Path("results/logs/fit_kmeans/crumb.log"), path])


@pytest.mark.parametrize(
    ("printed", "wanted"),
    [
        ("slurmstepd-cn1: error: Exceeded job memory limit\n", MEMORY),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0. Some of the step ...",
            MEMORY,
        ),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.batch.\n", MEMORY),
        ("srun: error: cn1: task 0: Out Of Memory\n", MEMORY),
        ("error: was ended by signal 9 (see a.log)\nsrun: error: a: task 0: Out Of Memory", MEMORY),
        ("slurmstepd: error: *** STEP 7.0 ON cn1 CANCELLED AT 2026 DUE TO TIME LIMIT ***\n", TIME),
        (
            "error: CUDA out of memory (see a.log)\n",
            "fit_kmeans crumb: CUDA out of memory (see a.log)",
        ),
        ("error: first\nerror: a.yaml: last (see a.log)\n", "crumb: a.yaml: last (see a.log)"),
        ("slurmstepd: error: *** JOB 7 CANCELLED DUE TO JOB REQUEUE ***\n", "SLURM-job '7' failed"),
        (
            "",
            "SLURM-job '7' failed, SLURM status is: 'FAILED'. Detailed failure reason unavailable.",
        ),
    ],
)
def test_the_reason_is_found(tmp_path: Path, printed: str, wanted: str) -> None:
    line = said(tmp_path, FAILED, printed)
    assert line.startswith("error: fit_kmeans crumb: ") and wanted in line
    assert "\n" not in line


def test_what_the_executor_knows_counts(tmp_path: Path) -> None:
    assert TIME in said(tmp_path, FAILED.replace("FAILED", "TIMEOUT"), "")
    assert MEMORY in said(tmp_path, FAILED.replace("FAILED", "OUT_OF_MEMORY"), "")


def test_a_job_that_was_never_submitted() -> None:
    message = (
        "SLURM sbatch failed. The error message was 'sbatch: error: invalid partition: a\n"
        "sbatch: error: Batch job submission failed: Invalid partition'.\n    sbatch call:\n  long"
    )
    line = failures.line("fit_kmeans", message, [Path("results/logs/fit_kmeans/crumb.log")])
    wanted = "invalid partition: a; Batch job submission failed: Invalid partition"
    assert line == f"error: fit_kmeans crumb: {wanted}"


def test_jobs_of_this_host_have_spoken_for_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    record = logging.makeLogRecord({"event": "job_error", "rule_name": "a", "rule_msg": None})
    failures.Failures().emit(record)
    assert capsys.readouterr().err == ""
    record = logging.makeLogRecord({"event": "job_error", "rule_name": "a", "rule_msg": "failed"})
    failures.Failures().emit(record)
    assert capsys.readouterr().err == "error: a: failed\n"


def test_an_executor_that_says_nothing(tmp_path: Path) -> None:
    message = "For further error details see the cluster/cloud log and the log files of the rule."
    assert said(tmp_path, message, "").startswith("error: fit_kmeans crumb: failed")
