"""Small disks of their own, in memory: full, read-only."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk of `size`, as in `24m`, at the folder `folder`; only root may."""
    if os.geteuid():
        pytest.skip("only root may mount a disk")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)])
    if done.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    """Change a mounted disk: `size=80m`, `ro`, `rw`."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)
