"""Locks of GPUs, by files that all users of a host share.

A lock is held by each process that uses the GPU, a job and its ranks, which may outlive it; it
ends with the last of them. A file holds who took the lock, for others to read.

A GPU is what CUDA_VISIBLE_DEVICES calls it. Jobs that call it differently do not see each other:
an index and a UUID, a UUID and its beginning, an index by another CUDA_DEVICE_ORDER. Which index is
which UUID only CUDA can say. Nor do those in containers with a /tmp or GPUs of their own.
"""

import contextlib
import fcntl
import functools
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from slamflow import folders

FOLDER = Path("/tmp/slamflow-gpus")  # not below TMPDIR, which is another one for each user


def take(name: str) -> int | None:
    """Lock a GPU that nobody uses; a descriptor for `folders.unlock`, or None.

    Raises:
        ValueError: the file cannot be used.
    """
    descriptor = _opened(name)
    # Alone at first, and then so that one's ranks can share it. In between, the kernel lets
    # another one have it, who then shares it, too: of these the last that wrote has it.
    if not _locked(descriptor, fcntl.LOCK_EX) or _removed(descriptor):
        os.close(descriptor)
        return None
    _tidy()
    start = time.strftime("%Y-%m-%d %H:%M:%S")
    mine = f"process {os.getpid()}, since {start}\n{secrets.token_hex(8)}".encode()
    try:
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, mine, 0)
    except OSError:  # the disk is full
        return _shared(descriptor)
    shared = _shared(descriptor)
    if shared is None or os.pread(shared, 100, 0) == mine:
        return shared
    folders.unlock(shared)
    return None


def share(name: str) -> int | None:
    """Lock a GPU together with others who share it; None if somebody has it alone.

    Raises:
        ValueError: the file cannot be used.
    """
    return _shared(_opened(name))


def holder(name: str) -> str | None:
    """Who has a GPU, in words; None if nobody has.

    Raises:
        ValueError: the file cannot be used.
    """
    descriptor = _opened(name)
    try:
        if _locked(descriptor, fcntl.LOCK_EX):
            return None
        text = os.pread(descriptor, 100, 0).split(b"\n")[0].decode(errors="replace")
        return "".join(letter for letter in text if letter.isprintable())  # anybody can write it
    finally:
        os.close(descriptor)


def _shared(descriptor: int) -> int | None:
    if not _locked(descriptor, fcntl.LOCK_SH) or _removed(descriptor):
        os.close(descriptor)
        return None
    folders.own(descriptor)
    _guard()
    return descriptor


def _locked(descriptor: int, mode: int) -> bool:
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _removed(descriptor: int) -> bool:
    """Whether the file is none any more, so that others would lock another one."""
    return os.fstat(descriptor).st_nlink == 0


def _tidy() -> None:
    """Remove the files of Slurm jobs that use no GPU now: each job has names of its own."""
    for path in FOLDER.glob("gpu-[0-9]*-*"):
        with contextlib.suppress(OSError):  # it is another user's, or was removed
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                if _locked(descriptor, fcntl.LOCK_EX) and not _removed(descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


@functools.cache
def _guard() -> None:
    """Lock the folder until this process ends: systemd deletes what is old in /tmp but for that."""
    folder = os.open(FOLDER, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_SH)
    folders.own(folder)


def _opened(name: str) -> int:
    """The file of a GPU.

    Raises:
        ValueError: it cannot be opened, or somebody has put something else in its place.
    """
    path = FOLDER / _file(name)
    try:
        if not FOLDER.exists():
            with _for_all_users():
                FOLDER.mkdir(mode=0o1777)
        folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if path.name not in os.listdir(folder):
                with _for_all_users():
                    os.close(os.open(path.name, os.O_CREAT | os.O_EXCL, 0o666, dir_fd=folder))
            # Not with O_CREAT, which the kernel may refuse for what another user has created.
            descriptor = os.open(path.name, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise ValueError(
            f"{path}: cannot be opened ({error.strerror}); remove {FOLDER}, or have its owner do so"
        ) from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:  # what is written would go elsewhere
        os.close(descriptor)
        raise ValueError(f"{path}: is no plain file with one name; remove it")
    return descriptor


@contextlib.contextmanager
def _for_all_users() -> Iterator[None]:
    """Inside, make what may exist already, with rights for everybody."""
    before = os.umask(0)
    try:
        with contextlib.suppress(FileExistsError):
            yield
    finally:
        os.umask(before)


def _file(name: str) -> str:
    """A name for one physical GPU.

    An index is one only among jobs that see the same GPUs. Those of a Slurm job may be numbered
    from 0, whichever they are, and those of its steps again.
    """
    view = [os.environ.get(variable) for variable in ("SLURM_JOB_ID", "SLURM_STEP_GPUS")]
    places = [place for place in view if place] if name.isdigit() else []
    return quote("-".join(["gpu", *places, name]), safe="")
