"""The text files of a corpus, plain or inside a zip, as streams of lines and of records."""

import contextlib
import csv
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pyarrow as pa

from slamflow import files

LONGEST = 2**24  # characters of a line or a document; what is longer is not what it is taken for
SWELLING = 200  # what a zip's files may hold, in sizes of the zip; honest text is below 30

Record = tuple[int, dict[str, Any] | str]  # number in its file, keys and values or what is wrong


class Part(NamedTuple):
    """A file, or a file in a zip."""

    source: str  # path relative to `data_root`, and that in the zip
    prefix: str  # of the ids of what is in it, different for each
    lines: Iterator[str]  # with their ends; bytes that are not UTF-8 are lone surrogates


def parts(config: Mapping[str, Any], sources: pa.Table, data_root: Path) -> Iterator[Part]:
    """The files that were listed, one after the other, each open until the next.

    Args:
        config: `folder`; `members`, for zips: which of their files are read, as a pattern in which
            `*` stands for `/`, too.
        sources: the sources table.

    Raises:
        ValueError: a file is missing, has changed since it was listed, is a zip that is damaged,
            swells or has no such member, or has a line that no text has.
    """
    rows = sources.sort_by("path").to_pylist()
    for row in rows:
        _check(row, data_root)
    found = [(row["path"], member) for row in rows for member in _members(row, config, data_root)]
    prefixes = _prefixes([_below(*it, config) for it in found])
    for (path, member), prefix in zip(found, prefixes, strict=True):
        source = f"{path}/{member}" if member else path
        with _opened(data_root / path, member) as stream:
            text = io.TextIOWrapper(
                stream, encoding="utf-8-sig", errors="surrogateescape", newline=""
            )
            yield Part(source, prefix, _lines(text, data_root / source))


def json_lines(part: Part) -> Iterator[Record]:
    """The objects of a file of JSON lines; empty lines do not count."""
    lines = (line for line in part.lines if line.strip())
    for number, line in enumerate(lines):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            content = None
        yield number, content if isinstance(content, dict) else "no JSON object"


def csv_rows(part: Part, needed: Sequence[str]) -> Iterator[Record]:
    """The rows of a CSV file with a header; empty lines do not count.

    Raises:
        ValueError: a column is missing, or quotes do not match.
    """
    reader = csv.reader(part.lines, strict=True)
    try:
        header = next(reader, [])
        if missing := [name for name in needed if name not in header]:
            raise ValueError(
                f"{part.source}: has no column {', '.join(missing)}; mend `source.format` or its "
                "first line"
            )
        for number, row in enumerate(row for row in reader if row):
            whole = len(row) == len(header)
            yield (
                number,
                (
                    dict(zip(header, row, strict=True))
                    if whole
                    else f"{len(row)} columns, not {len(header)}"
                ),
            )
    except csv.Error as error:
        raise ValueError(
            f"{part.source}: line {reader.line_num}: {error}; mend the quotes"
        ) from None


def _check(row: Mapping[str, Any], data_root: Path) -> None:
    path = data_root / row["path"]
    if row.get("reason"):
        raise ValueError(f"{path}: {row['reason']}; set `data_root` to where the data lie")
    if not path.is_file():
        raise ValueError(f"{path}: no such file; set `data_root` to where the data lie")
    if files.sha256(path) != row["sha256"]:
        raise ValueError(f"{path}: has changed since it was listed; raise `source.version`")


def _members(
    row: Mapping[str, Any], config: Mapping[str, Any], data_root: Path
) -> list[str] | list[None]:
    path, pattern = data_root / row["path"], config.get("members")
    if not zipfile.is_zipfile(path):
        if pattern:
            raise ValueError(f"{path}: is no zip; mend `source.file` or remove `source.members`")
        return [None]
    if not pattern:
        raise ValueError(f"{path}: is a zip; say in `source.members` which of its files to read")
    with _reading(path), zipfile.ZipFile(path) as archive:
        found = [
            it for it in archive.infolist() if not it.is_dir() and fnmatchcase(it.filename, pattern)
        ]
    if not found:
        raise ValueError(f"{path}: holds no file that matches {pattern}; mend `source.members`")
    if (size := sum(it.file_size for it in found)) > SWELLING * path.stat().st_size:
        raise ValueError(f"{path}: would swell to {size} bytes, which no text does; get it anew")
    return sorted({it.filename for it in found})


def _below(path: str, member: str | None, config: Mapping[str, Any]) -> str:
    if member:
        return member
    folder = PurePosixPath(config["folder"]).as_posix()
    return path if folder == "." else path.removeprefix(folder + "/")


def _prefixes(names: Sequence[str]) -> list[str]:
    """The shortest of stem, path without suffix and path that tell all names apart."""
    paths = [PurePosixPath(name) for name in names]
    stems = [path.stem for path in paths]
    bare = [path.with_suffix("").as_posix() for path in paths]
    return next(
        (it for it in (stems, bare, list(names)) if len(set(it)) == len(it)),
        [f"{name}-{number}" for number, name in enumerate(names)],
    )


@contextlib.contextmanager
def _opened(path: Path, member: str | None) -> Iterator[Any]:
    if member is None:
        with path.open("rb") as plain:
            yield plain
        return
    with zipfile.ZipFile(path) as archive:
        with _reading(path):
            packed = archive.open(member)
        with packed:
            yield packed


def _lines(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    with _reading(path):
        while line := text.readline(LONGEST):
            if len(line) == LONGEST:
                raise ValueError(f"{path}: a line of more than {LONGEST} characters; is it text?")
            yield line


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Errors of a zip in one line."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path}: cannot be unpacked ({error}); get it anew") from None
