"""Recordings cut into utterances at pauses, on speech that espeak speaks with known pauses."""

import itertools
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from slamflow import audio, files
from slamflow.corpora.listing import audio as listing
from slamflow.corpora.recorded import audio as recordings
from slamflow.corpora.recorded import decoding, pauses
from slamflow.corpora.recorded.voice_activity import FRAME, STEP, Detector
from slamflow.synthesis.espeak import Espeak
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table

ROOT = Path(__file__).resolve().parents[2]
RATE = 16_000
SENTENCES = (
    "The old dog ran across the field and barked at every bird that it could see.",
    "Nobody in the village knew why the baker had closed his little shop so early.",
    "When the rain came down at last they all went home and lit a fire.",
)
Row = dict[str, Any]
Spoken = tuple[np.ndarray, list[tuple[float, float]]]


@pytest.fixture(scope="module")
def spoken() -> Spoken:
    """A minute of speech, and where its sentences are (s); silences are 0.6, 1.2 and 6 s long."""
    parts, spans, time = [], [], 0.0
    rng = np.random.default_rng(0)
    with Espeak() as espeak:
        waves = []
        for text in SENTENCES:
            said = espeak.speak(text, "en-us", 160, 50)
            wave = audio.resample(said.samples.astype(np.float32) / 32768, said.sampling_rate, RATE)
            loud = np.flatnonzero(np.abs(wave) > 0.01)
            waves.append(wave[loud[0] : loud[-1]])
    for index in range(12):
        wave = waves[index % 3]
        silence = np.zeros(round((0.6, 1.2, 0.6, 6.0)[index % 4] * RATE), np.float32)
        parts += [wave, silence]
        spans.append((time, time + len(wave) / RATE))
        time += (len(wave) + len(silence)) / RATE
    samples = np.concatenate(parts)
    return (samples + 1e-4 * rng.standard_normal(len(samples))).astype(np.float32), spans


def configured(**keys: Any) -> Row:
    return {
        "kind": "audio", "folder": "speech", "minimum": 0.5, "maximum": 12.0, "shards": 2,
        "segments": "vad",
    } | keys  # fmt: skip


def cut(root: Path, sources: pa.Table | None = None, **keys: Any) -> tuple[list[Row], list[Row]]:
    config = configured(**keys)
    table = listing.list_files(config, root) if sources is None else sources
    kept: list[Row] = []
    rejected: list[Row] = []
    for shard in range(config["shards"]):
        speech, out = recordings.cut(config, table, shard, root, "cut")
        files.write_table(speech, root / "speech.parquet", speech_table.SCHEMA)
        files.write_table(out, root / "rejected.parquet", rejected_table.SCHEMA)
        kept += speech.to_pylist()
        rejected += out.to_pylist()
    return kept, rejected


def reasons(rejected: list[Row]) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in rejected}


def save(root: Path, name: str, samples: np.ndarray, rate: int = RATE, **keys: Any) -> None:
    path = root / "speech" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **keys)


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.sin(np.arange(round(seconds * rate)) * 0.3)


