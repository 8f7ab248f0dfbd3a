"""The configuration of a Slurm on this host, for tests, and its programs."""

import contextlib
import os
import pwd
import secrets
import shutil
import socket
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sacct", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "srun")

CONFIG = """\
ClusterName=slamflow
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2,sched_min_interval=0
MinJobAge=3600
ReturnToService=2
SlurmdTimeout=10
SlurmctldTimeout=10
KillWait=10
JobRequeue=0
NodeName=DEFAULT CPUs=32 RealMemory=64000 Gres=gpu:fake:2
NodeName=cn1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]}
NodeName=cn2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=DEFAULT Nodes=cn1,cn2 MaxTime=2-00:00:00 State=UP
PartitionName=cpu Default=YES
PartitionName=gpu
"""
GPUS = "".join(
    f"NodeName=cn[1-2] Name=gpu Type=fake File={device}\n" for device in (os.devnull, "/dev/zero")
)
# A step of a job loses SLURM_CONF to the plugin; an installed Slurm would not need it.
CLIENT = '#!/bin/sh\nSLURM_CONF="{folder}/slurm.conf" exec "{program}" "$@"\n'


def missing() -> list[str]:
    """The programs of Slurm that this host lacks."""
    return [name for name in (*DAEMONS, *CLIENTS) if program(name) is None]


def configure(folder: Path) -> None:
    """Write what the daemons read into an empty folder, and clients that find them there."""
    host = socket.gethostname().split(".")[0]
    text = CONFIG.format(folder=folder, host=host, user=user(), ports=_free_ports(3))
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(GPUS)
    (folder / "cgroup.conf").write_text("")
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    (folder / "bin").mkdir()
    (folder / "state").mkdir()
    for name in CLIENTS:
        client = folder / "bin" / name
        client.write_text(CLIENT.format(folder=folder, program=program(name)))
        client.chmod(0o755)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as probes:
        found = [probes.enter_context(socket.socket()) for _ in range(count)]
        for probe in found:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in found]


def program(name: str) -> str | None:
    """The path of a program; daemons lie in folders that an ordinary user's PATH lacks."""
    folders = [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    return shutil.which(name, path=os.pathsep.join(folders))


def user() -> str:
    """The name of the user who runs the tests."""
    return pwd.getpwuid(os.getuid()).pw_name
