"""Comparisons: paired differences of models on the same items."""

from typing import Any

import pandas as pd

from slamflow.report.page.material import Material, records
from slamflow.report.page.scores import wide
from slamflow.report.page.tracks import axis, mark

SHOWN = 40  # pairs of models in the panels, where none is an aligned model and its base


def build(material: Material) -> dict[str, Any] | str:
    """Panels of each aligned model and its base, and a table of all pairs.

    The first convention of a pair on a benchmark is the benchmark's default.
    """
    table = material.comparisons
    if table.empty:
        return "comparisons.tsv is empty: no two of the evaluated models met the same items."
    first = table.drop_duplicates(["model", "against", "benchmark"])
    models = material.models.items()
    bases = {name: its["start"] for name, its in models if its["kind"] == "aligned"}
    aligned = [
        bases.get(model) == against
        for model, against in zip(first["model"], first["against"], strict=True)
    ]
    pairs = list(dict.fromkeys(zip(first["model"], first["against"], strict=True)))
    main = first[aligned] if any(aligned) else _of(first, pairs[:SHOWN])
    scale = axis([*main["ci_low"], *main["ci_high"]], zero=True)
    panels = [
        {
            "benchmark": name,
            "convention": rows["convention"].iloc[0],
            "rows": [_row(row, scale) for row in records(rows)],
        }
        for name, rows in main.groupby("benchmark", sort=False)
    ]
    return {
        "panels": panels,
        "scale": scale,
        "zero": scale.place(0.0),
        "aligned": any(aligned),
        "shown": SHOWN if len(pairs) > SHOWN and not any(aligned) else None,
        "pairs": len(pairs),
        "tested": "p" in table,
        "all": wide(_named(first), "pair", "benchmark"),
        "count": len(first),
    }


def _of(rows: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """The rows of these pairs of models."""
    return rows[[pair in pairs for pair in zip(rows["model"], rows["against"], strict=True)]]


def _row(row: dict[str, Any], scale: Any) -> dict[str, Any]:
    return {
        "model": row["model"],
        "against": row["against"],
        "value": row["difference"],
        "low": row["ci_low"],
        "high": row["ci_high"],
        "p": row.get("p", ""),
        "n": row["n"],
        "mark": mark(scale, row["difference"], row["ci_low"], row["ci_high"]),
    }


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    cell = rows["difference"] + " [" + rows["ci_low"] + ", " + rows["ci_high"] + "]"
    if "p" in rows:
        cell += (", p " + rows["p"]).where(rows["p"] != "", "")
    return rows.assign(pair=rows["model"] + " − " + rows["against"], cell=cell)
