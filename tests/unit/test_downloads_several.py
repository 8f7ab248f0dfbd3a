"""Several archives make one folder, and it gets more of them at no cost of the old."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from loopback import Reply, Server, packed, serving, zipped
from loopback_stage import Stage, block

FIRST = {"corpus/a": b"a" * 5000, "corpus/b": b"old", "corpus/deep/c": b""}
SECOND = {"corpus/b": b"newer", "other/d": bytes(100_000)}
BOTH = FIRST | SECOND


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        server.files |= {"/first.tar": packed(FIRST, "w:"), "/second.tar": packed(SECOND, "w:")}
        yield server


def linking(links: Mapping[str, str], *names: str) -> bytes:
    """A tar of symbolic links and empty files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as tar:
        for name in [*links, *names]:
            member = tarfile.TarInfo(name)
            member.type = tarfile.SYMTYPE if name in links else tarfile.REGTYPE
            member.linkname = links.get(name, "")
            tar.addfile(member)
    return buffer.getvalue()


def asked(server: Server) -> set[str]:
    paths = {path for _, path, _ in server.asked}
    server.asked.clear()
    return paths


def test_strip_and_single_files(stage: Stage, server: Server) -> None:
    server.files["/words.csv"] = b"a,b\n"
    server.files["/odd name.json"] = b"{}"
    server.files["/more.zip"] = zipped({"other/a": b"later\n", "other/deep/x.wav": b"x" * 99})
    names = ("first.tar", "words.csv", "odd%20name.json?download=1", "more.zip")
    stage.succeeds(
        block(server, *names, strip=1),
        {
            "a": b"later\n",
            "b": b"old",
            "deep/c": b"",
            "words.csv": b"a,b\n",
            "odd name.json": b"{}",
            "deep/x.wav": b"x" * 99,
        },
    )


def test_finished_archives_are_not_fetched_again(stage: Stage, server: Server) -> None:
    config = block(server, "first.tar", "second.tar")
    server.pace = 0.001
    stage.killed(config, (stage.partial / "archives" / "0001" / ".second.tar.part").exists)
    server.pace = 0.0
    server.asked.clear()
    stage.succeeds(config, BOTH)
    assert asked(server) == {"/second.tar"}


def test_two_single_files_of_one_name(stage: Stage, server: Server) -> None:
    server.files |= {"/old/words.csv": b"old", "/new/words.csv": b"new"}
    stage.succeeds(block(server, "old/words.csv", "new/words.csv"), {"words.csv": b"new"})


def test_killed_before_a_single_file_was_noted(stage: Stage, server: Server) -> None:
    server.files["/words.csv"] = b"a,b\n"
    server.faults["/second.tar"] = [0, *[Reply(503)] * 4]
    config = block(server, "words.csv", "second.tar")
    stage.fails(config)
    (stage.partial / "done/0000.json").unlink()
    assert (stage.partial / "files/words.csv").exists()
    stage.succeeds(config, {"words.csv": b"a,b\n", **SECOND})


@pytest.mark.parametrize("where", ["the second", "a third"])
def test_links_that_lead_out_together(stage: Stage, server: Server, where: str) -> None:
    evil = ["zz/evil.txt"]
    server.files["/one.tar"] = linking({"zz": "d1/d2/d3/../../.."})
    server.files["/two.tar"] = linking(
        {"d1/d2/d3": "../.."}, *evil if where == "the second" else []
    )
    server.files["/three.tar"] = linking({}, *evil)
    line = stage.fails(block(server, "one.tar", "two.tar", "three.tar"))
    assert "/two.tar: refused, 'zz' " in line
    assert not list(stage.work.rglob("evil.txt"))


def test_a_file_behind_a_link_of_another_archive(stage: Stage, server: Server) -> None:
    server.files["/one.tar"] = linking({"latest": "v1"}, "v1/x")
    server.files["/two.tar"] = linking({}, "latest/x")
    line = stage.fails(block(server, "one.tar", "two.tar"))
    assert "/two.tar: refused, 'latest' is a link of an archive before it; give it" in line


def test_a_folder_in_the_place_of_a_file(stage: Stage, server: Server) -> None:
    server.files["/clash.tar"] = packed({"corpus/a/x": b""}, "w:")
    line = stage.fails(block(server, "first.tar", "clash.tar"))
    assert "/clash.tar: does not fit the archives before it" in line


def record(stage: Stage) -> dict[str, Any]:
    found = json.loads((stage.folder / ".slamflow.json").read_text())
    assert isinstance(found, dict)
    return found


def finished(stage: Stage, server: Server) -> int:
    """A finished download of the first archive; the inode of a file."""
    stage.succeeds(block(server, "first.tar"), FIRST)
    stage.manifest.unlink()
    server.asked.clear()
    return (stage.folder / "corpus/a").stat().st_ino


