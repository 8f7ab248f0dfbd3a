"""The paper's teaser figure: score against training compute, with the scaling law's prediction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slamflow.report import scaling_law
from slamflow.report.page.figures import COLOURS, QUIET, drawing, svg

LAW, OURS, THEIRS = COLOURS[2], COLOURS[0], COLOURS[1]
WIDTH, HEIGHT = 5.6, 4.4  # inches
# where a point's mark may stand, in points beside it: the first that is free is taken
AROUND = ((5, 3), (-5, 3), (5, -10), (-5, -10), (0, 8), (0, -15), (13, -3), (-13, -3))
NEAR = 11.0  # points from the middle of a mark that no other one may stand in


@dataclass(frozen=True)
class Point:
    """A model in the figure.

    Attributes:
        mark: what stands beside it; the table below says whose it is.
        name: of the model.
        flop: of its training.
        score: percent.
        kind: `ours` or `published`.
    """

    mark: str
    name: str
    flop: float
    score: float
    kind: str


def draw(found: str, title: str, points: Sequence[Point]) -> Any:
    """Published systems, the best that the law predicts at each compute, and our models.

    Args:
        found: one of `published.SETS`.
        title: of the set, with its split if it has any, and the convention of all points.
    """
    looks = {"ours": (OURS, "D"), "published": (THEIRS, "o")}
    with drawing(WIDTH, HEIGHT) as figure:
        axes = figure.subplots()
        _law(axes, found, [point.flop for point in points])
        for point in points:
            colour, marker = looks[point.kind]
            axes.plot(point.flop, point.score, marker, color=colour, markersize=5.5)
        axes.set_xscale("log")
        axes.set_xlabel("training compute, 6 N D (FLOP)")
        axes.set_ylabel(f"{title} (%)")
        axes.legend(loc="upper left")
        for point, offset in zip(points, _offsets(axes, points), strict=True):
            axes.annotate(
                point.mark,
                (point.flop, point.score),
                offset,
                textcoords="offset points",
                fontsize=8,
                ha={-1: "right", 0: "center", 1: "left"}[int(np.sign(offset[0]))],
                color=looks[point.kind][0],
            )
        said = "; ".join(f"{p.mark} {p.name} {p.score:g} % at {p.flop:.1e} FLOP" for p in points)
        name = f"teaser-{title.replace(', ', '-').replace(' ', '-')}"
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


def _offsets(axes: Any, points: Sequence[Point]) -> list[tuple[int, int]]:
    """Where each mark stands beside its point, so that few lie upon each other."""
    (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    width, height = 72 * 0.85 * WIDTH, 72 * 0.85 * HEIGHT
    places = [
        (
            width * math.log(point.flop / low) / math.log(high / low),
            height * (point.score - bottom) / (top - bottom),
        )
        for point in points
    ]
    taken, found = list(places), []
    for x, y in places:
        middles = [(x + dx + math.copysign(4, dx) * (dx != 0), y + dy + 3) for dx, dy in AROUND]
        free = [min(math.dist(middle, other) for other in taken) for middle in middles]
        best = next((n for n, room in enumerate(free) if room > NEAR), int(np.argmax(free)))
        taken.append(middles[best])
        found.append(AROUND[best])
    return found
