"""The stage `fetch_download` as a user runs it, for the tests of downloads."""

import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from loopback import Server

from slamflow import files
from slamflow.tables import downloads as downloads_table

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "workflow_scripts" / "fetch_download.py"
MACHINE = {"retries": 3, "retry_wait": 0.01}


def block(
    server: Server, *names: str, checksum: str | None = None, strip: int = 0
) -> dict[str, Any]:
    urls = [f"{server.address}/{name}" for name in names or ["corpus.tar.gz"]]
    archives = [{"url": url, "checksum": checksum} for url in urls]
    return {"kind": "archive", "archives": archives, "strip": strip}


class Stage:
    """Runs of one download, in one data_root."""

    def __init__(
        self, root: Path, work: Path, capfd: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch
    ) -> None:
        self.root, self.work, self.capfd, self.patch = root, work, capfd, patch
        self.folder = root / "downloads" / "thing"
        self.partial = root / "downloads" / ".thing.partial"
        self.manifest = work / "thing.parquet"
        self.machine: dict[str, Any] = {"data_root": str(root), **MACHINE}
        patch.setenv("NO_PROXY", "127.0.0.1")
        for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)

    def arguments(self, config: Mapping[str, Any]) -> list[str]:
        options = {
            "--name": "thing",
            "--manifest": str(self.manifest),
            "--config": json.dumps(config),
            "--machine": json.dumps(self.machine),
            "--log": str(self.work / "log"),
        }
        return [str(SCRIPT), *(part for option in options.items() for part in option)]

    def run(self, config: Mapping[str, Any]) -> tuple[int, list[str]]:
        """Run the script in this process: its exit status and what it says on the terminal."""
        self.patch.setattr(sys, "argv", self.arguments(config))
        self.capfd.readouterr()
        # As in a process of its own, and not the file that pytest captures with.
        with open(2, "w", buffering=1, closefd=False) as stderr:
            self.patch.setattr(sys, "stderr", stderr)
            try:
                runpy.run_path(str(SCRIPT), run_name="__main__")
                status = 0
            except SystemExit as end:
                status = int(str(end.code))
            finally:
                self.patch.setattr(sys, "stderr", sys.__stderr__)
        return status, self.capfd.readouterr().err.splitlines()

    def succeeds(self, config: Mapping[str, Any], content: Mapping[str, bytes]) -> pa.Table:
        """The manifest of a run that ends with exactly this content, by path."""
        status, lines = self.run(config)
        assert status == 0, lines
        self.holds(content)
        return files.read_table(self.manifest, downloads_table.SCHEMA)

    def holds(self, content: Mapping[str, bytes]) -> None:
        """The folder and the manifest have exactly this content."""
        table = files.read_table(self.manifest, downloads_table.SCHEMA)
        names = table["path"].to_pylist()
        assert names == sorted(f"downloads/thing/{path}" for path in content)
        for row in table.to_pylist():
            path = self.root / row["path"]
            assert path.read_bytes() == content[str(path.relative_to(self.folder))]
            assert (row["bytes"], row["sha256"]) == (path.stat().st_size, files.sha256(path))
        found = {str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file()}
        assert found == {*content, ".slamflow.json"}
        assert not self.partial.exists()

    def fails(self, config: Mapping[str, Any], fetched: bool = False) -> str:
        """The one line of a run that fails, and leaves nothing that looks done."""
        status, lines = self.run(config)
        errors = [line for line in lines if line.startswith("error: ")]
        assert status == 1 and len(errors) == 1, lines
        assert errors[0].endswith(f" (see {self.work / 'log'})")
        rest = [line for line in lines if line not in errors]
        assert all("; trying again in " in line or "bytes" in line for line in rest), rest
        assert fetched or not self.folder.exists()
        assert not self.manifest.exists()
        return errors[0]

    def start(self, config: Mapping[str, Any]) -> subprocess.Popen[bytes]:
        """Run the script as a process of its own."""
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        return subprocess.Popen([sys.executable, *self.arguments(config)], env=environment)

    def arrived(self) -> int:
        """Bytes on the disk of files that are under way."""
        sizes = 0
        for path in self.partial.rglob("*.part"):
            with contextlib.suppress(FileNotFoundError):  # it is whole by now
                sizes += path.stat().st_size
        return sizes

    def killed(
        self, config: Mapping[str, Any], when: Callable[[], bool], fetched: bool = False
    ) -> None:
        """Run it as a process, and kill that as soon as `when` says so."""
        process = self.start(config)
        end = time.monotonic() + 20
        while not when():
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert fetched == self.folder.exists() and not self.manifest.exists()
