"""Archives come whole and right, or not at all, whatever the network does."""

import email.utils
import hashlib
import json
import random
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from loopback import Reply, Server, packed, serving, zipped
from loopback_stage import Stage, block

CONTENT = {
    "corpus/README": b"speech\n",
    "corpus/one/1.flac": random.Random(1).randbytes(150_000),
    "corpus/two/2.flac": random.Random(2).randbytes(120_000),
    "corpus/two/empty": b"",
}


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        server.files["/corpus.tar.gz"] = packed(CONTENT)
        yield server


def pinned(server: Server, algorithm: str = "sha256") -> dict[str, Any]:
    digest = hashlib.new(algorithm, server.files["/corpus.tar.gz"]).hexdigest()
    return block(server, checksum=f"{algorithm}:{digest}")


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz", "zip"])
def test_every_packing_by_its_content(stage: Stage, server: Server, mode: str) -> None:
    server.files["/get"] = zipped(CONTENT) if mode == "zip" else packed(CONTENT, mode)
    stage.succeeds(block(server, "get"), CONTENT)


def test_weights_that_are_a_zip_inside_are_kept_whole(stage: Stage, server: Server) -> None:
    server.files["/vocoder.pt"] = zipped(CONTENT)
    stage.succeeds(block(server, "vocoder.pt"), {"vocoder.pt": server.files["/vocoder.pt"]})


@pytest.mark.parametrize("seed", range(4))
def test_goes_on_after_breaks(stage: Stage, server: Server, seed: int) -> None:
    rng = random.Random(seed)
    size = len(server.files["/corpus.tar.gz"])
    breaks = sorted(rng.randrange(size) for _ in range(6))
    steps = [b - a for a, b in zip([0, *breaks], breaks, strict=False)]
    server.faults["/corpus.tar.gz"] = [0, *steps]  # the first request asks for the size
    stage.succeeds(pinned(server), CONTENT)
    assert server.sent == size  # no byte came twice


@pytest.mark.parametrize("seed", range(2))
def test_goes_on_after_a_kill(stage: Stage, server: Server, seed: int) -> None:
    size = len(server.files["/corpus.tar.gz"])
    wanted = random.Random(seed).randrange(1, size - 30_000)
    server.pace = 0.001
    stage.killed(pinned(server), lambda: stage.arrived() >= wanted)
    server.pace = 0.0
    before = len(server.asked)
    stage.succeeds(pinned(server), CONTENT)
    ranges = [headers.get("range", "bytes=0-") for _, _, headers in server.asked[before:]]
    assert max(int(asked[6:-1]) for asked in ranges) >= wanted


def test_killed_while_unpacking(stage: Stage, server: Server) -> None:
    content = {f"{i % 30}/{i}": bytes([i % 256]) * 100 for i in range(300)}
    server.files["/many.tar"] = packed(content, "w:")
    stage.killed(block(server, "many.tar"), lambda: (stage.partial / "unpacking/20").exists())
    server.asked.clear()
    stage.succeeds(block(server, "many.tar"), content)
    assert not server.asked  # the file was there


@pytest.mark.parametrize("validators", [True, False])
def test_a_changed_file_is_not_glued(stage: Stage, server: Server, validators: bool) -> None:
    server.validators = validators
    server.files["/words.csv"] = b"old," * 1000
    server.faults["/words.csv"] = [0, 2000, *[Reply(503)] * 9]
    stage.fails(block(server, "words.csv"))
    assert (stage.partial / "archives/0000/.words.csv.part").stat().st_size == 2000
    server.faults.clear()
    server.files["/words.csv"] = b"new;" * 1000
    stage.succeeds(block(server, "words.csv"), {"words.csv": b"new;" * 1000})


def test_a_server_without_ranges(stage: Stage, server: Server) -> None:
    server.ranges = False
    server.faults["/corpus.tar.gz"] = [0, 1000, 50, 700]
    stage.succeeds(pinned(server), CONTENT)


def test_a_server_that_always_breaks_off_at_the_same_byte(stage: Stage, server: Server) -> None:
    server.ranges = False
    server.faults["/corpus.tar.gz"] = [0] + [1000] * 50
    line = stage.fails(pinned(server))
    assert "broke off" in line and len(server.asked) < 9


@pytest.mark.parametrize("status", [429, 500, 503])
def test_waits_and_tries_again(stage: Stage, server: Server, status: int) -> None:
    soon = email.utils.formatdate(time.time() + 1.5, usegmt=True)  # a date has whole seconds
    after = {429: "1", 500: "", 503: soon}[status]
    server.faults["/corpus.tar.gz"] = [0, Reply(status, b"", {"Retry-After": after}), Reply(status)]
    start = time.monotonic()
    stage.succeeds(pinned(server, "md5"), CONTENT)
    assert time.monotonic() - start > {429: 1, 500: 0, 503: 0.5}[status]


def test_errors_for_ever_and_waits_too_long(stage: Stage, server: Server) -> None:
    server.forever["/corpus.tar.gz"] = Reply(500)
    line = stage.fails(block(server))
    assert "corpus.tar.gz answered 500 Internal Server Error, 4 times" in line
    assert len(server.asked) == 4
    _, lines = stage.run(block(server))
    assert sum("trying again in 0 s" in line for line in lines) == 3  # `retry_wait`
    server.forever["/corpus.tar.gz"] = Reply(429, b"", {"Retry-After": "86400"})
    line = stage.fails(block(server))
    assert "asks to wait for 24.0 hours; run again after that" in line and "mend" not in line


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refusals_are_not_tried_again(stage: Stage, server: Server, status: int) -> None:
    server.forever["/corpus.tar.gz"] = Reply(status)
    line = stage.fails(block(server))
    assert f"/corpus.tar.gz answered {status}" in line and "mend `url`" in line
    assert len(server.asked) == 1


