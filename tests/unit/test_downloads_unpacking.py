"""Nothing that an archive holds is written outside its folder."""

import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from slamflow.downloads import unpacking

Member = tuple[str, bytes, str, int]  # name, type, link, size


def tar_of(*members: Member, mode: str = "w:") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.GNU_FORMAT) as tar:  # type: ignore[call-overload]
        for name, kind, link, size in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, size
            tar.addfile(member, io.BytesIO(bytes(size)) if size else None)
    return buffer.getvalue()


def zip_of(*members: tuple[str, int, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, mode, data in members:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def file(name: str, size: int = 3) -> Member:
    return name, tarfile.REGTYPE, "", size


def symlink(name: str, target: str) -> Member:
    return name, tarfile.SYMTYPE, target, 0


def hardlink(name: str, target: str) -> Member:
    return name, tarfile.LNKTYPE, target, 0


def unpack(tmp_path: Path, content: bytes, strip: int = 0) -> Path:
    path, folder = tmp_path / "outer" / "archive", tmp_path / "outer" / "folder"
    folder.mkdir(parents=True)
    path.write_bytes(content)
    assert unpacking.is_archive(path)
    unpacking.unpack(path, folder, strip, "http://host/a.tar", "test")
    return folder


OUTSIDE = "/tmp/slamflow-was-here"
LONG = "d" * 247  # a path of many of these is longer than the kernel resolves
HOSTILE: dict[str, tuple[bytes, str]] = {
    "absolute": (tar_of(file("ok"), file(OUTSIDE)), OUTSIDE),
    "dots": (tar_of(file("a/../../evil")), "a/../../evil"),
    "dots within": (tar_of(file("a/../b")), "a/../b"),
    "symlink up": (tar_of(symlink("link", "../evil")), "link"),
    "symlink to root": (tar_of(symlink("link", "/etc/passwd")), "link"),
    "file behind a symlink": (tar_of(symlink("a", "b"), file("b/x"), file("a/evil")), "a/evil"),
    "file over a symlink": (tar_of(symlink("a", "b"), file("a")), "'a'"),
    "symlinks in turn": (
        tar_of(symlink("c", "a/../../evil"), symlink("a", "."), file("c")),
        "'c'",
    ),
    "dangling, later out": (tar_of(symlink("c", "a/../evil"), symlink("a", ".")), "'c'"),
    "hardlink up": (tar_of(hardlink("link", "../secret")), "../secret"),
    "hardlink to root": (tar_of(hardlink("link", "/etc/passwd")), "/etc/passwd"),
    "hardlink to a symlink": (
        tar_of(symlink("a", f"../../{LONG}"), hardlink("link", "a")),
        "'a'",
    ),
    "device": (tar_of(("null", tarfile.CHRTYPE, "", 0)), "null"),
    "block device": (tar_of(("disk", tarfile.BLKTYPE, "", 0)), "disk"),
    "pipe": (tar_of(("pipe", tarfile.FIFOTYPE, "", 0)), "pipe"),
    "not UTF-8": (tar_of(file("caf\udce9")), "is not UTF-8"),
    "zip absolute": (zip_of(("/evil", 0o100644, b"x")), "'/evil'"),
    "zip dots": (zip_of(("../evil", 0o100644, b"x")), "'../evil'"),
    "zip symlink": (zip_of(("link", stat.S_IFLNK | 0o777, b"../evil")), "'link'"),
    "zip device": (zip_of(("null", stat.S_IFCHR | 0o666, b"")), "'null'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_refuses_what_is_not_safe(tmp_path: Path, case: str) -> None:
    content, named = HOSTILE[case]
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(ValueError) as caught:
        unpack(tmp_path, content)
    line = str(caught.value)
    assert line.startswith("http://host/a.tar: refused, ") and named in line and "\n" not in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outer", "secret"]
    assert sorted(path.name for path in (tmp_path / "outer").iterdir()) == ["archive", "folder"]
    assert (tmp_path / "secret").read_text() == "secret" and not Path(OUTSIDE).exists()


def test_a_link_too_long_to_be_resolved_leads_nowhere(tmp_path: Path) -> None:
    """Python before 3.11.13 believed such links (CVE-2025-4517)."""
    members, folder = [], ""
    for letter in "abcdefghijklmnop":
        members += [(f"{folder}{LONG}", tarfile.DIRTYPE, "", 0), symlink(f"{folder}{letter}", LONG)]
        folder += f"{LONG}/"
    through = "/".join("abcdefghijklmnop")
    members += [
        symlink(f"{through}/{'l' * 254}", "../" * 16),
        symlink("escape", f"{through}/{'l' * 254}/../.."),
    ]
    members += [hardlink("flag", "escape/secret"), file("flag")]
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(ValueError, match="refused"):
        unpack(tmp_path, tar_of(*members))
    assert (tmp_path / "secret").read_text() == "secret"


def test_links_that_stay_inside(tmp_path: Path) -> None:
    members = (
        ("top/a", tarfile.DIRTYPE, "", 0),
        file("top/a/x"),
        symlink("top/b", "a/x"),
        symlink("top/c", "a"),
        hardlink("top/d", "top/a/x"),
        symlink("top/nowhere", "a/y"),
    )
    folder = unpack(tmp_path, tar_of(*members, mode="w:gz"), strip=1)
    assert {path.name for path in folder.iterdir()} == {"a", "b", "c", "d", "nowhere"}
    assert os.readlink(folder / "b") == "a/x" and (folder / "c/x").read_bytes() == bytes(3)
    assert (folder / "d").stat().st_ino == (folder / "a/x").stat().st_ino


def test_larger_than_any_disk(tmp_path: Path) -> None:
    member = tarfile.TarInfo("zeros")
    member.size = 1 << 60
    header = member.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(ValueError, match=r"'zeros', .* needs 1152921\.50 TB and .* are free; make"):
        unpack(tmp_path, tar_of(file("ok"))[:1024] + header)
    assert not (tmp_path / "outer/folder/zeros").exists()


@pytest.mark.parametrize("packer", [bytes, gzip.compress, lzma.compress])
def test_cut_off_anywhere(tmp_path: Path, packer: Callable[[bytes], bytes]) -> None:
    whole = tar_of(file("a", 700), file("b", 700), file("c", 700))
    plain = whole[: 3 * 1536 + 1024]
    assert sorted(p.name for p in unpack(tmp_path / "all", packer(plain)).iterdir()) == list("abc")
    packed = packer(plain)
    cuts = [len(packed) - 1, len(packed) - 9]
    if packer is bytes:
        cuts = [2 * 1536, 2 * 1536 + 100, 2 * 1536 + 512, 2 * 1536 + 900, 3 * 1536]
    for cut in cuts:
        with pytest.raises(ValueError, match=r"a\.tar: cannot be unpacked after .*fetch it anew"):
            unpack(tmp_path / str(cut), packed[:cut])


def test_damage_within(tmp_path: Path) -> None:
    whole = bytearray(tar_of(file("a", 700), file("b", 700)))
    whole[1536 + 20] ^= 1  # the header of b
    with pytest.raises(ValueError, match="cut off or damaged"):
        unpack(tmp_path / "header", bytes(whole))
    packed = bytearray(gzip.compress(tar_of(file("a", 700))))
    packed[-6] ^= 1  # the checksum at the end
    with pytest.raises(ValueError, match="cannot be unpacked"):
        unpack(tmp_path / "gzip", bytes(packed))
    zipped = bytearray(zip_of(("a", 0o100644, b"content"), ("b", 0o100644, b"more")))
    zipped[zipped.index(b"content")] ^= 1
    with pytest.raises(ValueError, match="cannot be unpacked"):
        unpack(tmp_path / "zip", bytes(zipped))
    with pytest.raises(ValueError, match="cannot be unpacked"):
        unpack(tmp_path / "cut", bytes(zipped[:40]))


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", gzip.compress(b"text", mtime=0), b"\x1f\x8b", bytes(2048), b"PAR1"],
)
def test_other_files_are_no_archives(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert not unpacking.is_archive(tmp_path / "file")


def test_names_of_archives() -> None:
    names = "a.tar a.tar.gz b.TGZ c.v1.zip d.tar.zst".split()
    assert all(map(unpacking.named_archive, names))
    others = "a.csv tar a.csv.gz x.parquet a.tar.gz.txt".split()
    assert not any(map(unpacking.named_archive, others))
