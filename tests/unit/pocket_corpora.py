"""The generated corpora of shipped recipes, as the workflow makes them, each once."""

import importlib
import json
import math
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from slamflow.config.load import load
from slamflow.config.plan import Plan
from slamflow.corpora.generated import shares

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ("pocket", "hubert_pocket")  # the second is that of the HuBERT which the first uses
PLANS = {recipe: Plan(load(ROOT, {"recipe": recipe}), ROOT) for recipe in RECIPES}


def block(rule: str, corpus: str, recipe: str = "pocket") -> dict[str, Any]:
    """What a rule's script is told about a corpus."""
    told = PLANS[recipe].block(rule)(SimpleNamespace(corpus=corpus))
    return dict(json.loads(told))


def table(corpus: str, recipe: str = "pocket") -> pa.Table:
    """The text table of a corpus."""
    heard = [Path(path).stem for path in PLANS[recipe].heard_in(corpus)]
    return _made(*(json.dumps(block("generate_text", name, recipe)) for name in (corpus, *heard)))


@cache
def _made(source: str, heard: str | None = None) -> pa.Table:
    return generate(json.loads(source), _made(heard) if heard else None)


def generate(source: dict[str, Any], heard: pa.Table | None = None) -> pa.Table:
    """The text table of a source, by the module that its content names."""
    engine = importlib.import_module(f"slamflow.corpora.generated.{source['content']}")
    return engine.generate(source, heard)


def texts(corpus: str, recipe: str = "pocket") -> list[str]:
    """The text of each row."""
    return list(table(corpus, recipe)["text"].to_pylist())


def sentences(corpus: str, recipe: str = "pocket") -> set[str]:
    """The sentences of all rows."""
    return {sentence for text in texts(corpus, recipe) for sentence in shares.split(text)}


def pairs(corpus: str, column: str = "text") -> list[tuple[str, str]]:
    """(right, wrong) of each item."""
    rows = table(corpus).to_pylist()
    both = list(zip(rows[::2], rows[1::2], strict=True))
    assert all((a["role"], b["role"]) == ("positive", "negative") for a, b in both)
    assert all(a["item"] == b["item"] for a, b in both)
    return [(a[column], b[column]) for a, b in both]


def preferred(scores: list[tuple[float, float]]) -> float:
    """Share of items whose right member has the higher score; ties count half."""
    return sum(0.5 if math.isclose(a, b) else float(a > b) for a, b in scores) / len(scores)
