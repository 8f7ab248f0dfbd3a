"""Full and read-only disks and too little memory are said in one line, and nothing is lost."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers
from safetensors.torch import save_file
from small_disks import remount, small_disk

from slamflow import disks, files, folders, logs
from slamflow.runstate import RunState
from slamflow.training import artefacts

MANY = torch.arange(50_000)
SCHEMA = pa.schema([("number", pa.int64())])
SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that has no room for `MANY`."""
    with small_disk(tmp_path.resolve() / "disk", "64k") as folder:
        yield folder


def write_table(path: Path) -> None:
    files.write_table(pa.table({"number": np.random.permutation(MANY)}), path, SCHEMA)


def write_weights(path: Path) -> None:
    with files.replacing(path) as temporary:
        save_file({"many": MANY}, temporary)


def write_text(path: Path) -> None:
    files.write_json(MANY.tolist(), path)


@pytest.mark.parametrize("write", [write_table, write_weights, write_text])
def test_a_full_disk_is_named_and_keeps_what_was_there(
    write: Callable[[Path], None], disk: Path
) -> None:
    path = disk / "file"
    path.write_text("before")
    with pytest.raises(OSError) as caught:
        write(path)
    assert caught.value.errno == errno.ENOSPC
    assert logs.describe(caught.value) == (
        f"{path}: the disk is full; make room there, then run the same command again: what is"
        " finished is kept"
    )
    assert [(path.name, path.read_text()) for path in disk.iterdir()] == [("file", "before")]
    remount(disk, "size=2m")
    write(path)
    assert path.stat().st_size > 100_000


def test_a_read_only_disk_is_named(disk: Path) -> None:
    remount(disk, "ro")
    for path, named in (
        (disk / "table.parquet", disk / "table.parquet"),
        (disk / "new" / "table.parquet", disk / "new"),
    ):
        with pytest.raises(OSError) as caught:
            write_table(path)
        assert logs.describe(caught.value).startswith(f"{named}: the disk is read-only; make it")


def test_other_errors_keep_their_words(tmp_path: Path) -> None:
    """A file that is read while another is written is not mistaken for it."""
    with pytest.raises(FileNotFoundError, match="other"), files.replacing(tmp_path / "file"):
        (tmp_path / "folder" / "other").read_text()
    with pytest.raises(ValueError, match=r"^a user's$"), files.replacing(tmp_path / "file"):
        raise ValueError("a user's")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/elsewhere/file")
    with pytest.raises(OSError, match="/elsewhere/file"), files.replacing(tmp_path / "file"):
        raise full


def test_a_full_disk_keeps_older_checkpoints(disk: Path) -> None:
    state = RunState(disk / "state", {}, [], "")
    with state:
        with state.checkpoint_folder(1) as folder:
            (folder / "weights").write_text("1")
        with pytest.raises(OSError) as caught, state.checkpoint_folder(2) as folder:
            save_file({"many": MANY}, folder / "weights")
        assert "checkpoints/000000002: the disk is full; make room" in logs.describe(caught.value)
        assert [path.name for path in state.checkpoints.iterdir()] == ["000000001"]
        latest = state.latest()
        assert latest and (latest[1] / "weights").read_text() == "1"


def test_a_model_that_does_not_fit_leaves_nothing(disk: Path) -> None:
    config = transformers.LlamaConfig(
        vocab_size=50,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
    )
    model = transformers.LlamaForCausalLM(config)
    with pytest.raises(OSError) as caught:
        artefacts.write(model, disk / "model", pa.table({"step": [1]}), "a card")
    wanted = f"{disk / 'model' / 'model.safetensors'}: the disk is full; make room there"
    assert logs.describe(caught.value).startswith(wanted)
    assert not [*(disk / "model").glob(".*")]
    assert not (disk / "model" / "model.safetensors").exists()


def test_a_folder_of_a_container_s_image_can_be_removed(disk: Path) -> None:
    for name in ("lower/state/checkpoints/1", "upper", "work", "merged"):
        (disk / name).mkdir(parents=True)
    (disk / "lower/state/checkpoints/1/weights").touch()
    layers = ",".join(f"{name}dir={disk / name}" for name in ("lower", "upper", "work"))
    command = ["mount", "-t", "overlay", "-o", layers, "overlay", str(disk / "merged")]
    if subprocess.run(command).returncode:
        pytest.skip("no overlay can be mounted here")
    try:
        checkpoints = disk / "merged/state/checkpoints"
        with pytest.raises(OSError, match="cross-device"):
            checkpoints.rename(checkpoints.with_name("other"))
        folders.remove(checkpoints)
        assert [*checkpoints.parent.iterdir()] == []
    finally:
        subprocess.run(["umount", str(disk / "merged")], check=True)


