"""Beside published results: only where benchmark, split and convention are the same."""

from collections.abc import Mapping
from string import ascii_lowercase
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from slamflow.report import scaling_law
from slamflow.report.page import costs, published, teaser
from slamflow.report.page.material import Material, records

NONE = (
    "no benchmark of this run is an official one with a convention that others published by: its"
    " benchmarks are generated or spoken by the workflow itself, so its numbers compare with"
    " nothing outside of it."
)


def build(material: Material) -> dict[str, Any] | str:
    """Tables and the teaser figure of each official set that was met."""
    ours = _ours(material)
    if ours.empty:
        return NONE
    theirs = published.read()
    spent = {name: compute(material, name) for name in material.block["models"]}
    parts = [
        _part(str(key[0]), str(key[1]), records(rows), spent, records(theirs))
        for key, rows in ours.groupby(["set", "split"], sort=False)
    ]
    return {
        "parts": parts,
        "generated": _generated(material),
        "theirs": records(theirs[theirs["gen_ppl"] != ""]),
        "sources": list(dict.fromkeys(theirs["source"])),
    }


def _part(
    found: str,
    split: str,
    ours: list[dict[str, str]],
    spent: Mapping[str, float | None],
    theirs: list[dict[str, str]],
) -> dict[str, Any]:
    """The figure and the rows of the table of one set; models of the figure have a mark there."""
    title = published.TITLES[found] + (f", {split}" if split else "")
    points, rows = [], []
    for place, row in enumerate(ours):
        flop, mark = spent.get(row["model"]), ascii_lowercase[place % len(ascii_lowercase)]
        if flop:
            points.append(teaser.Point(mark, row["model"], flop, float(row["value"]), "ours"))
        rows.append(
            {
                "mark": mark if flop else "",
                "model": row["model"],
                "score": f"{row['value']} [{row['ci_low']}, {row['ci_high']}]",
                "convention": f"{row['convention']}, {row['metric'].replace('_', ' ')}",
                "compute": f"{flop:.1e} FLOP".replace("e+", "e") if flop else "",
                "law": _law(found, flop) if flop else "",
                "source": "this run",
            }
        )
    for row in theirs:
        if not row[found]:
            continue
        flop, mark = (
            published.flop(row["parameters"], row["tokens"]),
            str(len(rows) + 1 - len(ours)),
        )
        if flop:
            kind = "slamkit" if row["convention"] == "slamkit-mean" else "other"
            points.append(teaser.Point(mark, row["model"], flop, float(row[found]), kind))
        rows.append({**row, "mark": mark if flop else "", "score": row[found], "law": ""})
    return {
        "title": title,
        "set": found,
        "svg": teaser.draw(found, title, points),
        "rows": rows,
    }


def _law(found: str, flop: float) -> str:
    score = f"{scaling_law.predicted(found, flop):.1f}"
    return f"{score} (extrapolated)" if scaling_law.extrapolated(flop) else score


def _ours(material: Material) -> pd.DataFrame:
    """The rows of eval.tsv that compare, with their `set` and `split`."""
    table = material.scores
    found = [pd.DataFrame(columns=[*table.columns, "set", "split"])]
    for benchmark, official in material.block["official"].items():
        for convention, metric in published.COMPARABLE.get(official["set"], ()):
            some = table[
                (table["benchmark"] == benchmark)
                & (table["group"] == "all")
                & (table["convention"] == convention)
                & (table["metric"] == metric)
            ]
            found.append(some.assign(**official))
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
    facts = material.block["models"].get(model)
    if facts is None or facts["kind"] not in ("trained", "aligned", "text"):
        return None
    folder = material.results / "models" / model
    if not (folder / "training.parquet").exists():
        return None
    own = costs.flop(folder, facts["kind"], pq.read_table(folder / "training.parquet"))
    if own is None or facts["start"] is None:
        return own
    if facts["kind"] == "trained":
        # what a text model has cost is not counted, as in the published figures of TWIST
        return own
    before = compute(material, facts["start"])
    return None if before is None else own + before
