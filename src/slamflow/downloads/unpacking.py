"""Unpacking tar and zip archives that nobody vouches for."""

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from slamflow import logs
from slamflow.downloads import space
from slamflow.downloads.metered import HEADERS, Metered

WEIGHTS = (".pt", ".pth", ".bin", ".ckpt")  # of PyTorch's files, which are zip archives inside
SUFFIXES = (".tar", ".zip", ".tgz", ".tbz", ".tbz2", ".txz")  # of archives, and `.tar.*`
CHUNK = 1 << 20  # bytes
REST = 64 << 20  # bytes after the end of a tar, which is filled up to 10 kB or so

_OPENERS: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_DAMAGED = (
    *(tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error),
    *(EOFError, KeyError, IndexError),
)


class Unsafe(Exception):
    """Why a member is refused."""


def is_archive(path: Path) -> bool:
    """Whether a file is, by its content, a zip, or a tar as it is or packed by gzip, bzip2 or xz.

    An archive that is cut off or damaged is one, too.
    """
    with path.open("rb") as file:
        if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
            return True
        try:
            with _unpressed(file) as stream:
                head = stream.read(tarfile.BLOCKSIZE)
            tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
        except (*_DAMAGED, OSError):
            return False
        return True


def named_archive(name: str) -> bool:
    """Whether a file is an archive by its name."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes[-2:]]
    return bool(suffixes) and (suffixes[-1] in SUFFIXES or suffixes[0] == ".tar")


def kept_whole(name: str) -> bool:
    """Whether a file is weights by its name, so that it is kept even if it is an archive inside."""
    return PurePosixPath(name).suffix.lower() in WEIGHTS


def unpack(path: Path, folder: Path, strip: int, origin: str, label: str) -> None:
    """Unpack an archive into the empty folder `folder`.

    What is unpacked may fill the disk's free space and no more: a member that would not fit
    ends it, before it is written.

    Args:
        strip: folders at the beginning of each path to leave out, with members that have no more.
        origin: where the archive is from, for messages.
        label: of the progress.

    Raises:
        ValueError: a member is absolute or leads out of the folder, as its name or as a link; is
            neither file, folder nor link; or does not fit the disk; or the archive is damaged.
        OSError: the disk is full.
    """
    progress = logs.Progress(label, path.stat().st_size, "bytes unpacked")
    member = "its list of members"
    try:
        with path.open("rb") as file:
            members = _zip if file.read(2) == b"PK" else _tar
            file.seek(0)
            for member in members(file, folder, strip):  # noqa: B007
                progress.update(min(file.tell(), progress.total - 1))
        check_links(folder)
    except Unsafe as error:
        raise ValueError(f"{origin}: refused, {error}") from None
    except space.TooSmall as error:
        raise ValueError(f"{origin}: {error}") from None
    except (*_DAMAGED, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in space.FULL:
            raise
        raise ValueError(
            f"{origin}: cannot be unpacked after {member}: {logs.describe(error)}; delete"
            f" {path} if it is damaged, and run again to fetch it anew"
        ) from None
    progress.update(progress.total)


def inside(name: str, strip: int = 0) -> PurePosixPath | None:
    """A path of an archive or a repository, safe to be joined to a folder.

    Returns:
        It without its first `strip` folders, or None if it has no more.

    Raises:
        Unsafe: it leads out of the folder or is no text.
    """
    path = PurePosixPath(name)
    if path.is_absolute():
        raise Unsafe(f"{name!r} is an absolute path")
    if ".." in path.parts:
        raise Unsafe(f"{name!r} leads out of its folder")
    if "\0" in name or not _is_text(name):
        raise Unsafe(f"{name!r} is not UTF-8")
    return PurePosixPath(*path.parts[strip:]) if len(path.parts) > strip else None


def check_links(folder: Path) -> None:
    """See that all symbolic links below a folder stay inside.

    Raises:
        Unsafe: one does not.
    """
    root = os.path.realpath(folder)
    for parent, names, others in os.walk(folder):
        for name in names + others:
            path = os.path.join(parent, name)
            if os.path.islink(path) and not _below(os.path.realpath(path), root):
                raise Unsafe(f"{os.path.relpath(path, folder)!r} links out of its folder")


class _Member(tarfile.TarInfo):
    """A member; a header that makes no sense is an error, and not, as usual, the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the end
            raise tarfile.ReadError("it is cut off or damaged") from None
        if member.size < 0:
            raise tarfile.ReadError("a member has fewer than 0 bytes")
        return member


def _tar(file: IO[bytes], folder: Path, strip: int) -> Iterator[str]:
    """Unpack a tar, yielding the names of the members that are done."""
    with _unpressed(file) as stream:
        metered: Any = Metered(stream)
        with tarfile.open(fileobj=metered, mode="r:", tarinfo=_Member) as tar:
            while (member := _next(tar, metered)) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # millions fill the memory
                path = inside(member.name, strip)
                if path is None:
                    continue
                shown = repr(member.name)
                for place in (path, *path.parents):
                    if (folder / place).is_symlink():
                        raise Unsafe(f"{shown} lies behind the link {str(place)!r}")
                if member.size < 0:
                    raise Unsafe(f"{shown} has fewer than 0 bytes")
                if member.isreg():
                    space.check(member.size, folder.parent, f"{shown}, unpacked,")
                target = member.linkname
                if member.islnk():
                    linked = inside(target, strip)
                    if linked is None or not (folder / linked).is_file():
                        raise Unsafe(f"{shown} links to {target!r}, which is not there")
                    target = str(linked)
                try:
                    renamed = member.replace(name=str(path), linkname=target, deep=False)
                    tar.extract(renamed, folder, filter="data")
                except tarfile.FilterError as error:
                    raise Unsafe(f"{shown}: {error}") from None
                yield shown
        rest = 0
        while portion := stream.read(CHUNK):  # the checksum of what was packed comes last
            rest += len(portion)
            if rest > REST:
                raise Unsafe(f"more than {REST >> 20} MB follow its end")


def _next(tar: tarfile.TarFile, metered: Metered) -> tarfile.TarInfo | None:
    metered.left = HEADERS
    member = tar.next()
    metered.left = None
    return member


def _zip(file: IO[bytes], folder: Path, strip: int) -> Iterator[str]:
    """Unpack a zip, yielding the names of the members that are done."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        space.check(size, folder.parent, "the whole of it, unpacked,")
        for member in members:
            shown = repr(member.filename)
            path = inside(member.filename, strip)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise Unsafe(f"{shown} is neither a file nor a folder")
            if path is None:
                continue
            if member.is_dir():
                (folder / path).mkdir(parents=True, exist_ok=True)
            else:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as packed, (folder / path).open("wb") as target:
                    shutil.copyfileobj(packed, target, CHUNK)
            yield shown


def _unpressed(file: IO[bytes]) -> Any:
    """A context of a packed file as a stream of what was packed, or of the file itself."""
    file.seek(0)
    head = file.read(6)
    file.seek(0)
    for magic, opener in _OPENERS.items():
        if head.startswith(magic):
            return opener(file)
    return contextlib.nullcontext(file)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _below(path: str, root: str) -> bool:
    return os.path.commonpath([path, root]) == root
