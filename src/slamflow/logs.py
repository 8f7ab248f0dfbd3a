"""The log of a job, and its progress on the terminal.

What a job and its children print goes to the job's log, C libraries and all ranks included. Only
progress, and one line when the job fails, reach the terminal.
"""

import contextlib
import faulthandler
import fcntl
import functools
import io
import os
import select
import stat
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from unicodedata import bidirectional, category

from slamflow import disks, orphans

# Where a process finds the terminal: `/proc/<pid>/fd/<n> <device>:<inode>` of the job that
# captured its output. Launchers close inherited descriptors, but pass on the environment.
TERMINAL = "SLAMFLOW_TERMINAL"

# Characters that show what follows in another order.
REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}

INTERVAL = 5.0  # seconds between two lines of one progress


@contextlib.contextmanager
def capture(path: Path | None, append: bool = False) -> Iterator[None]:
    """Send all that this process and its children print to the log `path`, while inside.

    An exception ends the process with exit status 1, its traceback in the log and one line on
    the terminal. With None, output stays where it is: so in a rank, whose output is captured
    by its launcher, or in a script run by hand.

    The process ends with its Snakemake: see `orphans`.
    """
    failure = None
    orphans.end_with_snakemake()
    with _redirected(Path(path), append) if path else contextlib.nullcontext():
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            failure = error
            trace()
    if failure is not None:
        rank = os.environ.get("RANK", "0")
        speaker = "" if rank == "0" else f"rank {rank}: "
        say(f"error: {speaker}{describe(failure)} (see {path or _log()})")
        raise SystemExit(130 if isinstance(failure, KeyboardInterrupt) else 1)


def trace() -> None:
    """The traceback of the exception that is handled, in the log, if its disk takes it."""
    with contextlib.suppress(OSError):
        sys.stderr.write(plain(traceback.format_exc()))
    _flush()


def describe(error: BaseException) -> str:
    """An exception as one line; its type is named unless the message is meant for users."""
    if known := disks.describe(error):
        return known
    text = " ".join(str(error).split())[:500]
    if isinstance(error, (ValueError, OSError)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def plain(text: str) -> str:
    """A text with what could deceive on a terminal, but for ends of lines, as Python writes it.

    File names and what servers answer may hold any characters, and terminals obey some. Joiners
    and soft hyphens do no harm, and scripts need them.
    """
    return "".join(
        each.encode("unicode_escape").decode() if each != "\n" and _deceives(each) else each
        for each in text
    )


def _deceives(each: str) -> bool:
    return category(each) in ("Cc", "Cs") or bidirectional(each) in REORDERING


def info(text: str) -> None:
    """A line with the time of day in the log; ranks other than 0 are named."""
    rank = os.environ.get("RANK", "0")
    speaker = "" if rank == "0" else f"rank {rank}: "
    _flush()
    _write(2, f"{time.strftime('%H:%M:%S')} {speaker}{plain(text)}")


def say(line: str) -> None:
    """A line, or several, in the log and on the terminal."""
    line = plain(line)
    _flush()
    _write(2, line)
    if address := os.environ.get(TERMINAL):
        with contextlib.suppress(OSError):
            _write(_terminal(address), line)


class Progress:
    """Progress of a job with the time left: a line in the log and on the terminal.

    At most one line every INTERVAL seconds, so that quick work only says when it is done. Ranks
    other than 0 say nothing.
    """

    def __init__(self, label: str, total: int, unit: str, done: int = 0) -> None:
        """Start the clock.

        Args:
            label: what the job makes, as in `pretrain_model slm`.
            unit: what is counted, in the plural.
            done: what an earlier run did, which says nothing about this one's speed.
        """
        self.label, self.total, self.unit, self.first = label, total, unit, done
        self.start = self.last = time.monotonic()
        self.silent = os.environ.get("RANK", "0") != "0"

    def update(self, done: int, **extra: float | str) -> None:
        """Say how much is done, if it is time to; `extra` is printed as `name value`."""
        now = time.monotonic()
        finished = done >= self.total
        if self.silent or (not finished and now - self.last < INTERVAL):
            return
        self.last, self.silent = now, finished
        text = f"{self.label}: {done}/{self.total} {self.unit}"
        if finished:
            text += f" in {_clock(now - self.start)}"
        elif done > self.first:
            pace = (now - self.start) / (done - self.first)
            text += f", {_clock(pace * (self.total - done))} left"
        for name, value in extra.items():
            shown = f"{value:.4g}" if isinstance(value, float) else str(value)
            text += f", {name.replace('_', ' ')} {shown}"
        say(text)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextlib.contextmanager
def _redirected(path: Path, append: bool) -> Iterator[None]:
    mode = os.O_APPEND if append else os.O_APPEND | os.O_TRUNC
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o666)
    except OSError as error:
        raise SystemExit(f"error: {describe(error)}") from None
    _flush()
    saved = [os.dup(1), os.dup(2)]
    outer = os.environ.setdefault(TERMINAL, _address(saved[1])) != _address(saved[1])
    crashes = faulthandler.is_enabled()
    os.dup2(log, 1)
    os.dup2(log, 2)
    if log > 2:  # it is not, where the job was started with a closed descriptor
        os.close(log)
    faulthandler.enable(2)
    if isinstance(sys.stdout, io.TextIOWrapper):  # so that a killed job's log is complete
        sys.stdout.reconfigure(line_buffering=True)
    try:
        yield
    finally:
        _flush()
        if not crashes:
            faulthandler.disable()
        for number, original in zip((1, 2), saved, strict=True):
            os.dup2(original, number)
            os.close(original)
        if not outer:
            del os.environ[TERMINAL]


def _address(descriptor: int) -> str:
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):  # else those who open it anew would overwrite each other
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
    return f"/proc/{os.getpid()}/fd/{descriptor} {status.st_dev}:{status.st_ino}"


@functools.cache
def _terminal(address: str) -> int:
    """Open the terminal of a captured job; a stalled reader must not stall the job."""
    path, identity = address.split()
    status = os.stat(path)
    if identity != f"{status.st_dev}:{status.st_ino}":  # the number has gone to another process
        raise FileNotFoundError(path)
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(path, flags)


def _log() -> str:
    """Where the output of this process goes."""
    return os.readlink("/proc/self/fd/2") if TERMINAL in os.environ else "above"


def _write(descriptor: int, line: str) -> None:
    text = line.encode(errors="backslashreplace") + b"\n"
    with contextlib.suppress(OSError):  # a closed terminal never ends a job
        for _ in range(100):
            try:
                os.write(descriptor, text)
                return
            except BlockingIOError:  # a full terminal, or one that another rank is writing to
                if not select.select([], [descriptor], [], 0.05)[1]:
                    return
                time.sleep(0.001)


def _flush() -> None:
    """Keep the order of what Python buffers and what is written to descriptors."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
