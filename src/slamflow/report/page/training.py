"""Training: loss curves, and a ledger of tokens, compute, time and memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow.report.page import costs, curves
from slamflow.report.page.material import Material


def build(material: Material) -> dict[str, Any] | str:
    """Figures and the ledger of each model's training, and the time that each stage took."""
    runs = [
        run
        for name, facts in material.models.items()
        if (run := _run(material.results / "models" / name, name, facts)) is not None
    ]
    stages = costs.stages(material.results)
    if not runs and not stages:
        return "there are neither logs of trainings nor timings of jobs."
    return {
        "figures": curves.figures([run for run in runs if run["log"].num_rows]),
        "ledger": [_row(run) for run in runs if run["log"].num_rows],
        "stages": stages,
        "total": costs.total(stages),
    }


def _run(folder: Path, name: str, facts: Mapping[str, Any]) -> dict[str, Any] | None:
    """The log of a model's training, if it has one."""
    path = folder / "training.parquet"
    if not path.exists():
        return None
    return {"name": name, **facts, "log": costs.log(path), "folder": folder}


def _row(run: dict[str, Any]) -> dict[str, Any]:
    log: pa.Table = run["log"]
    last = log.slice(log.num_rows - max(1, log.num_rows // 10))
    weights = costs.weights(run["folder"])
    mfu = [value for value in log["mfu"].to_pylist() if value is not None]
    validation = log["validation"][-1].as_py() or []
    seconds = log["seconds"][-1].as_py()
    tokens = costs.tokens(run["folder"], run["kind"], log)
    flop = costs.flop(run["folder"], run["kind"], log)
    return {
        "name": run["name"],
        "start": run["start"] or "random weights",
        "trained_on": run["trained_on"],
        "parameters": f"{weights.parameters / 1e6:,.3g} M" if weights else "",
        "updates": f"{log.num_rows:,}",
        "tokens": big(tokens),
        "flop": f"{flop:.2e}".replace("e+", "e") if flop else "",
        "loss": f"{sum(last['loss'].to_pylist()) / len(last):.3f}",
        "validation": ", ".join(f"{it['name']} {it['loss']:.3f}" for it in validation),
        "time": duration(seconds),
        "speed": big(tokens / seconds) if tokens and seconds else "",
        "mfu": f"{100 * sum(mfu) / len(mfu):.0f} %" if mfu else "",
        "memory": f"{max(log['memory'].to_pylist()) / 1024:.1f} GiB",
    }


def big(number: float | None) -> str:
    """A count of many as people say it, e.g. 3.49 M."""
    if number is None:
        return ""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"


def duration(seconds: float) -> str:
    """A time as people say it: 14 s, 2:21 min, 3:05 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
