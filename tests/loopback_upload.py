"""A hub on 127.0.0.1 that takes uploads: the hub's protocol of repositories, commits and LFS."""

import base64
import hashlib
import json
from typing import Any

from loopback import Headers, Hub, Reply, Server, error_reply, json_reply, sha256


class Bucket(Server):
    """Where large files go, and whence they come."""

    def receive(self, method: str, path: str, headers: Headers, body: bytes) -> Reply:
        if method != "PUT" or path != f"/{sha256(body)}":
            return Reply(403)
        self.files[path] = body
        return Reply()


class UploadHub(Hub):
    """A hub that starts without its repository, for who has `token`."""

    def __init__(self, bucket: Bucket, repository: str, token: str) -> None:
        super().__init__(bucket, repository, "model")
        self.writer = token
        self.revisions = {}
        self.visibility: str | None = None
        self.commits: list[dict[str, Any]] = []  # the header of each
        self.others: list[Hub] = []  # repositories that are there, too

    def answer(self, path: str, query: str, headers: Headers) -> Reply:
        for other in self.others:
            if f"/{other.repository}/" in path:
                return other.answer(path, query, headers)
        if path == f"/api/models/{self.repository}" and self.visibility is not None:
            names = [{"rfilename": name} for name in sorted(self.files)]
            private = self.visibility == "private"
            return json_reply({"id": self.repository, "private": private, "siblings": names})
        return super().answer(path, query, headers)

    def receive(self, method: str, path: str, headers: Headers, body: bytes) -> Reply:
        if headers.get("authorization") != f"Bearer {self.writer}":
            return error_reply(401, "", "Invalid username or password.")
        if method != "POST":
            return Reply(405)
        api = f"/api/models/{self.repository}"
        if path == "/api/validate-yaml":
            return json_reply({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if self.visibility is None:
            return error_reply(404, "RepoNotFound", "Repository not found")
        if path == f"{api}/preupload/main":
            return self._modes(json.loads(body)["files"])
        if path == f"/{self.repository}.git/info/lfs/objects/batch":
            return self._batch(json.loads(body))
        if path == f"{api}/commit/main":
            return self._commit([json.loads(line) for line in body.splitlines()])
        return Reply(404)

    def _create(self, asked: dict[str, Any]) -> Reply:
        if f"{asked['organization']}/{asked['name']}" != self.repository:
            return error_reply(403, "", f"You have no rights to create {asked['organization']}")
        url = f"{self.address}/{self.repository}"
        if self.visibility is not None:
            reply = json_reply({"error": "You already created this model repo", "url": url})
            return Reply(409, reply.body, reply.headers)
        self.visibility = asked.get("visibility", "public")
        return json_reply({"url": url, "name": self.repository, "id": "0"})

    def _modes(self, asked: list[dict[str, Any]]) -> Reply:
        """As .gitattributes of a new repository say: these are large."""
        found = []
        for file in asked:
            large = file["path"].endswith((".safetensors", ".parquet"))
            mode = "lfs" if large else "regular"
            found.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False})
        return json_reply({"files": found})

    def _batch(self, asked: dict[str, Any]) -> Reply:
        assert asked["operation"] == "upload" and "basic" in asked["transfers"]
        objects = []
        for each in asked["objects"]:
            known = f"/{each['oid']}" in self.cdn.files
            href = {"upload": {"href": f"{self.cdn.address}/{each['oid']}"}}
            objects.append({**each, **({} if known else {"actions": href})})
        reply = json_reply({"transfer": "basic", "objects": objects})
        return Reply(200, reply.body, {"Content-Type": "application/vnd.git-lfs+json"})

    def _commit(self, lines: list[dict[str, Any]]) -> Reply:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.commits.append(value)
            elif line["key"] == "file":
                self.add(value["path"], base64.b64decode(value["content"]))
            elif line["key"] == "deletedFile":
                del self.files[value["path"]]
            elif line["key"] == "lfsFile":
                content = self.cdn.files.get(f"/{value['oid']}")
                if content is None or len(content) != value["size"]:
                    return error_reply(400, "", f"{value['path']}: its content was not uploaded")
                self.add(value["path"], content, large=True)
        self.commit = hashlib.sha1(repr(sorted(self.files)).encode()).hexdigest()
        self.revisions = {"main": self.commit, self.commit: self.commit}
        url = f"{self.address}/{self.repository}/commit/{self.commit}"
        return json_reply({"commitUrl": url, "commitOid": self.commit, "success": True})
