"""Purity and PNMI, by hand and on real units."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import speech_tables
from small_huberts import save

from slamflow import files
from slamflow.report import quality_picture
from slamflow.tables import alignments as alignments_table
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import (
    edits,
    kmeans,
    quality,
    quality_phones,
    quality_rates,
    quality_steadiness,
)
from slamflow.tokeniser.phone_set import PHONES

ONE = {"threads": 1, "device": "cpu"}
KMEANS = {"features": "hubert", "layer": 1, "clusters": 15, "frames": 2000, "seed": 1}


def measured(phones: np.ndarray, found: np.ndarray) -> dict[str, float]:
    index = np.unique(phones, return_inverse=True)[1]
    joint = quality_phones.joint([index], [found], int(found.max()) + 1)
    return quality_phones.measures(quality_phones.counts(joint))


def test_by_hand() -> None:
    # p(a) = p(b) = 1/2; unit 0 is always a, unit 1 a third of the time
    found = measured(np.array(["a", "a", "b", "b"]), np.array([0, 1, 1, 1]))
    information = 0.25 * np.log(2) + 0.25 * np.log(2 / 3) + 0.5 * np.log(4 / 3)
    assert found["pnmi"] == pytest.approx(information / np.log(2))
    assert found["phone_purity"] == pytest.approx(0.75)
    assert found["cluster_purity"] == pytest.approx(0.75)


def test_bounds() -> None:
    rng = np.random.default_rng(0)
    phones = rng.integers(20, size=20_000)
    assert measured(phones, phones)["pnmi"] == pytest.approx(1)
    assert measured(phones, rng.integers(50, size=20_000))["pnmi"] < 0.02
    assert measured(phones, np.zeros(20_000, dtype=int))["cluster_purity"] == 1


def utterances_of(count: int, clusters: int, clear: float, seed: int) -> tuple[list, list]:
    """Phones, and units that tell them in about a share `clear` of an utterance's frames."""
    rng = np.random.default_rng(seed)
    phones = [rng.integers(30, size=rng.integers(50, 150)) for _ in range(count)]
    units = [
        np.where(rng.random(len(each)) < share, each, rng.integers(clusters, size=len(each)))
        for each, share in zip(phones, rng.normal(clear, 0.2, size=count), strict=True)
    ]
    return phones, units


def test_intervals_are_as_wide_as_other_speech_would_differ() -> None:
    # so many clusters that resamples, left as they are, are all above the value
    phones, units = utterances_of(100, 100, 0.6, 0)
    parts, _ = quality_phones.compare(phones, {"a": units, "b": units}, 100, 1)
    for number, name in enumerate(quality_phones.MEASURES):
        low, high = parts["a"]["intervals"][name]
        assert low < parts["a"][name] < high
        others = []
        for seed in range(1, 60):
            joint = quality_phones.joint(*utterances_of(100, 100, 0.6, seed), 100)
            others.append(list(quality_phones.measures(quality_phones.counts(joint)).values()))
        assert high - low == pytest.approx(2 * 1.96 * np.std(others, axis=0)[number], rel=0.3)


def test_gain_is_paired() -> None:
    phones, good = utterances_of(60, 50, 0.8, 1)
    bad = utterances_of(60, 50, 0.7, 1)[1]
    parts, same = quality_phones.compare(phones, {"a": good, "b": good}, 50, 1)
    assert same == {"pnmi": 0, "interval": [0, 0]}
    parts, gain = quality_phones.compare(phones, {"a": good, "b": bad}, 50, 1)
    assert gain["pnmi"] == pytest.approx(parts["a"]["pnmi"] - parts["b"]["pnmi"])
    assert 0 < gain["interval"][0] < gain["pnmi"] < gain["interval"][1]
    again = quality_phones.compare(phones, {"a": good, "b": bad}, 50, 1)
    assert again == (parts, gain)


def test_one_utterance_has_no_interval() -> None:
    phones, units = utterances_of(1, 50, 0.8, 1)
    nothing = np.full(9, quality_phones.SILENT)
    phones, units = [nothing, *phones], [nothing, *units]
    parts, gain = quality_phones.compare(phones, {"a": units, "b": units}, 50, 1)
    assert parts["a"]["pnmi"] > 0.3 and parts["a"]["with_silence"]["pnmi"] > parts["a"]["pnmi"]
    assert parts["a"]["intervals"] == dict.fromkeys(quality_phones.MEASURES)
    assert gain == {"pnmi": 0, "interval": None}


