"""A storm: random processes of a run of `crumb` are killed at random moments, many times.

    python tests/storm.py --kills 50 --seed 1

Each run goes on until it is finished, called again and again as README says, and then equals the
undisturbed one. If it is finished before there were enough kills, another one begins. Exit status
1 says that something was lost, left over or still running.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "workflow"))

from comparing import differences
from running import TARGET, copy_checkout, run_snakemake
from storming import Storm, rage


def main() -> None:
    """Run the storm that the command line describes; print a line a kill, and a summary."""
    parser = argparse.ArgumentParser(description="Kill random processes of runs of `crumb`.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--latest", type=float, default=25, help="seconds after a start when a kill may come"
    )
    parser.add_argument("--folder", type=Path, help="where the runs lie; default: a new one")
    parser.add_argument(
        "--undisturbed", type=Path, help="a checkout in which crumb was run; default: run it first"
    )
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="storm-"))
    undisturbed = given.undisturbed
    began = time.monotonic()
    if not undisturbed:
        undisturbed = copy_checkout(folder / "undisturbed")
        run_snakemake(["--cores", "all", TARGET, "--config", "recipe=crumb"], undisturbed)
        print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    began = time.monotonic()
    storm = Storm(given.kills, given.latest, random.Random(given.seed), say)
    runs = 0
    while not storm.enough():
        runs += 1
        checkout = copy_checkout(folder.resolve() / f"storm-{runs}")
        rage(storm, checkout)
        storm.faults += [f"{checkout}: {text}" for text in differences(checkout, undisturbed)]
    kinds = Counter(killed.kind for killed in storm.killed)
    print(f"{len(storm.killed)} kills in {storm.starts} starts, {storm.unlocked} of them locked")
    print("; ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    print(f"{runs} runs, {time.monotonic() - began:.0f} s, in {folder}")
    for fault in storm.faults:
        print(f"fault: {fault}")
    sys.exit(1 if storm.faults else 0)


def say(line: str) -> None:
    """Print now, also into a file."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
