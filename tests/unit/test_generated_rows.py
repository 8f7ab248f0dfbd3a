"""Rows of `eval.tsv` on spoken continuations, and what a config says of them."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from slamflow.report import tables

PROMPT = "prompt counted, temperature 0.8, sphinx"
CONVENTIONS = {"gen_ppl": f"{PROMPT}, text-lm", "auto_bleu": PROMPT, "empty_transcripts": PROMPT}
FOUND = {
    "transcripts": 50,
    "empty_transcripts": 2,
    "empty_share": 0.04,
    "auto_bleu": {"value": 0.03461, "interval": [0.0301, 0.04], "n": 48},
    "gen_ppl": {"value": 137.26, "interval": [120.0, 150.04], "n": 47, "tokens": 2000},
}
SILENT: dict[str, Any] = {"value": None, "interval": None, "n": 0}


def collect(folder: Path, found: dict[str, dict[str, Any]]) -> tuple[pd.DataFrame, str]:
    """`eval.tsv` of models with these measures, and the summary."""
    measures = {}
    for model, content in found.items():
        path = measures[model, "spoken"] = folder / f"{model}.json"
        path.write_text(json.dumps(content))
    config = {"evaluate": [], "benchmarks": {}}
    generated = [[model, "spoken", CONVENTIONS] for model in found]
    output = folder / "eval.tsv"
    summary = tables.collect(
        config | {"generated": generated}, {}, {}, output, folder / "c.tsv", measures
    )
    return pd.read_csv(output, sep="\t", dtype=str, keep_default_na=False), summary


def test_rows_name_their_convention_and_count_what_is_empty(tmp_path: Path) -> None:
    silent = {**FOUND, "empty_transcripts": 50, "empty_share": 1.0}
    silent |= {"auto_bleu": SILENT, "gen_ppl": {**SILENT, "tokens": 0}}
    table, summary = collect(tmp_path, {"slm": FOUND, "mute": silent})
    assert list(table.columns) == tables.COLUMNS
    rows = table.set_index(["model", "metric"])
    wanted = ["spoken", "all", f"{PROMPT}, text-lm", "true", "137.3", "120.0", "150.0", "47", ""]
    assert rows.loc["slm", "gen_ppl"].to_list() == wanted
    assert rows.loc["slm", "auto_bleu"].to_list()[3:] == ["true", "3.46", "3.01", "4.00", "48", ""]
    assert rows.loc["slm", "empty_transcripts"].to_list()[4:] == ["4.0", "", "", "50", ""]
    assert rows.loc["mute", "empty_transcripts"].to_list()[4:] == ["100.0", "", "", "50", ""]
    assert rows.loc["mute", "gen_ppl"].to_list()[4:] == ["", "", "", "0", ""]
    assert "nan" not in (tmp_path / "eval.tsv").read_text().lower()
    assert "137.3 [120.0, 150.0]" in summary and "mute (spoken)" in summary


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"slm.json: lacks auto_bleu"):
        collect(tmp_path, {"slm": {k: v for k, v in FOUND.items() if k != "auto_bleu"}})
    config = {"evaluate": [], "benchmarks": {}, "generated": [["slm", "spoken", CONVENTIONS]]}
    with pytest.raises(ValueError, match="no measures of model slm on benchmark spoken"):
        tables.collect(config, {}, {}, tmp_path / "e.tsv", tmp_path / "c.tsv")
