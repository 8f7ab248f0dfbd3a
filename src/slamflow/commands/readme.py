"""The README of an uploaded model: its card, how it is used from the hub, and its results."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCard

from slamflow.lm import cards
from slamflow.report import run_config, table_file

SPEECH = """\
## Speech

The folder `tokeniser` holds what makes units of speech. With Slamflow:

```sh
slamflow generate --model {name} in.wav out.wav
slamflow score --model {name} pairs/
slamflow tokenise --tokeniser {name} in.wav
```
"""


def text(
    model: Path, repository: str, found: pd.DataFrame | None, speech: bool, licence: str | None
) -> str:
    """The README of a model.

    Args:
        model: its folder, with card.md, or with the README.md of what was uploaded before.
        repository: user/name.
        found: its `results`, if there are such; those of default conventions are shown.
        speech: whether its units are those of speech.
        licence: as the hub names it, if it is known.

    Raises:
        ValueError: there is no card, or its head cannot be read.
    """
    card = ModelCard(_card(model))
    data: Any = card.data
    data.library_name = data.library_name or "transformers"
    data.pipeline_tag = "audio-to-audio" if speech else "text-generation"
    data.license = licence or data.license
    run = model.parent.parent / "run_config.yaml"
    if run.is_file():
        datasets, base = lineage(run_config.read(run), model.name)
        data.datasets = datasets or data.datasets
        data.base_model = base or data.base_model
    before = re.split(r"^## (?:Speech|Results)$", card.text, maxsplit=1, flags=re.MULTILINE)[0]
    body = re.sub(r'(?<=from_pretrained\()"[^"]+"', f'"{repository}"', before).rstrip()
    parts = [body, SPEECH.format(name=repository)] if speech else [body]
    if found is not None and len(found):
        shown = found[found["default"] == "true"].to_dict("records")
        rows = [{str(key): str(value) for key, value in row.items()} for row in shown]
        data.model_name = repository.partition("/")[2]
        data.eval_results = [_result(row, data.pipeline_tag) for row in rows]
        parts.append(_table(rows))
    card.text = "\n\n".join(part.strip("\n") for part in parts if part) + "\n"
    return str(card)


def lineage(run: dict[str, Any], name: str | None) -> tuple[list[str], str | None]:
    """Repositories of the hub that a model's data are in, and that of the model it started from.

    Args:
        run: results/run_config.yaml.
        name: of the model.
    """
    corpora: list[str] = []
    base = None
    while model := run["models"].get(name):
        start = model if model["kind"] == "published" else model.get("twist") or {}
        base = _repository(run, start, "model") or _on_hub(run, start.get("model")) or base
        mixture = run["mixtures"].get(model.get("mixture")) or {}
        corpora += [model["corpus"]] if model.get("corpus") else mixture.get("corpora", [])
        name = model.get("base") or start.get("base")
    sources = [run["corpora"][corpus]["source"] for corpus in corpora]
    found = [_repository(run, source, "dataset") for source in sources]
    return list(dict.fromkeys(filter(None, found))), base


def _on_hub(run: dict[str, Any], model: str | None) -> str | None:
    """The name of a model unless it is a folder, below the checkout or `data_root`."""
    data = Path(run.get("data_root") or ".").expanduser()
    there = model is not None and (data / model).is_dir()
    return cards.on_hub(model) if model and not there else None


def _repository(run: dict[str, Any], thing: dict[str, Any], kind: str) -> str | None:
    """The repository of the hub that a thing's download is, if it is one of this kind."""
    download = run["downloads"].get(thing.get("download")) or {}
    found: str | None = download.get("repository") if download.get("type") == kind else None
    return found


def _card(model: Path) -> str:
    for name in ("card.md", "README.md"):
        if (model / name).is_file():
            return (model / name).read_text(encoding="utf-8")
    raise ValueError(f"{model}: has no card.md; give a model that Slamflow trained or converted")


def results(evaluated: Path, model: str | None = None) -> pd.DataFrame:
    """The rows of eval.tsv about a model, or all, as text.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        table = table_file.read(evaluated, ("model", "value"))
        own = table if model is None else table[table["model"] == model]
        return own[own["value"] != ""]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{evaluated}: cannot be read as eval.tsv ({error})") from None


def _result(row: dict[str, str], task: str) -> EvalResult:
    """A row of eval.tsv as the hub has results; a group is a part of a benchmark's items."""
    return EvalResult(
        task_type=task,
        dataset_type=row["benchmark"],
        dataset_name=row["benchmark"],
        dataset_config=row["group"],
        metric_type=row["metric"],
        metric_name=f"{row['metric']} ({row['convention']})",
        metric_value=float(row["value"]),
        metric_args={name: row[name] for name in ("ci_low", "ci_high", "n") if row[name]},
    )


def _table(rows: list[dict[str, str]]) -> str:
    lines = [
        "## Results",
        "",
        "Accuracies, `auto_bleu` and `empty_transcripts` in per cent, `gen_ppl` as it is,"
        " `gpt_score` from 1 to 5; with 95 % intervals. `n` counts items. `eval.tsv` has more.",
        "",
        "| benchmark | group | metric | convention | value | n |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        value = row["value"] + (f" [{row['ci_low']}, {row['ci_high']}]" if row["ci_low"] else "")
        cells = [row[name] for name in ("benchmark", "group", "metric", "convention")]
        lines.append(f"| {' | '.join([*cells, value, row['n']])} |")
    return "\n".join(lines)
