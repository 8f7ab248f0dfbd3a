"""Purity and PNMI, by hand and on real units."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import speech_tables
from small_huberts import save

from slamflow import files
from slamflow.tables import alignments as alignments_table
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import kmeans, quality

ONE = {"threads": 1, "device": "cpu"}
KMEANS = {"features": "hubert", "layer": 1, "clusters": 15, "frames": 2000, "seed": 1}


def test_by_hand() -> None:
    # p(a) = p(b) = 1/2; unit 0 is always a, unit 1 a third of the time
    phones, found = np.array(["a", "a", "b", "b"]), np.array([0, 1, 1, 1])
    measured = quality.compare(phones, found)
    information = 0.25 * np.log(2) + 0.25 * np.log(2 / 3) + 0.5 * np.log(4 / 3)
    assert measured["pnmi"] == pytest.approx(information / np.log(2))
    assert measured["phone_purity"] == pytest.approx(0.75)
    assert measured["cluster_purity"] == pytest.approx(0.75)


def test_bounds() -> None:
    rng = np.random.default_rng(0)
    phones = rng.integers(20, size=20_000)
    assert quality.compare(phones, phones)["pnmi"] == pytest.approx(1)
    assert quality.compare(phones, rng.integers(50, size=20_000))["pnmi"] < 0.02
    assert quality.compare(phones, np.zeros(20_000, dtype=int))["cluster_purity"] == 1


def test_units_of_real_speech(tmp_path: Path) -> None:
    speech = [speech_tables.write(tmp_path / f"{seed}.parquet", 40, seed) for seed in (0, 1)]
    weights, codebook, output = save(tmp_path), tmp_path / "k.safetensors", tmp_path / "q.json"
    kmeans.fit(KMEANS, weights, speech, codebook, ONE)
    quality.measure({"utterances": 50}, codebook, weights, speech, output, ONE)
    measured = json.loads(output.read_text())
    assert measured["clusters"] == 15 and measured["utterances"] == 50
    assert measured["frames"] > 50 * 0.5 * 25
    for part in ("tokeniser", "mfcc"):
        assert 1 < measured[part]["units_a_second"] < 25
        for measures in (measured[part], measured[part]["with_silence"]):
            assert all(0 < measures[name] <= 1 for name in quality.MEASURES)
    # tones with few vowels: MFCC tell them nearly without fault, untrained layers do not
    assert measured["mfcc"]["pnmi"] > 0.7


def test_without_phones(tmp_path: Path) -> None:
    speech = [speech_tables.write(tmp_path / "s.parquet", 20, phones=False)]
    codebook, output = tmp_path / "k.safetensors", tmp_path / "q.json"
    kmeans.fit({**KMEANS, "features": "mfcc"}, None, speech, codebook, ONE)
    quality.measure({"utterances": 5}, codebook, None, speech, output, ONE)
    measured = json.loads(output.read_text())
    assert measured["frames"] == 0 and measured["tokeniser"]["units_a_second"] > 1
    assert measured["tokeniser"]["pnmi"] is None


def test_alignments_stand_in_for_unknown_phones(tmp_path: Path) -> None:
    codebook = tmp_path / "k.safetensors"
    known = [speech_tables.write(tmp_path / "c" / f"{s}.parquet", 20, s) for s in (0, 1)]
    kmeans.fit({**KMEANS, "features": "mfcc"}, None, known, codebook, ONE)
    bare, alignments = [], []
    for path in known:
        rows = files.read_table(path, speech_table.SCHEMA, ("id", "phones")).to_pylist()
        table = pa.Table.from_pylist(rows[::-1], schema=alignments_table.SCHEMA)
        alignments.append(tmp_path / "alignments" / "c" / path.name)
        files.write_table(table, alignments[-1], alignments_table.SCHEMA)
        seed = int(path.stem)
        bare.append(speech_tables.write(tmp_path / "bare" / "c" / path.name, 20, seed, False))
    found = {}
    for name, speech, aligned in (
        ("known", known, []),
        ("aligned", bare, alignments[::-1]),
        ("half", bare, alignments[:1]),
        ("not replaced", known, alignments),
    ):
        output = tmp_path / f"{name}.json"
        quality.measure({"utterances": 15}, codebook, None, speech, output, ONE, alignments=aligned)
        found[name] = json.loads(output.read_text())
    assert found["known"] == found["aligned"] == found["not replaced"]
    assert 0 < found["half"]["frames"] < found["known"]["frames"]
