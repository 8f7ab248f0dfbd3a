"""`tokenisers.tsv` from real `quality.json`."""

import json
from pathlib import Path

import pandas as pd
import pytest
import speech_tables

from slamflow import files
from slamflow.report import tokenisers
from slamflow.tokeniser import kmeans, quality

ONE = {"threads": 1, "device": "cpu"}


def measure(folder: Path, clusters: int, phones: bool = True) -> Path:
    speech = [speech_tables.write(folder / "s.parquet", 20, phones=phones)]
    config = {"features": "mfcc", "clusters": clusters, "frames": 500, "seed": 1}
    kmeans.fit(config, None, speech, folder / "k.safetensors", ONE)
    quality.measure(
        {"utterances": 15}, folder / "k.safetensors", None, speech, folder / "quality.json", ONE
    )
    return folder / "quality.json"


@pytest.fixture(scope="module")
def qualities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tokenisers")
    return {
        "twelve": measure(folder / "twelve", 12),
        "eight": measure(folder / "eight", 8),
        "bare": measure(folder / "bare", 8, phones=False),
    }


def test_a_row_a_tokeniser(tmp_path: Path, qualities: dict[str, Path]) -> None:
    output = tmp_path / "tokenisers.tsv"
    summary = tokenisers.collect(qualities, output)
    table = pd.read_csv(output, sep="\t").set_index("tokeniser")
    assert list(table.index) == list(qualities) and list(table.columns) == [*tokenisers.COLUMNS]
    assert all(name in summary for name in qualities)
    assert table["clusters"].tolist() == [12, 8, 8] and (table["features"] == "mfcc").all()
    measured = json.loads(qualities["eight"].read_text())
    row = table.loc["eight"]
    assert row["pnmi"] == pytest.approx(measured["tokeniser"]["pnmi"], abs=1e-4)
    assert row["mfcc_pnmi"] == pytest.approx(measured["mfcc"]["pnmi"], abs=1e-4)
    assert row["pnmi_low"] <= row["pnmi"] <= row["pnmi_high"]
    units = measured["tokeniser"]["abx"]["units"]
    assert row["abx_across"] == pytest.approx(units["across"]["error"], abs=1e-4)
    assert table.notna().drop(columns="hubert").loc[["twelve", "eight"]].all(axis=None)
    known = table.loc["bare"].notna()
    assert known["bitrate"] and known["noise_10"] and not known["pnmi"] and not known["pnmi_low"]


def test_what_is_no_quality(tmp_path: Path, qualities: dict[str, Path]) -> None:
    path = tmp_path / "quality.json"
    measured = files.read_json(qualities["eight"])
    del measured["tokeniser"]["abx"]
    path.write_text(json.dumps(measured))
    told = r"quality\.json: lacks tokeniser\.abx\.units\.within\.error; delete it"
    with pytest.raises(ValueError, match=told):
        tokenisers.collect({"a": path}, tmp_path / "t.tsv")
    path.write_text("{")
    with pytest.raises(ValueError, match=r"quality\.json: is no JSON"):
        tokenisers.collect({"a": path}, tmp_path / "t.tsv")
    assert not (tmp_path / "t.tsv").exists()
