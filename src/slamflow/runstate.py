"""The state of a stage that runs for long: a kill at any moment loses minutes at most.

A state folder, `results/state/{rule}/{name}/`, holds

    owner.lock   host, process and start of the one job that may work here
    ranks.lock   held by the ranks of that job while they live
    identity.json                  the block and the digests of the inputs: what is being made
    checkpoints/{step}/            complete ones only, the last two
    finished/                      hard links to the outputs, after success, and their code

The identity holds neither the code nor the machine: an unfinished run goes on under other code,
on other hardware, with other ranks. A finished one is believed only with equal code.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from slamflow import files, folders, identities, logs

KEPT = 2  # complete checkpoints
MARKER = "complete.json"  # in a checkpoint: the size of each file
MANIFEST = "manifest.json"  # in finished/: the code, and size and SHA-256 of each file
LAST = "model.safetensors"  # of several outputs, the one that says that all are there


class _Checkpoints:
    """The checkpoints in a state folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.checkpoints = self.folder / "checkpoints"

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


class RunState(_Checkpoints):
    """The state of one job; inside `with`, no other copy of the job works.

    A copy that finds another one says so in one line and waits for it, and for ranks that a
    killed one left behind. If the folder belongs to another block or other inputs, it is said
    which, and all is discarded.
    """

    def __init__(
        self, folder: Path, block: dict[str, Any] | str, inputs: Sequence[Path], code: str
    ) -> None:
        """Prepare; nothing is read or written before `with`.

        Args:
            folder: the state folder.
            block: the block that the job is made from, or its JSON; no machine settings.
            inputs: the input files, in a fixed order; their content counts, not their place.
            code: the code digest.
        """
        super().__init__(folder)
        self.block = json.loads(block) if isinstance(block, str) else block
        self.inputs = [Path(path) for path in inputs]
        self.code = code
        self.finished = self.folder / "finished"
        self.lock = -1

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock = folders.locked(
            self.folder / "owner.lock", fcntl.LOCK_EX, "another copy of this job"
        )
        os.truncate(self.lock, 0)
        start = time.strftime("%Y-%m-%d %H:%M:%S")
        os.pwrite(self.lock, f"{socket.gethostname()} {os.getpid()} {start}\n".encode(), 0)
        try:
            folders.unlock(
                folders.locked(self.folder / "ranks.lock", fcntl.LOCK_EX, "ranks of a killed job")
            )
            self._identify()
        except BaseException:
            folders.unlock(self.lock)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        folders.unlock(self.lock)

    def origin(self) -> dict[str, Any]:
        """What the job is made from: `code` (its digest) and `inputs` (path -> SHA-256)."""
        identity = json.loads((self.folder / "identity.json").read_text(encoding="utf-8"))
        inputs = {entry["path"]: entry["sha256"] for entry in identity["inputs"]}
        return {"code": self.code, "inputs": inputs}

    def restore(self, outputs: Mapping[str, Path]) -> bool:
        """Link finished outputs back to their places, if this very code finished them.

        Else what is finished is discarded, with all checkpoints: from a finished run nothing is
        resumed.

        Args:
            outputs: name -> path of each output; the same names as given to `finish`.

        Returns:
            Whether all outputs are in their places, and the job has nothing left to do.
        """
        if not self.finished.exists():
            return False
        fault = self._fault(outputs)
        if fault:
            logs.info(f"{self.finished}: not used, since {fault}; starting anew")
            folders.remove(self.checkpoints)
            folders.remove(self.finished)
            return False
        for name in _in_order(outputs):
            with files.replacing(outputs[name]) as temporary:
                folders.link(self.finished / name, temporary)
                os.utime(temporary)  # an output must be newer than its inputs
        logs.info(f"{self.finished}: made by an earlier run from the same inputs and code; linked")
        return True

    def finish(self, outputs: Mapping[str, Path]) -> None:
        """Keep the finished outputs as hard links, and drop the checkpoints."""
        temporary = self.folder / ".finished.tmp"
        folders.remove(temporary)
        temporary.mkdir()
        manifest: dict[str, Any] = {"code": self.code, "files": {}}
        for name in _in_order(outputs):
            assert name == Path(name).name != MANIFEST, name
            folders.link(Path(outputs[name]), temporary / name)
            manifest["files"][name] = _fingerprint(temporary / name)
        files.write_json(manifest, temporary / MANIFEST)
        folders.sync(temporary)
        folders.remove(self.finished)
        temporary.rename(self.finished)
        folders.sync_one(self.folder)
        folders.remove(self.checkpoints)

    def _fault(self, outputs: Mapping[str, Path]) -> str | None:
        """Why the finished outputs cannot be used."""
        manifest = _read_json(self.finished / MANIFEST)
        if manifest is None:
            return f"{MANIFEST} cannot be read"
        if manifest["code"] != self.code:
            return "other code made it"
        if set(manifest["files"]) != set(outputs):
            return "it has other outputs"
        for name, fingerprint in manifest["files"].items():
            path = self.finished / name
            if not path.is_file() or _fingerprint(path) != fingerprint:
                return f"{name} is missing or damaged"
        return None

    def _identify(self) -> None:
        """Discard what has another identity, and remainders of broken writing."""
        for pattern in (".*.tmp", ".*.removed"):
            for path in [*self.folder.glob(pattern), *self.checkpoints.glob(pattern)]:
                folders.remove(path)
        inputs = [{"path": str(path), "sha256": files.sha256(path)} for path in self.inputs]
        identity = json.loads(json.dumps({"block": self.block, "inputs": inputs}))
        old = _read_json(self.folder / "identity.json")
        differences = (
            identities.differences(old, identity) if old else ["its identity.json is unreadable"]
        )
        kept = [path for path in (self.checkpoints, self.finished) if path.exists()]
        if differences and kept:
            logs.say(f"{self.folder}: starting anew, since {'; '.join(differences)}")
        for path in kept if differences else []:
            folders.remove(path)
        if differences:
            files.write_json(identity, self.folder / "identity.json")


class Follow(_Checkpoints):
    """The checkpoints of a job as its ranks see them; marks the rank as alive until it ends.

    Call `die_with` before, so that a rank whose launcher is dead never comes this far.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.lock = folders.locked(
            self.folder / "ranks.lock", fcntl.LOCK_SH, "the start of another job"
        )

    def close(self) -> None:
        """Count as dead from now on; the end of the process does the same."""
        folders.unlock(self.lock)


def die_with(pid: int) -> None:
    """End this process by SIGKILL as soon as process `pid` is gone, from a thread.

    For ranks, whose launcher's launcher may be killed: nothing in between need pass it on.
    """

    def wait() -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll()
        os.kill(os.getpid(), signal.SIGKILL)

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=wait, name="die_with", daemon=True).start()


def _is_complete(checkpoint: Path) -> bool:
    sizes = _read_json(checkpoint / MARKER)
    if sizes is None:
        return False
    paths = {checkpoint / name: size for name, size in sizes.items()}
    return all(path.is_file() and path.stat().st_size == size for path, size in paths.items())


def _in_order(outputs: Mapping[str, Path]) -> list[str]:
    return sorted(outputs, key=lambda name: (name == LAST, name))


def _fingerprint(path: Path) -> dict[str, Any]:
    return {"size": path.stat().st_size, "sha256": files.sha256(path)}


def _read_json(path: Path) -> Any:
    """The content of a JSON file; None if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
