"""Full and read-only disks, too little memory, odd folders: what users see, and that it goes on."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from observing import finished_jobs, remaining
from running import copy_checkout, environment, run_snakemake, snakemake_command
from small_disks import remount, small_disk

CRUMB = ("--cores", "1", "--config", "recipe=crumb")
TEXT = "results/text/crumb-stories.parquet"
SPEECH = "results/speech/crumb-stories/0000.parquet"  # 32 MB
LOG = "results/logs/synthesise_speech/crumb-stories/0000.log"


def test_a_full_disk_is_named_and_the_same_command_goes_on(checkout: Path) -> None:
    with small_disk(checkout / "results", "24m"):
        done = run_snakemake([SPEECH, *CRUMB], checkout, check=False)
        assert done.returncode == 1
        wanted = f"error: {SPEECH}: the disk is full; make room there, then run the same command"
        assert [line for line in done.stdout.splitlines() if line.startswith(wanted)]
        assert "Traceback" not in done.stdout
        assert not [*(checkout / "results").rglob("*.tmp")]
        remount(checkout / "results", "size=80m")
        run_snakemake([SPEECH, *CRUMB], checkout)
        assert (checkout / SPEECH).stat().st_size > 30e6
    assert finished_jobs(checkout) == {"generate_text": 1, "synthesise_speech": 1}


@pytest.mark.parametrize("part", ["results", pytest.param(".snakemake", marks=pytest.mark.slow)])
def test_nothing_begins_on_a_read_only_disk(checkout: Path, part: str) -> None:
    with small_disk(checkout / part, "32m"):
        remount(checkout / part, "ro")
        done = run_snakemake([TEXT, *CRUMB], checkout, check=False)
        assert f"\n{part}: the disk is read-only; make it writable or put" in done.stdout
        assert done.returncode == 1 and "Traceback" not in done.stdout


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A control group whose processes have 350 MB together, enough for Snakemake."""
    first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    group = (first if first.exists() else second) / f"slamflow-{os.getpid()}"
    try:
        group.mkdir()
        limit = "memory.limit_in_bytes" if first.exists() else "memory.max"
        (group / limit).write_text(str(350 << 20))
    except OSError:
        if group.exists():
            group.rmdir()
        pytest.skip("memory cannot be limited here")
    yield group
    group.rmdir()


@pytest.mark.slow
def test_a_job_that_the_kernel_killed_for_its_memory_is_named(
    checkout: Path, little_memory: Path
) -> None:
    run_snakemake([TEXT, *CRUMB], checkout)
    command = snakemake_command([SPEECH, *CRUMB])
    done = subprocess.run(
        ["sh", "-c", f'echo $$ > {little_memory}/cgroup.procs && exec "$@"', "sh", *command],
        cwd=checkout,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 1
    assert f"\n{LOG}: this job was killed; if nobody did it, memory ran out: run" in done.stdout
    run_snakemake([SPEECH, *CRUMB], checkout)


def test_a_job_ends_with_a_killed_snakemake(checkout: Path) -> None:
    """Else it would write its output when another run has made it anew, from another config."""
    with subprocess.Popen(
        snakemake_command([SPEECH, *CRUMB]),
        cwd=checkout,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as call:
        while not (checkout / LOG).exists():
            assert call.poll() is None
            time.sleep(0.02)
        call.kill()
    assert remaining(checkout) == {}
    assert not (checkout / SPEECH).exists()


@pytest.mark.slow
def test_a_second_snakemake_is_refused_and_the_first_goes_on(checkout: Path) -> None:
    first = subprocess.Popen(
        snakemake_command([SPEECH, *CRUMB]),
        cwd=checkout,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with first:
        assert first.stdout
        for line in first.stdout:
            if line.startswith("Execute"):
                break
        second = run_snakemake([SPEECH, *CRUMB], checkout, check=False)
        assert first.poll() is None
        assert second.returncode == 1
        assert "Directory cannot be locked" in second.stdout and "--unlock" in second.stdout
        assert "Traceback" not in second.stdout
        assert first.wait() == 0, first.stdout.read()
    assert finished_jobs(checkout) == {"generate_text": 1, "synthesise_speech": 1}


def test_a_folder_may_have_odd_letters(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path / "a b'c\"d ü語 $(touch made);\n%\\*?[x]&")
    run_snakemake([TEXT, *CRUMB], folder)
    assert (folder / TEXT).exists()
    assert not [*tmp_path.rglob("made")]


@pytest.mark.parametrize("name", ["a{b}", pytest.param("a:b", marks=pytest.mark.slow)])
def test_a_folder_that_cannot_work_is_refused(tmp_path: Path, name: str) -> None:
    done = run_snakemake([TEXT, *CRUMB], copy_checkout(tmp_path / name), check=False)
    assert done.returncode == 1
    assert "\nMove the checkout to a path without braces and colons" in done.stdout
