"""Disks that fail, or are full or read-only, and too little memory: what users are told and can do.

Standard library only, and quick: the Snakefile looks at the disks whenever it is parsed.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

LEAST = (
    16 << 20
)  # bytes; without them neither Snakemake's notes nor the logs of jobs can be written

AGAIN = "then run the same command again: what is finished is kept"
_FULL = f"make room there, {AGAIN}"
_CLOSED = f"make it writable or put results/ elsewhere, {AGAIN}"
_BROKEN = f"see what `dmesg` says of this disk, {AGAIN}"
REPAIRS = {
    errno.ENOSPC: ("the disk is full", _FULL),
    errno.EDQUOT: ("your share of the disk is used up", _FULL),
    errno.EFBIG: ("the disk takes no file of this size", _FULL),
    errno.EROFS: ("the disk is read-only", _CLOSED),
    errno.EACCES: ("you have no right to it", f"change its owner or mode, {AGAIN}"),
    errno.EIO: ("the disk fails", _BROKEN),
    errno.ESTALE: ("its file server has lost it", f"mount the disk anew, {AGAIN}"),
    errno.EMFILE: ("too many files are open", f"raise the limit (ulimit -n), {AGAIN}"),
    errno.ENFILE: ("the machine has too many open files", f"end other programs, {AGAIN}"),
}
MEMORY = (
    "memory ran out: run fewer jobs at a time (--cores 1), or set a smaller micro_batch for what is"
    f" trained or for the tokeniser, {AGAIN}"
)
_KILLED = f"was killed; if nobody did it, {MEMORY}"
_MEMORY = re.compile(r"out of memory|(annot|an't) allocate memory|failed to map segment")


def check(*paths: Path) -> None:
    """See that something can be written into folders, or that these can be made.

    Raises:
        ValueError: not into one of them.
    """
    for path in map(Path, paths):
        if path.is_symlink() and not path.exists():
            raise ValueError(f"{path}: its disk is not there ({os.readlink(path)}); mount it")
        place = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
        if not os.access(place, os.W_OK | os.X_OK):
            closed = os.statvfs(place).f_flag & os.ST_RDONLY
            raise ValueError(_line(path, errno.EROFS if closed else errno.EACCES))
        if (free := shutil.disk_usage(place).free) < LEAST:
            left = f"less than {LEAST >> 20} MB are left ({free >> 10} kB)"
            raise ValueError(f"{path}: {left}; {_FULL}")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the disk does not take inside is an OSError with the name `path`.

    Libraries tell the number of such an error, but not the file.
    """
    try:
        yield
    except Exception as error:
        raise_known(error, path)
        raise


def raise_known(error: Exception, path: Path) -> None:
    """Raise an error of disk or memory, with the name `path`; it is no fault of what is read there.

    Nothing is raised for other errors.
    """
    code = _code(error)
    if code in REPAIRS and not (isinstance(error, OSError) and _elsewhere(error, path)):
        raise OSError(code, os.strerror(code), str(path)) from error
    if describe(error):
        raise error


def describe(error: BaseException) -> str | None:
    """One line with the file and the repair; None for errors neither of disk nor of memory."""
    code = _code(error)
    if code in REPAIRS:
        name = getattr(error, "filename", None)
        return _line(name, code)
    text = " ".join(str(error).split())[:120]
    if "process pool was terminated" in text:
        return f"a worker {_KILLED}"
    said = not isinstance(error, ValueError) and _MEMORY.search(str(error))
    if said or isinstance(error, MemoryError) or code == errno.ENOMEM:
        return f"{MEMORY}{f' ({text})' if text else ''}"
    return None


def advice(logs: Iterable[str], *paths: Path) -> list[str]:
    """Lines for what jobs cannot say themselves after a failed run.

    Args:
        logs: Snakemake's, which tell the jobs that were killed.
        paths: what `check` looks at.
    """
    text = "".join(Path(log).read_text(errors="replace") for log in logs)
    killed = re.findall(r"--log (\S+)' died with <Signals\.SIGKILL", text)
    lines = [f"{name}: this job {_KILLED}" for name in dict.fromkeys(killed)]
    try:
        check(*paths)
    except ValueError as error:
        lines.append(str(error))
    return lines


def _line(path: object, code: int) -> str:
    fault, repair = REPAIRS[code]
    return f"{f'{path}: ' if path else ''}{fault}; {repair}"


def _code(error: BaseException) -> int:
    """The number of an error of the operating system; 0 if it is none."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))  # safetensors
    return int(found[1]) if found else 0


def _elsewhere(error: OSError, path: Path) -> bool:
    """Whether the error names a file that has nothing to do with `path`."""
    name = error.filename
    return isinstance(name, str) and Path(name).parent != Path(path).parent
