"""A real Slurm on this host: munged, slurmctld and two slurmd, which end with the tests.

Node `cn1` has no GPU, `cn2` has two character devices that Slurm takes for GPUs. Both promise
more cores and memory than there are, so that jobs of any size are started.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
        daemons: its processes by name, nodes by theirs.
    """

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]]

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

    def start_node(self, name: str) -> None:
        """Start a slurmd, and wait until it takes jobs."""
        self.daemons[name] = _start(self.folder, name, "slurmd", "-D", "-N", name)
        await_that(lambda: self.run("sinfo", "-h", "-n", name, "-o", "%t") in ("idle", "mix"), name)

    def kill_node(self, name: str) -> None:
        """Kill a slurmd and all that runs below it, as if the power had failed."""
        daemon = self.daemons.pop(name)
        daemon.kill()
        daemon.wait()
        # those that Slurm started for jobs, and then their jobs, which have the name from Slurm
        for mark in (f"{NODE}={name}", f"SLURMD_NODENAME={name}"):
            for pid in _marked(self.folder, mark):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def answers(self) -> bool:
        """Whether slurmctld takes requests."""
        return self._call("scontrol", "ping").returncode == 0

    def _call(self, *command: str) -> subprocess.CompletedProcess[str]:
        variables = self.environment(os.environ)
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)

    def cancel(self) -> None:
        """Cancel all jobs, and wait until none is left."""
        left = "PENDING,RUNNING,COMPLETING,SUSPENDED,CONFIGURING"
        self.run("scancel", f"--user={user()}")
        await_that(lambda: not self.run("squeue", "-h", f"--states={left}"), "end of all jobs")


@contextlib.contextmanager
def started() -> Iterator[Cluster]:
    """Start Slurm; end it afterwards with all that runs on it."""
    # a socket's path may have some hundred characters, fewer than a test's own folder
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    cluster = Cluster(folder, {})
    try:
        configure(folder)
        forced = ["--force"] if os.getuid() == 0 else []
        files = [f"--key-file={folder}/munge.key", f"--socket={folder}/munge.socket"]
        files += [f"--{kind}-file={folder}/munge.{kind}" for kind in ("pid", "log", "seed")]
        cluster.daemons["munged"] = _start(folder, "", "munged", "--foreground", *forced, *files)
        await_that((folder / "munge.socket").exists, "munged")
        cluster.daemons["slurmctld"] = _start(folder, "", "slurmctld", "-D", "-i")
        await_that(cluster.answers, "slurmctld")
        for name in NODES:
            cluster.start_node(name)
        yield cluster
        cluster.cancel()  # a slurmstepd outlives its slurmd
    finally:
        for daemon in reversed(cluster.daemons.values()):
            daemon.kill()
            daemon.wait()
        for pid in _marked(folder, ""):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def await_that(true: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait until something is true."""
    end = time.monotonic() + patience
    while not true():
        assert time.monotonic() < end, f"no {what} within {patience:.0f} s"
        time.sleep(0.1)


def _start(folder: Path, node: str, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    variables = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), NODE: node}
    with (folder / "daemons.log").open("ab") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", str(program(name)), *arguments],
            env=variables,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _marked(folder: Path, mark: str) -> list[int]:
    """The processes of this Slurm, and of its jobs, that have `mark` in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended, or somebody else's
            variables = (entry / "environ").read_bytes().decode(errors="replace")
            if str(folder) in variables and mark in variables and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found
