"""The state of a stage that runs for long: a kill at any moment loses minutes at most.

A state folder, `results/state/{rule}/{name}/`, holds

    owner.lock   host, process and start of the one job that may work here
    owner.lease  the same for other hosts, which may not see that lock: see `lease`
    ranks.lock   held by the ranks of that job while they live
    identity.json                  the block and the digests of the inputs: what is being made
    checkpoints/{step}/            complete ones only, the last two
    finished/                      hard links to the outputs, after success, and their code

The identity holds neither the code nor the machine: an unfinished run goes on under other code,
on other hardware, with other ranks. A finished one is believed only with equal code.
"""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from slamflow import files, folders, identities, lease, logs, orphans, seals
from slamflow.runstate_checkpoints import Checkpoints, fingerprint, read_json

MANIFEST = "manifest.json"  # in finished/: the code, and size and SHA-256 of each file
LAST = "model.safetensors"  # of several outputs, the one that says that all are there


class RunState(Checkpoints):
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
        self.ownership: lease.Lease | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ownership = lease.Lease(self.folder / "owner.lock", "another copy of this job")
        self.owner = self.ownership.key
        try:
            folders.unlock(
                folders.locked(self.folder / "ranks.lock", fcntl.LOCK_EX, "ranks of a killed job")
            )
            self._identify()
        except BaseException:
            self.release()
            raise
        orphans.outlive_snakemake()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let another copy begin: from now on nothing may be written. Leaving `with` does it."""
        if self.ownership:
            self.ownership.release()
        self.ownership = None

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
        self.check()
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
            manifest["files"][name] = fingerprint(temporary / name)
        files.write_json(seals.sealed(manifest), temporary / MANIFEST)
        folders.sync(temporary)
        self.check()
        folders.remove(self.finished)
        temporary.rename(self.finished)
        folders.sync_one(self.folder)
        folders.remove(self.checkpoints)

    def _fault(self, outputs: Mapping[str, Path]) -> str | None:
        """Why the finished outputs cannot be used."""
        manifest = read_json(self.finished / MANIFEST)
        if manifest is None:
            return f"{MANIFEST} cannot be read"
        if manifest["code"] != self.code:
            return "other code made it"
        if set(manifest["files"]) != set(outputs):
            return "it has other outputs"
        for name, found in manifest["files"].items():
            path = self.finished / name
            if not path.is_file() or fingerprint(path) != found:
                return f"{name} is missing or damaged"
        return None

    def _identify(self) -> None:
        """Discard what has another identity, and remainders of broken writing."""
        for pattern in (".*.tmp", ".*.removed"):
            for path in [*self.folder.glob(pattern), *self.checkpoints.glob(pattern)]:
                folders.remove(path)
        inputs = [{"path": str(path), "sha256": files.sha256(path)} for path in self.inputs]
        identity = json.loads(json.dumps({"block": self.block, "inputs": inputs}))
        old = read_json(self.folder / "identity.json")
        differences = (
            identities.differences(old, identity) if old else ["its identity.json is unreadable"]
        )
        kept = [path for path in (self.checkpoints, self.finished) if path.exists()]
        if differences and kept:
            logs.say(f"{self.folder}: starting anew, since {'; '.join(differences)}")
        for path in kept if differences else []:
            folders.remove(path)
        if differences:
            files.write_json(seals.sealed(identity), self.folder / "identity.json")


class Follow(Checkpoints):
    """The checkpoints of a job as its ranks see them; marks the rank as alive until it ends.

    Call `orphans.die_with` before, so that a rank whose launcher is dead never comes this far.
    """

    def __init__(self, folder: Path, owner: str | None) -> None:
        """Wait for the start of another job, if there is one.

        Args:
            folder: the state folder.
            owner: `owner` of the job's `RunState`: the file may name a successor by now.
        """
        super().__init__(folder)
        self.owner = owner
        self.lock = folders.locked(
            self.folder / "ranks.lock", fcntl.LOCK_SH, "the start of another job"
        )

    def close(self) -> None:
        """Count as dead from now on; the end of the process does the same."""
        folders.unlock(self.lock)


def _in_order(outputs: Mapping[str, Path]) -> list[str]:
    return sorted(outputs, key=lambda name: (name == LAST, name))
