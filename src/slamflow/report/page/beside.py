"""Beside published results: only where benchmark, split and convention are the same."""

from collections.abc import Mapping
from string import ascii_lowercase
from typing import Any

import pandas as pd

from slamflow.report import scaling_law
from slamflow.report.page import costs, published, teaser
from slamflow.report.page.material import Material, records

NONE = (
    "no benchmark of this run is an official one with a convention that others published by: its"
    " benchmarks are generated or spoken by the workflow itself, so its numbers compare with"
    " nothing outside of it."
)


def build(material: Material) -> dict[str, Any] | str:
    """Tables and teaser figures of each official set that was met, and GenPPL."""
    ours, generated = _ours(material), _generated(material)
    if ours.empty and not generated:
        return NONE
    theirs = published.read()
    spent = {name: compute(material, name) for name in material.models}
    return {
        "parts": [
            _part(str(key[0]), str(key[1]), rows, spent, records(theirs))
            for key, rows in ours.groupby(["set", "split"], sort=False)
        ],
        "generated": generated,
        "theirs": records(theirs[theirs["gen_ppl"] != ""]),
        "sources": list(dict.fromkeys(theirs["source"])),
    }


def _part(
    found: str,
    split: str,
    ours: pd.DataFrame,
    spent: Mapping[str, float | None],
    theirs: list[dict[str, str]],
) -> dict[str, Any]:
    """A set and split: a table a convention, and what else was published, for orientation."""
    title = published.TITLES[found] + (f", {split}" if split else "")
    tables, left = [], [row for row in theirs if row[found]]
    for name, rows in ours.groupby("convention", sort=False):
        same = [row for row in theirs if published.same(row, found, split, str(name))]
        left = [row for row in left if row not in same]
        tables.append(_table(found, f"{title}, {name}", records(rows), spent, same))
    others = [row | {"score": row[found]} for row in left]
    return {"title": title, "set": found, "tables": tables, "others": others}


def _table(
    found: str,
    title: str,
    ours: list[dict[str, str]],
    spent: Mapping[str, float | None],
    theirs: list[dict[str, str]],
) -> dict[str, Any]:
    """Rows of one convention; models of the figure, if others are in it, have a mark there."""
    points, rows = [], []
    for place, row in enumerate(ours):
        flop = spent.get(row["model"])
        mark = ascii_lowercase[place % len(ascii_lowercase)] if flop and theirs else ""
        if flop and theirs:
            points.append(teaser.Point(mark, row["model"], flop, float(row["value"]), "ours"))
        rows.append(
            {
                "mark": mark,
                "model": row["model"],
                "score": f"{row['value']} [{row['ci_low']}, {row['ci_high']}]",
                "convention": f"{row['convention']}, {row['metric'].replace('_', ' ')}",
                "compute": f"{flop:.1e} FLOP".replace("e+", "e") if flop else "",
                "law": _law(found, flop) if flop else "",
                "source": "this run",
            }
        )
    for place, row in enumerate(theirs, 1):
        flop = published.flop(row["parameters"], row["tokens"])
        if flop:
            point = teaser.Point(str(place), row["model"], flop, float(row[found]), "published")
            points.append(point)
        mark = str(place) if flop else ""
        rows.append({**row, "mark": mark, "score": row[found], "law": ""})
    svg = teaser.draw(found, title, points) if points else ""
    return {"title": title, "svg": svg, "rows": rows, "alone": not theirs}


def _law(found: str, flop: float) -> str:
    score = f"{scaling_law.predicted(found, flop):.1f}"
    return f"{score} (extrapolated)" if scaling_law.extrapolated(flop) else score


def _ours(material: Material) -> pd.DataFrame:
    """The rows of eval.tsv that compare, with their `set` and `split`."""
    table = material.scores
    found = [pd.DataFrame(columns=[*table.columns, "set", "split"])]
    for official in material.block["official"]:
        for convention, metric in published.COMPARABLE.get(official["set"], ()):
            some = table[
                (table["benchmark"] == official["benchmark"])
                & (table["group"] == "all")
                & (table["convention"] == convention)
                & (table["metric"] == metric)
            ]
            found.append(some.assign(set=official["set"], split=official["split"]))
    rows = pd.concat(found, ignore_index=True)
    kinds = rows["model"].map(material.kind)
    return rows[kinds.isin(["trained", "aligned", "published", "text"])]


def _generated(material: Material) -> list[dict[str, Any]]:
    """GenPPL of benchmarks on which it is taken as the paper takes it, with auto-BLEU."""
    table = material.scores[material.scores["benchmark"].isin(material.block["generated"])]
    bleu = {
        (row["model"], row["benchmark"]): row["value"]
        for row in records(table[table["metric"] == "auto_bleu"])
    }
    rows = records(table[table["metric"] == "gen_ppl"])
    return [row | {"auto_bleu": bleu.get((row["model"], row["benchmark"]), "")} for row in rows]


def compute(material: Material, model: str) -> float | None:
    """The FLOP of a model's training and of those it starts from; None where one is not known."""
    facts = material.models.get(model)
    if facts is None or facts["kind"] not in ("trained", "aligned", "text"):
        return None
    folder = material.results / "models" / model
    if not (folder / "training.parquet").exists():
        return None
    own = costs.flop(folder, facts["kind"], costs.log(folder / "training.parquet"))
    if own is None or facts["start"] is None:
        return own
    if facts["kind"] == "trained":
        # what a text model has cost is not counted, as in the published figures of TWIST
        return own
    before = compute(material, facts["start"])
    return None if before is None else own + before
