"""Processes end when the one is gone that they work for.

A job that outlived a killed Snakemake would write what another run makes anew, long after that
and perhaps from another config. So it ends, too, unless it has a state: its next owner waits for
it, and takes over what it made.
"""

import contextlib
import errno
import os
import select
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Executor

SNAKEMAKE = "SLAMFLOW_SNAKEMAKE"  # the process of the Snakemake that starts jobs

_outliving = threading.Event()


def end_with_snakemake() -> None:
    """End this process as soon as its Snakemake is gone; by hand, without one, do nothing."""
    if pid := os.environ.get(SNAKEMAKE):
        die_with(int(pid), _outliving)


def outlive_snakemake() -> None:
    """Go on without Snakemake from now on."""
    _outliving.set()


def die_with(pid: int, unless: threading.Event | None = None) -> None:
    """End this process by SIGKILL as soon as process `pid` is gone, from a thread.

    For ranks, whose launcher's launcher may be killed: nothing in between need pass it on.

    Args:
        unless: if this is set by then, go on.
    """

    def wait() -> None:
        _wait(pid, descriptor)
        if unless is None or not unless.is_set():
            os.kill(os.getpid(), signal.SIGKILL)

    descriptor = None
    try:
        if hasattr(os, "pidfd_open"):  # Python may be built for older kernels, as conda's is
            descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    threading.Thread(target=wait, name="die_with", daemon=True).start()


def processes(number: int) -> "Executor":
    """So many worker processes, which end with this one: a killed one cannot end them."""
    from concurrent.futures import ProcessPoolExecutor  # few jobs need it, all import this module
    from multiprocessing import get_context

    return ProcessPoolExecutor(number, get_context("spawn"), die_with, (os.getpid(),))


def _wait(pid: int, descriptor: int | None) -> None:
    """Wait for the end of a process."""
    if descriptor is not None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        return
    with contextlib.suppress(OSError):  # a kernel before 5.3, or a container that forbids it
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(1)
