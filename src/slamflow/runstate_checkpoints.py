"""Checkpoints of a running stage: only complete ones count, the last two are kept."""

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from slamflow import disks, files, folders, lease, logs, seals

KEPT = 2  # complete checkpoints
MARKER = "complete.json"  # in a checkpoint: size and SHA-256 of each file


class Checkpoints:
    """The checkpoints in a state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.checkpoints = self.folder / "checkpoints"
        self.lease = self.folder / "owner.lease"
        self.owner: str | None = None  # the key of its lease

    def check(self) -> None:
        """End this process if another copy of its job has become the owner."""
        lease.check(self.lease, self.owner)

    def latest(self) -> tuple[int, Path] | None:
        """Step and folder of the newest complete checkpoint, if there is one.

        One whose content is not what was written is passed over, with a line that says so.
        """
        for step, path in reversed(self._complete()):
            if (name := _damaged(path)) is None:
                return step, path
            logs.say(f"{path / name}: damaged, so this checkpoint is not used")
        return None

    @contextlib.contextmanager
    def checkpoint_folder(self, step: int) -> Iterator[Path]:
        """Yield an empty folder to fill; on success it is the checkpoint of `step`.

        It is on the disk before it has its name. Older ones go, but for the last two, and so do
        later ones: the job would have gone on from them if they were whole. To be called by one
        process of a job only.
        """
        final = self.checkpoints / f"{step:09d}"
        temporary = self.checkpoints / f".{final.name}.tmp"
        with disks.writing(final):
            folders.remove(temporary)
            temporary.mkdir(parents=True)
            try:
                yield temporary
                paths = [path for path in temporary.rglob("*") if path.is_file()]
                with ThreadPoolExecutor() as pool:
                    found = pool.map(fingerprint, paths)
                    folders.sync(temporary)  # at the same time: the job stands still meanwhile
                names = [str(path.relative_to(temporary)) for path in paths]
                contents = dict(zip(names, found, strict=True))
                (temporary / MARKER).write_text(json.dumps(seals.sealed(contents)))
                folders.sync_one(temporary / MARKER)
                folders.sync_one(temporary)
                self.check()
                folders.remove(final)
                temporary.rename(final)
                folders.sync_one(self.checkpoints)
            finally:
                folders.remove(temporary)
        kept = [path for saved, path in self._complete() if saved <= step][-KEPT:]
        for path in set(self.checkpoints.iterdir()).difference(kept):
            folders.remove(path)

    def _complete(self) -> list[tuple[int, Path]]:
        found = sorted(self.checkpoints.glob("[0-9]*"))
        return [(int(path.name), path) for path in found if _is_complete(path)]


def fingerprint(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file."""
    return {"size": path.stat().st_size, "sha256": files.sha256(path)}


def _is_complete(checkpoint: Path) -> bool:
    """Whether all files are there with their sizes; quick."""
    contents = _contents(checkpoint)
    return contents is not None and all(
        path.is_file() and path.stat().st_size == found["size"] for path, found in contents.items()
    )


def _damaged(checkpoint: Path) -> str | None:
    """The name of a file of a complete checkpoint that is not what was written."""
    for path, found in (_contents(checkpoint) or {}).items():
        if "sha256" in found and found != fingerprint(path):
            return str(path.relative_to(checkpoint))
    return None


def _contents(checkpoint: Path) -> dict[Path, dict[str, Any]] | None:
    found = read_json(checkpoint / MARKER)
    if found is None:
        return None
    older = {name: {"size": it} for name, it in found.items() if isinstance(it, int)}
    return {checkpoint / name: it for name, it in (found | older).items()}


def read_json(path: Path) -> Any:
    """The object in a JSON file; None if it is missing or damaged."""
    try:
        return seals.opened(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
