"""Audio in Parquet tables, laid out as Hugging Face datasets lay them out."""

import io
import json
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from slamflow import audio, files
from slamflow.corpora.listing import parquet as listing
from slamflow.corpora.recorded import parquet as recorded
from slamflow.preference import pairs
from slamflow.tables import downloads as downloads_table
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import utterances

RATE = 16000
Row = dict[str, Any]
AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
WORDS = pa.list_(
    pa.struct([("word", pa.string()), ("start_time", pa.float64()), ("end_time", pa.float64())])
)
STORY = pa.schema([("audio", AUDIO), ("text", pa.string()), ("aligned_text", WORDS)])
SWAG = pa.schema(
    [
        *[("speaker", pa.string()), ("auto_bleu2", pa.float64())],
        *[(f"{role}_text", pa.string()) for role in ("prompt", "chosen", "rejected")],
        *[(role, AUDIO) for role in ("prompt", "chosen", "rejected")],
    ]
)


def tone(seconds: float, pitch: float = 200.0, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.sin(np.arange(round(seconds * rate)) * (2 * np.pi * pitch / rate))


def encoded(samples: np.ndarray, rate: int = RATE, form: str = "FLAC", kind: str = "") -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=form, subtype=kind or None)
    return stream.getvalue()


def sound(seconds: float, pitch: float = 200.0, **keys: Any) -> Row:
    return {"bytes": encoded(tone(seconds, pitch, **keys), **keys), "path": f"{pitch}.flac"}


def story(number: int, **other: Any) -> Row:
    seconds = 1.0 + number / 10
    words = [{"word": "once", "start_time": 0.0, "end_time": 0.4},
             {"word": "", "start_time": 0.4, "end_time": 0.5},
             {"word": "upon", "start_time": 0.5, "end_time": seconds + 0.01}]  # fmt: skip
    found = {"audio": sound(seconds, 100 + number), "text": f"story {number}"}
    return found | {"aligned_text": words} | other


def swag(number: int, **other: Any) -> Row:
    found: Row = {"speaker": "af_heart", "auto_bleu2": 0.1}
    for place, role in enumerate(("prompt", "chosen", "rejected")):
        found |= {role: sound(0.8 + place / 10 + number / 100, 100 + 10 * number + place)}
        found |= {f"{role}_text": f"{role} {number}"}
    return found | other


def write(path: Path, rows: list[Row], schema: pa.Schema, group: int = 7) -> None:
    features = {
        name: {"_type": "Audio"} for name in schema.names if schema.field(name).type == AUDIO
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema.with_metadata(metadata))
    pq.write_table(table, path, row_group_size=group)


def config(content: str = "documents", **keys: Any) -> Row:
    return {"folder": "data", "content": content, "minimum": 0.5, "maximum": None} | keys


def cut(root: Path, keys: Row) -> tuple[list[Row], dict[str, str]]:
    """All shards: rows of speech and reasons by id."""
    sources = listing.list_files(keys, root)
    kept: list[Row] = []
    rejected: dict[str, str] = {}
    for shard in range(keys.get("shards") or 1):
        speech, left_out = recorded.cut(keys, sources, shard, root, "cut")
        assert speech.schema.equals(speech_table.SCHEMA)
        kept += speech.to_pylist()
        assert not rejected.keys() & {row["id"] for row in left_out.to_pylist()}
        rejected |= {row["id"]: row["reason"] for row in left_out.to_pylist()}
    return kept, rejected


def test_documents_keep_their_audio_where_it_is(tmp_path: Path) -> None:
    rows = [story(n) for n in range(40)]
    write(tmp_path / "data/train-0.parquet", rows[:25], STORY)
    write(tmp_path / "data/train-1.parquet", rows[25:], STORY)
    kept, rejected = cut(tmp_path, config(shards=2))
    assert not rejected
    kept.sort(key=lambda row: row["id"])
    assert [row["id"] for row in kept[23:27]] == [
        "train-0-000023", "train-0-000024", "train-1-000000", "train-1-000001"
    ]  # fmt: skip
    for row, wanted in zip(kept, rows, strict=True):
        samples = soundfile.read(io.BytesIO(wanted["audio"]["bytes"]), dtype="float32")[0]
        assert np.array_equal(audio.read_audio(row, tmp_path, RATE), samples)
        assert row["duration"] == len(samples) / RATE
        assert (row["text"], row["role"], row["item"]) == (wanted["text"], "document", row["id"])
        assert row["audio"]["bytes"] is None
        assert [(it["label"], it["start"]) for it in row["words"]] == [("once", 0.0), ("upon", 0.5)]
        assert row["words"][1]["end"] == row["duration"], "cut at the end of the sound"
    assert kept[25]["audio"]["path"] == "data/train-1.parquet#audio/0"


