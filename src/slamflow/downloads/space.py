"""Room on a disk, and its lack in one clear line."""

import errno
import shutil
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


class TooSmall(ValueError):
    """What a disk has no room for, and how to make it."""


def check(needed: int, folder: Path, what: str) -> None:
    """See that `needed` bytes fit into `folder`.

    Raises:
        TooSmall: they do not; both figures are in the message.
    """
    if needed > free(folder):
        raise TooSmall(
            f"{folder}: {what} needs {shown(needed)} and {shown(free(folder))} are free;"
            " make room there, or set `data_root` to a larger disk"
        )


def free(folder: Path) -> int:
    """Bytes that may still be written into `folder`."""
    return shutil.disk_usage(folder).free


def shown(count: int) -> str:
    """A number of bytes for people: three digits and a decimal unit."""
    size, units = float(count), iter(("B", "kB", "MB", "GB"))
    for unit in units:
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.2f} TB"
