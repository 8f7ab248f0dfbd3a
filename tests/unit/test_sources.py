"""Recordings and texts under `data_root`."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from slamflow import audio
from slamflow.corpora.listing import sources
from slamflow.corpora.recorded import audio as recordings
from slamflow.corpora.texts import text as documents

RATE = 8000


def tone(seconds: float, silent: tuple[float, float] | None = None) -> np.ndarray:
    samples = 0.3 * np.sin(np.arange(round(seconds * RATE)) * 0.3)
    if silent:
        samples[round(silent[0] * RATE) : round(silent[1] * RATE)] = 0
    return samples


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lengths = {"20/1/20-1-0": 3.0, "20/1/20-1-1": 0.2, "3/2/3-2-0": 5.0, "100/9/100-9-0": 9.0}
    for name, seconds in lengths.items():
        path = tmp_path / "speech" / f"{name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(seconds, (4.0, 4.2) if seconds == 9.0 else None), RATE)
    whole = (tmp_path / "speech/3/2/3-2-0.flac").read_bytes()
    (tmp_path / "speech/3/2/cut.flac").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "speech/3/2/none.flac").write_text("no audio")
    (tmp_path / "speech/notes.txt").write_text("left out")
    return tmp_path


def audio_source(**keys: Any) -> dict[str, Any]:
    return {
        "kind": "audio", "folder": "speech", "pattern": "**/*.flac", "minimum": 0.5,
        "maximum": 6.0, "shards": 2, "speaker": r"(\d+)/\d+/[^/]+$",
    } | keys  # fmt: skip


def text_source(form: str, **keys: Any) -> dict[str, Any]:
    return {
        "kind": "text", "file": "text.txt", "format": form, "count": None, "minimum_words": 2,
        "maximum_words": 6,
    } | keys  # fmt: skip


def read(root: Path, source: dict[str, Any]) -> pa.Table:
    return documents.read_text(source, sources.list_text(source, root), root)


def test_files_are_sorted_and_shards_balanced(root: Path) -> None:
    listed = sources.list_audio(audio_source(), root).to_pylist()
    paths = [row["path"] for row in listed]
    assert paths == sorted(paths) and len(paths) == 6
    assert all(path.startswith("speech/") for path in paths)
    loads = [sum(row["duration"] or 0 for row in listed if row["shard"] == s) for s in (0, 1)]
    assert sum(loads) == pytest.approx(22.2) and abs(loads[0] - loads[1]) <= 5.0
    assert {row["path"]: row["duration"] for row in listed}["speech/3/2/none.flac"] is None
    assert len({row["sha256"] for row in listed}) == 6


def test_every_file_becomes_utterances_or_is_rejected(root: Path) -> None:
    source = audio_source()
    listed = sources.list_audio(source, root)
    cut = [recordings.cut_audio(source, listed, shard, root) for shard in range(2)]
    rows = {row["id"]: row for speech, _ in cut for row in speech.to_pylist()}
    rejected = {row["id"]: row["reason"] for _, out in cut for row in out.to_pylist()}
    whole = ["20/1/20-1-0", "3/2/3-2-0"]
    assert set(rows) == {*whole, "100/9/100-9-0-p0", "100/9/100-9-0-p1"}
    assert set(rejected) == {"20/1/20-1-1", "3/2/cut", "3/2/none"}
    assert "0.20 s is shorter than 0.5 s" in rejected["20/1/20-1-1"]
    assert "decoded" in rejected["3/2/none"]
    assert rows["3/2/3-2-0"]["speaker"] == "3"
    first, second = rows["100/9/100-9-0-p0"], rows["100/9/100-9-0-p1"]
    assert first["item"] == second["item"] == "100/9/100-9-0"
    assert (first["start"], second["end"]) == (0, 9) and first["end"] == second["start"]
    assert 4.0 < first["end"] < 4.2  # in the silence, not in the middle
    samples = audio.read_audio(second, root, RATE)
    assert len(samples) == round(second["duration"] * RATE)
    assert np.allclose(samples, tone(9.0, (4.0, 4.2))[-len(samples) :], atol=1e-4)


def test_long_files_keep_to_the_maximum(root: Path) -> None:
    source = audio_source(maximum=1.0, minimum=0.3)
    listed = sources.list_audio(source, root)
    speech = pa.concat_tables(
        recordings.cut_audio(source, listed, shard, root)[0] for shard in range(2)
    )
    durations = speech["duration"].to_pylist()
    assert max(durations) <= 1.0 and min(durations) >= 0.3
    assert sum(durations) == pytest.approx(3.0 + 5.0 + 9.0)


def test_a_changed_file_is_an_error(root: Path) -> None:
    source = audio_source(shards=1)
    listed = sources.list_audio(source, root)
    soundfile.write(root / "speech/20/1/20-1-0.flac", tone(2.0), RATE)
    with pytest.raises(ValueError, match=r"20-1-0\.flac: has changed"):
        recordings.cut_audio(source, listed, 0, root)


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


@pytest.mark.parametrize("reader", [sources.list_audio, sources.list_text])
def test_missing_data_name_the_path_and_the_key(root: Path, reader: Any) -> None:
    source = audio_source(folder="nowhere") | {"file": "nowhere"}
    with pytest.raises(ValueError, match=r"nowhere.*data_root"):
        reader(source, root)
    with pytest.raises(ValueError, match=r"absent.*set `data_root`"):
        reader(source, root / "absent")
    with pytest.raises(ValueError, match="set `data_root`"):
        reader(source, None)


def test_ambiguous_and_empty_patterns_are_errors(root: Path) -> None:
    with pytest.raises(ValueError, match=r"no file matches \*\.ogg"):
        sources.list_audio(audio_source(pattern="*.ogg"), root)
    soundfile.write(root / "speech/3/2/3-2-0.wav", tone(1.0), RATE)
    with pytest.raises(ValueError, match="suffix only"):
        sources.list_audio(audio_source(pattern="**/*"), root)
    with pytest.raises(ValueError, match=r"source\.speaker"):
        source = audio_source(speaker="(x+)")
        recordings.cut_audio(source, sources.list_audio(source, root), 0, root)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("paragraphs", "A  dog\nran.\n\n \nNo\n\nIt sat.\n\nA dog ran.\n\n\n"
                       "a b c d e f g\n\nThe end"),
        ("endoftext", "A dog\n\nran.\n<|endoftext|>\nNo<|endoftext|>It sat.\n<|endoftext|>\n"
                      "A dog ran.<|endoftext|>a b c d e f g\n<|endoftext|>\nThe end\n"),
        ("lines", "\ufeffA dog ran.\nNo\n\nIt sat.\r\nA dog ran.\na b c d e f g\nThe end"),
    ],
)  # fmt: skip
def test_documents_of_each_format(root: Path, form: str, text: str) -> None:
    (root / "text.txt").write_bytes(text.encode())
    rows = read(root, text_source(form)).to_pylist()
    found = [(row["id"], row["text"]) for row in rows]
    wanted = [("text-000000", "A dog ran."), ("text-000002", "It sat."), ("text-000005", "The end")]
    assert found == wanted
    assert all(row["role"] == "document" and row["item"] == row["id"] for row in rows)
    longer = text_source(form, count=2, maximum_words=7, minimum_words=3)
    assert read(root, longer)["id"].to_pylist() == ["text-000000", "text-000004"]


def test_unreadable_texts_are_errors(root: Path) -> None:
    source = text_source("lines")
    (root / "text.txt").write_bytes(b"caf\xe9 noir\n")
    with pytest.raises(ValueError, match="not UTF-8"):
        read(root, source)
    listed = sources.list_text(source, root)
    (root / "text.txt").write_text("a dog\n")
    with pytest.raises(ValueError, match="has changed"):
        documents.read_text(source, listed, root)
    (root / "text.txt").write_text("dog\n")
    with pytest.raises(ValueError, match="no document of lines has 2 to 6 words"):
        read(root, source)
