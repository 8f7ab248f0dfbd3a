"""Scores: a panel a benchmark, the same numbers as a table, and what stands behind them."""

from typing import Any

import pandas as pd

from slamflow.report.generated import METRICS
from slamflow.report.page.material import Material, records
from slamflow.report.page.tracks import Axis, axis, mark

ALL = "all"


def build(material: Material) -> dict[str, Any] | str:
    """Panels, tables of groups and conventions, and measures of generated speech."""
    table = material.scores
    spoken = ~table["benchmark"].str.startswith("units:")
    made = table["metric"].isin(METRICS)
    accuracies = table[spoken & ~made]
    if accuracies.empty and not made.any():
        return "eval.tsv has no scores of models."
    default = accuracies[accuracies["default"] == "true"]
    whole = default[default["group"] == ALL]
    scale = axis([*whole["ci_low"], *whole["ci_high"], *whole["chance"]], ceiling=100.0)
    panels = [_panel(material, name, rows, scale) for name, rows in _parts(whole, "benchmark")]
    return {
        "panels": panels,
        "scale": scale,
        "kinds": list(dict.fromkeys(row["kind"] for panel in panels for row in panel["rows"])),
        "wide": wide(whole.assign(cell=_cells(whole)), "model", "benchmark"),
        "groups": [
            (name, wide(rows.assign(cell=_cells(rows)), "model", "group"))
            for name, rows in _parts(default, "benchmark")
            if rows["group"].nunique() > 1
        ],
        "conventions": [
            (name, wide(rows.assign(cell=rows["value"]), "model", "convention"))
            for name, rows in _parts(accuracies[accuracies["group"] == ALL], "benchmark")
        ],
        "generated": _generated(table[made]),
    }


def _panel(material: Material, name: str, rows: pd.DataFrame, scale: Axis) -> dict[str, Any]:
    usual = rows["convention"].mode().iloc[0]
    counts = list(dict.fromkeys(rows["n"]))
    return {
        "benchmark": name,
        "metric": " and ".join(m.replace("_", " ") for m in dict.fromkeys(rows["metric"])),
        "convention": usual,
        "count": " or ".join(counts),
        "chance": scale.place(rows["chance"].iloc[0]),
        "rows": [
            {
                "model": row["model"],
                "kind": material.kind(row["model"]),
                "value": row["value"],
                "low": row["ci_low"],
                "high": row["ci_high"],
                "mark": mark(scale, row["value"], row["ci_low"], row["ci_high"]),
                "convention": "" if row["convention"] == usual else row["convention"],
            }
            for row in records(rows)
        ],
    }


def _generated(rows: pd.DataFrame) -> dict[str, Any] | None:
    """Measures of what models say themselves, and the conventions that they belong to."""
    if rows.empty:
        return None
    label = rows["metric"].map(lambda metric: METRICS[metric].title)
    several = rows["benchmark"].nunique() > 1
    name = rows["model"] + (" (" + rows["benchmark"] + ")" if several else "")
    cell = _cells(rows).where(rows["value"] != "", "–")
    shown = rows.assign(model=name, metric=label, cell=cell)
    said = shown[["metric", "convention", "benchmark"]].drop_duplicates(["metric", "convention"])
    counts = {int(count) for count in rows["n"]}
    return {
        "table": wide(shown, "model", "metric"),
        "conventions": records(said),
        "count": " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)})),
    }


def wide(rows: pd.DataFrame, index: str, columns: str) -> dict[str, Any]:
    """The column `cell` as a table; both in the order of the rows, of equal keys the first."""
    rows = rows.drop_duplicates([index, columns])
    pivot = rows.pivot(index=index, columns=columns, values="cell").fillna("")
    names = list(dict.fromkeys(rows[columns]))
    pivot = pivot.reindex(index=list(dict.fromkeys(rows[index])), columns=names)
    return {"columns": names, "rows": list(zip(pivot.index, pivot.to_numpy(), strict=True))}


def _parts(rows: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), part) for name, part in rows.groupby(column, sort=False)]


def _cells(rows: pd.DataFrame) -> pd.Series:
    interval = " [" + rows["ci_low"] + ", " + rows["ci_high"] + "]"
    return rows["value"] + interval.where(rows["ci_low"] != "", "")