def test_preferences_are_whole_or_rejected(tmp_path: Path) -> None:
    rows = [swag(n) for n in range(6)]
    rows[1]["auto_bleu2"] = 0.41
    rows[2]["chosen"] = sound(0.2)
    rows[3]["auto_bleu2"] = None
    rows[4]["auto_bleu2"] = 0.3
    write(tmp_path / "data/train.parquet", rows, SWAG, group=4)
    kept, rejected = cut(tmp_path, config("preferences", at_most={"auto_bleu2": 0.3}))
    items = ["train-000000", "train-000004", "train-000005"]
    roles = ("prompt", "chosen", "rejected")
    assert [row["id"] for row in kept] == [f"{item}-{role}" for item in items for role in roles]
    assert rejected == {
        **{f"train-000001-{role}": "auto_bleu2 0.41 is above 0.3" for role in roles},
        **{f"train-000003-{role}": "auto_bleu2 is null" for role in roles},
        "train-000002-chosen": "too short (0.20 s)",
        "train-000002-prompt": "no partner (chosen: too short (0.20 s))",
        "train-000002-rejected": "no partner (chosen: too short (0.20 s))",
    }
    assert {(row["speaker"], row["text"]) for row in kept if row["item"] == items[1]} == {
        ("af_heart", f"{role} 4") for role in roles
    }
    assert kept[1]["audio"]["path"] == "data/train.parquet#chosen/0"
    shared = ("id", "item", "role", "group", "rendition", "speaker")
    said = {"prompt": [1, 2], "chosen": [1, 2], "rejected": [1, 3]}
    units = [
        {k: row[k] for k in shared} | {"units": said[row["role"]], "durations": [1, 1]}
        for row in kept
    ]
    files.write_table(pa.Table.from_pylist(units, units_table.SCHEMA), tmp_path / "u.parquet",
                      units_table.SCHEMA)  # fmt: skip
    line = pairs.build({}, [tmp_path / "u.parquet"], tmp_path / "p.parquet")
    assert line == "3 preferences, 0 of them cut"


def bad_rows() -> dict[str, Row]:
    """A row for each way in which one can be bad, by the beginning of its reason."""
    nan = tone(1.0)
    nan[5000] = np.nan
    whole = encoded(tone(2.0), form="WAV")
    streamed = bytearray(encoded(tone(1.5)))
    streamed[21] &= 0xF0  # of STREAMINFO's 36 bits of the number of samples
    streamed[22:26] = bytes(4)
    endless = bytes(streamed)
    return {
        "no audio": story(0, audio=None),
        "no audio ": story(0, audio={"bytes": None, "path": None}),
        "empty": story(0, audio={"bytes": b"", "path": "a.wav"}),
        "empty ": story(0, audio={"bytes": encoded(tone(0.0), form="WAV"), "path": None}),
        "cannot be decoded (libsndfile error 1": story(
            0, audio={"bytes": b"no sound at all", "path": ""}
        ),
        "cannot be decoded (": story(0, audio={"bytes": encoded(tone(2.0))[:9000], "path": None}),
        # its header has no number of samples, with which libsndfile cannot go on
        "cannot be decoded (libsndfile error 39": story(0, audio={"bytes": endless, "path": None}),
        "cannot be decoded (libsndfile error 2": story(
            0, audio={"bytes": None, "path": "gone.wav"}
        ),
        "cannot be decoded (path": story(0, audio={"bytes": None, "path": "../x.wav"}),
        "not finite": story(
            0, audio={"bytes": encoded(nan, form="WAV", kind="FLOAT"), "path": None}
        ),
        "silent": story(0, audio={"bytes": encoded(0 * tone(1.0)), "path": None}),
        "too short (0.30 s)": story(0, audio=sound(0.3)),
        "too long (9.00 s)": story(0, audio=sound(9.0)),
        "no text": story(0, text=None),
        "no text ": story(0, text=" \n"),
        "words out of order (word 0": story(
            0, aligned_text=[{"word": "a", "start_time": None, "end_time": 0.1}]
        ),
        "words out of order (word 0, from 0.5 to 7.0 s)": story(
            0, aligned_text=[{"word": "a", "start_time": 0.5, "end_time": 7.0}]
        ),
        "words out of order (word 1": story(
            0,
            aligned_text=[
                {"word": "a", "start_time": 0.5, "end_time": 0.6},
                {"word": "b", "start_time": 0.2, "end_time": 0.6},
            ],
        ),
        # half of a WAV whose header promises the whole is one that libsndfile shortens silently
        "too short (": story(0, audio={"bytes": whole[:9000], "path": None}),
    }


