"""Logs take everything, terminals only progress and one line of error, and nothing ends a job."""

import contextlib
import os
import pty
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from slamflow import logs

HEAD = "import os, subprocess, sys, time\nfrom slamflow import logs\nlogs.INTERVAL = 0.05\n"
SOURCE = str(Path(__file__).parents[2] / "src")

# A rank as launchers start it: descriptors closed, another session, output inherited.
RANKS = HEAD + textwrap.dedent(
    """
    rank = '''
    import time
    from slamflow import logs
    logs.INTERVAL = 0.05
    with logs.capture(None):
        progress = logs.Progress("train slm", 40, "steps", done=20)
        for step in range(20, 41):
            time.sleep(0.01)
            progress.update(step, loss=2.34567, speed="fast")
        print("printed by a rank")
        raise RuntimeError("no\\\\nmemory")
    '''
    with logs.capture(sys.argv[1]):
        ranks = [
            subprocess.Popen(
                [sys.executable, "-c", rank],
                start_new_session=True,
                env=os.environ | {"RANK": str(number)},
            )
            for number in range(2)
        ]
        for process in ranks:
            process.wait()
        raise ChildProcessError("ranks failed")
    """
)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": SOURCE}


def run(code: str, log: Path, **keywords: object) -> "subprocess.CompletedProcess[str]":
    keywords = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | keywords
    command = [sys.executable, "-c", code, str(log)]
    return subprocess.run(  # type: ignore[call-overload]
        command, env=environment(), text=True, timeout=60, **keywords
    )


def test_everything_lands_in_the_log_and_one_line_on_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "job.log"
    code = HEAD + textwrap.dedent(
        """
        with logs.capture(sys.argv[1]):
            print("printed")
            logs.info("told")
            os.write(1, b"from C\\n")
            subprocess.run(["sh", "-c", "echo child; echo child error >&2"])
            raise ValueError("text.tsv: row 3: no speaker;\\n  add one")
        """
    )
    done = run(code, log)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"error: text.tsv: row 3: no speaker; add one (see {log})\n"
    lines = log.read_text().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d told", lines[1])
    assert [lines[0], *lines[2:6]] == [
        "printed",
        "from C",
        "child",
        "child error",
        "Traceback (most recent call last):",
    ]
    assert lines[-2] == "ValueError: text.tsv: row 3: no speaker;"


def test_output_returns_and_logs_are_replaced_or_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    code = HEAD + textwrap.dedent(
        """
        for append in (False, False, True):
            with logs.capture(sys.argv[1], append=append):
                print("in", append)
            assert logs.TERMINAL not in os.environ
        print("out")
        """
    )
    done = run(code, log)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "")
    assert log.read_text() == "in False\nin True\n"