def capture(log: Path, code: str) -> "subprocess.CompletedProcess[str]":
    """Run code whose output goes to `log`, as a job's does."""
    script = f"from slamflow import logs\nwith logs.capture({str(log)!r}):\n    {code}"
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )


def test_a_job_whose_log_does_not_fit_says_what_is_wrong(disk: Path) -> None:
    (disk / "job.log").touch()
    with pytest.raises(OSError), (disk / "filler").open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    done = capture(disk / "job.log", "raise ValueError('a.parquet: damaged; delete it')")
    assert done.returncode == 1
    assert done.stderr == f"error: a.parquet: damaged; delete it (see {disk / 'job.log'})\n"


def test_a_job_that_cannot_have_a_log_says_so(disk: Path) -> None:
    remount(disk, "ro")
    done = capture(disk / "logs" / "job.log", "print('work')")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {disk / 'logs'}: the disk is read-only; make it")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "code",
    [
        "import numpy; numpy.ones(1 << 33)",
        "import pyarrow; pyarrow.allocate_buffer(1 << 36)",
        "import torch; torch.ones(1 << 34)",
        "list(range(1 << 33))",
    ],
)
def test_too_little_memory_is_said_with_the_repair(code: str, tmp_path: Path) -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({4 << 30}, {4 << 30})); "
    done = capture(tmp_path / "job.log", limit + code)
    assert done.returncode == 1
    assert done.stderr.startswith("error: memory ran out: run fewer jobs at a time (--cores 1), or")
    assert done.stderr.count("memory ran out") == len(done.stderr.splitlines()) == 1


def test_a_run_does_not_begin_where_nothing_can_be_written(disk: Path, tmp_path: Path) -> None:
    disks.check(tmp_path / "not" / "there" / "yet")
    with pytest.raises(ValueError, match=r"disk: less than 16 MB are left \(64 kB\); make room"):
        disks.check(tmp_path, disk)
    remount(disk, "ro")
    with pytest.raises(ValueError, match="disk/new: the disk is read-only; make it writable"):
        disks.check(disk / "new")
    (tmp_path / "results").symlink_to("/not/mounted")
    with pytest.raises(ValueError, match=r"results: its disk is not there \(/not/mounted\)"):
        disks.check(tmp_path / "results")


def test_folders_of_others_are_named() -> None:
    """Root may write everywhere, so another user is asked."""
    code = (
        "import os, sys; from slamflow import disks\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: disks.check(sys.argv[1])\n"
        "except ValueError as error: print(error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        done = subprocess.run(
            [sys.executable, "-c", code, folder],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    assert done.stdout.startswith(f"{folder}: you have no right to it; change its owner or mode")


def test_after_a_failed_run_killed_jobs_and_full_disks_are_named(
    disk: Path, tmp_path: Path
) -> None:
    log = tmp_path / "snakemake.log"
    log.write_text(
        "Command 'set -euo pipefail;  python a.py --log results/logs/a/b.log' died with"
        " <Signals.SIGKILL: 9>.\n"
        "Command 'set -euo pipefail;  python a.py --log results/logs/a/c.log' returned non-zero"
        " exit status 1.\n"
    )
    killed, full = disks.advice([str(log)], tmp_path, disk)
    assert killed.startswith("results/logs/a/b.log: this job was killed; if nobody did it, memory")
    assert full.startswith(f"{disk}: less than 16 MB are left")


def starved(path: Path, limit: str, code: str) -> str:
    """What reading `path` ends with where `limit` holds."""
    script = (
        "import resource, sys; import pyarrow as pa; from slamflow import files, logs\n"
        "path, schema = sys.argv[1], pa.schema([('number', pa.int64())])\n"
        "pa.set_cpu_count(1); pa.set_io_thread_count(1)\n"
        f"files.write_json([1], path + '.json'); files.read_table(path, schema).num_rows; {limit}\n"
        f"try: {code}\n"
        "except Exception as error: print(logs.describe(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("read", "suffix"),
    [("files.read_table(path, schema)", ""), ("files.read_json(path + '.json')", ".json")],
)
def test_where_no_file_can_be_opened_none_is_said_to_be_damaged(
    tmp_path: Path, read: str, suffix: str
) -> None:
    path = tmp_path / "table.parquet"
    files.write_table(pa.table({"number": [1]}), path, SCHEMA)
    limit = "resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))"
    assert starved(path, limit, read) == (
        f"{path}{suffix}: too many files are open; raise the limit (ulimit -n), then run the same"
        " command again: what is finished is kept\n"
    )


def test_where_memory_is_short_no_file_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    files.write_table(pa.table({"number": np.arange(5_000_000)}), path, SCHEMA)
    limit = (
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (20 << 20),) * 2)"
    )
    told = starved(path, limit, "[files.read_table(path, schema) for _ in range(50)]")
    assert told.startswith("memory ran out: run fewer jobs at a time")
