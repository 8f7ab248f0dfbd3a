"""One owner at a time, on whichever host: a lock, and beside it a lease that the owner renews.

`flock` is seen at once by all processes of a host, and ends with its process. Other hosts see it
on some file systems only: not on NFS with local locks, nor on Lustre with `localflock`. So the
owner also keeps a file, and changes its content every INTERVAL seconds. A copy on another host
watches that file, and takes over what it has found unchanged in so many looks as there are in
PATIENCE seconds. It counts looks, since clocks of two hosts differ, and since no owner can be seen
to live while the file server or the watcher itself stands still. An owner that was wrongly taken
for dead ends itself.

Where other hosts see the lock, a copy waits for that first: as long as an owner is suspended, and
until the file server gives up the lock of a dead host.

    {name}.lock    host, process and start of the one that has the lock
    {name}.lease   the same and more as JSON; it is removed when its owner ends in order
"""

import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from slamflow import disks, folders, logs

INTERVAL = 10.0  # seconds between two renewals
PATIENCE = 60.0  # seconds of looking without one after which an owner counts as dead


class Lease:
    """The ownership of what lies beside a lock file, from the start until `release`."""

    def __init__(self, lock: Path, holder: str) -> None:
        """Wait for other owners, saying so in one line, and become the owner.

        An owner of this host whose lock is gone is dead, and is not waited for.

        Args:
            lock: `{name}.lock`; created if it is missing.
            holder: who else may be the owner, for the line.

        Raises:
            ValueError: the file system has no locks.
        """
        self.path = lock.with_suffix(".lease")
        self.key = secrets.token_hex(8)
        start = time.strftime("%Y-%m-%d %H:%M:%S")
        self.facts = {**_place(), "process": os.getpid(), "start": start, "key": self.key}
        if job := os.environ.get("SLURM_JOB_ID"):
            self.facts["job"] = job
        self.count = 0
        self.lock = folders.locked(lock, fcntl.LOCK_EX, holder)
        try:
            os.truncate(self.lock, 0)
            os.pwrite(self.lock, f"{socket.gethostname()} {os.getpid()} {start}\n".encode(), 0)
            self.descriptor = self._taken(holder)
        except BaseException:
            self._remove()
            folders.unlock(self.lock)
            raise
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._renewing, name="lease", daemon=True)
        self.thread.start()

    def check(self) -> None:
        """End this process if it is no longer the owner."""
        check(self.path, self.key)

    def release(self) -> None:
        """Let the next copy become the owner at once."""
        self.ended.set()
        self.thread.join()
        self._remove()
        os.close(self.descriptor)
        folders.unlock(self.lock)

    def _taken(self, holder: str) -> int:
        """A descriptor of the lease.

        What is written to it never meets the file of a successor, which is another one.
        """
        while True:
            found = _read(self.path)
            if found is None:
                with contextlib.suppress(FileExistsError):
                    return self._written(self.path)
                continue
            facts = _parsed(found)
            dead = {name: facts.get(name) for name in _place()} == _place()
            if not dead and not _silent(self.path, found, holder):
                continue
            temporary = self.path.with_name(f".{self.path.name.lstrip('.')}.{self.key}.tmp")
            descriptor = self._written(temporary)
            os.replace(temporary, self.path)
            if dead:
                return descriptor
            logs.say(
                f"{self.path}: {_who(facts)} gave no sign of life for {PATIENCE:.0f} s: taken over"
            )
            # Time for that owner to end itself if it lives, and for other copies to claim the
            # same: the last one has it.
            time.sleep(2 * INTERVAL)
            if self._lasts():
                return descriptor
            os.close(descriptor)

    def _written(self, path: Path) -> int:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with disks.writing(self.path):
                self._write(descriptor)
        except BaseException:
            os.close(descriptor)
            path.unlink()
            raise
        return descriptor

    def _write(self, descriptor: int) -> None:
        # Always as long: who reads in the middle of it finds an older or a newer count.
        content = json.dumps({**self.facts, "count": f"{self.count:012}"})
        os.pwrite(descriptor, content.encode(), 0)
        os.fsync(descriptor)

    def _renewing(self) -> None:
        while not self.ended.wait(INTERVAL):
            try:
                self.check()
                self.count += 1
                self._write(self.descriptor)
            except OSError as error:
                logs.info(f"{self.path}: cannot be renewed ({error.strerror})")

    def _remove(self) -> None:
        if self._lasts():
            self.path.unlink()

    def _lasts(self) -> bool:
        found = _read(self.path)
        return found is not None and _parsed(found).get("key") == self.key


def check(path: Path, key: str | None) -> None:
    """End this process, by SIGKILL, if the lease is no longer that of the owner with this key.

    For all that writes what an owner alone may write: it may have been suspended, and another
    copy has taken over.

    Args:
        path: `{name}.lease`.
        key: that of the owner's `Lease`; None: as long as there is no owner.
    """
    found = _read(path)
    facts = _parsed(found) if found is not None else {}
    if facts.get("key") == key:
        return
    whose = f"{_who(facts)} has it now" if found is not None else "it is gone"
    logs.say(f"{path}: {whose}, since this copy stood still; it ends, and writes nothing more")
    os.kill(os.getpid(), signal.SIGKILL)


def _silent(path: Path, found: bytes, holder: str) -> bool:
    """Watch another host's lease: True once it is not renewed, False once it is gone."""
    logs.say(f"{path}: waiting for {holder} ({_who(_parsed(found))})")
    pause, looks = INTERVAL / 5, 0
    while looks <= PATIENCE / pause:
        time.sleep(pause)
        now = _read(path)
        if now is None:
            return False
        looks = looks + 1 if now == found else 0
        found = now
    return True


def _place() -> dict[str, Any]:
    """This host as long as it is up: what sees one and the same lock."""
    boot = ""
    with contextlib.suppress(OSError):  # some sandboxes have none
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return {"host": socket.gethostname(), "boot": boot}


def _read(path: Path) -> bytes | None:
    """The content; the file is opened anew, which is when NFS looks for what others wrote."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _parsed(content: bytes) -> dict[str, Any]:
    """The facts of a lease; none of one that a kill has cut off."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _who(facts: dict[str, Any]) -> str:
    job = f", Slurm job {facts['job']}" if "job" in facts else ""
    place = f"{facts.get('host')}, process {facts.get('process')}{job}, since {facts.get('start')}"
    return place if facts else "unknown"