def test_a_wrong_checksum(stage: Stage, server: Server) -> None:
    right = hashlib.sha256(server.files["/corpus.tar.gz"]).hexdigest()
    config = block(server, checksum=f"sha256:{'0' * 64}")
    for _ in range(2):
        server.asked.clear()
        line = stage.fails(config)
        assert right in line and "0" * 64 in line and "removed" in line
        assert not list(stage.partial.rglob("*corpus*"))
        assert len(server.asked) == 2  # for the size, and for the whole file
        assert all("range" not in headers for _, _, headers in server.asked)


def test_no_network(stage: Stage, server: Server) -> None:
    config = block(server)
    server.server_close()
    line = stage.fails(config)
    host = server.address.removeprefix("http://")
    assert f"{host} cannot be reached (Connection refused)" in line and "by hand" in line


def test_put_in_place_by_hand(stage: Stage) -> None:
    (stage.folder / "deep").mkdir(parents=True)
    (stage.folder / "deep/a.wav").write_bytes(b"a")
    (stage.work / "elsewhere").mkdir()
    (stage.work / "elsewhere/b.wav").write_bytes(b"b")
    (stage.folder / "linked").symlink_to(stage.work / "elsewhere")
    archives = [{"url": "http://127.0.0.1:9/a.tar", "checksum": None}]
    config = {"kind": "archive", "archives": archives, "strip": 0}
    for _ in range(2):
        status, lines = stage.run(config)
        assert status == 0, lines
    assert json.loads((stage.folder / ".slamflow.json").read_text())["by_hand"] is True
    assert b"linked/b.wav" in stage.manifest.read_bytes()


def test_adopts_what_is_there(stage: Stage, server: Server) -> None:
    first = stage.succeeds(pinned(server), CONTENT)
    stage.manifest.unlink()
    server.asked.clear()
    assert stage.succeeds(pinned(server), CONTENT) == first
    assert not server.asked
    stage.manifest.unlink()
    line = stage.fails(block(server, strip=1), fetched=True)
    assert f"{stage.folder}: is of a block with other `archives`, `strip`; give this" in line
    (stage.folder / "corpus/README").write_bytes(b"longer than before")
    line = stage.fails(pinned(server), fetched=True)
    assert "corpus/README: has 18 bytes instead of 7; put it back" in line
    (stage.folder / "corpus/README").unlink()
    assert "corpus/README: is missing" in stage.fails(pinned(server), fetched=True)
    assert (stage.folder / "corpus/one/1.flac").exists()  # nothing of the user's is deleted


def test_an_unfinished_download_of_another_block(stage: Stage, server: Server) -> None:
    server.faults["/corpus.tar.gz"] = [0, 2000, *[Reply(503)] * 9]
    stage.fails(block(server))
    server.faults.clear()
    line = stage.fails(block(server, "other.tar"))
    assert f"{stage.partial}: is of a block with other `archives`" in line
    stage.succeeds(block(server), CONTENT)


def test_two_at_the_same_time(stage: Stage, server: Server) -> None:
    server.pace = 0.001
    first = stage.start(pinned(server))
    while not stage.arrived():
        assert first.poll() is None
        time.sleep(0.002)
    status, lines = stage.run(pinned(server))
    assert status == 0 and first.wait(20) == 0
    stage.holds(CONTENT)
    assert len(server.asked) == 2  # for the size, and for the file
    assert any(".thing.lock: waiting for another job" in line for line in lines)


@pytest.fixture
def small(stage: Stage) -> Iterator[Stage]:
    """The stage with its data on a disk of 1 MB."""
    stage.root.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1m", "slamflow-test", str(stage.root)]
    if subprocess.run(["mount", *options], capture_output=True).returncode:
        pytest.skip("cannot mount a small disk")
    try:
        yield stage
    finally:
        subprocess.run(["umount", str(stage.root)], check=True)


def test_too_large_for_the_disk(small: Stage, server: Server) -> None:
    server.files["/big.csv"] = bytes(1_500_000)
    line = small.fails(block(server, "big.csv"))
    assert "needs 1.5 MB and 1.0" in line and str(small.root) in line and "`data_root`" in line
    assert not list(small.partial.rglob("*.part"))


def test_the_disk_fills_up_midway(small: Stage, server: Server) -> None:
    content = random.Random(0).randbytes(1_500_000)
    server.files["/big.csv"] = content
    server.faults["/big.csv"] = [Reply(200, content, {"Content-Length": "", "ETag": '"x"'})] * 2
    line = small.fails(block(server, "big.csv"))
    assert f"{small.root}/downloads: the disk is full (No space left on device" in line
    subprocess.run(["mount", "-o", "remount,size=4m", str(small.root)], check=True)
    server.asked.clear()
    server.faults["/big.csv"] = [0]
    small.succeeds(block(server, "big.csv"), {"big.csv": content})


def test_bombs_larger_than_the_disk(small: Stage, server: Server) -> None:
    zeros = {"a/small": b"1", "a/zeros": bytes(3_000_000)}
    for name, content in {"bomb.zip": zipped(zeros), "bomb.tar.gz": packed(zeros)}.items():
        server.files[f"/{name}"] = content
        line = small.fails(block(server, name))
        assert name in line and "MB" in line and "are free; make room" in line
        assert "refused" not in line
        assert not (small.partial / "unpacking").exists()
        subprocess.run(["rm", "-r", str(small.partial)], check=True)
