"""Which GPUs a process may use, and who of this host's jobs has which: never two the same.

Snakemake counts GPUs and does not assign them, and what an earlier Snakemake left behind it does
not even count. So a job locks the GPUs that it takes, and its ranks lock them, too.
"""

import contextlib
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

from slamflow import device_locks, folders, logs

VISIBLE = "CUDA_VISIBLE_DEVICES"
DEVICES = Path("/dev")
PAUSE = 1.0  # seconds between two looks at what is free, about

_kept: list[str] = []  # by this process, until it ends


def visible() -> list[str]:
    """The GPUs this process may use, without loading their libraries.

    Each by its name in CUDA_VISIBLE_DEVICES: an index or a UUID.
    """
    named = os.environ.get(VISIBLE)
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip() not in ("", "-1")]
    # as CUDA counts those that it sees
    return [str(index) for index, _ in enumerate(DEVICES.glob("nvidia[0-9]*"))]


def found() -> bool:
    """Whether there are GPUs for `device: auto`.

    On a host without a driver CUDA_VISIBLE_DEVICES may be a leftover, of another one's shell.
    """
    nodes = [*DEVICES.glob("nvidia[0-9]*"), DEVICES / "nvidiactl", DEVICES / "dxg"]
    return bool(visible()) and any(node.exists() for node in nodes)


@contextlib.contextmanager
def taken(count: int) -> Iterator[None]:
    """Inside, this process has `count` GPUs, and CUDA_VISIBLE_DEVICES names no others.

    All of them or none: while it waits, and says for whom in one line, it holds no other job up.
    What it keeps already counts. Its ranks call `join`.

    Raises:
        ValueError: fewer can be seen, or a lock cannot be used.
    """
    names = visible()
    if count > len(names):
        raise ValueError(f"{count} GPUs are needed, and {VISIBLE} has {len(names)}")
    assert not _kept or count <= len(_kept), "who keeps some and waits for more may wait for ever"
    held = {} if _kept else _waited(names, count)
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = ",".join(list(held) or names[:count])
    try:
        yield
    finally:
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before
        for descriptor in held.values():
            folders.unlock(descriptor)


def keep(count: int) -> None:
    """Have `count` GPUs, or all if there are fewer, until this process ends.

    To be called before CUDA is initialised, which reads CUDA_VISIBLE_DEVICES.

    Raises:
        ValueError: a lock cannot be used.
    """
    names = visible()
    if names and not _kept:
        _kept.extend(_waited(names, min(count, len(names))))
        os.environ[VISIBLE] = ",".join(_kept)


def join() -> None:
    """Have, as a rank, the GPUs that its job has taken, until the rank ends, too.

    Raises:
        RuntimeError: the job is dead, and another one has them.
        ValueError: a lock cannot be used.
    """
    for name in visible():
        if device_locks.share(name) is None:
            raise RuntimeError(f"GPU {name} was taken by another job, since this one is dead")
        _kept.append(name)


def _waited(names: list[str], count: int) -> dict[str, int]:
    """`count` of the GPUs, locked: their descriptors."""
    said = False
    while (held := _tried(names, count)) is None:
        others = [f"{name}: {who}" for name in names if (who := device_locks.holder(name))]
        if others and not said:
            wanted = "a GPU" if count == 1 else f"{count} GPUs"
            logs.say(f"waiting for {wanted} ({'; '.join(others)})")
            said = True
        time.sleep(PAUSE * random.uniform(0.5, 1.5))
    return held


def _tried(names: list[str], count: int) -> dict[str, int] | None:
    """`count` of the GPUs, if so many are free now.

    All try in the same order, and give up as soon as too few are left: of several that try at
    the same time, one succeeds.
    """
    held: dict[str, int] = {}
    for left, name in zip(range(len(names), 0, -1), names, strict=True):
        if len(held) == count or len(held) + left < count:
            break
        descriptor = device_locks.take(name)
        if descriptor is not None:
            held[name] = descriptor
    if len(held) == count:
        return held
    for descriptor in held.values():
        folders.unlock(descriptor)
    return None
