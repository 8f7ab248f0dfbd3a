"""What trainings and stages cost: parameters, tokens, FLOP, time and memory."""

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from slamflow import files
from slamflow.tables import training as training_table

# of an aligned model's card: what a pair has, prompt and both answers
PAIR = re.compile(r"^\| tokens of a pair \| ([\d.,e+]+) \|$", re.MULTILINE)
CUDA = re.compile(r"^[\d:]* ?ready to train on cuda", re.MULTILINE)
RANKS = re.compile(r"starts (\d+) rank\(s\)")
TRAININGS = ("train_hubert", "pretrain_model", "align_model", "train_vocoder")


@dataclass(frozen=True)
class Weights:
    """Parameters of a model: all, and those of matrix products."""

    parameters: int
    products: int


def weights(folder: Path) -> Weights | None:
    """The parameters of the model in `folder`; None where it has no weights."""
    from safetensors import SafetensorError, safe_open

    path = folder / "model.safetensors"
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as opened:
            shapes = [opened.get_slice(name).get_shape() for name in opened.keys()]  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged ({error}); {files.REMAKE}") from None
    sizes = [(math.prod(shape), len(shape)) for shape in shapes]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    looked_up = 0
    if not config.get("tie_word_embeddings", True):
        looked_up = int(config["vocab_size"]) * int(config["hidden_size"])
    matrices = sum(size for size, dimensions in sizes if dimensions == 2)
    return Weights(sum(size for size, _ in sizes), matrices - looked_up)


def log(path: Path) -> pa.Table:
    """The log of a training, with the measures that it has.

    Raises:
        ValueError: it is none, or damaged.
    """
    with files.open_table(path, training_table.schema(("loss",))) as file:
        groups = range(file.num_row_groups)
        return files.read_groups(path, file, groups, file.schema_arrow.names)


def tokens(folder: Path, kind: str, log: pa.Table) -> float | None:
    """The tokens that a training read; DPO's log counts pairs, and the card how long they are."""
    if not log.num_rows:
        return 0.0
    counted = float(log["tokens"][-1].as_py())
    if kind != "aligned":
        return counted
    found = PAIR.search(_text(folder / "card.md"))
    return counted * float(found[1].replace(",", "")) if found else None


def flop(folder: Path, kind: str, log: pa.Table) -> float | None:
    """6 N D: N parameters of matrix products, D tokens; attention is not counted."""
    found, read = weights(folder), tokens(folder, kind, log)
    return 6.0 * found.products * read if found and read is not None else None


def stages(results: Path) -> list[dict[str, Any]]:
    """What each rule's jobs took, by Snakemake's benchmark files; the longest first.

    Returns:
        rule, jobs, wall and cpu (s, of all jobs), memory (MB, the most of a job), gpu_hours (of
        trainings that say so in their logs; None where none did), share (of the longest wall, %).
    """
    found: list[dict[str, Any]] = []
    for folder in sorted((results / "timings").glob("*/")):
        timings = list(folder.rglob("*.tsv"))
        rows = [row for path in timings for row in _rows(path)]
        if rows:
            trained = timings if folder.name in TRAININGS else []
            hours = [_gpu_hours(results, path) for path in trained]
            known = [each for each in hours if each is not None]
            found.append(
                {
                    "rule": folder.name,
                    "jobs": len(rows),
                    "wall": sum(_number(row["s"]) for row in rows),
                    "cpu": sum(_number(row["cpu_time"]) for row in rows),
                    "memory": max(_number(row["max_rss"]) for row in rows),
                    "gpu_hours": sum(known) if known else None,
                }
            )
    longest = max((stage["wall"] for stage in found), default=0.0) or 1.0
    for stage in found:
        stage["share"] = round(100 * stage["wall"] / longest, 1)
    return sorted(found, key=lambda stage: -stage["wall"])


def total(found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Sums over `stages`: jobs, wall and cpu (s), gpu_hours."""
    keys = ("jobs", "wall", "cpu", "gpu_hours")
    return {key: sum(stage[key] or 0 for stage in found) for key in keys}


def _gpu_hours(results: Path, timing: Path) -> float | None:
    """The wall time of a training that ran on GPUs, times their number; None on others."""
    log = results / "logs" / timing.relative_to(results / "timings").with_suffix(".log")
    said = _text(log)
    if not CUDA.search(said):
        return None
    ranks = RANKS.findall(said)
    wall = sum(_number(row["s"]) for row in _rows(timing))
    return wall / 3600 * (int(ranks[-1]) if ranks else 1)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:  # a job too short to be looked at has NA or -
        return 0.0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
