"""HTTP servers on 127.0.0.1 for the tests of downloads: plain files, and the hub's protocol."""

import contextlib
import hashlib
import io
import json
import re
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

Headers = dict[str, str]


@dataclass
class Reply:
    """What a server answers; a header without a value is left out."""

    status: int = 200
    body: bytes = b""
    headers: Headers = field(default_factory=dict)


class Server(ThreadingHTTPServer):
    """Files by path; `faults` are answers that come before them, each once."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Reply | int]] = {}  # an int breaks off after so many bytes
        self.forever: dict[str, Reply] = {}
        self.asked: list[tuple[str, str, Headers]] = []  # method, path, headers
        self.ranges = self.validators = True
        self.pace = 0.0  # seconds between two kB
        self.sent = 0  # bytes of bodies

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may go away."""

    def answer(self, path: str, query: str, headers: Headers) -> Reply:
        """A file of a plain server."""
        if path not in self.files:
            return Reply(404)
        return self.ranged(self.files[path], headers)

    def receive(self, method: str, path: str, headers: Headers, body: bytes) -> Reply:
        """What comes by POST or PUT; a plain server takes nothing."""
        return Reply(405)

    def ranged(self, content: bytes, headers: Headers) -> Reply:
        """A file or the part of it that is asked for (RFC 9110, 14)."""
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        sent = {"ETag": etag} if self.validators else {}
        asked = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        if not self.ranges or not asked or headers.get("if-range", etag) != etag:
            return Reply(200, content, sent)
        first = int(asked[1])
        if first >= len(content):
            return Reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        sent["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        return Reply(206, content[first:], sent)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits for 40 ms after its headers

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        path = unquote(split.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, path, headers))
        reply = self.server.forever.get(path)
        after = None
        if not reply and (faults := self.server.faults.get(path)):
            fault = faults.pop(0)
            reply, after = (None, fault) if isinstance(fault, int) else (fault, None)
        reply = reply or self.server.answer(path, split.query, headers)
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            if value:
                self.send_header(name, value)
            else:  # without its length, a body ends with the connection
                self.close_connection = True
        self.end_headers()
        with contextlib.suppress(OSError):  # the client may go away
            self._send(reply.body[:after] if self.command == "GET" else b"")
        if after is not None:
            self.close_connection = True

    do_HEAD = do_GET

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self._chunk, b""))
        else:
            body = self.rfile.read(int(headers.get("content-length", 0)))
        self.server.asked.append((self.command, path, headers))
        reply = self.server.receive(self.command, path, headers, body)
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    do_PUT = do_POST

    def _chunk(self) -> bytes:
        """The next one of a body in chunks (RFC 9112, 7.1); the last is empty."""
        size = int(self.rfile.readline().split(b";")[0], 16)
        chunk = self.rfile.read(size)
        self.rfile.readline()
        return chunk

    def _send(self, body: bytes) -> None:
        for start in range(0, len(body), 1024) if self.server.pace else [0]:
            piece = body[start : start + 1024] if self.server.pace else body
            self.wfile.write(piece)
            self.server.sent += len(piece)
            time.sleep(self.server.pace)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Hub(Server):
    """One repository with one commit; large files redirect to `cdn`, as those in LFS do."""

    commit = "5" * 40

    def __init__(self, cdn: Server, repository: str = "people/stories", kind: str = "dataset"):
        super().__init__()
        self.cdn, self.repository, self.kind = cdn, repository, kind
        self.large: set[str] = set()
        self.token: str | None = None  # that the repository wants, if any
        self.gated = False  # its files are refused to all
        self.revisions = {"main": self.commit, self.commit: self.commit}

    def add(self, path: str, content: bytes, large: bool = False) -> None:
        """Add a file, in LFS if `large`."""
        self.files[path] = content
        if large:
            self.large.add(path)
            self.cdn.files[f"/{sha256(content)}"] = content

    def answer(self, path: str, query: str, headers: Headers) -> Reply:
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return error_reply(401, "RepoNotFound", "Repository not found")
        prefix = {"dataset": "/datasets", "model": "", "space": "/spaces"}[self.kind]
        if path.startswith(f"{prefix}/{self.repository}/resolve/"):
            return self._file(path.split("/resolve/")[1], headers)
        rest = path.removeprefix(f"/api/{self.kind}s/{self.repository}/")
        if rest == path:
            return error_reply(404, "RepoNotFound", "Repository not found")
        what, _, revision = rest.partition("/")
        if revision not in self.revisions:
            return error_reply(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if what == "revision":
            return json_reply(
                {"id": self.repository, "sha": self.revisions[revision], "private": False}
            )
        return self._tree(path, query)

    def _tree(self, path: str, query: str) -> Reply:
        """Two entries a page."""
        entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "data"}]
        entries += [self._entry(name) for name in sorted(self.files)]
        start = int(parse_qs(query).get("cursor", ["0"])[0])
        reply = json_reply(entries[start : start + 2])
        if start + 2 < len(entries):
            following = f"{self.address}{path}?recursive=true&cursor={start + 2}"
            reply.headers["Link"] = f'<{following}>; rel="next"'
        return reply

    def _entry(self, name: str) -> dict[str, object]:
        content = self.files[name]
        entry: dict[str, object] = {"type": "file", "size": len(content), "path": name}
        entry["oid"] = _git(content)
        if name in self.large:
            entry["lfs"] = {"oid": sha256(content), "size": len(content), "pointerSize": 130}
        return entry

    def _file(self, path: str, headers: Headers) -> Reply:
        revision, _, name = path.partition("/")
        if self.gated:
            return error_reply(403, "GatedRepo", "Access to this dataset is restricted")
        if revision not in self.revisions or name not in self.files:
            return error_reply(404, "EntryNotFound", "Entry not found")
        content = self.files[name]
        if name not in self.large:
            reply = self.ranged(content, headers)
            reply.headers |= {"ETag": f'"{_git(content)}"', "X-Repo-Commit": self.commit}
            return reply
        sent = {
            "Location": f"{self.cdn.address}/{sha256(content)}",
            "X-Repo-Commit": self.commit,
            "X-Linked-Size": str(len(content)),
            "X-Linked-Etag": f'"{sha256(content)}"',
        }
        return Reply(302, b"", sent)


@contextlib.contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Run a server while inside."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def packed(content: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    """A tar of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def zipped(content: Mapping[str, bytes]) -> bytes:
    """A zip of files, and of an empty folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("corpus")
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def json_reply(content: object) -> Reply:
    return Reply(200, json.dumps(content).encode(), {"Content-Type": "application/json"})


def error_reply(status: int, code: str, message: str) -> Reply:
    return Reply(status, b"", {"X-Error-Code": code, "X-Error-Message": message})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
