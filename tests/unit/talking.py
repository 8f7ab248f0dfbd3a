"""What a test's processes print, line by line."""

import subprocess
import threading
from typing import IO

Process = subprocess.Popen[str]


def said(process: Process) -> str:
    """The next line of its output; none if that takes too long."""
    return _line(process, process.stdout)


def told(process: Process) -> str:
    """The next line of its errors, likewise."""
    return _line(process, process.stderr)


def _line(process: Process, stream: IO[str] | None) -> str:
    assert stream
    watch = threading.Timer(30, process.kill)
    watch.start()
    try:
        return stream.readline().strip()
    finally:
        watch.cancel()