def test_a_finished_download_grows(stage: Stage, server: Server) -> None:
    inode = finished(stage, server)
    (stage.folder / "link").symlink_to("corpus")
    stage.succeeds(block(server, "first.tar", "second.tar"), BOTH)
    assert asked(server) == {"/second.tar"}
    assert (stage.folder / "corpus/a").stat().st_ino == inode, "linked, and not copied"
    assert os.readlink(stage.folder / "link") == "corpus"
    assert record(stage)["block"] == block(server, "first.tar", "second.tar")
    stage.succeeds(block(server, "first.tar", "second.tar"), BOTH)
    assert not server.asked
    server.files["/words.csv"] = b"a,b\n"
    config = block(server, "first.tar", "second.tar", "words.csv")
    stage.succeeds(config, {**BOTH, "words.csv": b"a,b\n"})
    assert asked(server) == {"/words.csv"}


def test_what_cannot_be_added_costs_nothing(stage: Stage, server: Server) -> None:
    finished(stage, server)
    before = record(stage)
    server.forever["/second.tar"] = Reply(503)
    line = stage.fails(block(server, "first.tar", "second.tar"), fetched=True)
    assert f"by hand, under their paths in the download, and delete {stage.folder}/" in line
    server.files["/clash.tar"] = packed({"corpus/b": b"x", "corpus/deep/c/x": b""}, "w:")
    stage.fails(block(server, "first.tar", "clash.tar"), fetched=True)
    for path, content in FIRST.items():
        assert (stage.folder / path).read_bytes() == content
    assert record(stage) == before
    status, lines = stage.run(block(server, "first.tar"))
    assert status == 0, lines
    assert asked(server) == {"/second.tar"}


def test_killed_while_it_grows(stage: Stage, server: Server) -> None:
    content = {f"{i % 30}/{i}": b"x" for i in range(200)}
    server.files["/first.tar"] = packed(content, "w:")
    stage.succeeds(block(server, "first.tar"), content)
    stage.manifest.unlink()
    server.asked.clear()
    config = block(server, "first.tar", "second.tar")
    server.pace = 0.002
    for when in ((stage.partial / "files/3").exists, lambda: stage.arrived() > 20_000):
        stage.killed(config, when, fetched=True)
        assert record(stage)["block"] == block(server, "first.tar")
        assert all((stage.folder / path).read_bytes() == b"x" for path in content)
    server.pace = 0.0
    for names in (["first.tar"], ["first.tar", "second.tar"]):
        # As if killed between the last two renames, when the folder has no name.
        os.rename(stage.folder, stage.partial / "before")
        assert stage.run(block(server, *names))[0] == 0
    stage.succeeds(config, content | SECOND)
    assert asked(server) == {"/second.tar"}


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_folder_of_its_user_does_not_grow(stage: Stage, server: Server, by_hand: bool) -> None:
    if by_hand:
        (stage.folder / "corpus").mkdir(parents=True)
        (stage.folder / "corpus/a").write_bytes(b"a")
        assert stage.run(block(server, "first.tar"))[0] == 0
        stage.manifest.unlink()
    else:
        finished(stage, server)
        os.rename(stage.folder, stage.work / "elsewhere")
        stage.folder.symlink_to(stage.work / "elsewhere")
    line = stage.fails(block(server, "first.tar", "second.tar"), fetched=True)
    assert f"with other `archives`; delete {stage.folder}/.slamflow.json once" in line
    assert not server.asked


def test_another_list_is_another_download(stage: Stage, server: Server) -> None:
    finished(stage, server)
    for names in (["second.tar", "first.tar"], ["second.tar"]):
        line = stage.fails(block(server, *names), fetched=True)
        assert "with other `archives`; give this download another name, which costs noth" in line
    stage.succeeds(block(server, "first.tar", "second.tar"), BOTH)
    stage.manifest.unlink()
    assert "with other `archives`" in stage.fails(block(server, "first.tar"), fetched=True)


def test_a_checksum_is_published_later(stage: Stage, server: Server) -> None:
    finished(stage, server)
    right = f"sha256:{hashlib.sha256(server.files['/first.tar']).hexdigest()}"
    stage.succeeds(block(server, "first.tar", checksum=right), FIRST)
    assert not server.asked
    log = (stage.work / "log").read_text()
    assert "/first.tar: what was unpacked before it had a checksum is not checked" in log
    stage.succeeds(block(server, "first.tar"), FIRST)
    assert "not checked" not in (stage.work / "log").read_text()


@pytest.mark.parametrize("whole", [True, False])
def test_a_later_checksum_of_what_is_not_unpacked(
    stage: Stage, server: Server, whole: bool
) -> None:
    server.files["/bad.tar"] = b"<html>" * 1000
    if not whole:
        server.faults["/bad.tar"] = [0, 2000, *[Reply(503)] * 4]
    stage.fails(block(server, "bad.tar"))
    server.faults.clear()
    line = stage.fails(block(server, "bad.tar", checksum=f"md5:{'0' * 32}"))
    assert "/bad.tar: its md5 is" in line and "the file was removed" in line
