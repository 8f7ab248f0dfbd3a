"""What comes from the hub is the pinned commit's, checked, and nobody hears the token."""

import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from loopback import Hub, Reply, Server, serving
from loopback_stage import Stage

from slamflow import files
from slamflow.tables import downloads as downloads_table

CONTENT = {
    "README.md": b"# stories\n",
    "data/0.parquet": random.Random(0).randbytes(150_000),
    "data/1.parquet": random.Random(1).randbytes(120_000),
    "empty": b"",
    "notes.txt": random.Random(2).randbytes(5_000),
}
DATA = {path: content for path, content in CONTENT.items() if path.startswith("data/")}
TOKEN = "hf_TopSecretTokenOfTheTest"


@pytest.fixture
def cdn() -> Iterator[Server]:
    with serving(Server()) as server:
        yield server


@pytest.fixture
def hub(cdn: Server) -> Iterator[Hub]:
    with serving(Hub(cdn)) as server:
        assert isinstance(server, Hub)
        for path, content in CONTENT.items():
            server.add(path, content, large=path in DATA)
        yield server


@pytest.fixture
def stage(stage: Stage, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    return stage


def block(**changes: Any) -> dict[str, Any]:
    block = {"kind": "huggingface", "repository": "people/stories", "type": "dataset"}
    return {**block, "revision": "main", "patterns": None, **changes}


def address(content: bytes, cdn: Server) -> str:
    return next(path for path, found in cdn.files.items() if found == content)


@pytest.mark.parametrize("kind", ["dataset", "model", "space"])
@pytest.mark.parametrize("revision", ["main", Hub.commit])
def test_all_files(stage: Stage, hub: Hub, kind: str, revision: str) -> None:
    hub.kind = kind
    stage.succeeds(block(type=kind, revision=revision), CONTENT)
    assert json.loads((stage.folder / ".slamflow.json").read_text())["commit"] == hub.commit
    before = len(hub.asked)
    stage.succeeds(block(type=kind, revision=revision), CONTENT)
    assert len(hub.asked) == before


def test_patterns(stage: Stage) -> None:
    line = stage.fails(block(patterns=["data/*.parquet", "*.flac"]))
    assert "people/stories: none of its 5 files matches '*.flac'; mend `patterns`" in line
    stage.succeeds(block(patterns=["data/*.parquet"]), DATA)


def test_the_token_is_used_and_kept_secret(stage: Stage, hub: Hub, cdn: Server) -> None:
    hub.token = TOKEN
    line = stage.fails(block())
    assert f"(401); accept its terms at {hub.address}/datasets/people/stories and set" in line
    stage.patch.setenv("HF_TOKEN", "hf_WrongTokenOfTheTest")
    line = stage.fails(block())
    assert "check that the token in HF_TOKEN may read it" in line and "hf_Wrong" not in line
    assert len(hub.asked) == 2  # a refusal is not asked again
    stage.patch.setenv("HF_TOKEN", TOKEN)
    stage.succeeds(block(), CONTENT)
    assert cdn.asked and all("authorization" not in headers for _, _, headers in cdn.asked)
    written = [path.read_bytes() for path in stage.work.rglob("*") if path.is_file()]
    assert written and not any(b"hf_" in content for content in written)


def test_a_gated_repository(stage: Stage, hub: Hub) -> None:
    hub.gated = True
    line = stage.fails(block())
    assert "(403); accept its terms at" in line and "HF_TOKEN" in line


def test_unknown_names(stage: Stage) -> None:
    line = stage.fails(block(revision="v9"))
    assert "people/stories: has no revision 'v9'" in line
    assert "there is no such dataset" in stage.fails(block(repository="people/none"))


@pytest.mark.parametrize("seed", range(3))
def test_goes_on_after_breaks(stage: Stage, cdn: Server, seed: int) -> None:
    rng = random.Random(seed)
    for path, content in cdn.files.items():
        breaks = sorted(rng.randrange(len(content)) for _ in range(5))
        cdn.faults[path] = [b - a for a, b in zip([0, *breaks], breaks, strict=False)]
    stage.succeeds(block(), CONTENT)
    assert cdn.sent == sum(map(len, DATA.values()))


@pytest.mark.parametrize("seed", range(2))
def test_goes_on_after_a_kill(stage: Stage, hub: Hub, cdn: Server, seed: int) -> None:
    total = sum(map(len, DATA.values()))
    wanted = random.Random(seed).randrange(5_000, total // 2)
    cdn.pace = 0.002
    stage.killed(block(), lambda: stage.arrived() >= wanted)
    cdn.pace = 0.0
    cdn.asked.clear()
    hub.revisions["main"] = "6" * 40  # the branch moves on, the download stays with its commit
    stage.succeeds(block(), CONTENT)
    assert json.loads((stage.folder / ".slamflow.json").read_text())["commit"] == hub.commit
    ranges = [headers.get("range", "bytes=0-") for _, _, headers in cdn.asked]
    assert sum(int(asked[6:-1]) for asked in ranges) >= wanted


def test_waits_and_tries_again(stage: Stage, hub: Hub, cdn: Server) -> None:
    wait = Reply(429, b"", {"RateLimit": '"api";r=0;t=1'})
    hub.faults["/api/datasets/people/stories/revision/main"] = [wait, Reply(500)]
    hub.faults[f"/datasets/people/stories/resolve/{hub.commit}/README.md"] = [Reply(503)]
    cdn.faults[address(DATA["data/0.parquet"], cdn)] = [Reply(500), Reply(500)]
    start = time.monotonic()
    stage.succeeds(block(), CONTENT)
    assert time.monotonic() - start > 1


def test_errors_for_ever(stage: Stage, hub: Hub, cdn: Server) -> None:
    cdn.forever[address(DATA["data/0.parquet"], cdn)] = Reply(500)
    assert "data/0.parquet answered 500 Internal Server Error, 4 times" in stage.fails(block())
    hub.forever["/api/datasets/people/stories/revision/main"] = Reply(500)
    (stage.partial / "commit").unlink()
    host = hub.address.removeprefix("http://")
    assert f"{host} answered 500 Internal Server Error, 4 times" in stage.fails(block())


def test_waits_too_long(stage: Stage, hub: Hub, cdn: Server) -> None:
    later = Reply(429, b"", {"Retry-After": "7200"})
    for server, path in (
        (hub, "/api/datasets/people/stories/revision/main"),
        (cdn, address(DATA["data/0.parquet"], cdn)),
    ):
        server.forever[path] = later
        line = stage.fails(block())
        assert "asks to wait for 2.0 hours; run again after that" in line
        del server.forever[path]


def test_a_file_that_is_not_what_the_hub_says(stage: Stage, cdn: Server) -> None:
    path = address(DATA["data/1.parquet"], cdn)
    right, cdn.files[path] = cdn.files[path], bytes(120_000)
    line = stage.fails(block())
    assert "data/1.parquet: its sha256 is" in line and path[1:] in line
    assert not list(stage.partial.rglob("*1.parquet*"))
    cdn.files[path] = right
    stage.succeeds(block(), CONTENT)


def test_a_small_file_that_is_not_what_the_hub_says(stage: Stage, hub: Hub) -> None:
    path = f"/datasets/people/stories/resolve/{hub.commit}/README.md"
    hub.faults[path] = [Reply(200, b"# storeys\n")]
    assert "README.md: its git is" in stage.fails(block())


def test_no_network(stage: Stage, hub: Hub) -> None:
    hub.server_close()
    line = stage.fails(block())
    host = hub.address.removeprefix("http://")
    assert f"{host} cannot be reached (Connection refused)" in line
    assert f"put the files into {stage.folder} by hand" in line


def test_offline(stage: Stage) -> None:
    stage.patch.setenv("HF_HUB_OFFLINE", "1")  # read by huggingface_hub when it is imported
    process = stage.start(block())
    assert process.wait(20) == 1
    lines = stage.capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and "people/stories: HF_HUB_OFFLINE is set; unset it" in lines[0]
    assert "times" not in lines[0] and "network" not in lines[0]
    assert not stage.folder.exists() and not stage.manifest.exists()


def test_put_in_place_by_hand(stage: Stage, hub: Hub) -> None:
    for path in ("data/0.parquet", ".cache/huggingface/download/data/0.parquet.metadata"):
        (stage.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (stage.folder / path).write_bytes(b"PAR1")
    status, lines = stage.run(block())
    assert status == 0 and "1 files were put here by hand" in lines[0]
    table = files.read_table(stage.manifest, downloads_table.SCHEMA)
    assert table["path"].to_pylist() == ["downloads/thing/data/0.parquet"] and not hub.asked


def test_paths_that_lead_out(stage: Stage, hub: Hub) -> None:
    hub.add("../../evil", b"x")
    assert "refused, '../../evil' leads out of its folder" in stage.fails(block())
    assert not (stage.root / "evil").exists()
