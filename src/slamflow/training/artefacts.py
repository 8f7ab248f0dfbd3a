"""Writing a trained model: transformers' layout, its log and its card."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from huggingface_hub import ModelCardData
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from slamflow import disks, files, provenance, weights
from slamflow.training.history import budget_of

WEIGHTS = "model.safetensors"
CHECKOUT = Path(__file__).parents[3]


def write(model: PreTrainedModel, folder: Path, log: pa.Table, card: str) -> None:
    """Write a model into `folder`, each file whole, the weights last (float32, one file)."""
    folder = Path(folder)
    temporary = folder / ".writing"
    shutil.rmtree(temporary, ignore_errors=True)
    with disks.writing(folder / WEIGHTS):
        temporary.mkdir(parents=True)
        try:
            _write(model, temporary, folder, log, card)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write(model: PreTrainedModel, temporary: Path, folder: Path, log: pa.Table, card: str) -> None:
    model.config.dtype = torch.float32
    transformers_logging.disable_progress_bar()
    model.save_pretrained(temporary, max_shard_size="1000GB")
    files.write_table(log, folder / "training.parquet", log.schema)
    (temporary / "card.md").write_text(card, encoding="utf-8")
    for path in temporary.iterdir():
        if path.name != WEIGHTS:
            with files.replacing(folder / path.name) as target:
                path.rename(target)
    with (temporary / WEIGHTS).open("rb") as source, files.replacing(folder / WEIGHTS) as target:
        weights.seal(source, target, sorted(folder.glob("*.json")))


@dataclass(frozen=True)
class About:
    """What a card says of a model beside how it was trained.

    Attributes:
        text: what it is, and what it takes and gives.
        use: Python that opens it.
        library: whose code that is.
        task: the hub's `pipeline_tag`, where one fits.
        tags: the hub's, beside `speech` and `slamflow`.
        base: the hub's name of the model that it started from, if it is there.
    """

    text: str = ""
    use: str = ""
    library: str = "slamflow"
    task: str | None = None
    tags: tuple[str, ...] = ()
    base: str | None = None


def card(
    title: str,
    facts: Mapping[str, Any],
    config: Mapping[str, Any],
    log: pa.Table,
    measure: str,
    origin: Mapping[str, Any],
    about: About | None = None,
) -> str:
    """A card of a model as a hub shows it: Markdown below a head in YAML.

    Args:
        facts: further rows of the table.
        config: the block.
        log: the training log; `measure` is averaged over the last tenth of the updates.
        origin: `code` and `inputs`, see `RunState.origin`.
        about: what it is.
    """
    about = about or About()
    head = ModelCardData(
        library_name=about.library,
        pipeline_tag=about.task,
        tags=["speech", "slamflow", *about.tags],
        base_model=about.base,
    )
    block = json.dumps(config, indent=2, sort_keys=True)
    made = {"code": origin.get("code"), "commit": provenance.git_commit(CHECKOUT)}
    known = {key: value for key, value in made.items() if value is not None}
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions().items())
    inputs = {f"`{path}`": digest for path, digest in origin.get("inputs", {}).items()}
    sections = {
        "": about.text,
        "How to use": f"```python\n{about.use}\n```" if about.use else "",
        "Training": table({**_facts(log, measure), **facts}),
        "Config": f"```json\n{block}\n```",
        "Made from": table(inputs, "file", "SHA-256") if inputs else "",
        "Versions": f"{table(known)}\n\nWith {versions}.",
    }
    found = [f"## {name}\n\n{text}" if name else text for name, text in sections.items() if text]
    return "\n\n".join([f"---\n{head.to_yaml()}\n---", f"# {title}", *found]) + "\n"


def table(rows: Mapping[str, Any], name: str = "", value: str = "") -> str:
    """A table of two columns in Markdown."""
    lines = [f"| {key} | {_shown(each)} |" for key, each in rows.items()]
    return "\n".join([f"| {name} | {value} |", "|---|---|", *lines])


def _shown(value: Any) -> str:
    if value is None or isinstance(value, str):
        return str(value)
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}"


def _facts(log: pa.Table, measure: str) -> dict[str, Any]:
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
    return rows
