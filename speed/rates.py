"""Measure what stages cost, for results/plan.tsv, and compare a plan with what a run took.

    python speed/rates.py results                 # writes resources/plan/{rates,yields}.tsv
    python speed/rates.py results other/results   # the second for stages that the first has not
    python speed/rates.py --compare results       # planned against measured, as Markdown
    python speed/rates.py results --configfile my.yaml   # of a run with the same option

Each argument is the `results/` of a finished run that nothing ran beside. Its recipe, under this
checkout's `config.yaml`, should be as it was then. Core seconds are a job's wall time (Snakemake's
benchmark file) times its threads. A rate is a least-squares line through a stage's jobs, of two
parts that are not negative; through the origin where its jobs are alike, or larger ones took no
longer.
"""

import argparse
import copy
import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml
from scipy.optimize import nnls

from slamflow import provenance
from slamflow.config.fields import content_of
from slamflow.config.load import load
from slamflow.report import table_file
from slamflow.report.plan import amounts, growth, rates, writing
from slamflow.report.plan.counts import Counts, Unknown
from slamflow.report.plan.jobs import Job, jobs

ROOT = Path(__file__).resolve().parents[1]
PLAN = ROOT / "resources" / "plan"
ALIKE = 1.5  # jobs whose amounts differ less cannot tell a start from work