def test_the_detector_hears_what_its_package_hears(spoken: Spoken) -> None:
    import torch
    from silero_vad import load_silero_vad

    samples = spoken[0][: 20 * RATE // FRAME * FRAME]
    original = load_silero_vad()
    with torch.no_grad():
        frames = torch.from_numpy(samples).reshape(-1, FRAME)
        wanted = np.array([original(frame, RATE).item() for frame in frames])
    detector = Detector()
    for block in (len(samples), STEP * FRAME):
        detector.reset()
        heard = [detector.hear(samples[i : i + block]) for i in range(0, len(samples), block)]
        assert np.abs(np.concatenate(heard) - wanted).max() < 1e-4
    assert wanted.min() < 0.1 and wanted.max() > 0.9


def test_long_files_are_cut_in_pauses_and_long_silence_is_left_out(
    tmp_path: Path, spoken: Spoken
) -> None:
    samples, spans = spoken
    save(tmp_path, "a/long.flac", samples)
    rows, rejected = cut(tmp_path)
    assert not rejected and [row["id"] for row in rows] == [
        f"a/long-p{index:04}" for index in range(len(rows))
    ]
    assert {row["item"] for row in rows} == {"a/long"} and rows[0]["role"] == "document"
    for start, end in spans:  # each sentence is whole, in one piece
        inside = [row for row in rows if row["start"] < end and row["end"] > start]
        assert len(inside) == 1
        assert inside[0]["start"] < start + 0.1 and inside[0]["end"] > end - 0.1
    for row in rows:
        assert 0.5 <= row["duration"] <= 12.0
        assert row["duration"] == pytest.approx(row["end"] - row["start"])
        assert len(audio.read_audio(row, tmp_path, RATE)) == round(row["duration"] * RATE)
        within = [span for span in spans if span[0] < row["end"] and span[1] > row["start"]]
        assert row["start"] > within[0][0] - 0.7 and row["end"] < within[-1][1] + 0.7
        assert len(within) == 2  # two sentences fit, a third does not


def test_pieces_are_the_same_alone_or_among_others_and_at_any_rate(
    tmp_path: Path, spoken: Spoken
) -> None:
    samples = spoken[0][: 40 * RATE]
    save(tmp_path, "long.flac", samples)
    alone, _ = cut(tmp_path, shards=1)
    for index in range(3):
        save(tmp_path, f"{index}.wav", np.roll(samples, 999 * index))
    sources = listing.list_files(configured(), tmp_path)
    among, _ = cut(tmp_path, sources)
    again, _ = cut(tmp_path, sources.take(pa.array([3, 1, 0, 2])))
    assert [row for row in among if row["item"] == "long"] == alone
    assert sorted(map(repr, again)) == sorted(map(repr, among))
    stereo = np.stack([audio.resample(samples, RATE, 44_100)] * 2, axis=1)
    save(tmp_path, "other/long.wav", stereo, 44_100)
    other, _ = cut(tmp_path, folder="speech/other")
    assert [row["sampling_rate"] for row in other] == [44_100] * len(alone)
    times = np.array([[[r["start"], r["end"]] for r in rows] for rows in (alone, other)])
    assert np.abs(times[0] - times[1]).max() < 0.1


def test_pieces_hold_all_speech_and_keep_to_the_maximum() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        times = np.cumsum(rng.exponential(rng.choice([0.3, 2, 8], 40)))
        spans = [(float(a), float(b)) for a, b in times.reshape(-1, 2)]
        duration, maximum = spans[-1][1] + rng.choice([0.0, 3.0]), rng.choice([3.0, 10.0])
        probabilities = rng.random(int(duration / decoding.FRAME) + 1).astype(np.float32)
        rng.shuffle(spans)
        found = pauses.pieces(spans, duration, maximum, probabilities)
        assert found[0][0] >= 0 and found[-1][1] <= duration
        assert all(0 < end - start <= maximum + 1e-9 for start, end in found)
        assert all(a[1] <= b[0] + 1e-9 for a, b in itertools.pairwise(found))
        covered = [
            sum(max(0.0, min(b, end) - max(a, start)) for start, end in found) for a, b in spans
        ]
        assert np.allclose(covered, [b - a for a, b in spans])
        silence = sum(b - a for a, b in found) - sum(b - a for a, b in spans)
        assert silence <= len(spans) * pauses.LONG
    assert pauses.pieces([], 10.0, 5.0, None) == []


def test_speech_without_a_pause_is_cut_where_it_is_least_likely() -> None:
    probabilities = np.full(1000, 0.9, np.float32)
    probabilities[480:490] = 0.4  # about 15.5 s
    found = pauses.pieces([(1.0, 25.0)], 32.0, 20.0, probabilities)
    assert len(found) == 2
    assert found[0][1] == found[1][0] == pytest.approx(485 * decoding.FRAME, abs=0.15)


def test_short_files_are_whole_with_their_text_and_others_are_rejected(tmp_path: Path) -> None:
    save(tmp_path, "whole.flac", tone(3.0))
    save(tmp_path, "short.flac", tone(0.2))
    save(tmp_path, "silent.flac", np.zeros(RATE))
    save(tmp_path, "empty.wav", np.zeros(0))
    save(tmp_path, "inf.wav", np.append(tone(1.0), np.inf), subtype="FLOAT")
    save(tmp_path, "nan.wav", np.append(tone(14.0), np.nan), subtype="FLOAT")
    save(tmp_path, "long.flac", tone(14.0))
    save(tmp_path, "whole.ogg", tone(3.0))
    (tmp_path / "speech/nothing.flac").touch()
    whole = (tmp_path / "speech/whole.flac").read_bytes()
    (tmp_path / "speech/cut.flac").write_bytes(whole[: len(whole) // 2])
    music = soundfile.read(tmp_path / "speech/long.flac")[0]
    save(tmp_path, "mp3.mp3", music)
    encoded = (tmp_path / "speech/mp3.mp3").read_bytes()
    (tmp_path / "speech/mp3.mp3").write_bytes(encoded[: len(encoded) // 2])
    (tmp_path / "speech/texts.tsv").write_text("id\ttext\nwhole\tA DOG\n")
    rows, rejected = cut(tmp_path, transcripts="texts.tsv")
    assert [(row["id"], row["item"], row["text"]) for row in rows] == [("whole", "whole", "A DOG")]
    assert (rows[0]["start"], rows[0]["end"], rows[0]["group"]) == (0.0, 3.0, "")
    found = reasons(rejected)
    assert found.pop("cut").startswith("cannot be decoded (libsndfile error")
    assert found.pop("mp3").startswith("ends after ")
    assert found.pop("whole") == "duplicate id"
    assert found == {
        "short": "too short (0.20 s)",
        "silent": "silent",
        "empty": "empty",
        "nothing": "empty",
        "inf": "not finite",
        "nan": "no speech found",
        "long": "no speech found",
    }
    uncut, _ = cut(tmp_path, maximum=None)
    assert {row["id"]: row["duration"] for row in uncut} == {"whole": 3.0, "long": 14.0}


def test_what_is_not_finite_spoils_its_own_piece_only(tmp_path: Path, spoken: Spoken) -> None:
    samples, spans = spoken[0].copy(), spoken[1]
    samples[round((spans[0][0] + 1.0) * RATE)] = np.nan
    save(tmp_path, "a.wav", samples, subtype="FLOAT")
    save(tmp_path, "b.flac", spoken[0])
    rows, rejected = cut(tmp_path)
    assert reasons(rejected) == {"a-p0000": "not finite"}
    count = sum(row["item"] == "b" for row in rows)
    assert sum(row["item"] == "a" for row in rows) == count - 1 > 2


def test_libri_light_files_are_cut_by_their_own_lists(tmp_path: Path, spoken: Spoken) -> None:
    samples, spans = spoken
    for name in ("good", "none", "broken", "infinite"):
        save(tmp_path, f"{name}.flac", samples)
    save(tmp_path, "short.flac", samples[: 5 * RATE])
    for name, activity in {
        "good": [spans[2], spans[0], (40.0, 40.1), (50.0, 999.0)],
        "broken": [[1.0]],
        "infinite": [[1.0, float("inf")]],
    }.items():
        (tmp_path / f"speech/{name}.json").write_text(json.dumps({"voice_activity": activity}))
    rows, rejected = cut(tmp_path, segments="libri-light", maximum=10.0)
    good = [row for row in rows if row["item"] == "good"]
    assert good[0]["start"] == 0.0 and good[0]["end"] == pytest.approx(spans[0][1] + 0.5, abs=1e-3)
    assert good[1]["start"] == pytest.approx(spans[2][0] - 0.5, abs=1e-3)
    assert good[2]["start"] == pytest.approx(39.5, abs=1e-3)
    assert good[-1]["end"] == len(samples) / RATE  # what lies beyond it is not there
    assert [row["id"] for row in rows if row["item"] != "good"] == ["short"]
    found = reasons(rejected)
    assert set(found) == {"none", "broken", "infinite"}
    assert all(reason.startswith("no segments (") for reason in found.values())


def test_spans_that_overlap_are_one(tmp_path: Path, spoken: Spoken) -> None:
    samples = spoken[0]
    save(tmp_path, "parts.flac", samples)
    save(tmp_path, "whole.flac", samples)
    for name, activity in {
        "parts": [[12.0, 20.0], [4.0, 13.0], [19.0, 24.0], [30.0, 33.0], [31.0, 32.0]],
        "whole": [[4.0, 24.0], [30.0, 33.0]],
    }.items():
        (tmp_path / f"speech/{name}.json").write_text(json.dumps({"voice_activity": activity}))
    rows, rejected = cut(tmp_path, segments="libri-light", maximum=10.0)
    times = {
        name: [(row["start"], row["end"]) for row in rows if row["item"] == name]
        for name in ("parts", "whole")
    }
    assert not rejected and times["parts"] == times["whole"]
    assert len(times["whole"]) >= 3 and all(end - start <= 10.0 for start, end in times["whole"])


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_segments_of_a_list_are_taken_as_they_are(tmp_path: Path, suffix: str) -> None:
    for name, seconds in {"a": 20.0, "b/b": 3.0, "c": 2.0, "unlisted": 1.0}.items():
        save(tmp_path, f"{name}.flac", tone(seconds))
    (tmp_path / "speech/broken.flac").write_text("no audio")
    segments = [
        ("a.flac", 4.0, 6.5, "", ""),
        ("a.flac", 1.0, 2.0, "", "one"),
        ("a.flac", 7.0, 7.1, "short", ""),
        ("a.flac", 7.0, 20.0, "long", ""),
        ("a.flac", 19.0, 30.0, "outside", ""),
        ("a.flac", 5.0, 4.0, "backwards", ""),
        ("b/b.flac", 0.0, 3.001, "named", "rounded"),
        ("c.flac", 0.0, 1.0, "named", "again"),
        ("gone.flac", 0.0, 1.0, "nowhere", ""),
        ("broken.flac", 0.0, 1.0, "", ""),
        ("broken.flac", 1.0, 2.0, "", ""),
    ]
    names = ("path", "start", "end", "id", "text")
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in segments])
    path = tmp_path / f"lists/segments.{suffix}"
    path.parent.mkdir()
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        table.to_pandas().to_csv(path, index=False, sep={"csv": ",", "tsv": "\t"}[suffix])
    rows, rejected = cut(tmp_path, segments=f"lists/segments.{suffix}")
    found = {row["id"]: (row["item"], row["start"], row["end"], row["text"]) for row in rows}
    assert found == {
        "a-p0000": ("a", 1.0, 2.0, "one"),
        "a-p0001": ("a", 4.0, 6.5, None),
        "named": ("b/b", 0.0, 3.0, "rounded"),
    }
    why = reasons(rejected)
    assert len(rejected) == len(why) == 9
    assert why["broken-p0000"] == why["broken-p0001"] and "cannot be decoded" in why["broken-p0000"]
    assert why["short"] == "too short (0.10 s)" and why["long"] == "too long (13.00 s)"
    assert why["outside"].startswith(outside := "lies outside the file")
    assert why["backwards"].startswith(outside)
    assert why["named"] == "duplicate id" and why["nowhere"] == "no such file"
    assert why["unlisted"] == "no segments"


def test_wrong_lists_of_segments_are_errors(tmp_path: Path) -> None:
    save(tmp_path, "a.flac", tone(1.0))
    for content, message in {
        "path,start\na.flac,1\n": "has no column `end` among path, start",
        "path,start,end\na.flac,1,\n": "row 1 has no `end`",
        "path,start,end\na.flac,one,2\n": "cannot be read",
    }.items():
        (tmp_path / "list.csv").write_text(content)
        with pytest.raises(ValueError, match=rf"list\.csv: {message}"):
            cut(tmp_path, segments="list.csv")
    with pytest.raises(ValueError, match=r"none\.csv: no such file"):
        cut(tmp_path, segments="none.csv")


def test_what_the_listing_knows_is_handed_on(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(tmp_path, f"{name}.flac", tone(1.0))
    table = listing.list_files(configured(), tmp_path).to_pylist()
    table[0] |= {"role": "positive", "group": "g", "item": "i", "speaker": "s", "rendition": 2}
    table[1] |= {"reason": "no partner"}
    schema = listing.list_files(configured(), tmp_path).schema
    rows, rejected = cut(tmp_path, pa.Table.from_pylist(table, schema))
    kept = [rows[0][key] for key in ("id", "role", "group", "item", "speaker", "rendition")]
    assert kept == ["a", "positive", "g", "i", "s", 2]
    assert rejected == [{"id": "b", "source": "speech/b.flac", "reason": "no partner"}]


def test_files_that_changed_or_vanished_are_errors(tmp_path: Path) -> None:
    save(tmp_path, "a.flac", tone(1.0))
    table = listing.list_files(configured(), tmp_path)
    save(tmp_path, "a.flac", tone(2.0))
    with pytest.raises(ValueError, match=r"a\.flac: has changed.*raise `source\.version`"):
        cut(tmp_path, table)
    (tmp_path / "speech/a.flac").unlink()
    with pytest.raises(ValueError, match=r"a\.flac: no such file"):
        cut(tmp_path, table)


def test_a_recording_that_was_replaced_after_it_was_cut_is_an_error(tmp_path: Path) -> None:
    save(tmp_path, "a.flac", tone(2.0))
    (row,), _ = cut(tmp_path)
    assert len(audio.read_audio(row, tmp_path, RATE)) == 2 * RATE
    save(tmp_path, "a.flac", tone(1.0))
    with pytest.raises(
        ValueError, match=r"a\.flac: .* outside the file; .*raise `source\.version`"
    ):
        audio.read_audio(row, tmp_path, RATE)
    (tmp_path / "speech/a.flac").unlink()
    with pytest.raises(ValueError, match=r"a\.flac: cannot be read .*raise `source\.version`"):
        audio.read_audio(row, tmp_path, RATE)


def run_script(root: Path, **machine: float) -> subprocess.CompletedProcess[str]:
    config = configured(shards=1, segments="list.csv")
    sources = listing.list_files(config, root)
    files.write_table(sources, root / "sources.parquet", sources.schema)
    command = [sys.executable, str(ROOT / "workflow_scripts" / "cut_audio.py"), "--shard", "0"]
    for name in ("sources", "speech", "rejected"):
        command += [f"--{name}", str(root / f"{name}.parquet")]
    command += ["--config", json.dumps(config), "--log", str(root / "logs/0.log")]
    command += ["--machine", json.dumps({"data_root": str(root)} | machine)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_script_fails_where_too_many_files_give_nothing(tmp_path: Path) -> None:
    segments = ["path,start,end", "none.flac,0,1"]
    for name in ("a.flac", "b.flac"):
        save(tmp_path, name, tone(30.0))
        segments += [f"{name},{second},{second + 1}" for second in range(30)]
    (tmp_path / "speech/none.flac").write_text("no audio")
    (tmp_path / "list.csv").write_text("\n".join(segments))
    failed = run_script(tmp_path, rejected_at_most=0.1)
    copy = tmp_path / "logs/0.rejected.parquet"
    assert failed.returncode == 1 and not (tmp_path / "speech.parquet").exists()
    assert "1 of 3 files are rejected, first speech/none.flac: cannot be decoded" in failed.stderr
    assert str(copy) in failed.stderr
    assert files.read_table(copy, rejected_table.SCHEMA)["id"].to_pylist() == ["none-p0000"]
    assert "1 times: cannot be decoded\n" in (tmp_path / "logs/0.log").read_text()
    assert run_script(tmp_path, rejected_at_most=0.4).returncode == 0
    assert files.read_table(tmp_path / "speech.parquet", speech_table.SCHEMA).num_rows == 60


def test_memory_does_not_grow_with_channels_rates_and_lengths(tmp_path: Path) -> None:
    path = tmp_path / "wide.flac"
    with soundfile.SoundFile(path, "w", 192_000, 7, format="FLAC") as file:
        for _ in range(70):
            file.write(np.full((192_000, 7), 0.1))  # 376 MB as float32
    tracemalloc.start()
    heard = decoding.hear(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert heard.duration == 70.0 and heard.peak(0, 70) == pytest.approx(0.1, abs=1e-3)
    assert peak < 100e6


def test_reading_resamples_and_mixes(tmp_path: Path) -> None:
    time = np.arange(2 * 22050) / 22050
    left = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "a.wav", np.stack([left, 0 * left], 1), 22050, subtype="FLOAT")
    row = {"audio": {"bytes": None, "path": "a.wav"}, "start": 0.5, "end": 1.5}
    samples = audio.read_audio(row, tmp_path, 16000)
    assert samples.dtype == np.float32 and samples.shape == (16000,)
    wanted = 0.25 * np.sin(2 * np.pi * 440 * (0.5 + np.arange(16000) / 16000))
    assert np.abs(samples - wanted)[200:-200].max() < 2e-3
    with pytest.raises(ValueError, match=r"b\.wav: cannot be read"):
        audio.read_audio(row | {"audio": {"bytes": None, "path": "b.wav"}}, tmp_path, 16000)
    with pytest.raises(ValueError, match="outside"):
        audio.read_audio(row | {"start": 2.5, "end": 3.0}, tmp_path, 16000)