def test_of_one_phone_nothing_is_to_be_told() -> None:
    _, units = utterances_of(20, 50, 0.8, 1)
    phones = [np.full(len(each), 7) for each in units]
    parts, _ = quality_phones.compare(phones, {"a": units, "b": units}, 50, 1)
    assert parts["a"]["pnmi"] == 0 and parts["a"]["intervals"]["pnmi"] == [0, 0]
    assert parts["a"]["phone_purity"] == pytest.approx(1)


def test_frames_between_phones_and_of_unknown_labels_are_left_out() -> None:
    phones = [
        {"label": "a", "start": 0.1, "end": 0.2},
        {"label": "?!", "start": 0.2, "end": 0.3},
        {"label": "_", "start": 0.3, "end": 0.4},
        {"label": "t", "start": 0.5, "end": 0.6},
    ]
    found = quality_phones.of_frames(phones, np.array([0.05, 0.1, 0.25, 0.35, 0.45, 0.55, 0.6]))
    a, t = (PHONES.index(label) for label in ("AE", "T"))
    outside, unknown = quality_phones.OUTSIDE, quality_phones.UNKNOWN
    silent = quality_phones.SILENT
    assert found.tolist() == [outside, a, unknown, silent, outside, t, outside]
    for silence, frames in ((False, 2), (True, 3)):
        joint = quality_phones.joint([found], [np.arange(7)], 7, silence)
        assert quality_phones.counts(joint).sum() == frames
    assert quality_phones.of_frames([], np.array([0.1])).tolist() == [outside]


def test_rates_by_hand() -> None:
    units = [np.array([0, 0, 1, 1]), np.array([1, 0, 0, 0])]
    found = quality_rates.rates(units, 2.0, 4)
    assert found == pytest.approx(
        {
            "units_a_second": 2,  # 0 1, 1 0
            "repeats": 0.5,
            "bitrate": 2,  # of a bit each
            "perplexity": np.exp(-0.625 * np.log(0.625) - 0.375 * np.log(0.375)),
            "used": 0.5,
        }
    )


def test_edit_distance() -> None:
    def slow(one: tuple, other: tuple) -> int:
        if not one or not other:
            return len(one) + len(other)
        changed = slow(one[1:], other[1:]) + (one[0] != other[0])
        return min(changed, 1 + slow(one[1:], other), 1 + slow(one, other[1:]))

    rng = np.random.default_rng(0)
    for _ in range(60):
        one, other = (rng.integers(3, size=rng.integers(6)).astype(np.uint16) for _ in "ab")
        assert edits.edit_distance(one, other) == slow(tuple(one), tuple(other))


def test_noise_and_speed() -> None:
    time = np.arange(16_000) / 16_000
    wave = (0.3 * np.sin(2 * np.pi * 400 * time)).astype(np.float32)
    noise = quality_steadiness.with_noise(wave, "u1", 10) - wave
    assert 10 * np.log10(np.mean(wave**2) / np.mean(noise**2)) == pytest.approx(10, abs=0.1)
    assert np.allclose(noise, quality_steadiness.with_noise(wave, "u1", 10) - wave)
    other = quality_steadiness.with_noise(wave, "u2", 10) - wave
    assert abs(np.corrcoef(noise, other)[0, 1]) < 0.05
    for factor in (0.95, 1.05):
        faster = quality_steadiness.at_speed(wave, factor)
        assert faster.dtype == np.float32 and len(faster) == pytest.approx(16_000 / factor, abs=1)
        spectrum = np.abs(np.fft.rfft(faster[:15_000]))
        assert np.argmax(spectrum) * 16_000 / 15_000 == pytest.approx(400 * factor, abs=1)