def test_exit_statuses_pass_and_crashes_leave_a_traceback(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    assert run(HEAD + "with logs.capture(sys.argv[1]): sys.exit(7)", log).returncode == 7
    done = run(HEAD + "with logs.capture(sys.argv[1]): raise KeyboardInterrupt", log)
    assert (done.returncode, done.stderr) == (130, f"error: KeyboardInterrupt (see {log})\n")
    run(HEAD + "with logs.capture(sys.argv[1]): os.abort()", log)
    assert "Fatal Python error: Aborted" in log.read_text()


def check_ranks(terminal: str, log: Path) -> None:
    lines = terminal.splitlines()
    assert re.fullmatch(
        r"train slm: \d\d/40 steps, 0:00 left, loss 2\.346, speed fast", lines[0]
    ), terminal
    assert "train slm: 40/40 steps in 0:00, loss 2.346, speed fast" in lines
    assert f"error: RuntimeError: no memory (see {log})" in lines
    assert f"error: rank 1: RuntimeError: no memory (see {log})" in lines
    assert lines[-1] == f"error: ranks failed (see {log})"
    assert lines.count("train slm: 40/40 steps in 0:00, loss 2.346, speed fast") == 1
    text = log.read_text()
    assert set(lines[:-1]) <= set(text.splitlines())
    assert text.count("printed by a rank") == text.count("Traceback") - 1 == 2


def read(terminal: int) -> str:
    """All that was written to a pseudo-terminal whose other end is closed."""
    text = b""
    with contextlib.suppress(OSError):
        while True:
            text += os.read(terminal, 65536)
    os.close(terminal)
    return text.decode().replace("\r\n", "\n")


def test_ranks_reach_a_pipe(tmp_path: Path) -> None:
    done = run(RANKS, tmp_path / "job.log")
    check_ranks(done.stderr, tmp_path / "job.log")


def test_ranks_reach_a_file_and_overwrite_nothing(tmp_path: Path) -> None:
    """As in `snakemake 2> file`: Snakemake goes on writing where it was."""
    terminal = tmp_path / "terminal"
    with terminal.open("w") as stream:
        stream.write("before\n")
        stream.flush()
        run(RANKS, tmp_path / "job.log", stderr=stream)
        stream.write("after\n")
    text = terminal.read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    check_ranks(text.removeprefix("before\n").removesuffix("after\n"), tmp_path / "job.log")


def test_ranks_reach_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    run(RANKS, tmp_path / "job.log", stderr=theirs)
    os.close(theirs)
    check_ranks(read(ours), tmp_path / "job.log")


def test_ranks_that_write_at_once_lose_no_line(tmp_path: Path) -> None:
    """A terminal takes one writer at a time and turns others away."""
    rank = "for i in range(100): logs.say(f'{n}:{i}')\nos._exit(0)"
    code = HEAD + textwrap.dedent(
        f"""
        with logs.capture(sys.argv[1]):
            for n in range(4):
                if os.fork() == 0:
                    exec({rank!r})
            for n in range(4):
                os.wait()
        """
    )
    ours, theirs = pty.openpty()
    run(code, tmp_path / "job.log", stderr=theirs)
    os.close(theirs)
    lines = read(ours).split()
    assert sorted(lines) == sorted(f"{n}:{i}" for n in range(4) for i in range(100))


@pytest.mark.parametrize("kind", ["closed pipe", "full disk", "stalled reader", "closed"])
def test_a_broken_terminal_ends_no_job(tmp_path: Path, kind: str) -> None:
    log = tmp_path / "job.log"
    code = HEAD + textwrap.dedent(
        """
        with logs.capture(sys.argv[1]):
            progress = logs.Progress("x", 200, "steps")
            logs.INTERVAL = 0
            for step in range(201):
                progress.update(step, text="x" * 1000)
            print("survived")
        """
    )
    reader, writer = os.pipe()
    if kind == "closed pipe":
        os.close(reader)
    with open("/dev/full", "w") as full:
        if kind == "closed":
            command = ["sh", "-c", 'exec 2>&-; exec "$@"', "sh", sys.executable, "-c", code]
            done = subprocess.run([*command, str(log)], env=environment(), timeout=60)
            status = done.returncode
        else:
            status = run(code, log, stderr=full if kind == "full disk" else writer).returncode
    os.close(writer)
    assert status == 0
    assert log.read_text().endswith("survived\n")


def test_quick_work_only_says_that_it_is_done(capfd: pytest.CaptureFixture[str]) -> None:
    progress = logs.Progress("build_pairs x", 100, "pairs")
    for done in range(101):
        progress.update(done)
    progress.update(100)
    assert capfd.readouterr().err == "build_pairs x: 100/100 pairs in 0:00\n"


def test_clock() -> None:
    assert [logs._clock(seconds) for seconds in (0.4, 59.6, 200, 3725)] == [
        "0:00",
        "1:00",
        "3:20",
        "1:02:05",
    ]


def test_errors_in_one_line() -> None:
    assert logs.describe(ValueError("a.tsv: row 1:\n bad")) == "a.tsv: row 1: bad"
    assert logs.describe(KeyError("x")) == "KeyError: 'x'"
    assert logs.describe(AssertionError()) == "AssertionError"
