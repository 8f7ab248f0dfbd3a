"""A real Slurm on this host: munged, slurmctld and two slurmd, which end with the tests.

Each node has two character devices that Slurm takes for GPUs, and promises more cores and memory
than there are, so that jobs of any size are started.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from configuring import configure, program, user

NODES = ("cn1", "cn2")
NODE = "SLAMFLOW_TEST_NODE"  # in the environment of a slurmd, and so of its slurmstepds
PATIENCE = 60.0  # seconds for what takes less than three


@dataclass(frozen=True)
class Cluster:
    """A running Slurm.

    Attributes:
        folder: its configuration, state and logs.
        daemons: its processes by name, those of nodes by theirs.
    """

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """These variables, and those with which a shell finds this Slurm."""
        path = os.pathsep.join([str(self.folder / "bin"), variables.get("PATH", os.defpath)])
        return {**variables, "PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        """What one of Slurm's programs prints."""
        done = self._call(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.strip()

    def jobs(self) -> dict[str, tuple[str, str]]:
        """State and node of each job by its number; finished ones, too."""
        rows = self.run("squeue", "--noheader", "--states=all", "--format=%i|%T|%N").splitlines()
        return {job: (state, node) for job, state, node in (row.split("|") for row in rows)}

    def running(self) -> str | None:
        """The number of the one job that runs, if there is one."""
        return next((job for job, (state, _) in self.jobs().items() if state == "RUNNING"), None)

    def start(self) -> None:
        """Start the daemons, and wait until they take jobs."""
        forced = ["--force"] if os.getuid() == 0 else []
        files = [f"--key-file={self.folder}/munge.key", f"--socket={self.folder}/munge.socket"]
        files += [f"--{kind}-file={self.folder}/munge.{kind}" for kind in ("pid", "log", "seed")]
        self._start("munged", ["munged", "--foreground", *forced, *files])
        self._await("munged", (self.folder / "munge.socket").exists)
        self._start("slurmctld", ["slurmctld", "-D", "-i"])
        self._await("slurmctld", lambda: self._call("scontrol", "ping").returncode == 0)
        for name in NODES:
            self.start_node(name)

    def start_node(self, name: str) -> None:
        """Start a slurmd, and wait until it takes jobs."""
        self._start(name, ["slurmd", "-D", "-N", name])
        state = ["sinfo", "--noheader", f"--nodes={name}", "--format=%t"]
        self._await(name, lambda: self.run(*state) in ("idle", "mix"))

    def kill_node(self, name: str) -> None:
        """Kill a slurmd and all that runs below it, as if the power had failed."""
        daemon = self.daemons.pop(name)
        daemon.kill()
        daemon.wait()
        # what Slurm started for jobs, and then the jobs, which have the name from Slurm
        for mark in (f"{NODE}={name}", f"SLURMD_NODENAME={name}"):
            self._kill(mark)

    def cancel(self) -> None:
        """Cancel all jobs, and wait until none is left."""
        left = ["squeue", "--noheader", "--states=PENDING,RUNNING,COMPLETING,SUSPENDED,CONFIGURING"]
        self.run("scancel", f"--user={user()}")
        _await_that(lambda: not self.run(*left), "the end of all jobs")

    def end(self) -> None:
        """End the daemons, and what they or their jobs have left."""
        for daemon in reversed(self.daemons.values()):
            daemon.kill()
            daemon.wait()
        self._kill("")

    def _call(self, *command: str) -> subprocess.CompletedProcess[str]:
        variables = self.environment(os.environ)
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)

    def _start(self, name: str, command: list[str]) -> None:
        command = ["setpriv", "--pdeathsig", "KILL", str(program(command[0])), *command[1:]]
        variables = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf"), NODE: name}
        with (self.folder / f"{name}.out").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command,
                env=variables,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        daemon = self.daemons[name]
        _await_that(lambda: ready() or daemon.poll() is not None, name)
        assert daemon.poll() is None, (self.folder / f"{name}.out").read_text()

    def _kill(self, mark: str) -> None:
        """Kill the processes of this Slurm and its jobs with `mark` in their environment."""
        while found := [pid for pid in _marked(str(self.folder), mark) if pid != os.getpid()]:
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def started() -> Iterator[Cluster]:
    """Start Slurm; end it afterwards with all that runs on it."""
    # a socket's path may have some hundred characters, fewer than a test's own folder
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    folder.chmod(0o711)  # so wants munge
    cluster = Cluster(folder)
    try:
        configure(folder)
        cluster.start()
        yield cluster
        cluster.cancel()  # a slurmstepd outlives its slurmd
    finally:
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)


def _await_that(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"no {what} within {PATIENCE:.0f} s"
        time.sleep(0.1)


def _marked(*marks: str) -> list[int]:
    """The living processes with all of these in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended, or somebody else's
            variables = (entry / "environ").read_bytes().decode(errors="replace")
            if all(mark in variables for mark in marks):
                found.append(int(entry.name))
    return found
