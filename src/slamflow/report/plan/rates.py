"""What a stage costs: rates that were measured, here or by others."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from slamflow.report import table_file

# `seconds` are those of a core: wall time times threads, since a job holds its cores for so long.
RATES = {"rule": str, "engine": str, "unit": str, "seconds_a_job": float, "seconds": float}
RATES |= {"stored": str, "bytes": float, "jobs": int, "largest": float}
RATES |= {"recipe": str, "machine": str, "date": str, "commit": str}
YIELDS = {"makes": str, "of": str, "amount": float, "recipe": str, "date": str}
GPUS = {"rule": str, "unit": str, "seconds": float, "gpu": str, "source": str}

REPAIR = "restore it, or make it anew by speed/rates.py"


@dataclass(frozen=True)
class Rate:
    """What jobs of a stage cost: core seconds = seconds_a_job + seconds × amount of `unit`.

    `bytes` are left on disk by a `stored`. They are the rates of `jobs` jobs, of which the largest
    had the amount `largest`.
    """

    unit: str
    seconds_a_job: float
    seconds: float
    stored: str
    bytes: float
    jobs: int
    largest: float
    recipe: str
    machine: str
    date: str


@dataclass(frozen=True)
class Gpu:
    """Seconds of a GPU for a `unit`, and who says so."""

    unit: str
    seconds: float
    gpu: str
    source: str


def rates(path: Path) -> dict[tuple[str, str], Rate]:
    """Rate of each (rule, engine).

    Raises:
        ValueError: the table lacks a column, or a row has no number where it should.
    """
    names = [field.name for field in fields(Rate)]
    return {
        (row["rule"], row["engine"]): Rate(**{name: row[name] for name in names})
        for row in _rows(path, RATES)
    }


def yields(path: Path) -> dict[tuple[str, str], float]:
    """(what is made, of what) -> how much.

    `("hour", content)`: hours of speech of an item in one rendition; `("unit", features)`: units of
    a second of speech.

    Raises:
        ValueError: as `rates`.
    """
    return {(row["makes"], row["of"]): row["amount"] for row in _rows(path, YIELDS)}


def gpus(path: Path) -> dict[str, Gpu]:
    """Published speed of a rule on a GPU.

    Raises:
        ValueError: as `rates`.
    """
    names = [field.name for field in fields(Gpu)]
    return {row["rule"]: Gpu(**{name: row[name] for name in names}) for row in _rows(path, GPUS)}


def _rows(path: Path, columns: Mapping[str, type]) -> list[dict[str, Any]]:
    table = table_file.read(path, columns, REPAIR)
    rows = []
    for line, texts in enumerate(table[list(columns)].to_dict("records"), 2):
        row = {name: _value(texts[name], kind) for name, kind in columns.items()}
        if None in row.values():
            wrong = next(name for name in row if row[name] is None)
            raise ValueError(f"{path}: line {line}: {wrong} is {texts[wrong]!r}; {REPAIR}")
        rows.append(row)
    return rows


def _value(text: str, kind: type) -> Any:
    """A text, or a number from 0 on; None for anything else."""
    if kind is str:
        return text
    try:
        value = kind(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None
