"""One file over HTTP: gone on with where it broke off, tried again, checked.

While it is under way a file is called `.{name}.part`; `.{name}.part.json` holds what the server
calls its content, so that two versions are never glued together.
"""

import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3

from slamflow import files, folders, logs
from slamflow.downloads import retrying, space

CHUNK = 1 << 18  # bytes
TIMEOUT = (30, 120)  # seconds until a connection, and without a byte


class Stopped(Exception):
    """Another file of the download has failed."""


@dataclass(frozen=True)
class Source:
    """A file to fetch.

    `checksum` is `{algorithm}:{hexadecimal}`, the algorithm one of hashlib or `git`, which is
    that of git's blobs. `token` goes to the host of `url` only, never to where it redirects.
    """

    url: str
    size: int | None = None  # bytes
    checksum: str | None = None
    token: str | None = None

    @property
    def shown(self) -> str:
        """The address without user, password and query, which may be secret."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{self.host}{parts.path}"

    @property
    def host(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


class Meter:
    """Bytes of several files that arrive at the same time."""

    def __init__(self, label: str, total: int, done: int, stop: threading.Event) -> None:
        """Start the progress of `total` bytes, of which `done` were there."""
        self.progress = logs.Progress(label, total, "bytes", done)
        self.done, self.stop, self.lock = done, stop, threading.Lock()

    def add(self, count: int) -> None:
        """Count bytes; fewer than 0 if some have to come again."""
        if self.stop.is_set():
            raise Stopped
        with self.lock:
            self.done += count
            self.progress.update(self.done)


def arrived(path: Path) -> int:
    """Bytes of the file `path` that an earlier run has fetched."""
    for found in (path, _part(path)):
        if found.exists():
            return found.stat().st_size
    return 0


def download(source: Source, path: Path, meter: Meter, patience: retrying.Patience) -> None:
    """Fetch a file; it has its name once it is complete, right and on the disk.

    Raises:
        retrying.Passing: the server cannot be reached, or breaks off again and again.
        retrying.Refused: the server refuses it.
        ValueError: it does not fit the disk or is not what it should be.
        OSError: the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    # A server without ranges begins anew each time: only what is more than ever is progress.
    furthest = arrived(path)

    def attempt() -> bool:
        nonlocal furthest
        try:
            _receive(source, part, meter)
        except retrying.Passing:
            if part.exists() and part.stat().st_size > furthest:
                furthest = part.stat().st_size
                return False
            raise
        return True

    while not patience(attempt):
        patience.stop.wait(patience.wait)
    check(source, part)
    folders.sync_one(part)
    os.replace(part, path)
    _note(part).unlink(missing_ok=True)


def size(source: Source, patience: retrying.Patience) -> int:
    """Bytes of a file as the server says, 0 if it does not; errors as in `download`."""

    def ask() -> int:
        with _reply(source, {}) as reply:
            return int(reply.headers.get("Content-Length") or 0)

    return patience(ask)


def _receive(source: Source, part: Path, meter: Meter) -> None:
    """One request; what arrives is appended, however much it is."""
    meter.add(0)
    have = part.stat().st_size if part.exists() else 0
    if have and have == source.size:
        return
    validator = json.loads(_note(part).read_text())["validator"] if _note(part).exists() else None
    headers = {}
    if have and (validator or source.checksum):
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = validator
    with _reply(source, headers) as reply:
        if reply.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if _range(reply)[1] == have:  # nothing is missing
                return
            part.unlink()
            meter.add(-have)
            raise retrying.Passing(f"{source.shown} has changed")
        goes_on = reply.status_code == HTTPStatus.PARTIAL_CONTENT
        if goes_on and _range(reply)[0] != have:
            raise retrying.Passing(f"{source.host} sent another range than it was asked for")
        if not goes_on:
            meter.add(-have)
            have = 0
        length = reply.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        if source.size is not None and total is not None and total != source.size:
            raise retrying.Passing(
                f"{source.shown} has {total} bytes and should have {source.size}"
            )
        space.check((total or 0) - have, part.parent, source.shown)
        with part.open("ab" if goes_on else "wb") as file:
            if not goes_on:  # only now, that the old bytes are gone
                files.write_json({"validator": _validator(reply)}, _note(part))
            try:
                while chunk := reply.raw.read1(CHUNK, decode_content=False):
                    file.write(chunk)
                    meter.add(len(chunk))
            except (urllib3.exceptions.HTTPError, ConnectionError, TimeoutError) as error:
                reason = retrying.cause(error)
                raise retrying.Passing(f"{source.host} broke off ({reason})") from None
    if total is not None and part.stat().st_size < total:
        raise retrying.Passing(f"{source.host} broke off")


def _reply(source: Source, headers: dict[str, str]) -> requests.Response:
    """The answer to a GET, its body not yet read."""

    def signed(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {source.token}"
        return request

    try:
        reply = requests.get(
            source.url,
            # A `.tar.gz` is not to be unpacked on the way.
            headers={"Accept-Encoding": "identity", **headers},
            auth=signed if source.token else None,
            stream=True,
            timeout=TIMEOUT,
        )
    except requests.RequestException as error:
        if isinstance(error, ValueError):
            raise ValueError(f"{source.shown}: is no address ({type(error).__name__})") from None
        reason = retrying.cause(error)
        raise retrying.Passing(f"{source.host} cannot be reached ({reason})") from None
    wanted = [HTTPStatus.OK]
    if "Range" in headers:
        wanted += [HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE]
    if reply.status_code not in wanted:
        reply.close()
        raise retrying.refusal(
            reply.status_code, reply.reason, reply.headers, source.shown
        ) from None
    return reply


def _range(reply: requests.Response) -> tuple[int | None, int | None]:
    """First byte and whole size of a Content-Range header (RFC 9110, 14.4)."""
    found = re.match(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", reply.headers.get("Content-Range", ""))
    first, whole = found.groups() if found else (None, None)
    return int(first) if first else None, int(whole) if whole and whole != "*" else None


def _validator(reply: requests.Response) -> str | None:
    """What If-Range may hold: a strong ETag or a date (RFC 9110, 13.1.5)."""
    etag = reply.headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else reply.headers.get("Last-Modified")


def check(source: Source, path: Path) -> None:
    """See that a file that has come has its checksum; else it is removed.

    Raises:
        ValueError: it has another.
    """
    if source.checksum is None:
        return
    algorithm, _, wanted = source.checksum.partition(":")
    with path.open("rb") as file:
        if algorithm == "git":
            whole = hashlib.sha1(b"blob %d\0" % path.stat().st_size)
            while chunk := file.read(CHUNK):
                whole.update(chunk)
            found = whole.hexdigest()
        else:
            found = hashlib.file_digest(file, algorithm).hexdigest()
    if found != wanted.lower():
        path.unlink()
        _note(path).unlink(missing_ok=True)
        raise ValueError(
            f"{source.shown}: its {algorithm} is {found} and should be {wanted}; the file was"
            " removed, run again to fetch it anew"
        )


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")
