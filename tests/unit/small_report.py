"""A small results/ folder with all that `report.html` shows."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import speech_tables
import yaml
from small_models import qwen2

from slamflow import files
from slamflow.report import tables
from slamflow.tables import packed as packed_table
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table
from slamflow.tables import training as training_table
from slamflow.tables import transcripts as transcripts_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import codebook as codebooks
from slamflow.tokeniser import kmeans
from slamflow.training import artefacts
from slamflow.vocoder import mel, origins, spectra

RATE = spectra.SAMPLING_RATE
VOCABULARY, STEPS, TOKENS = 27, 40, 1000  # tokens a step
MODELS = [
    {"name": "tiny-dpo", "kind": "aligned", "start": "tiny", "trained_on": "liked"},
    {"name": "tiny", "kind": "trained", "start": None, "trained_on": "tales"},
    {"name": "bigram", "kind": "n-gram", "start": None, "trained_on": "tales"},
]
HEARD = [
    {
        "vocoder": "voice",
        "model": model,
        "benchmark": "cloze",
        "corpus": "cloze",
        "tokeniser": "units",
        "weights": "results/vocoders/voice",
        "codebook": "results/tokenisers/units/kmeans.safetensors",
    }
    for model in ("tiny-dpo", "tiny")
]
BLOCK: dict[str, Any] = {
    "recipe": "small",
    "models": MODELS,
    "official": [],
    "generated": [],
    "spoken": HEARD,
    "mixtures": ["tales"],
    "corpora": [["tales", 1], ["cloze", 1]],
    "tokenisers": ["units"],
}


def row(model: str, value: float, **other: Any) -> dict[str, Any]:
    """A row of eval.tsv."""
    made = dict.fromkeys(tables.COLUMNS, "")
    made |= {"model": model, "benchmark": "cloze", "group": "all", "metric": "accuracy"}
    made |= {"convention": "slamkit-mean", "default": "true", "value": f"{value:.1f}"}
    made |= {"ci_low": f"{value - 3.3:.1f}", "ci_high": f"{value + 2.9:.1f}"}
    return made | {"n": "320", "chance": "50"} | other


SCORES = [
    row("tiny-dpo", 64.7),
    row("tiny", 61.2),
    row("tiny", 60.1, group="<b>animals</b>"),
    row("tiny", 62.2, group="places"),
    row("tiny", 59.6, convention="slamkit-sum", default="false"),
    row("bigram", 51.3),
    row("tiny", 87.1, metric="gen_ppl", convention="prompt counted, sphinx", chance="", n="50"),
    row("tiny", 3.4, metric="auto_bleu", convention="prompt counted, sphinx", chance="", n="50"),
    row("tiny-dpo", 0, metric="gen_ppl", convention="prompt counted, sphinx", chance="", n="0")
    | dict.fromkeys(("value", "ci_low", "ci_high"), ""),
    row("units", 0.5, benchmark="units:units", metric="pnmi", convention="phones", chance=""),
]
DIFFERENCE = {
    "model": "tiny-dpo",
    "against": "tiny",
    "benchmark": "cloze",
    "group": "all",
    "metric": "accuracy",
    "convention": "slamkit-mean",
    "difference": "3.5",
    "ci_low": "-0.4",
    "ci_high": "7.2",
    "p": "0.081",
    "n": "320",
}


def tables_of(results: Path, scores: list[dict], differences: list[dict]) -> None:
    """Write eval.tsv and comparisons.tsv."""
    results.mkdir(parents=True, exist_ok=True)
    for name, rows, columns in (
        ("eval.tsv", scores, tables.COLUMNS),
        ("comparisons.tsv", differences, tables.COMPARED),
    ):
        pd.DataFrame(rows, columns=columns).to_csv(results / name, sep="\t", index=False)


def make(results: Path) -> None:
    """All of it."""
    tables_of(results, SCORES, [DIFFERENCE])
    _model(results / "models" / "tiny", ("loss",), TOKENS, {})
    pairs = {"tokens of a pair": 125.25}
    _model(results / "models" / "tiny-dpo", ("loss", "accuracy"), 16, pairs)
    _data(results)
    _voices(results)
    (results / "run_config.yaml").write_text(
        yaml.safe_dump({"recipe": "small", "data_root": "/private", "models": {"a": {"seed": 7}}})
    )
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for rule, seconds in (("pretrain_model", 7200), ("align_model", 60)):
        timing = results / "timings" / rule / "tiny.tsv"
        timing.parent.mkdir(parents=True)
        timing.write_text(f"{header}{seconds}\t-\t2048\t1\t1\t1\t1\t1\t1\t{seconds / 2}\n")
    log = results / "logs" / "pretrain_model" / "tiny.log"
    log.parent.mkdir(parents=True)
    log.write_text("01:00:00 starts 2 rank(s): …\n01:00:09 ready to train on cuda:0 after 1 s\n")
    _notes(results.parent / ".snakemake" / "metadata")


def _model(folder: Path, measures: tuple[str, ...], each: int, facts: dict[str, Any]) -> None:
    steps = np.arange(1, STEPS + 1)
    rows = dict.fromkeys(measures, 1.0 / steps)
    rows |= {"step": steps, "tokens": steps * each, "learning_rate": steps * 1e-4}
    rows |= {"grad_norm": steps * 1.0, "tokens_per_second": steps * 0.0 + 100, "seconds": steps}
    rows |= {"memory": steps * 0.0 + 512, "mfu": [None] * STEPS}
    rows["validation"] = [None] * (STEPS - 1) + [[{"name": "tales", "loss": 1.25}]]
    log = pa.table(rows).select(training_table.schema(measures).names)
    log = log.cast(training_table.schema(measures))
    card = artefacts.card("Model", facts, {"a": 1}, log, "loss", {"code": "c0de" * 16})
    artefacts.write(qwen2(VOCABULARY, 0.1), folder, log, card)


def _data(results: Path) -> None:
    for corpus in ("tales", "cloze"):
        path = speech_tables.write(results / "speech" / corpus / "0000.parquet", 6)
        speech = files.read_table(path, speech_table.SCHEMA)
        units = speech.select([n for n in units_table.SCHEMA.names if n in speech.column_names])
        listed = pa.array([[1, 2, 3]] * len(speech), pa.list_(pa.uint16()))
        for name in ("units", "durations"):
            units = units.append_column(name, listed)
        made = results / "units" / "units" / corpus / "0000.parquet"
        files.write_table(units, made, units_table.SCHEMA)
    left = {"id": ["x", "y"], "source": ["a", "b"], "reason": ["too <i>long</i>", "no partner"]}
    rejected = results / "rejected" / "tales" / "0000.parquet"
    files.write_table(pa.table(left), rejected, rejected_table.SCHEMA)
    rows = {"tokens": [[1, 2]], "borders": [[0]], "held_out": [False], "corpus": [None]}
    facts = {"context": "2", "documents": "9", "held_out_documents": "1", "fill": "0.875"}
    schema = packed_table.SCHEMA.with_metadata({**facts, "tokens tales": "2"})
    packed = pa.table(rows, schema=packed_table.SCHEMA)
    files.write_table(packed, results / "packed" / "tales.parquet", schema)


def _voices(results: Path) -> None:
    speech = speech_tables.table(6)
    for name in ("voices/voice/tiny-dpo/cloze", "voices/voice/tiny/cloze"):
        files.write_table(speech, results / f"{name}.parquet", speech_table.SCHEMA)
    heard = {"id": speech["id"], "prompt": [None] * len(speech), "engine": ["e"] * len(speech)}
    texts = ["the <u>cat</u>", *[""] * (len(speech) - 1)]
    said = results / "transcripts" / "voice" / "tiny" / "cloze.parquet"
    table = pa.table({**heard, "text": texts}).select(transcripts_table.SCHEMA.names)
    files.write_table(table, said, transcripts_table.SCHEMA)
    codebook = results / "tokenisers" / "units" / "kmeans.safetensors"
    config = {"features": "mfcc", "clusters": 8, "frames": 500, "seed": 1}
    listed = [results / "speech" / "cloze" / "0000.parquet"]
    kmeans.fit(config, None, listed, codebook, {"threads": 1, "device": "cpu"})
    origin = codebooks.read(codebook)[1]
    shape = {"size": 16, "layers": 1, "mel_layers": 1, "kernel": 3}
    place = {"features": origins.features(origin), "hop": origins.hop(origin)}
    settings = mel.MelConfig(sampling_rate=RATE, voice="s0", **place, **shape)
    mel.UnitMel(settings).save_pretrained(results / "vocoders" / "voice")


def _notes(folder: Path) -> None:
    """What Snakemake notes of jobs."""
    long = "results/units/" + "a" * 300 + ".parquet"
    jobs: dict[str, tuple[str, list[str]]] = {
        "results/speech/tales/0000.parquet": ("synthesise_speech", ["recordings/a.wav"]),
        # units of a first codebook train the HuBERT of a second one
        "results/tokenisers/a.safetensors": ("fit_kmeans", ["results/speech/tales/0000.parquet"]),
        "results/huberts/h.safetensors": (
            "train_hubert",
            ["results/speech/tales/0000.parquet", "results/tokenisers/a.safetensors"],
        ),
        "results/tokenisers/b.safetensors": (
            "fit_kmeans",
            ["results/speech/tales/0000.parquet", "results/huberts/h.safetensors"],
        ),
        long: (
            "extract_units",
            ["results/speech/tales/0000.parquet", "results/tokenisers/b.safetensors"],
        ),
        "results/models/tiny/model.safetensors": ("pretrain_model", [long]),
        "results/scores/tiny/cloze.parquet": (
            "score_benchmark",
            ["results/models/tiny/model.safetensors", long],
        ),
        "results/eval.tsv": ("collect_scores", ["results/scores/tiny/cloze.parquet"]),
        "results/old.tsv": ("forgotten_rule", []),
    }
    for output, (rule, inputs) in jobs.items():
        name = base64.b64encode(output.encode()).decode()
        parts = [name[at : at + 200] for at in range(0, len(name), 200)]
        path = folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"rule": rule, "input": inputs, "log": [f"results/logs/{rule}.log"]}
        path.write_text(json.dumps(record))
