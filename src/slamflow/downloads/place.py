"""The folder in which a download is made before it has its name."""

import concurrent.futures
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slamflow import files, folders
from slamflow.downloads import retrying

RECORD = ".slamflow.json"  # what a finished folder is

Row = tuple[str, int, str]  # path below the download's folder, bytes, sha256


@dataclass(frozen=True)
class Place:
    """Where and how a download is made: `{partial}/files` is what will have its name."""

    partial: Path
    label: str  # of progress
    connections: int = 4
    patience: retrying.Patience = field(default_factory=retrying.Patience)
    check: Callable[[], None] = lambda: None  # ends this process if another one has taken over

    @property
    def files(self) -> Path:
        """The folder that will have the download's name."""
        return self.partial / "files"

    @property
    def block(self) -> Path:
        """The file with the block; what is made without it has only been begun."""
        return self.partial / "block.json"

    @property
    def before(self) -> Path:
        """A finished folder while the one that takes its place gets its name."""
        return self.partial / "before"


def described(folder: Path, paths: Iterable[str], threads: int) -> list[Row]:
    """Rows of files below `folder`, sorted by path; each file is on the disk, too."""

    def describe(path: str) -> Row:
        folders.sync_one(folder / path)
        return path, (folder / path).stat().st_size, files.sha256(folder / path)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return sorted(pool.map(describe, paths))


def walked(folder: Path, follow: bool = False) -> list[str]:
    """Paths of all files below `folder`, relative to it; of linked folders, too, if `follow`."""
    found = []
    for parent, _, names in os.walk(folder, followlinks=follow):
        paths = [Path(parent, name) for name in names]
        found += [str(path.relative_to(folder)) for path in paths if path.is_file()]
    return sorted(path for path in found if path != RECORD)


def all_done(actions: Sequence[Callable[[], None]], place: Place) -> None:
    """Do several things at the same time; the first failure ends the others and is raised."""
    with concurrent.futures.ThreadPoolExecutor(place.connections) as pool:
        running = [pool.submit(action) for action in actions]
        try:
            for future in concurrent.futures.as_completed(running):
                future.result()
        except BaseException:
            place.patience.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
