"""Archives that would fill the memory, or whose names are more than names."""

import gzip
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from slamflow.downloads import unpacking

MB = 1 << 20


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    return member.tobuf(tarfile.GNU_FORMAT)


def packed(*parts: tuple[bytes, int]) -> bytes:
    """Parts, each so many times, packed: a thousandth of their size and less."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as stream:
        for part, times in parts:
            for _ in range(times):
                stream.write(part)
    return buffer.getvalue()


def sparse() -> bytes:
    """A file whose list of holes does not end."""
    first = bytearray(header(tarfile.GNUTYPE_SPARSE, 0))
    first[482] = 1  # the list goes on
    first[148:156] = b" " * 8
    first[148:156] = b"%06o\0 " % sum(first)
    holes = b"00000000001\0" * 42 + b"\1" + bytes(7)
    return packed((bytes(first), 1), (holes * 2048, 100))


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "extended headers": (
        lambda: packed((header(tarfile.XHDTYPE, 100 * MB), 1), (bytes(MB), 100)),
        "headers of a member have more than",
    ),
    "a name": (
        lambda: packed((header(tarfile.GNUTYPE_LONGNAME, 100 * MB), 1), (b"a" * MB, 100)),
        "headers of a member have more than",
    ),
    "a later name": (
        lambda: packed(
            (header(tarfile.REGTYPE, 0, "ok"), 1),
            (header(tarfile.GNUTYPE_LONGNAME, 100 * MB), 1),
            (b"a" * MB, 100),
        ),
        "unpacked after 'ok': ReadError: the headers of a member have more than",
    ),
    "holes": (sparse, "headers of a member have more than"),
    "headers of headers": (
        lambda: packed(((header(tarfile.XHDTYPE, 512) + bytes(512)), 5000)),
        "cannot be unpacked",
    ),
    "after the end": (
        lambda: packed((header(tarfile.REGTYPE, 0, "ok"), 1), (bytes(MB), 100)),
        "refused, more than 64 MB follow its end",
    ),
}
IN_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from slamflow.downloads import unpacking
path, folder = map(Path, sys.argv[1:])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    unpacking.unpack(path, folder, 0, "http://host/a.tar", "test")
except ValueError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("case", BOMBS)
def test_what_swells_fills_neither_memory_nor_disk(tmp_path: Path, case: str) -> None:
    bomb, told = BOMBS[case]
    (tmp_path / "folder").mkdir()
    (tmp_path / "archive").write_bytes(bomb())
    assert (tmp_path / "archive").stat().st_size < MB
    assert unpacking.is_archive(tmp_path / "archive")
    done = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY, tmp_path / "archive", tmp_path / "folder"],
        env=os.environ | {"PYTHONPATH": str(Path(unpacking.__file__).parents[2])},
        text=True,
        capture_output=True,
    )
    said, grown = done.stdout.splitlines()
    assert said.startswith("http://host/a.tar: ") and told in said
    assert int(grown) * 1024 < 40 * MB
    assert {path.name for path in (tmp_path / "folder").iterdir()} <= {"ok"}


def unpack(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "folder").mkdir(exist_ok=True)
    (tmp_path / "archive").write_bytes(content)
    unpacking.unpack(tmp_path / "archive", tmp_path / "folder", 0, "http://host/a.zip", "test")
    return tmp_path / "folder"


NAMES = ["$(touch canary)", "`touch canary`", "a;touch canary", "line\nbreak", "\x1b[2J", "\"q'"]


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_are_only_names(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=buffer, mode="w:") as tar:
            for name in NAMES:
                tar.addfile(tarfile.TarInfo(name))
    else:
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in NAMES:
                archive.writestr(name, b"")
    folder = unpack(tmp_path, buffer.getvalue())
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    assert not [*tmp_path.rglob("canary"), *Path.cwd().glob("canary")]


def two_in_one() -> bytearray:
    """A zip whose second member, by its list, lies where the first does."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("aa", "bb"):
            archive.writestr(name, bytes(1000))
    content = bytearray(buffer.getvalue())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = bytes(4)  # where it begins
    return content


def larger_than_said() -> bytearray:
    """A zip with a member that is 1 byte long, it says."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(5 * MB))
    content = bytearray(buffer.getvalue())
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (1).to_bytes(4, "little")
    return content


@pytest.mark.parametrize("made", [two_in_one, larger_than_said])
def test_zips_that_contradict_themselves(tmp_path: Path, made: Callable[[], bytearray]) -> None:
    with pytest.raises(ValueError, match=r"a\.zip: cannot be unpacked after "):
        unpack(tmp_path, bytes(made()))
    assert sum(path.stat().st_size for path in (tmp_path / "folder").iterdir()) <= MB


def test_a_member_in_place_of_a_folder(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"")
        archive.writestr("a/b", b"")
    with pytest.raises(ValueError, match=r"a\.zip: cannot be unpacked after 'a'"):
        unpack(tmp_path, buffer.getvalue())