def test_every_bad_row_has_its_reason(tmp_path: Path) -> None:
    bad = bad_rows()
    rows = [row for pair in zip(bad.values(), map(story, range(len(bad))), strict=True)
            for row in pair]  # fmt: skip
    write(tmp_path / "data/a.parquet", rows, STORY)
    kept, rejected = cut(tmp_path, config(maximum=8.0))
    assert [row["id"] for row in kept] == [f"a-{n:06d}" for n in range(1, len(rows), 2)]
    assert list(rejected) == [f"a-{n:06d}" for n in range(0, len(rows), 2)]
    for wanted, reason in zip(bad, rejected.values(), strict=True):
        assert reason.startswith(wanted.strip()), (wanted, reason)


def test_fuzzed_rows_are_kept_or_rejected(tmp_path: Path) -> None:
    rng = random.Random(5)
    bad = list(bad_rows().values())
    count = 0
    for number in range(3):
        rows = [rng.choice(bad) if rng.random() < 0.4 else story(n % 20) for n in range(60)]
        for place, row in enumerate(rows):
            if row["audio"] and row["audio"]["bytes"] and rng.random() < 0.3:
                spoilt = bytearray(row["audio"]["bytes"])
                for _ in range(rng.randrange(1, 9)):
                    spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
                rows[place] = row | {"audio": {"bytes": bytes(spoilt), "path": None}}
        count += len(rows)
        write(tmp_path / f"data/{number}.parquet", rows, STORY, group=rng.randrange(1, 30))
    kept, rejected = cut(tmp_path, config(maximum=8.0, shards=2))
    assert len(kept) + len(rejected) == count
    assert len({row["id"] for row in kept} | rejected.keys()) == count
    for row in kept:
        assert np.isfinite(audio.read_audio(row, tmp_path, RATE)).all()


def test_a_damaged_file_loses_its_damaged_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "data/a.parquet"
    write(path, [story(n) for n in range(30)], STORY, group=10)
    group = pq.ParquetFile(path).metadata.row_group(1)
    content = bytearray(path.read_bytes())
    start = group.column(0).data_page_offset
    content[start : start + 400] = b"\xff" * 400
    path.write_bytes(content)
    (tmp_path / "data/b.parquet").write_bytes(content[: len(content) // 2])
    kept, rejected = cut(tmp_path, config())
    assert [row["id"] for row in kept] == [f"a-{n:06d}" for n in [*range(10), *range(20, 30)]]
    assert sorted(rejected) == [*(f"a-{n:06d}" for n in range(10, 20)), "b"]
    assert all(reason.startswith("cannot be decoded (") for reason in rejected.values())
    damaged = {"audio": {"bytes": None, "path": "data/a.parquet#audio/12"}}
    with pytest.raises(ValueError, match=r"a\.parquet#audio/12: cannot be read as audio"):
        audio.read_audio(damaged, tmp_path, RATE)
    assert len(audio.read_audio(kept[11], tmp_path, RATE)) == len(tone(3.1))


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    texts = pa.array([b"a", b"\xff\xfe broken", "🙂".encode()]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, texts.buffers())
    sounds = pa.array([sound(1.0)] * 3, AUDIO)
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"audio": sounds, "text": text}), tmp_path / "data/a.parquet")
    kept, rejected = cut(tmp_path, config())
    assert [row["text"] for row in kept] == ["a", "🙂"]
    assert rejected == {"a-000001": "not UTF-8 (`text`)"}


