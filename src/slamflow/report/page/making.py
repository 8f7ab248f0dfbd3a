"""How it was made: the graph of rules, versions, commits, seeds and the config."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from slamflow import provenance
from slamflow.report import run_config
from slamflow.report.page import graph
from slamflow.report.page.material import Material

WIDTH, ROW, BOX, HEIGHT = 680, 62, 150, 32  # of the drawing and its boxes
PASSING = 0.2  # width of a line that passes by, of a box
ORIGIN = re.compile(r"^\| `?(code|commit)`? \| (\S+) \|$", re.MULTILINE)  # of a card
CHECKOUT = Path(__file__).parents[4]
PRIVATE = ("data_root",)  # of a machine, not of what was made


def build(material: Material) -> dict[str, Any] | str:
    """The drawing, provenance of each model, versions, seeds and the config."""
    config = _config(material.results / "run_config.yaml")
    return {
        "graph": _drawing(material),
        "models": [found for name in material.models if (found := _made(material.results, name))],
        "versions": provenance.versions(),
        "commit": provenance.git_commit(CHECKOUT) or "not known: this is no git checkout",
        "seeds": seeds(config),
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True) if config else "",
    }


def _config(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    return {key: value for key, value in run_config.read(path).items() if key not in PRIVATE}


def seeds(config: Any, place: str = "") -> list[tuple[str, int]]:
    """Each seed of a config with its place."""
    found: list[tuple[str, int]] = []
    for key, value in config.items() if isinstance(config, dict) else ():
        where = f"{place}.{key}" if place else str(key)
        if key == "seed" and isinstance(value, int):
            found.append((place, value))
        found += seeds(value, where)
    return found


def _made(results: Path, model: str) -> dict[str, str] | None:
    """The commit and the digest of the code that a model's card names."""
    path = results / "models" / model / "card.md"
    if not path.exists():
        return None
    found = ORIGIN.findall(path.read_text(encoding="utf-8"))
    said = {key: value for key, value in found if value != "None"}  # outside a git checkout
    if not said:
        return None
    return {"model": model, "commit": said.get("commit", ""), "code": said.get("code", "")[:12]}


def _drawing(material: Material) -> dict[str, Any] | None:
    """Boxes and lines of the graph of rules, in the units of the drawing."""
    results = material.results
    parts = [f"{results.name}/{name}" for name in ("eval.tsv", "comparisons.tsv")]
    parts += [
        f"{results.name}/voices/{it['vocoder']}/{it['model']}/{it['benchmark']}.parquet"
        for it in material.block["spoken"]
    ]
    found = graph.read(material.checkout, parts)
    if found is None:
        return None
    rows, ways = graph.layers(found)
    places = {}
    for number, row in enumerate(rows):
        shares = [1.0 if name in found.jobs else PASSING for name in row]
        ends = np.cumsum(shares) / sum(shares)
        for name, share, end in zip(row, shares, ends, strict=True):
            x = WIDTH * (float(end) - share / sum(shares) / 2)
            places[name] = (x, number * ROW + ROW / 2)
    most = max(sum(1.0 if name in found.jobs else PASSING for name in row) for row in rows)
    width = min(BOX, WIDTH / most - 8)
    return {
        "width": WIDTH,
        "height": len(rows) * ROW,
        "boxes": [
            {
                "rule": rule.replace("_", " "),
                "jobs": jobs,
                "x": round(places[rule][0] - width / 2, 1),
                "y": places[rule][1] - HEIGHT / 2,
                "width": round(width, 1),
                "height": HEIGHT,
            }
            for rule, jobs in found.jobs.items()
        ],
        "lines": [_line([places[name] for name in way]) for way in ways],
        "circles": [
            _beside(places[start], places[end], width) for start, end in graph.backward(found)
        ],
        "said": "; ".join(
            f"{start} → {end}"
            for start, end in [*((way[0], way[-1]) for way in ways), *graph.backward(found)]
        ),
    }


def _line(points: list[tuple[float, float]]) -> str:
    """A curve from below one box, through places between others, to above another: SVG's path."""
    x, y = points[0]
    text = f"M{x:.0f} {y + HEIGHT / 2:.0f}"
    for (x1, y1), (x2, y2) in pairwise(points):
        y1, y2 = y1 + HEIGHT / 2, y2 - HEIGHT / 2
        middle = (y1 + y2) / 2
        text += f"L{x1:.0f} {y1:.0f}"
        text += f"C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    return text


def _beside(start: tuple[float, float], end: tuple[float, float], width: float) -> str:
    """A curve from the right side of a box to that of one that is no lower."""
    (x1, y1), (x2, y2) = start, end
    x1, x2 = x1 + width / 2, x2 + width / 2
    out = max(x1, x2) + ROW / 2
    return f"M{x1:.0f} {y1:.0f}C{out:.0f} {y1:.0f} {out:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
