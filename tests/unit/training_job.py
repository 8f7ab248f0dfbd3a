"""Small real training jobs for the tests: units, packed rows, and a job in its own process."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from slamflow import files
from slamflow.lm import packing
from slamflow.tables import units as units_table

CLUSTERS = 20
INIT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "layers": 2,
    "heads": 2,
    "kv_heads": 1,
    "seed": 1,
}
TRAINING = {
    "budget": {"steps": 30},
    "batch_tokens": 256,
    "learning_rate": 1.0e-2,
    "warmup": 0.1,
    "floor": 0.05,
    "clip": 0.5,
    "seed": 1,
}


def units_of(documents: Sequence[Sequence[int]], roles: Sequence[str] | None = None) -> pa.Table:
    """A units table; with roles, every `len(set(roles))` rows are one item."""
    count = len(documents)
    kinds = len(set(roles)) if roles else 1
    columns = {
        "id": [f"d{i}" for i in range(count)],
        "item": [f"item{i // kinds}" for i in range(count)],
        "role": list(roles or ["document"] * count),
        "group": [""] * count,
        "rendition": [0] * count,
        "speaker": ["a"] * count,
        "duration": [1.0] * count,
        "units": [list(map(int, document)) for document in documents],
        "durations": [[1] * len(document) for document in documents],
    }
    return pa.table(
        {name: pa.array(columns[name], units_table.SCHEMA.field(name).type) for name in columns}
    )


def documents(count: int, seed: int = 0) -> list[list[int]]:
    """Sequences with structure: after a unit mostly one of three others follows."""
    rng = np.random.default_rng(seed)
    following = rng.integers(CLUSTERS, size=(CLUSTERS, 3))
    made = []
    for _ in range(count):
        document = [int(rng.integers(CLUSTERS))]
        for _ in range(int(rng.integers(5, 60))):
            document.append(int(following[document[-1], rng.integers(3)]))
        made.append(document)
    return made


def write_units(path: Path, count: int, seed: int = 0) -> Path:
    """A units table of documents."""
    files.write_table(units_of(documents(count, seed)), path, units_table.SCHEMA)
    return path


def write_packed(folder: Path, count: int, held_out: float = 0.0) -> Path:
    """A packed table of documents, in rows of 64 tokens; their units lie beside it."""
    units = write_units(folder / "units.parquet", count)
    config = {"context": 64, "held_out": held_out, "seed": 1}
    packing.pack(config, [units], CLUSTERS + 2, folder / "packed.parquet")
    return folder / "packed.parquet"


def start(
    call: str,
    folder: Path,
    machine: dict[str, Any],
    before: Sequence[str] = (),
    **arguments: Any,
) -> subprocess.Popen:
    """Start a job as a workflow script would: `call` is `module:function`.

    Its state, model and log lie in `folder`; `arguments` are the function's, paths as Path;
    `before` is a command that runs the command behind it.
    """
    paths = {name: str(value) for name, value in arguments.items() if isinstance(value, Path)}
    plain = {name: value for name, value in arguments.items() if name not in paths}
    spec = {"call": call, "folder": str(folder), "paths": paths, "plain": plain}
    spec["machine"] = {"threads": 1, "device": "cpu", **machine}
    source = str(Path(files.__file__).parents[1])
    return subprocess.Popen(
        [*before, sys.executable, __file__, json.dumps(spec)],
        env={**os.environ, "PYTHONPATH": source},
        stderr=subprocess.PIPE,
        text=True,
    )


def run(call: str, folder: Path, machine: dict[str, Any], **arguments: Any) -> str:
    """Run a job to its end, which must be good; returns what it said."""
    with start(call, folder, machine, **arguments) as job:
        said = job.communicate()[1]
    assert job.returncode == 0, said + (folder / "log.txt").read_text()
    return said


def main() -> None:
    """The job's own process."""
    import importlib

    from slamflow import logs, runstate

    spec = json.loads(sys.argv[1])
    folder, plain = Path(spec["folder"]), spec["plain"]
    paths = {name: Path(path) for name, path in spec["paths"].items()}
    inputs = [path for path in paths.values() if path.is_file()]
    with logs.capture(folder / "log.txt", append=True):
        module, name = spec["call"].split(":")
        function = getattr(importlib.import_module(module), name)
        assert "torch" not in sys.modules
        with runstate.RunState(folder / "state", plain["config"], inputs, "code") as state:
            function(
                **plain,
                **paths,
                folder=folder / "model",
                state=state,
                machine=spec["machine"],
                label="test",
            )


if __name__ == "__main__":
    main()
