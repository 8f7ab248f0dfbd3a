"""Downloads and the hub's cache are shared by checkouts and hosts, with real processes."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import Hub, Server, packed, serving, sha256
from loopback_stage import MACHINE, block
from small_disks import remount, small_disk

from slamflow import files
from slamflow.tables import downloads as downloads_table

ROOT = Path(__file__).parents[2]
CONTENT = {"one.wav": random.Random(1).randbytes(40_000), "two.txt": b"two\n"}
# A host of its own, where one is named, whose locks nobody else sees.
FETCH = """
import runpy, socket, sys
from slamflow import lease
host, *sys.argv = sys.argv[1:]
if host:
    socket.sethostname(host)
    lease.INTERVAL, lease.PATIENCE = 0.1, 0.5
runpy.run_path(sys.argv[0], run_name="__main__")
"""
CACHED = """
import sys
from slamflow import pretrained
print(pretrained.fetch({"model": "people/model", "revision": None}, {}))
"""
Process = subprocess.Popen[str]
_started: list[Process] = []


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        server.files["/corpus.tar.gz"] = packed(CONTENT)
        yield server


class Checkout:
    """A checkout's stage `fetch_download`, with a `data_root` that it shares with others."""

    def __init__(self, folder: Path, root: Path) -> None:
        for part in ("src", "workflow_scripts"):
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        self.folder, self.root = folder, root
        self.manifest = folder / "thing.parquet"

    def fetch(self, server: Server, host: str = "") -> Process:
        if host:
            (self.root / "downloads" / ".thing.lock").unlink(missing_ok=True)
        options = {
            "--name": "thing",
            "--manifest": str(self.manifest),
            "--config": json.dumps(block(server)),
            "--machine": json.dumps({"data_root": str(self.root), **MACHINE}),
            "--log": str(self.folder / "log"),
        }
        arguments = [part for option in options.items() for part in option]
        script = str(self.folder / "workflow_scripts" / "fetch_download.py")
        return python(self.folder / "src", FETCH, host, script, *arguments, host=host)

    def succeeds(self, process: Process) -> None:
        _, lines = process.communicate(timeout=60)
        assert process.returncode == 0, lines
        rows = files.read_table(self.manifest, downloads_table.SCHEMA).to_pylist()
        found = {row["path"]: row["sha256"] for row in rows}
        assert found == {f"downloads/thing/{name}": sha256(each) for name, each in CONTENT.items()}
        for path, digest in found.items():
            assert files.sha256(self.root / path) == digest
        left = {path.name for path in (self.root / "downloads").iterdir()}
        assert left - {".thing.lock"} == {"thing"}


def python(source: Path, code: str, *arguments: str, host: str = "", **variables: str) -> Process:
    command = ["unshare", "--uts"] if host else []
    dropped = ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_HUB_CACHE")
    inherited = {name: value for name, value in os.environ.items() if name not in dropped}
    process = subprocess.Popen(
        [*command, sys.executable, "-c", code, *arguments],
        env=inherited | {"PYTHONPATH": str(source), "NO_PROXY": "127.0.0.1"} | variables,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _started.append(process)
    return process


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """No process outlives its test."""
    yield
    while _started:
        process = _started.pop()
        process.kill()
        process.wait()


@pytest.fixture
def checkouts(tmp_path: Path) -> list[Checkout]:
    """Two of them."""
    return [Checkout(tmp_path / name, tmp_path / "data") for name in ("one", "two")]


def told(process: Process) -> str:
    """The next line of its errors; none if it takes too long."""
    assert process.stderr
    watch = threading.Timer(30, process.kill)
    watch.start()
    try:
        return process.stderr.readline().strip()
    finally:
        watch.cancel()


def wait(process: Process, look: Callable[[], object]) -> None:
    end = time.monotonic() + 60
    while not look():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.002)


def test_two_checkouts_at_once(checkouts: list[Checkout], server: Server) -> None:
    server.pace = 0.01
    processes = [checkout.fetch(server) for checkout in checkouts]
    for checkout, process in zip(checkouts, processes, strict=True):
        checkout.succeeds(process)
    assert len(server.asked) == 2  # for the size, and for the file
    assert server.sent < len(server.files["/corpus.tar.gz"]) + 5_000


@pytest.mark.parametrize("hosts", [("", ""), ("one", "two")], ids=["one host", "two hosts"])
def test_a_killed_one_is_taken_over(
    checkouts: list[Checkout], server: Server, hosts: tuple[str, str]
) -> None:
    if any(hosts) and os.geteuid():
        pytest.skip("only root may rename a host")
    server.pace = 0.1
    first = checkouts[0].fetch(server, hosts[0])
    wait(first, lambda: server.sent > 10_000)
    second = checkouts[1].fetch(server, hosts[1])
    line = told(second)
    name = ".thing.lease" if any(hosts) else ".thing.lock"
    assert f"{name}: waiting for another job that fetches this download" in line
    first.kill()
    first.communicate()
    server.pace = 0.001
    if any(hosts):
        assert "gave no sign of life" in told(second)
    checkouts[1].succeeds(second)
    assert server.sent < len(server.files["/corpus.tar.gz"]) + 15_000  # it went on where it was


def test_what_is_there_is_used_where_nothing_can_be_written(
    checkouts: list[Checkout], server: Server
) -> None:
    """A folder of data that an administrator has filled."""
    with small_disk(checkouts[0].root, "4m"):
        checkouts[0].succeeds(checkouts[0].fetch(server))
        remount(checkouts[0].root, "ro")
        checkouts[1].succeeds(checkouts[1].fetch(server))
    assert len(server.asked) == 2


def test_one_cache_of_the_hub(tmp_path: Path) -> None:
    """Two jobs that want the same model: one fetches it, and when it is killed, the other does."""
    weights = random.Random(2).randbytes(60_000)
    with serving(Server()) as cdn, serving(Hub(cdn, "people/model", "model")) as hub:
        assert isinstance(hub, Hub)
        hub.add("config.json", b"{}")
        hub.add("model.safetensors", weights, large=True)
        cdn.pace = 0.5
        variables = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.address}
        jobs = [python(ROOT / "src", CACHED, **variables) for _ in range(2)]
        wait(jobs[0], lambda: [*map(resolved, hub.asked)].count(True) == 2 and cdn.sent)
        time.sleep(0.3)
        assert fetched(cdn) == 1
        fetching = [job for job in jobs if any(map(incomplete, opened(job)))]
        assert len(fetching) == 1
        fetching[0].kill()
        cdn.pace = 0.001
        (other,) = set(jobs) - set(fetching)
        lines, errors = other.communicate(timeout=60)
        assert other.returncode == 0, errors
        assert Path(lines.split()[-1], "model.safetensors").read_bytes() == weights
        assert fetched(cdn) == 2


def resolved(asked: tuple[str, str, dict[str, str]]) -> bool:
    """Whether a job asks the hub where the weights are."""
    return asked[1].endswith("/model.safetensors")


def fetched(cdn: Server) -> int:
    """How many times the weights were asked for."""
    return [method for method, _, _ in cdn.asked].count("GET")


def incomplete(name: str) -> bool:
    return name.endswith(".incomplete")


def opened(process: Process) -> list[str]:
    """The files that a process has open."""
    return [os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir()]