@pytest.mark.parametrize(
    ("schema", "keys", "message"),
    [
        (STORY.remove(0), {}, r"a\.parquet: has no column `audio` \(it has text, aligned_text\); "
                              r"name the right one as `source\.columns\.audio`"),
        (STORY, {"columns": {"text": "story"}}, "has no column `story`"),
        (STORY, {"columns": {"text": "audio"}}, "column `audio` is struct.* should be text"),
        (STORY, {"columns": {"sound": "audio"}}, "`sound` is none of audio, text, aligned_text"),
        (STORY, {"at_most": {"auto_bleu2": 0.3}}, r"no column `auto_bleu2`; mend `source\.at_most"),
        (STORY, {"at_most": {"text": 0.3}}, "column `text` is string and should be numbers"),
        (pa.schema([("audio", pa.binary())]), {}, "should be a struct of bytes and path"),
        (STORY.set(2, pa.field("aligned_text", pa.string())), {}, "a list of {word, start_time"),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit(
    tmp_path: Path, schema: pa.Schema, keys: Row, message: str
) -> None:
    write(tmp_path / "data/a.parquet", [], schema)
    with pytest.raises(ValueError, match=message):
        cut(tmp_path, config(**keys))


def test_columns_of_other_names(tmp_path: Path) -> None:
    names = ("flac", "sentence", "speaker_id", "other")
    fields = (AUDIO, pa.large_string(), pa.int64(), pa.int8())
    row = dict(zip(names, (sound(1.0), " said \n", 1089, 3), strict=True))
    write(tmp_path / "data/a.parquet", [row], pa.schema(list(zip(names, fields, strict=True))))
    renamed = {"audio": "flac", "text": "sentence", "speaker": "speaker_id"}
    kept, rejected = cut(tmp_path, config(columns=renamed))
    assert not rejected
    assert (kept[0]["text"], kept[0]["speaker"], kept[0]["words"]) == ("said", "1089", None)


def test_listing_is_by_bytes_and_in_no_order(tmp_path: Path) -> None:
    for order, root in ((1, tmp_path / "1"), (-1, tmp_path / "2")):
        for number in list(range(6))[::order]:
            write(root / f"data/train-{number}.parquet", [story(n) for n in range(number)], STORY)
        (root / "data/README.md").write_text("how it was made")
    keys = config(shards=2)
    listed = listing.list_files(keys, tmp_path / "1")
    assert listed.equals(listing.list_files(keys, tmp_path / "2"))
    assert listed["id"].to_pylist() == [f"train-{n}" for n in range(6)]
    loads = [sum(row["bytes"] for row in listed.to_pylist() if row["shard"] == s) for s in (0, 1)]
    assert max(loads) < 1.5 * min(loads)
    rows = [{"path": row["path"], "bytes": row["bytes"], "sha256": "7" * 64}
            for row in listed.to_pylist()[:3]]  # fmt: skip
    manifest = pa.Table.from_pylist(rows, downloads_table.SCHEMA)
    assert (
        listing.list_files(keys, tmp_path / "1", manifest)["sha256"].to_pylist() == ["7" * 64] * 3
    )


def test_files_of_one_stem(tmp_path: Path) -> None:
    for name in ("clean/train.parquet", "other/train.parquet"):
        write(tmp_path / "data" / name, [story(1)], STORY)
    kept, _ = cut(tmp_path, config())
    assert [row["id"] for row in kept] == ["clean/train-000000", "other/train-000000"]
    kept, _ = cut(tmp_path, config(files="other/*.parquet"))
    assert [row["id"] for row in kept] == ["train-000000"]
    with pytest.raises(ValueError, match=r"data: no file matches \*\.arrow; mend `source\.files`"):
        cut(tmp_path, config(files="*.arrow"))
    with pytest.raises(ValueError, match="data: does not exist"):
        cut(tmp_path / "data", config())


def test_a_file_that_changed_or_vanished(tmp_path: Path) -> None:
    path = tmp_path / "data/a.parquet"
    write(path, [story(1)], STORY)
    sources = listing.list_files(config(), tmp_path)
    write(path, [story(1), story(2)], STORY)
    with pytest.raises(ValueError, match=r"a\.parquet: has changed since it was listed; raise"):
        recorded.cut(config(), sources, 0, tmp_path, "cut")
    path.unlink()
    with pytest.raises(ValueError, match=r"a\.parquet: no such file; set `data_root`, or raise"):
        recorded.cut(config(), sources, 0, tmp_path, "cut")
    row = {"audio": {"bytes": None, "path": "data/a.parquet#audio/0"}}
    with pytest.raises(ValueError, match=r"a\.parquet: no such file; set `data_root`"):
        audio.read_audio(row, tmp_path, RATE)


@pytest.mark.parametrize(
    ("form", "kind", "rate", "channels", "near"),
    [
        ("WAV", "PCM_16", 44100, 2, 1e-3),
        ("WAV", "FLOAT", 8000, 1, 1e-3),
        ("FLAC", "PCM_24", 192000, 7, 1e-3),
        ("MP3", "MPEG_LAYER_III", 24000, 1, 0.05),
        ("OGG", "VORBIS", 22050, 2, 0.05),
        ("OGG", "OPUS", 48000, 1, 0.05),
    ],
)
def test_forms_rates_and_channels(
    tmp_path: Path, form: str, kind: str, rate: int, channels: int, near: float
) -> None:
    wave = np.stack([tone(1.0, 440, rate)] * channels, axis=1)
    content = encoded(wave, rate, form, kind)
    row = story(0, audio={"bytes": content, "path": "x"}, aligned_text=None)
    write(tmp_path / "data/a.parquet", [row], STORY)
    kept, rejected = cut(tmp_path, config())
    assert not rejected
    assert kept[0]["sampling_rate"] == rate
    samples = audio.read_audio(kept[0], tmp_path, RATE)
    direct = audio.read_audio({"audio": {"bytes": content, "path": None}}, None, RATE)
    assert np.array_equal(samples, direct)
    assert kept[0]["duration"] == pytest.approx(1.0, abs=0.1)
    assert np.abs(samples[4000:8000]).max() == pytest.approx(0.3, abs=0.01 + near)


def test_audio_beside_the_table(tmp_path: Path) -> None:
    write(tmp_path / "data/a.parquet", [story(0, audio={"bytes": None, "path": "wavs/1.wav"},
                                              aligned_text=None)], STORY)  # fmt: skip
    (tmp_path / "data/wavs").mkdir()
    soundfile.write(tmp_path / "data/wavs/1.wav", tone(1.0), RATE)
    kept, rejected = cut(tmp_path, config())
    assert not rejected
    assert len(audio.read_audio(kept[0], tmp_path, RATE)) == RATE


def test_paths_with_a_hash_keep_working(tmp_path: Path) -> None:
    strange = "data/we#ird.parquet#audio/1/b#1.parquet"
    write(tmp_path / strange, [story(0), story(1)], STORY)
    row = {"audio": {"bytes": None, "path": f"{strange}#audio/1"}}
    assert len(audio.read_audio(row, tmp_path, RATE)) == 17600
    soundfile.write(tmp_path / "data/c#audio.wav", tone(1.0), RATE)
    row = {"audio": {"bytes": None, "path": "data/c#audio.wav"}}
    assert len(audio.read_audio(row, tmp_path, RATE)) == RATE


@pytest.mark.parametrize(
    ("part", "message"),
    [("audio/2", "the file has 2 rows"), ("sound/0", "sound/0: cannot be read as audio"),
     ("text/0", "text/0: cannot be read as audio")],
)  # fmt: skip
def test_references_that_lead_nowhere(tmp_path: Path, part: str, message: str) -> None:
    write(tmp_path / "data/a.parquet", [story(0), story(1)], STORY)
    row = {"audio": {"bytes": None, "path": f"data/a.parquet#{part}"}}
    with pytest.raises(ValueError, match=message):
        audio.read_audio(row, tmp_path, RATE)


def test_rows_in_any_order_are_those_read_in_order(tmp_path: Path) -> None:
    rows = [swag(n) for n in range(50)]
    write(tmp_path / "data/a.parquet", rows, SWAG, group=20)
    kept, _ = cut(tmp_path, config("preferences"))
    speech = tmp_path / "speech.parquet"
    files.write_table(pa.Table.from_pylist(kept, speech_table.SCHEMA), speech, speech_table.SCHEMA)
    in_order = {row["id"]: wave for row, wave in utterances.read(speech, RATE, tmp_path)}
    assert len(in_order) == 150
    random.Random(0).shuffle(kept)
    with ThreadPoolExecutor(4) as pool:
        waves = pool.map(lambda row: audio.read_audio(row, tmp_path, RATE), kept)
        for row, wave in zip(kept, waves, strict=True):
            assert np.array_equal(wave, in_order[row["id"]])
    chosen = {row["id"] for row in kept[:9]}
    assert {row["id"] for row, _ in utterances.read(speech, RATE, tmp_path, chosen)} == chosen


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "data/a.parquet"
    row = {"audio": {"bytes": None, "path": "data/a.parquet#audio/0"}}
    for seconds in (1.0, 1.5):
        write(tmp_path / "new.parquet", [story(0, audio=sound(seconds))], STORY)
        path.parent.mkdir(exist_ok=True)
        shutil.move(tmp_path / "new.parquet", path)
        assert len(audio.read_audio(row, tmp_path, RATE)) == seconds * RATE
