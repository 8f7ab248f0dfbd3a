"""Measure DPO beside TRL's DPOTrainer: the same base model, pairs, steps and machine.

    python speed/dpo.py --pairs results/preferences/hubert/preferences.parquet
    python speed/dpo.py --size small            # pairs made up, as long as SpokenSwag's

TRL is set as slamkit sets it, but that nothing is computed twice to save memory and that the
precision is asked for: both answers with their prompts, padded to the longest of the batch. `trl`
has the reference model beside the policy; `precomputed` takes its log-probabilities first, as ours
does. Each turn is a process of its own, the ways take turns, and the medians count. What a step
takes is the seconds that its process computed, whatever else ran on the machine.
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

import numpy as np
import pyarrow as pa
import reference

from slamflow import files, provenance, runstate
from slamflow.tables import preferences as preferences_table
from slamflow.training import launch

WAYS = ("ours", "trl", "precomputed")
UNITS, FIRST = 500, 2  # as in dpo_ways


def main() -> None:
    args = _arguments()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # ranks import this file
    turns: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        _run(args, f"dpo_ways.write_base({args.size!r}, {str(base)!r})")
        pairs = args.pairs or _made_up(Path(folder) / "pairs.parquet")
        for turn in range(args.turns):
            for way in WAYS:
                place = Path(folder) / f"{way}{turn}"
                place.mkdir()
                turns[way].append(_turn(way, args, base, pairs, place))
                print(way, turns[way][-1], file=sys.stderr, flush=True)
    _show(args, turns)


def _turn(
    way: str, args: argparse.Namespace, base: Path, pairs: Path, folder: Path
) -> dict[str, float]:
    """A training in its own process, and what `dpo_ways.Clock.write` says of it."""
    training = {
        "budget": {"steps": args.steps + FIRST + 1},
        "pairs": args.step_pairs,
        "learning_rate": 5e-5,
        "schedule": "inverse_sqrt",
        "warmup": 0.1,
        "clip": 0.5,
        "precision": args.precision,
    }
    job = {"config": {"training": training}, "base": str(base), "pairs": str(pairs), "way": way}
    job |= {"folder": str(folder / "model"), "measured": str(folder / "measured.json")}
    machine = {"threads": args.threads, "device": "cpu", "ranks": 1}
    if way == "ours":
        inputs = [base / "model.safetensors", pairs]
        with runstate.RunState(folder / "state", job["config"], inputs, "speed") as state:
            made = launch.outputs(folder / "model", "generation_config.json")
            launch.train("dpo_ways:ours", job, training, made, state, machine, way)
    else:
        files.write_json({**job, "batch": args.batch}, folder / "job.json")
        _run(args, f"dpo_ways.trl({str(folder)!r})")
    return json.loads((folder / "measured.json").read_text())


def _run(args: argparse.Namespace, call: str) -> None:
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(files.__file__).parents[1])])
    threads = {"OMP_NUM_THREADS": str(args.threads), "OMP_WAIT_POLICY": "PASSIVE"}
    environment = {**os.environ, **threads, "PYTHONPATH": path, "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-c", f"import dpo_ways; {call}"]
    subprocess.run(command, env=environment, check=True, stdout=sys.stderr)


def _made_up(path: Path) -> Path:
    """Pairs of random units, 19.5 a second; prompts of 1 to 7 s, answers of 1 to 6 s."""
    rng, rows = np.random.default_rng(0), []
    for index in range(800):
        prompt, chosen, rejected = (
            rng.integers(UNITS, size=int(19.5 * rng.uniform(1, most))) for most in (7, 6, 6)
        )
        same = rng.integers(10)  # both begin with the same words
        rejected[:same] = chosen[:same]
        row = {"id": str(index), "prompt": prompt, "chosen": chosen, "rejected": rejected}
        rows.append({**row, "chosen_cut": False, "rejected_cut": False})
    table = pa.Table.from_pylist(rows, preferences_table.SCHEMA)
    files.write_table(table, path, preferences_table.SCHEMA)
    return path


def _show(args: argparse.Namespace, turns: Mapping[str, list[dict[str, float]]]) -> None:
    every = [turn for found in turns.values() for turn in found]
    limit = max(turn["limit"] for turn in every)
    middle = {
        way: {key: statistics.median(turn[key] for turn in found) for key in found[0]}
        for way, found in turns.items()
    }
    print(f"\n{args.size}: {every[0]['parameters'] / 1e6:.1f}M parameters, {args.precision},")
    print(f"{args.threads} threads; {args.turns} turns of {args.steps} steps of", end=" ")
    print(f"{args.step_pairs} pairs of {every[0]['tokens']:.0f} tokens, prompts counted once;")
    print(f"square matrix products reach {limit / 1e9:.0f} GFLOP a core second in float32;")
    print(f"{provenance.versions()}\n")
    print("| | tokens a core second | of the limit | references, ms a pair | peak MB |", end=" ")
    print("ours is | with references |")
    print("|---|---|---|---|---|---|---|")
    for way, found in middle.items():
        ratios = [
            (theirs["core"] / own["core"], _epoch(theirs) / _epoch(own))
            for own, theirs in zip(turns["ours"], turns[way], strict=True)
        ]
        steps, epoch = (statistics.median(column) for column in zip(*ratios, strict=True))
        print(f"| {way} | {found['tokens'] / found['core']:,.0f} |", end=" ")
        print(f"{found['flop'] / found['core'] / limit:.0%} |", end=" ")
        print(f"{1e3 * found['references']:.2f} | {found['memory']:,.0f} |", end=" ")
        print(f"{steps:.2f} × as fast | {epoch:.2f} × |")
    print("\nwith references: those of a pair and its part of a step; later epochs take no more")


def _epoch(turn: Mapping[str, float]) -> float:
    return turn["core"] + turn["references"]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", choices=reference.SIZES, default="pocket")
    parser.add_argument("--pairs", type=Path, help="a preferences table; default: made up")
    parser.add_argument("--step-pairs", type=int, default=16, help="pairs of a step")
    parser.add_argument("--batch", type=int, default=16, help="TRL: pairs in memory at once")
    parser.add_argument("--steps", type=int, default=20, help="of a turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if args.step_pairs % args.batch:
        parser.error("--step-pairs must be a multiple of --batch, which TRL accumulates")
    return args


if __name__ == "__main__":
    main()