@dataclass
class Run:
    """A finished run."""

    results: Path
    recipe: str
    config: dict[str, Any]
    jobs: list[Job]

    def path(self, name: str) -> Path:
        """Where one of its files lies."""
        return self.results / Path(name).relative_to("results")

    def seconds(self, job: Job) -> float:
        """Core seconds of a job."""
        return float(pd.read_csv(self.path(job.timing), sep="\t")["s"].iloc[-1]) * job.threads

    def bytes(self, job: Job) -> int:
        """What it left on disk."""
        return sum(self.path(name).stat().st_size for name in job.outputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="that the runs had")
    parser.add_argument("--configfile", type=Path, help="that the runs had")
    parser.add_argument("--folder", type=Path, default=PLAN, help="of rates.tsv and yields.tsv")
    parser.add_argument("--compare", action="store_true")
    args = parser.parse_args()
    given = yaml.safe_load(args.configfile.read_text()) if args.configfile else {}
    folder, results = args.folder.resolve(), [path.resolve() for path in args.results]
    os.chdir(ROOT)
    runs = [_run(path, given, args.cores) for path in results]
    if args.compare:
        for run in runs:
            _compare(run, folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    tables = (("rates", _rates, list(rates.RATES)), ("yields", _yields, list(rates.YIELDS)))
    for name, measure, columns in tables:
        rows = [row for run in runs for row in measure(run, args.cores)]
        found = pd.DataFrame(rows, columns=columns).drop_duplicates(columns[:2])
        table_file.write(found.sort_values(columns[:2]), folder / f"{name}.tsv")


def _run(results: Path, given: dict[str, Any], cores: int) -> Run:
    recipe = yaml.safe_load((results / "run_config.yaml").read_text())["recipe"]
    given = {"recipe": recipe, **given}
    config = content_of(load(ROOT, given))
    run = Run(results, recipe, config, jobs(config["plan"], given, cores))
    run.jobs = [
        job for job in run.jobs if all(run.path(it).exists() for it in (job.timing, *job.outputs))
    ]
    if not run.jobs:
        raise SystemExit(f"{results}: has no finished job of recipe {recipe} with a timing")
    return run


def _rates(run: Run, cores: int) -> Iterator[dict[str, Any]]:
    counts = Counts(_counted(run), {})
    stages: dict[tuple[str, str], list[Job]] = {}
    for job in run.jobs:
        engine = growth.engine(run.config, job.rule, job.wildcards)
        stages.setdefault((job.rule, engine), []).append(job)
    for (rule, engine), found in stages.items():
        unit, stored = (table.get(rule, "job") for table in (growth.GROWS, growth.STORED))
        stored = unit if rule not in growth.STORED else stored
        try:
            worked, kept = (
                np.array([amounts.amount(counts, rule, job.wildcards, it) for job in found])
                for it in (unit, stored)
            )
        except Unknown as unknown:
            print(f"{rule} {engine}: left out, {unknown} not known")
            continue
        start, work = _line(worked, np.array([run.seconds(job) for job in found]), unit)
        size = sum(map(run.bytes, found)) / kept.sum() if kept.sum() else 0.0
        yield {
            "rule": rule,
            "engine": engine,
            "unit": unit,
            "seconds_a_job": f"{start:.4g}",
            "seconds": f"{work:.4g}",
            "stored": stored,
            "bytes": f"{size:.4g}",
            "jobs": len(found),
            "largest": f"{worked.max():.4g}",
            "recipe": run.recipe,
            "machine": f"{_processor()}, {cores} cores",
            **_when(run),
        }


def _line(amounts: np.ndarray, seconds: np.ndarray, unit: str) -> tuple[float, float]:
    """Seconds a job and an amount."""
    if unit == "job" or not amounts.max():
        return float(seconds.mean()), 0.0
    if amounts.max() < ALIKE * amounts.min():
        return 0.0, float(seconds.sum() / amounts.sum())
    scale = amounts.max()
    (start, work), _ = nnls(np.stack([np.ones_like(amounts), amounts / scale], 1), seconds)
    return (float(start), float(work / scale)) if work else (0.0, seconds.sum() / amounts.sum())


def _yields(run: Run, cores: int) -> Iterator[dict[str, Any]]:
    counted = _counted(run)
    for name, corpus in run.config["corpora"].items():
        source, found = corpus["source"], counted["corpora"][name]["source"]
        if corpus["speech"] and found.get("hours"):
            amount = found["hours"] / found["items"] / corpus["speech"]["renditions"]
            yield _yield(run, "hour", source.get("content") or source["kind"], amount)
    for name, tokeniser in run.config["tokenisers"].items():
        if rate := counted["tokenisers"][name]["units_a_second"]:
            yield _yield(run, "unit", tokeniser["features"], rate)


def _yield(run: Run, makes: str, of: str, amount: float) -> dict[str, Any]:
    when = _when(run)["date"]
    return {"makes": makes, "of": of, "amount": f"{amount:.4g}", "recipe": run.recipe, "date": when}


def _counted(run: Run) -> dict[str, Any]:
    """The config, with the amounts that there are in the tables of the run."""
    config = copy.deepcopy(run.config)
    for name, corpus in config["corpora"].items():
        seconds, items = 0.0, set()
        for path in (run.results / "speech" / name).glob("*.parquet"):
            table = pq.read_table(path, columns=["item", "duration"])
            seconds += sum(table["duration"].to_pylist())
            items |= set(table["item"].to_pylist())
        if items:
            corpus["source"] |= {"hours": seconds / 3600, "items": len(items)}
    for name, tokeniser in config["tokenisers"].items():
        seconds, units = 0.0, 0
        for path in (run.results / "units" / name).glob("*/*.parquet"):
            table = pq.read_table(path, columns=["duration", "units"])
            seconds += sum(table["duration"].to_pylist())
            units += len(table["units"].combine_chunks().flatten())
        tokeniser["units_a_second"] = units / seconds if seconds else None
    return config


def _compare(run: Run, folder: Path) -> None:
    counts = Counts(run.config, rates.yields(folder / "yields.tsv"))
    planned = writing.table(run.jobs, counts, rates.rates(folder / "rates.tsv"), {})
    measured = pd.DataFrame(
        [(job.rule, run.seconds(job) / 3600, run.bytes(job) / 1e9) for job in run.jobs],
        columns=["rule", "hours", "gb"],
    ).groupby("rule")
    hours, size = measured["hours"].sum(), measured["gb"].sum()
    hours["total"], size["total"] = hours.sum(), size.sum()
    print(f"\n{run.recipe}, {len(run.jobs)} jobs, {_when(run)['date']}, {_processor()}\n")
    print("| stage | jobs | core seconds planned | measured | ratio | MB planned | measured |")
    print("|---|---|---|---|---|---|---|")
    for row in planned.itertuples():
        wall, real = row.cpu_hours * 3600, hours[row.rule] * 3600
        print(
            f"| `{row.rule}` | {row.jobs} | {wall:.1f} | {real:.1f} | {wall / real:.2f}"
            f" | {row.disk_gb * 1e3:.1f} | {size[row.rule] * 1e3:.1f} |"
        )


def _when(run: Run) -> dict[str, str]:
    finished = datetime.date.fromtimestamp((run.results / "run_config.yaml").stat().st_mtime)
    commit = provenance.git_commit(run.results.parent) or ""
    return {"date": finished.isoformat(), "commit": commit[:9]}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


if __name__ == "__main__":
    main()
