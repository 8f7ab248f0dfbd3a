"""Units: in the table's order, equal in any batch, without repeats; phones as units."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import speech_tables
import torch
from small_huberts import save

from slamflow import files
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import (
    encoder,
    features,
    hubert,
    kmeans,
    phone_units,
    runs,
    tokenising,
    units,
    utterances,
)

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
    opened, centroids = tokenising.open_tokeniser(made["codebook"], made["hubert"], ONE)
    assert isinstance(opened.hubert, hubert.Hubert)
    read = utterances.read(made["all"], 16_000, None)
    for row, (_, wave) in zip(table, read, strict=True):
        assert all(a != b for a, b in zip(row["units"], row["units"][1:], strict=False))
        frames = np.repeat(row["units"], row["durations"])
        exact = hubert.features(opened.hubert, [torch.from_numpy(wave)], CONFIG["layer"])[0]
        assert frames.tolist() == kmeans.assign(exact, centroids).tolist()
        assert len(frames) == opened.frames(len(wave))


@pytest.fixture
def able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor made for bfloat16; others compute it, too, only slowly."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})


@pytest.mark.usefixtures("able")
def test_lower_precision_is_recorded(made: dict[str, Path], tmp_path: Path) -> None:
    whole, lower = tmp_path / "float32.parquet", tmp_path / "bfloat16.parquet"
    frames = []
    for output, config in ((whole, {}), (lower, {"precision": "bfloat16", "agreement": 0.5})):
        units.extract(config, made["codebook"], made["hubert"], made["all"], output, ONE)
        rows = files.read_table(output, units_table.SCHEMA).to_pylist()
        frames.append(np.concatenate([np.repeat(row["units"], row["durations"]) for row in rows]))
    equal = float((frames[0] == frames[1]).mean())
    assert 0.5 < equal < 1  # these 40 utterances are all measured
    facts = [pq.read_schema(path).metadata for path in (whole, lower)]
    assert facts[0] == {b"precision": b"float32", b"agreement": b"1.000000"}
    assert facts[1] == {b"precision": b"bfloat16", b"agreement": f"{equal:.6f}".encode()}


def test_a_processor_without_bfloat16_gives_the_units_of_float32(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    exact, asked = tmp_path / "float32.parquet", tmp_path / "bfloat16.parquet"
    for output, config in ((exact, {}), (asked, {"precision": "bfloat16", "agreement": 1.0})):
        units.extract(config, made["codebook"], made["hubert"], made["all"], output, ONE)
    assert asked.read_bytes() == exact.read_bytes()


@pytest.mark.usefixtures("able")
def test_lower_precision_that_changes_units(made: dict[str, Path], tmp_path: Path) -> None:
    config = {"precision": "bfloat16", "agreement": 1.0}
    output = tmp_path / "u.parquet"
    with pytest.raises(ValueError, match=r"in bfloat16, 9\d\.\d\d% of its first .*precision: fl"):
        units.extract(config, made["codebook"], made["hubert"], made["all"], output, ONE)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="precision: 'int8' is none of float32, bfloat16, float16"):
        tokenising.open_tokeniser(made["codebook"], made["hubert"], ONE, precision="int8")


@pytest.mark.usefixtures("able")
def test_slow_precision_is_said(made: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    for precision, lines in (("bfloat16", 0), ("float16", 1)):
        tokenising.open_tokeniser(made["codebook"], made["hubert"], ONE, precision=precision)
        assert capfd.readouterr().err.count("float16 is about 30 times as slow") == lines


def test_padding_and_centres() -> None:
    opened = encoder.open_encoder("mfcc", 0, None, ONE, padding=40, hop=320, window=400)
    wave = np.random.default_rng(0).normal(size=4000).astype(np.float32)
    padded = np.pad(wave, 40)
    plain = encoder.open_encoder("mfcc", 0, None, ONE, hop=320, window=400)
    assert opened.frames(4000) == plain.frames(4080) == (4080 - 400) // 320 + 1
    assert torch.equal(opened.encode([wave])[0], plain.encode([padded])[0])
    assert opened.centres(3).tolist() == pytest.approx([0.01, 0.03, 0.05])
    assert plain.centres(1).tolist() == pytest.approx([0.0125])


@pytest.mark.parametrize("analyses", [1, 2, 7, 100])
def test_mfcc_do_not_depend_on_how_many_are_made_at_once(
    analyses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = torch.randn(16_123, generator=torch.Generator().manual_seed(0)) / 10
    wanted = features.mfcc(wave, 25, 320)
    monkeypatch.setattr(features, "_ANALYSES", analyses)
    torch.testing.assert_close(features.mfcc(wave, 25, 320), wanted, rtol=1e-4, atol=1e-4)


def test_any_number_of_workers(made: dict[str, Path]) -> None:
    one, many = (list(utterances.read(made["all"], 16_000, None, workers=n)) for n in (1, 5))
    assert [row["id"] for row, _ in one] == [row["id"] for row, _ in many]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(one, many, strict=True))


def test_runs() -> None:
    rng = np.random.default_rng(0)
    for length in (0, 1, 2, 50):
        frames = rng.integers(3, size=length)
        found, durations = runs.runs(frames)
        assert np.array_equal(np.repeat(found, durations), frames)
        assert not (found[1:] == found[:-1]).any()
    assert runs.runs(np.zeros(70_000))[1].tolist() == [65_535]


def test_errors_name_the_utterance(made: dict[str, Path], tmp_path: Path) -> None:
    opened = tokenising.open_tokeniser(made["codebook"], made["hubert"], ONE)[0]
    short = [({"id": "u7"}, np.zeros(opened.window - 1, dtype=np.float32))]
    with pytest.raises(ValueError, match=r"s\.parquet: u7 lasts 0\.0.. s, less than a frame"):
        list(encoder.encode_all(opened, short, Path("s.parquet")))
    other = save(tmp_path, hidden_size=48)
    with pytest.raises(ValueError, match="on another HuBERT"):
        tokenising.open_tokeniser(made["codebook"], other, ONE)
    with pytest.raises(ValueError, match="give that HuBERT"):
        tokenising.open_tokeniser(made["codebook"], None, ONE)
    with pytest.raises(ValueError, match="fitted on hubert, not on mfcc"):
        tokenising.open_tokeniser(made["codebook"], made["hubert"], ONE, "mfcc")


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
