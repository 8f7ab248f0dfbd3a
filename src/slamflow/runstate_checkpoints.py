"""Checkpoints of a running stage: only complete ones count, the last two are kept."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slamflow import disks, folders, lease

KEPT = 2  # complete checkpoints
MARKER = "complete.json"  # in a checkpoint: the size of each file


class Checkpoints:
    """The checkpoints in a state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.checkpoints = self.folder / "checkpoints"
        self.lease = self.folder / "owner.lease"
        self.owner: str | None = None  # see `lease.key`

    def check(self) -> None:
        """End this process if another copy of its job has become the owner."""
        lease.check(self.lease, self.owner)

    def latest(self) -> tuple[int, Path] | None:
        """Step and folder of the newest complete checkpoint, if there is one."""
        complete = self._complete()
        return complete[-1] if complete else None

    @contextlib.contextmanager
    def checkpoint_folder(self, step: int) -> Iterator[Path]:
        """Yield an empty folder to fill; on success it is the checkpoint of `step`.

        It is on the disk before it has its name. Older ones go, but for the last two. To be
        called by one process of a job only.
        """
        final = self.checkpoints / f"{step:09d}"
        temporary = self.checkpoints / f".{final.name}.tmp"
        with disks.writing(final):
            folders.remove(temporary)
            temporary.mkdir(parents=True)
            try:
                yield temporary
                sizes = {
                    str(path.relative_to(temporary)): path.stat().st_size
                    for path in temporary.rglob("*")
                    if path.is_file()
                }
                (temporary / MARKER).write_text(json.dumps(sizes))
                folders.sync(temporary)
                self.check()
                folders.remove(final)
                temporary.rename(final)
                folders.sync_one(self.checkpoints)
            finally:
                folders.remove(temporary)
        kept = {path for _, path in self._complete()[-KEPT:]}
        for path in set(self.checkpoints.iterdir()) - kept:
            folders.remove(path)

    def _complete(self) -> list[tuple[int, Path]]:
        found = sorted(self.checkpoints.glob("[0-9]*"))
        return [(int(path.name), path) for path in found if _is_complete(path)]


def _is_complete(checkpoint: Path) -> bool:
    sizes = read_json(checkpoint / MARKER)
    if sizes is None:
        return False
    paths = {checkpoint / name: size for name, size in sizes.items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


def read_json(path: Path) -> Any:
    """The content of a JSON file; None if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
