"""The paper's teaser figure: score against training compute, with the scaling law's prediction."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from slamflow.report import scaling_law
from slamflow.report.page import published
from slamflow.report.page.figures import COLOURS, QUIET, drawing, svg
from slamflow.report.page.material import records

LAW, OURS, SLAM = COLOURS[2], COLOURS[0], COLOURS[1]


def draw(
    found: str,
    split: str,
    ours: pd.DataFrame,
    spent: Mapping[str, float | None],
    theirs: pd.DataFrame,
) -> Any:
    """Published systems, the best that the law predicts at each compute, and our models.

    Args:
        found: one of `published.SETS`, with its `split`, if it has any.
        ours: rows of eval.tsv.
        spent: the FLOP of each of our models, where known.
        theirs: `published.read()`.
    """
    points = []  # FLOP, score, label, colour, marker
    for row in records(theirs):
        flop = published.flop(row["parameters"], row["tokens"])
        if flop and row[found]:
            slamkit = row["convention"] == "slamkit-mean"
            points.append((flop, float(row[found]), row["model"], SLAM if slamkit else QUIET, "o"))
    for row in records(ours):
        if flop := spent.get(row["model"]):
            label = f"{row['model']} ({row['convention']})"
            points.append((flop, float(row["value"]), label, OURS, "D"))
    with drawing(6.4, 4.6) as figure:
        axes = figure.subplots()
        _law(axes, found, [point[0] for point in points])
        for flop, score, label, colour, marker in points:
            axes.plot(flop, score, marker, color=colour, markersize=6 if marker == "o" else 7)
            axes.annotate(
                label, (flop, score), (4, 3), textcoords="offset points", fontsize=7, color=colour
            )
        axes.set_xscale("log")
        axes.margins(x=0.16)
        axes.set_xlabel("training compute, 6 N D (FLOP)")
        axes.set_ylabel(f"{published.TITLES[found]}{', ' + split if split else ''} (%)")
        axes.legend(loc="upper left")
        said = "; ".join(f"{name} {score:g} % at {at:.1e} FLOP" for at, score, name, *_ in points)
        name = f"teaser-{found}-{split or 'all'}"
        return svg(figure, name, f"Score against training compute: {said}.")


def _law(axes: Any, found: str, flop: list[float]) -> None:
    """The law's best score at each compute: a line, dotted where it is extrapolated."""
    low, high = min([*flop, scaling_law.LEAST_FLOP]) / 3, max([*flop, 1e20]) * 3
    grid = np.geomspace(low, high, 200)
    inside = np.array([not scaling_law.extrapolated(each) for each in grid])
    scores = np.array([scaling_law.predicted(found, each) for each in grid])
    axes.plot(grid[inside], scores[inside], color=LAW, label="scaling law, best at this compute")
    below = np.append(np.flatnonzero(~inside), np.flatnonzero(inside)[:1])
    axes.plot(grid[below], scores[below], color=LAW, linestyle=":", label="extrapolated: no data")
    axes.axhline(scaling_law.CHANCE, color=QUIET, linestyle="--", linewidth=1)
