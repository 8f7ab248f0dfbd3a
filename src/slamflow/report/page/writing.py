"""`report.html`: all results on one page that needs nothing but itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slamflow import files, logs
from slamflow.report import table_file
from slamflow.report.page import (
    beside,
    comparisons,
    data,
    listening,
    making,
    material,
    rendering,
    scores,
    training,
)

TEMPLATE = Path(__file__).parent / "templates" / "page.html"


@dataclass(frozen=True)
class Section:
    """A part of the page; `{name}.html` shows what `build` finds, or why it finds nothing."""

    name: str
    title: str
    build: Callable[[material.Material], dict[str, Any] | str]


SECTIONS = (
    Section("scores", "Scores", scores.build),
    Section("comparisons", "Comparisons", comparisons.build),
    Section("beside", "Beside published results", beside.build),
    Section("training", "Training", training.build),
    Section("data", "Data and units", data.build),
    Section("listening", "Listen", listening.build),
    Section("making", "How it was made", making.build),
)


def write(
    block: Mapping[str, Any], scores: Path, comparisons: Path, output: Path, data_root: Path | None
) -> None:
    """Write the page.

    Args:
        block: see `Material`.
        scores, comparisons: `eval.tsv` and `comparisons.tsv`, in the folder of all results.
        output: path of the page.
        data_root: folder of recordings that tables name by their paths.

    Raises:
        ValueError: a table is damaged, or lacks a column.
    """
    found = material.Material(
        block,
        scores.parent,
        table_file.read(scores, material.SCORES),
        table_file.read(comparisons, material.COMPARED),
        data_root,
    )
    built = [(section, section.build(found)) for section in SECTIONS]
    text = rendering.render(TEMPLATE, recipe=str(block.get("recipe", "")), built=built)
    with files.replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")
    shown = [section.title for section, content in built if not isinstance(content, str)]
    logs.say(f"{output}: {len(text) / 1e6:.1f} MB; {', '.join(shown)}")