def test_units_of_real_speech(tmp_path: Path) -> None:
    speech = [speech_tables.write(tmp_path / f"{seed}.parquet", 40, seed) for seed in (0, 1)]
    weights, codebook, output = save(tmp_path), tmp_path / "k.safetensors", tmp_path / "q.json"
    kmeans.fit(KMEANS, weights, speech, codebook, ONE)
    joint = quality.measure({"utterances": 50}, codebook, weights, speech, output, ONE)
    measured = json.loads(output.read_text())
    assert measured["clusters"] == 15 and measured["utterances"] == 50
    assert measured["frames"] > 50 * 0.5 * 25
    assert measured["layer"] == 1 and measured["hubert"] == files.sha256(weights)
    assert joint.shape == (quality_phones.SILENT, 15)
    assert 0 < joint.sum() < measured["frames"], "silence is left out"
    for part in ("tokeniser", "mfcc"):
        assert 1 < measured[part]["units_a_second"] < 25
        for measures in (measured[part], measured[part]["with_silence"]):
            assert all(0 < measures[name] <= 1 for name in quality_phones.MEASURES)
        for kind in ("features", "units"):
            for speakers in ("within", "across"):
                found = measured[part]["abx"][kind][speakers]
                assert found["contrasts"] > 1 and 0 <= found["error"] < 0.6
        assert measured[part]["noise"]["10"] < measured[part]["noise"]["20"] <= 1
        assert all(0 < share < 1 for share in measured[part]["speed"].values())
        assert 0 < measured[part]["bitrate"] < 25 * np.log2(15)
        assert 1 < measured[part]["perplexity"] < 15 and 0 < measured[part]["used"] <= 1
    gain = measured["tokeniser"]["pnmi"] - measured["mfcc"]["pnmi"]
    assert measured["gain"]["pnmi"] == pytest.approx(gain)
    # tones with few vowels: MFCC tell them nearly without fault, untrained layers do not
    assert measured["mfcc"]["pnmi"] > 0.7
    assert measured["mfcc"]["abx"]["features"]["within"]["error"] < 0.2


def test_least_gain(tmp_path: Path) -> None:
    speech = [speech_tables.write(tmp_path / "s.parquet", 30)]
    weights, codebook, output = save(tmp_path), tmp_path / "k.safetensors", tmp_path / "q.json"
    kmeans.fit(KMEANS, weights, speech, codebook, ONE)
    config = {"utterances": 20, "least_gain": 0.05}
    told = r"k\.safetensors: .* PNMI 0\.\d+, MFCC k-means 0\.\d+, .* lower `least_gain`"
    with pytest.raises(ValueError, match=told):
        quality.measure(config, codebook, weights, speech, output, ONE)
    assert not output.exists()
    quality.measure({**config, "least_gain": -1.0}, codebook, weights, speech, output, ONE)
    assert output.exists()
    bare = [speech_tables.write(tmp_path / "bare.parquet", 30, phones=False)]
    with pytest.raises(ValueError, match="no phones of the utterances measured are known"):
        quality.measure(config, codebook, weights, bare, output, ONE)


def test_mfcc_beside_itself_and_fitted_elsewhere(tmp_path: Path) -> None:
    here, there = (speech_tables.write(tmp_path / f"{seed}.parquet", 30, seed) for seed in (0, 1))
    codebook, output = tmp_path / "k.safetensors", tmp_path / "q.json"
    kmeans.fit({**KMEANS, "features": "mfcc"}, None, [there], codebook, ONE)
    quality.measure({"utterances": 20}, codebook, None, [here], output, ONE, fitted=[there])
    found = json.loads(output.read_text())
    assert found["tokeniser"] == found["mfcc"]
    assert found["gain"] == {"interval": [0, 0], "pnmi": 0}
    quality.measure({"utterances": 20}, codebook, None, [here], output, ONE)
    other = json.loads(output.read_text())
    assert other["tokeniser"] == found["tokeniser"] and other["mfcc"] != found["mfcc"]


def test_without_phones(tmp_path: Path) -> None:
    speech = [speech_tables.write(tmp_path / "s.parquet", 20, phones=False)]
    codebook, output = tmp_path / "k.safetensors", tmp_path / "q.json"
    kmeans.fit({**KMEANS, "features": "mfcc"}, None, speech, codebook, ONE)
    quality.measure({"utterances": 5}, codebook, None, speech, output, ONE)
    measured = json.loads(output.read_text())
    assert measured["frames"] == 0 and measured["tokeniser"]["units_a_second"] > 1
    assert measured["tokeniser"]["pnmi"] is None and measured["gain"]["pnmi"] is None
    assert measured["tokeniser"]["abx"]["units"]["within"]["error"] is None
    assert measured["tokeniser"]["noise"]["20"] > 0


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


def test_picture(tmp_path: Path) -> None:
    codebook = tmp_path / "k.safetensors"
    for phones in (True, False):
        speech = [speech_tables.write(tmp_path / "s.parquet", 20, phones=phones)]
        kmeans.fit({**KMEANS, "features": "mfcc"}, None, speech, codebook, ONE)
        output, picture = tmp_path / "mine" / "quality.json", tmp_path / f"{phones}.png"
        joint = quality.measure({"utterances": 10}, codebook, None, speech, output, ONE)
        quality_picture.draw(output, joint, picture)
        assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 20_000
        again = tmp_path / "again.png"
        quality_picture.draw(output, joint, again)
        assert again.read_bytes() == picture.read_bytes()
