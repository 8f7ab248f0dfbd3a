"""Units: in the table's order, equal in any batch, without repeats; phones as units."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import speech_tables
import torch
from small_huberts import save

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import encoder, hubert, kmeans, phone_units, runs, units, utterances

ONE = {"threads": 1, "device": "cpu"}
CONFIG = {"features": "hubert", "layer": 2, "clusters": 25, "frames": 2000, "seed": 1}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A HuBERT, speech in two tables, and a codebook."""
    folder = tmp_path_factory.mktemp("units")
    table = speech_tables.table(40)
    paths = {"hubert": save(folder), "codebook": folder / "kmeans.safetensors"}
    for name, part in (("all", table), ("backwards", table.take(np.arange(40)[::-1].copy()))):
        paths[name] = folder / f"{name}.parquet"
        files.write_table(part, paths[name], speech_table.SCHEMA)
    kmeans.fit(CONFIG, paths["hubert"], [paths["all"]], paths["codebook"], ONE)
    return paths


def extract(made: dict[str, Path], speech: str, seconds: float, output: Path) -> pa.Table:
    machine = {**ONE, "micro_batch": seconds}
    config = {"features": "hubert"}
    units.extract(config, made["codebook"], made["hubert"], made[speech], output, machine)
    return files.read_table(output, units_table.SCHEMA)


def test_any_batch_and_any_order_give_the_same_units(made: dict[str, Path], tmp_path: Path) -> None:
    tables = [
        extract(made, "all", 0.1, tmp_path / "alone.parquet"),
        extract(made, "all", 5, tmp_path / "few.parquet"),
        extract(made, "all", 1000, tmp_path / "one.parquet"),
        extract(made, "backwards", 12, tmp_path / "b.parquet").take(np.arange(40)[::-1].copy()),
    ]
    speech = files.read_table(made["all"], speech_table.SCHEMA)
    for table in tables:
        assert table.equals(tables[0])
        for name in runs.COPIED:
            assert table[name].to_pylist() == speech[name].to_pylist()


def test_units_are_those_of_the_features(made: dict[str, Path], tmp_path: Path) -> None:
    table = extract(made, "all", 20, tmp_path / "u.parquet").to_pylist()
    opened, centroids = units.open_tokeniser(made["codebook"], made["hubert"], ONE)
    assert isinstance(opened.hubert, hubert.Hubert)
    read = utterances.read(made["all"], 16_000, None)
    for row, (_, wave) in zip(table, read, strict=True):
        assert all(a != b for a, b in zip(row["units"], row["units"][1:], strict=False))
        frames = np.repeat(row["units"], row["durations"])
        features = hubert.features(opened.hubert, [torch.from_numpy(wave)], CONFIG["layer"])[0]
        assert frames.tolist() == kmeans.assign(features, centroids).tolist()
        assert len(frames) == opened.frames(len(wave))


def test_runs() -> None:
    rng = np.random.default_rng(0)
    for length in (0, 1, 2, 50):
        frames = rng.integers(3, size=length)
        found, durations = runs.runs(frames)
        assert np.array_equal(np.repeat(found, durations), frames)
        assert not (found[1:] == found[:-1]).any()
    assert runs.runs(np.zeros(70_000))[1].tolist() == [65_535]


def test_errors_name_the_utterance(made: dict[str, Path], tmp_path: Path) -> None:
    opened = units.open_tokeniser(made["codebook"], made["hubert"], ONE)[0]
    short = [({"id": "u7"}, np.zeros(opened.window - 1, dtype=np.float32))]
    with pytest.raises(ValueError, match=r"s\.parquet: u7 lasts 0\.0.. s, less than a frame"):
        list(encoder.encode_all(opened, short, Path("s.parquet")))
    other = save(tmp_path, hidden_size=48)
    with pytest.raises(ValueError, match="on another HuBERT"):
        units.open_tokeniser(made["codebook"], other, ONE)
    with pytest.raises(ValueError, match="give that HuBERT"):
        units.open_tokeniser(made["codebook"], None, ONE)
    with pytest.raises(ValueError, match="fitted on hubert, not on mfcc"):
        units.open_tokeniser(made["codebook"], made["hubert"], ONE, "mfcc")


def test_phones_as_units(made: dict[str, Path], tmp_path: Path) -> None:
    listed = tmp_path / "phones.json"
    files.write_json(phone_units.list_phones([made["all"]]), listed)
    output = tmp_path / "u.parquet"
    phone_units.extract(listed, made["all"], output)
    table = files.read_table(output, units_table.SCHEMA).to_pylist()
    labels = sorted(speech_tables.VOWELS)
    for row, spoken in zip(
        table, files.read_table(made["all"], speech_table.SCHEMA).to_pylist(), strict=True
    ):
        wanted = [p["label"] for p in spoken["phones"] if p["label"] != "_"]
        wanted = [a for a, b in zip(wanted, [None, *wanted], strict=False) if a != b]
        assert [labels[unit] for unit in row["units"]] == wanted
        sounding = sum(p["end"] - p["start"] for p in spoken["phones"] if p["label"] != "_")
        assert abs(sum(row["durations"]) / 25 - sounding) < 0.02 * len(spoken["phones"])


def test_unknown_phones(tmp_path: Path) -> None:
    listed = tmp_path / "phones.json"
    files.write_json({"phones": ["a", "i"]}, listed)
    speech = speech_tables.write(tmp_path / "s.parquet", 3)
    with pytest.raises(ValueError, match="has phone 'o', which"):
        phone_units.extract(listed, speech, tmp_path / "u.parquet")
    unknown = speech_tables.write(tmp_path / "n.parquet", 3, phones=False)
    with pytest.raises(ValueError, match="phones of u0-000 are not known"):
        phone_units.list_phones([unknown])


def test_phone_units_need_no_torch() -> None:
    code = "import sys, slamflow.tokeniser.phone_units; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
