"""Writing a trained model: transformers' layout, its log and its card."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from slamflow import files, provenance
from slamflow.training.history import budget_of

WEIGHTS = "model.safetensors"
CHECKOUT = Path(__file__).parents[3]


def write(model: PreTrainedModel, folder: Path, log: pa.Table, card: str) -> None:
    """Write a model into `folder`, each file whole, the weights last (float32, one file)."""
    folder = Path(folder)
    temporary = folder / ".writing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    model.config.dtype = torch.float32
    transformers_logging.disable_progress_bar()
    model.save_pretrained(temporary, max_shard_size="1000GB")
    files.write_table(log, folder / "training.parquet", log.schema)
    (temporary / "card.md").write_text(card, encoding="utf-8")
    (temporary / WEIGHTS).chmod((folder / "training.parquet").stat().st_mode)  # not for us alone
    for path in sorted(temporary.iterdir(), key=lambda path: path.name == WEIGHTS):
        with files.replacing(folder / path.name) as target:
            path.rename(target)
    temporary.rmdir()


def card(
    title: str,
    facts: Mapping[str, Any],
    config: Mapping[str, Any],
    log: pa.Table,
    measure: str,
    origin: Mapping[str, Any],
) -> str:
    """A short Markdown account of a training run.

    Args:
        facts: further rows of the table.
        config: the block.
        log: the training log; `measure` is averaged over the last tenth of the updates.
        origin: `code` and `inputs`, see `RunState.origin`.
    """
    rows: dict[str, Any] = {"updates": log.num_rows}
    if log.num_rows:
        last = log.slice(log.num_rows - max(1, log.num_rows // 10))
        rows |= {
            "tokens": log["tokens"][-1].as_py(),
            f"{measure}, last tenth of the updates": sum(last[measure].to_pylist()) / len(last),
            "seconds of training": log["seconds"][-1].as_py(),
        }
        if hours := budget_of(log).get("hours"):
            rows["hours asked for, with start and end"] = hours
    rows |= facts
    shown = {k: f"{v:,.4g}" if isinstance(v, float) else f"{v:,}" for k, v in rows.items()}
    made = {
        "block": config,
        "inputs": origin.get("inputs", {}),
        "code": origin.get("code"),
        "commit": provenance.git_commit(CHECKOUT),
    }
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions().items())
    return (
        f"# {title}\n\n| | |\n|---|---|\n"
        + "".join(f"| {name} | {value} |\n" for name, value in shown.items())
        + "\nMade from this block, these inputs (SHA-256), code of this digest and this commit"
        + f"\n\n```json\n{json.dumps(made, indent=2, sort_keys=True)}\n```\n\nwith {versions}.\n"
    )
