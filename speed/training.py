"""Measure pretraining beside the Trainer of transformers: the same start, documents and machine.

    python speed/training.py --packed results/packed/stories.parquet        # the model of pocket
    python speed/training.py --size small --precision bfloat16              # 30M parameters
    python speed/training.py --size slam --device cuda --precision bfloat16 --steps 20

The Trainer is set as slamkit sets it: documents (pieces of at most the context) in random order,
up to eight in a batch, padded to the longest, gradients accumulated to as many tokens a step as
ours. `grouped` has it form batches of documents of like length, which slamkit does not. Each turn
is a process of its own; a step's tokens are those that are not padding. The ways take turns, and
the medians count. On a GPU it has not been run yet.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import reference

from slamflow import files, provenance, runstate
from slamflow.lm import packing
from slamflow.tables import units as units_table
from slamflow.training import launch

WAYS = ("ours", "trainer", "grouped")
FIRST = 2  # steps of a turn before those that are counted


def main() -> None:
    args = _arguments()
    source = Path(files.__file__).parents[1]
    os.environ["PYTHONPATH"] = f"{Path(__file__).parent}{os.pathsep}{source}"
    turns: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        packed = args.packed or _made_up(Path(folder), args.context)
        for turn in range(args.turns):
            for way in WAYS:
                place = Path(folder) / f"{way}{turn}"
                place.mkdir()
                turns[way].append(_turn(way, args, packed, place))
                print(way, turns[way][-1], file=sys.stderr, flush=True)
    _show(args, turns)


def _turn(way: str, args: argparse.Namespace, packed: Path, folder: Path) -> dict[str, float]:
    """A training of its own process, and what `training_ways.Clock.write` says of it."""
    init = reference.init(args.size)
    training = {
        "budget": {"steps": args.steps + FIRST + 1},  # the last one's end is not measured
        "batch_tokens": args.batch_tokens,
        "learning_rate": 1e-3,
        "warmup": 0.01,
        "floor": 0.05,
        "clip": 0.5,
        "precision": args.precision,
    }
    machine = {"threads": args.threads, "device": args.device, "micro_batch": args.micro_batch}
    job = {
        "config": {"init": init, "training": training},
        "packed": str(packed),
        "folder": str(folder / "model"),
        "measured": str(folder / "measured.json"),
        "machine": {**machine, "ranks": 1, "compile": args.compile},
        "first": FIRST,
        "grouped": way == "grouped",
    }
    if way == "ours":
        with runstate.RunState(folder / "state", job["config"], [packed], "speed") as state:
            made = launch.outputs(folder / "model", "generation_config.json")
            launch.train("training_ways:ours", job, training, made, state, job["machine"], way)
    else:
        files.write_json(job, folder / "job.json")
        threads = {"OMP_NUM_THREADS": str(args.threads), "OMP_WAIT_POLICY": "PASSIVE"}
        command = [sys.executable, "-m", "training_ways", str(folder / "job.json")]
        subprocess.run(command, env={**os.environ, **threads}, check=True, stdout=sys.stderr)
    return json.loads((folder / "measured.json").read_text())


def _made_up(folder: Path, context: int) -> Path:
    """Packed documents of random units, 19.5 a second, as long as those of Slam's mixture.

    Half of them are pieces of 15 to 30 s, a fifth utterances of 2 to 16 s, the rest stories of 40
    to 60 s.
    """
    rng, count, units = np.random.default_rng(0), 1500, 500
    kinds = rng.choice(3, count, p=(0.5, 0.2, 0.3))
    seconds = rng.uniform(np.array([15, 2, 40])[kinds], np.array([30, 16, 60])[kinds])
    names = [str(index) for index in range(count)]
    columns: dict[str, list[Any]] = {
        **dict.fromkeys(("id", "item", "role", "group", "speaker"), names),
        "rendition": [0] * count,
        "duration": list(seconds),
        "units": [rng.integers(units, size=int(19.5 * length)) for length in seconds],
    }
    columns["durations"] = columns["units"]
    path = folder / "made-up" / "0000.parquet"
    path.parent.mkdir()
    files.write_table(pa.table(columns, units_table.SCHEMA), path, units_table.SCHEMA)
    packing.pack({"context": context}, [path], units + 2, folder / "packed.parquet")
    return folder / "packed.parquet"


def _show(args: argparse.Namespace, turns: Mapping[str, list[dict[str, float]]]) -> None:
    every = [turn for found in turns.values() for turn in found]
    limit = max(turn[f"{args.precision} limit"] for turn in every)
    versions = provenance.versions(("torch", "transformers", "deepspeed"))
    basis = "core" if args.device == "cpu" else "wall"
    middle = {
        way: {key: statistics.median(turn[key] for turn in found) for key in found[0]}
        for way, found in turns.items()
    }
    print(
        f"\n{args.size}: {every[0]['parameters'] / 1e6:.1f}M parameters, {args.precision},", end=" "
    )
    print(f"{args.threads} threads of {args.device}; {every[0]['flop'] / 1e6:.0f} MFLOP a token;")
    print(f"square matrix products reach {limit / 1e9:.0f} GFLOP a second; {args.turns} turns of")
    print(f"{args.steps} steps; {versions}\n")
    print(f"| | tokens a {basis} second | a wall second | of the limit | peak MB | ours is |")
    print("|---|---|---|---|---|---|")
    for way, found in middle.items():
        ratios = [a[basis] / b[basis] for a, b in zip(turns["ours"], turns[way], strict=True)]
        print(f"| {way} | {found[basis]:,.0f} | {found['wall']:,.0f} |", end=" ")
        print(f"{found['flop'] * found[basis] / limit:.0%} | {found['memory']:,.0f} |", end=" ")
        print(f"{statistics.median(ratios):.2f} × as fast |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", choices=reference.SIZES, default="pocket")
    parser.add_argument("--packed", type=Path, help="packed rows; default: made up, as in Slam")
    parser.add_argument("--context", type=int, default=1024, help="of made-up rows")
    parser.add_argument("--batch-tokens", type=int, default=4096, help="of a step")
    parser.add_argument("--steps", type=int, default=20, help="of a turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--micro-batch", type=int, help="rows at once, ours")
    parser.add_argument("--compile", choices=("auto", "on", "off"), default="auto", help="ours")
    return parser.parse_args()


if __name__ == "__main__":
    main()
