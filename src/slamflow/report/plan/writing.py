"""`plan.tsv`: what a config will take, stage by stage, before any of it runs.

A row a rule, then `total`. `cpu_hours` are hours of cores that jobs hold, if no GPU takes a stage
over; `gpu_hours` those of a GPU if one does, in place of the row's `cpu_hours`. `disk_gb` stays
below `results/`, or, of downloads, below `data_root`. A cell is empty where nothing of it is known;
where only a part is, `basis` names what the cell leaves out.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from slamflow.report import table_file
from slamflow.report.plan import amounts, growth, rates
from slamflow.report.plan.counts import Counts, Unknown
from slamflow.report.plan.jobs import Job
from slamflow.report.plan.stages import Stage, short

COLUMNS = ["rule", "jobs", "cpu_hours", "gpu_hours", "disk_gb", "download_gb", "basis"]
NUMBERS = COLUMNS[2:6]


def write(
    jobs: Sequence[Job], config: Mapping[str, Any], tables: Mapping[str, Path], output: Path
) -> str:
    """Write `plan.tsv`.

    Args:
        jobs: all jobs of the config.
        config: all of it but machine settings, as plain values.
        tables: paths of `rates`, `yields` and `gpus`, see module `rates`.

    Returns:
        The table for the terminal.

    Raises:
        ValueError: a damaged table of rates.
    """
    found = table(
        jobs,
        Counts(config, rates.yields(tables["yields"])),
        rates.rates(tables["rates"]),
        rates.gpus(tables["gpus"]),
    )
    table_file.write(found[COLUMNS].assign(**found[NUMBERS].map(_rounded)), output)
    return overview(found)


def table(
    jobs: Iterable[Job],
    counts: Counts,
    costs: Mapping[tuple[str, str], rates.Rate],
    speeds: Mapping[str, rates.Gpu],
) -> pd.DataFrame:
    """The rows of `plan.tsv`, and `at_least`: which cells leave something out. Unknown is NaN."""
    stages: dict[str, Stage] = {}
    for job in jobs:
        stage = stages.setdefault(job.rule, Stage())
        stage.jobs += 1
        engine = growth.engine(counts.config, job.rule, job.wildcards)
        _cores(stage, job, counts, costs.get((job.rule, engine)), engine)
        if job.gpus:
            _gpu(stage, job, counts, speeds.get(job.rule), engine)
        if job.rule == "fetch_download":
            _download(stage, job, counts)
    order = [rule for rule in growth.GROWS if rule in stages]
    rows = [{"rule": rule, **stages[rule].row()} for rule in dict.fromkeys([*order, *stages])]
    rows.append({"rule": "total", **_sum(stages).row()})
    kinds = dict.fromkeys(NUMBERS, "float64")
    return pd.DataFrame(rows, columns=[*COLUMNS, "at_least"]).astype(kinds)


def _sum(stages: Mapping[str, Stage]) -> Stage:
    total = Stage()
    for rule, stage in stages.items():
        total.jobs += stage.jobs
        for column, value in stage.sums.items():
            total.add(column, value)
        for column in stage.missing:
            total.lack(column, rule)
    taken = sum(it.sums.get("cpu_hours", 0.0) for it in stages.values() if "gpu_hours" in it.sums)
    if taken:
        total.basis[f"{short(taken)} of the cpu_hours are of stages with gpu_hours"] = None
    return total


def _cores(stage: Stage, job: Job, counts: Counts, rate: rates.Rate | None, engine: str) -> None:
    """Core hours and disk of a job, by measured rates."""
    budget = _given_hours(job, counts)
    if budget is not None:
        stage.add("cpu_hours", budget * job.threads)
        stage.basis["hours as they are given"] = None
    if rate is None:
        for column in ("cpu_hours", "disk_gb")[budget is not None :]:
            if (job.rule, column) != ("fetch_download", "disk_gb"):
                stage.lack(column, f"a rate of {engine or job.rule}")
        return
    try:
        if budget is None:
            amount = amounts.amount(counts, job.rule, job.wildcards, rate.unit)
            stage.add("cpu_hours", (rate.seconds_a_job + rate.seconds * amount) / 3600)
            stage.beyond = max(stage.beyond, amount / rate.largest if rate.largest else 0.0)
            stage.basis[f"{rate.recipe} on {rate.machine}, {rate.date}"] = None
    except Unknown as unknown:
        stage.lack("cpu_hours", str(unknown))
    try:
        stored = amounts.amount(counts, job.rule, job.wildcards, rate.stored)
        stage.add("disk_gb", rate.bytes * stored / 1e9)
    except Unknown as unknown:
        stage.lack("disk_gb", str(unknown))


def _gpu(stage: Stage, job: Job, counts: Counts, gpu: rates.Gpu | None, engine: str) -> None:
    """GPU hours of a job, by what others published."""
    budget = _given_hours(job, counts)
    if budget is not None:
        stage.add("gpu_hours", budget * job.gpus)
    elif gpu is None:
        stage.lack("gpu_hours", f"a published speed of {engine or job.rule}")
    else:
        try:
            amount = amounts.amount(counts, job.rule, job.wildcards, gpu.unit)
            stage.add("gpu_hours", gpu.seconds * amount / 3600)
            stage.basis[f"GPU: {gpu.gpu}, {gpu.source}"] = None
        except Unknown as unknown:
            stage.lack("gpu_hours", str(unknown))


def _given_hours(job: Job, counts: Counts) -> float | None:
    """The hours of a training that is given some."""
    try:
        return amounts.amount(counts, job.rule, job.wildcards, "budget") / 3600
    except Unknown:
        return None


def _download(stage: Stage, job: Job, counts: Counts) -> None:
    for column in ("download_gb", "disk_gb"):
        try:
            stage.add(column, counts.gigabytes(job.wildcards["download"]))
        except Unknown as unknown:
            stage.lack(column, str(unknown))


def overview(table: pd.DataFrame) -> str:
    """The table for people; + says that a cell leaves something out."""
    shown = table[COLUMNS[:-1]].astype(dict.fromkeys(NUMBERS, "object"))
    for name in NUMBERS:
        cells = zip(table[name], table["at_least"], strict=True)
        shown[name] = [short(value) + ("+" if name in more else " ") for value, more in cells]
    text = shown.to_string(index=False)
    lines = [
        "Planned; see `basis` in results/plan.tsv. + is at least, a + alone is not known",
        text,
    ]
    return "\n".join([*lines, *table["basis"].iloc[-1].split("; ")[:1]])


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
