"""Data and units: how much speech there was, what was left out, and how good its units are."""

import base64
from collections import Counter
from pathlib import Path
from typing import Any

from slamflow import files
from slamflow.report.page.material import Material
from slamflow.report.page.scores import wide
from slamflow.report.page.training import big
from slamflow.tables import packed as packed_table
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table

SHOWN = 5  # reasons of a corpus
NAMES = {
    "pnmi": "PNMI",
    "phone_purity": "phone purity",
    "cluster_purity": "cluster purity",
    "units_a_second": "units a second",
    "abx_within": "ABX within",
    "abx_across": "ABX across",
}


def build(material: Material) -> dict[str, Any] | str:
    """Corpora, packed rows and the quality of units."""
    corpora = [found for name, _ in material.block["corpora"] if (found := _corpus(material, name))]
    mixtures = [
        found for name in material.block["mixtures"] if (found := _mixture(material.results, name))
    ]
    quality = _quality(material)
    if not corpora and not mixtures and not quality:
        return "the tables of speech, units and packed rows are not there any more."
    hours = sum(corpus["hours"] for corpus in corpora)
    return {
        "corpora": corpora,
        "mixtures": mixtures,
        "quality": quality,
        "hours": hours,
        "utterances": sum(corpus["utterances"] for corpus in corpora),
    }


def _corpus(material: Material, name: str) -> dict[str, Any] | None:
    shards = material.shards("speech", name)
    if not shards:
        return None
    seconds = utterances = 0.0
    for shard in shards:
        durations = files.read_table(shard, speech_table.SCHEMA, ["duration"])["duration"]
        seconds += sum(value for value in durations.to_pylist() if value is not None)
        utterances += len(durations)
    reasons: Counter[str] = Counter()
    text = material.results / "rejected" / name / "text.parquet"
    for path in [*([text] if text.exists() else []), *material.shards("rejected", name)]:
        reasons.update(
            files.read_table(path, rejected_table.SCHEMA, ["reason"])["reason"].to_pylist()
        )
    said = [f"{reason}: {count:,}" for reason, count in reasons.most_common(SHOWN)]
    return {
        "name": name,
        "utterances": int(utterances),
        "hours": seconds / 3600,
        "seconds": seconds / utterances if utterances else 0.0,
        "rejected": sum(reasons.values()),
        "reasons": "; ".join(said) + ("; …" if len(reasons) > SHOWN else ""),
        "units": _units(material, name, seconds),
    }


def _units(material: Material, corpus: str, seconds: float) -> str:
    """How many units a second of this corpus became, by each tokeniser."""
    found = []
    for tokeniser in material.block["tokenisers"]:
        count = 0
        for path in material.shards(f"units/{tokeniser}", corpus):
            with files.open_table(path, units_table.SCHEMA) as file:
                described = file.metadata
            for group in range(described.num_row_groups):
                columns = described.row_group(group)
                count += sum(
                    columns.column(c).num_values
                    for c in range(columns.num_columns)
                    if columns.column(c).path_in_schema.startswith("units.")
                )
        if count and seconds:
            found.append(f"{tokeniser} {count / seconds:.1f}")
    return ", ".join(found)


def _mixture(results: Path, name: str) -> dict[str, Any] | None:
    path = results / "packed" / f"{name}.parquet"
    if not path.exists():
        return None
    with files.open_table(path, packed_table.SCHEMA) as file:
        described = file.metadata
    facts = {key.decode(): value.decode() for key, value in (described.metadata or {}).items()}
    tokens = {key[7:]: int(value) for key, value in facts.items() if key.startswith("tokens ")}
    return {
        "name": name,
        "rows": f"{described.num_rows:,}",
        "context": facts.get("context", ""),
        "documents": f"{int(facts.get('documents', 0)):,}",
        "held_out": f"{int(facts.get('held_out_documents', 0)):,}",
        "fill": f"{100 * float(facts['fill']):.1f} %" if "fill" in facts else "",
        "tokens": ", ".join(f"{corpus} {big(count)}" for corpus, count in tokens.items()),
    }


def _quality(material: Material) -> list[dict[str, Any]]:
    """A table and a picture of each tokeniser that was measured."""
    table = material.scores
    rows = table[table["benchmark"].str.startswith("units:") & (table["default"] == "true")]
    found = []
    for benchmark, part in rows.groupby("benchmark", sort=False):
        name = str(benchmark).removeprefix("units:")
        interval = " [" + part["ci_low"] + ", " + part["ci_high"] + "]"
        cell = part["value"] + interval.where(part["ci_low"] != "", "")
        metric = part["metric"].map(lambda key: NAMES.get(key, key))
        picture = material.results / "tokenisers" / name / "quality.png"
        found.append(
            {
                "name": name,
                "utterances": part["n"].iloc[0],
                "table": wide(part.assign(cell=cell, metric=metric), "model", "metric"),
                "picture": base64.b64encode(picture.read_bytes()).decode()
                if picture.exists()
                else "",
            }
        )
    return found
