"""Folders and locks: half a folder never has its final name, and locks end with their process."""

import errno
import fcntl
import os
import shutil
from pathlib import Path

from slamflow import logs

_held: set[int] = set()


def locked(path: Path, mode: int, holder: str) -> int:
    """Open and lock a file; if another process holds it, say so in one line and wait.

    Args:
        mode: `fcntl.LOCK_EX`, or `fcntl.LOCK_SH`.
        holder: who holds it, for the line; the content of the file follows in brackets.

    Returns:
        A descriptor for `unlock`; the end of the process unlocks too.

    Raises:
        ValueError: the file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            who = " ".join(os.pread(descriptor, 200, 0).decode(errors="replace").split())
            logs.say(f"{path}: waiting for {holder}{f' ({who})' if who else ''}")
            fcntl.flock(descriptor, mode)
    except OSError as error:
        os.close(descriptor)
        raise ValueError(
            f"{path}: cannot be locked ({error.strerror}); put it on a file system with flock"
        ) from None
    own(descriptor)
    return descriptor


def own(descriptor: int) -> None:
    """Keep a locked file from forked children; `unlock` it in the end."""
    _held.add(descriptor)


def unlock(descriptor: int) -> None:
    """Give back what `locked` gave."""
    _held.discard(descriptor)
    os.close(descriptor)


def _drop() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


# A forked worker may outlive its killed parent, and would hold the parent's locks for ever.
os.register_at_fork(after_in_child=_drop)


def link(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it where that cannot be done."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copy2(source, target)


def remove(path: Path) -> None:
    """Remove a file or folder; a folder loses its name first, so that no half of it has it."""
    if not path.exists():
        return
    doomed = path.with_name(f".{path.name.lstrip('.')}.{os.getpid()}.removed")
    try:
        os.replace(path, doomed)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        doomed = path  # a folder in a lower layer of an overlay, as in a container's image
    if doomed.is_dir():
        shutil.rmtree(doomed)
    else:
        doomed.unlink()


def sync(folder: Path) -> None:
    """Wait until a folder and all in it are on the disk."""
    for path in [*folder.rglob("*"), folder]:
        sync_one(path)


def sync_one(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
