"""`study.html`: the answers of a study as small multiples, on one page that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from slamflow import files, logs
from slamflow.report import study
from slamflow.report.page import figures, rendering

TEMPLATE = Path(__file__).parent / "study_templates" / "study.html"
NUMBERS = ["value", "ci_low", "ci_high", "difference", "difference_low", "difference_high"]
AXIS, LINE = 0.75, 0.3  # heights (inches) of what is about a panel, and of an arm


def draw(questions: Sequence[Mapping[str, Any]], table: Path, output: Path) -> None:
    """Draw the answers to all questions.

    Args:
        questions: of each `name`, `about`, `arms` and `benchmarks`, in the order of the page.
        table: `study.tsv`.
        output: path of the page.

    Raises:
        ValueError: the table is damaged or lacks an answer.
    """
    answers = study.read(table)
    found = [_question(asked, answers, table) for asked in questions]
    count = sum(len(panel["sentences"]) for each in found for panel in each["panels"])
    text = rendering.render(TEMPLATE, questions=found, count=count)
    with files.replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    logs.say(f"{output}: {len(questions)} questions, {len(text) / 1e6:.1f} MB")


def _question(asked: Mapping[str, Any], answers: pd.DataFrame, table: Path) -> dict[str, Any]:
    name = asked["name"]
    order = [(name, benchmark, arm) for benchmark in asked["benchmarks"] for arm in asked["arms"]]
    found = answers.set_index(["question", "benchmark", "arm"])
    if lacking := [key for key in order if key not in found.index]:
        raise ValueError(f"{table}: lacks the answer of {', '.join(lacking[0])}; {files.REMAKE}")
    rows = found.loc[order].reset_index()
    rows = rows.assign(**{key: pd.to_numeric(rows[key]) for key in NUMBERS})
    span = _span(rows)
    panels = [
        _panel(f"{name}-{place}", str(benchmark), each, span)
        for place, (benchmark, each) in enumerate(rows.groupby("benchmark", sort=False))
    ]
    shown = rows.drop_duplicates("arm")
    return {
        "name": name,
        "about": asked["about"],
        "baseline": rows["baseline"].iloc[0],
        "panels": panels,
        "budgets": [_budget(row) for _, row in shown.iterrows()],
    }


def _span(rows: pd.DataFrame) -> float:
    """How far a panel goes to each side of the baseline, in points; all of a question alike.

    The ends of the differences are drawn from the baseline's mean.
    """
    ends = ["ci_low", "ci_high", "value", "low", "high"]
    own = rows.assign(low=_seeds(rows).map(min), high=_seeds(rows).map(max))
    start = own[own["arm"] == own["baseline"]].set_index("benchmark")["value"]
    away = own[ends].sub(own["benchmark"].map(start), axis=0).abs()
    all_ends = away.join(rows[["difference_low", "difference_high"]].abs().fillna(0.0))
    return max(1.0, 1.06 * float(all_ends.to_numpy().max()))


def _seeds(rows: pd.DataFrame) -> pd.Series:
    return rows["by_seed"].map(lambda text: [float(each) for each in text.split()])


def _panel(name: str, benchmark: str, rows: pd.DataFrame, span: float) -> dict[str, Any]:
    """A benchmark's arms: dots with intervals, and what they say in words."""
    start = float(rows.loc[rows["arm"] == rows["baseline"], "value"].iloc[0])
    sentences = [
        (said, row["difference_low"] > 0 or row["difference_high"] < 0)
        for _, row in rows.iterrows()
        if (said := study.sentence(row))
    ]
    with figures.drawing(3.1, AXIS + LINE * len(rows)) as figure:
        axes = figure.subplots()
        axes.axvline(start, color=figures.QUIET, linestyle="--", linewidth=1, zorder=1)
        for place, (_, row) in enumerate(rows.iterrows()):
            _arm(axes, place, row, start)
        axes.set_yticks(range(len(rows)), rows["arm"])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(start - span, start + span)
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("accuracy (%)")
        drawn = figures.svg(figure, name, "; ".join(said for said, _ in sentences))
    first = rows.iloc[0]
    macro = ", macro" if first["metric"] == "macro_accuracy" else ""
    conventions = " and ".join(dict.fromkeys(rows["convention"]))
    return {
        "benchmark": benchmark,
        "svg": drawn,
        "sentences": sentences,
        "rows": rows.to_dict("records"),
        "convention": f"{conventions}{macro}",
        "n": first["n"],
    }


def _arm(axes: Any, place: int, row: pd.Series, start: float) -> None:
    ours = row["arm"] == row["baseline"]
    colour = "#333333" if ours else figures.COLOURS[0]
    axes.hlines(place, row["ci_low"], row["ci_high"], color="#b8b8b8", linewidth=1.2, zorder=2)
    if not ours:
        ends = (start + row["difference_low"], start + row["difference_high"])
        axes.hlines(place, *ends, color=colour, linewidth=4, alpha=0.45, zorder=3)
    each = [float(value) for value in row["by_seed"].split()]
    axes.scatter(each, [place + 0.27] * len(each), s=9, color=colour, alpha=0.7, zorder=4)
    axes.scatter([row["value"]], [place], s=42, color=colour, zorder=5)


def _budget(row: pd.Series) -> dict[str, str]:
    """What an arm's training took, for people."""
    return {
        "arm": row["arm"],
        "seeds": row["seeds"],
        "tokens": f"{float(row['tokens']) / 1e6:.2f}" if row["tokens"] else "",
        "minutes": f"{float(row['seconds']) / 60:.1f}" if row["seconds"] else "",
        "flop": f"{float(row['flop']):.1e}" if row["flop"] else "",
    }
