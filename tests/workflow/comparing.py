"""What two runs of the workflow made, file by file."""

from pathlib import Path

import pyarrow.parquet as pq
from observing import stamps
from running import TARGET, run_snakemake

LEFTOVERS = (".tmp", ".removed", ".writing")


def differences(folder: Path, undisturbed: Path) -> list[str]:
    """In what a finished run differs from the undisturbed one, and what it left behind."""
    made, wanted = _results(folder), _results(undisturbed)
    assert {"eval.tsv", "comparisons.tsv", "models/crumb-dpo/model.safetensors"} <= wanted.keys()
    found = [f"{name} is missing" for name in wanted.keys() - made.keys()]
    found += [f"{name} should not be there" for name in made.keys() - wanted.keys()]
    for name in made.keys() & wanted.keys():
        found += [] if _content(made[name]) == _content(wanted[name]) else [f"{name} differs"]
    for path in (folder / "results" / "state").rglob("*"):
        if path.name.endswith(LEFTOVERS) or path.name in ("checkpoints", "data"):
            found.append(f"{path.relative_to(folder)} is left over")
    before = stamps(folder)
    plan = run_snakemake([TARGET, "-n"], folder)
    found += [] if "Nothing to be done" in plan.stdout else [f"more to do: {plan.stdout}"]
    later = [name for name, stamp in stamps(folder).items() if before.get(name) != stamp]
    return found + [f"{name} was written after the end" for name in later]


def _results(folder: Path) -> dict[str, Path]:
    """All files of the results but those that tell of this run alone, by name."""
    results = folder / "results"
    found = {str(path.relative_to(results)): path for path in results.rglob("*") if path.is_file()}
    alone = ("logs/", "timings/", "state/", "run_config.yaml", "report.html")
    return {name: path for name, path in found.items() if not name.startswith(alone)}


def _content(path: Path) -> object:
    """The content of a result without what was measured of its making."""
    if path.name == "training.parquet":
        return pq.read_table(path).drop_columns(["tokens_per_second", "memory", "seconds"])
    if path.name == "card.md":
        return [line for line in path.read_text().splitlines() if "seconds of training" not in line]
    return path.read_bytes()
