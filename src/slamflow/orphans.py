"""Processes end when the one is gone that they work for.

A job that outlived a killed Snakemake would write what another run makes anew, long after that
and perhaps from another config. So it ends, too, unless it has a state: its next owner waits for
it, and takes over what it made.
"""

import os
import select
import signal
import threading

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
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        if unless is None or not unless.is_set():
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=wait, name="die_with", daemon=True).start()
