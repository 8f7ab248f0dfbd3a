"""Speech tables: the same in any order, and alignments that add up."""

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile

from slamflow import audio, files
from slamflow.synthesis import phonemes, speaking
from slamflow.tables import speech as speech_table
from slamflow.tables import text as text_table

TEXTS = [
    "Tom and his dog sat in the park. They were happy!",
    "“Where is my well-known ball?” asked Lily — it cost $5.",
    "All of us\n\nwill help the wolf.",
    "The end.",
    "She ran to the river, but the boat was gone.",
]


def table(texts: list[str], **columns: list[Any]) -> pa.Table:
    count = len(texts)
    rows = {
        "id": [f"t{i}" for i in range(count)],
        "item": [f"t{i}" for i in range(count)],
        "role": ["document"] * count,
        "group": [""] * count,
        "text": texts,
        "phonemes": [None] * count,
    }
    return pa.table(rows | columns, text_table.SCHEMA)


def config(**speech: int) -> dict[str, Any]:
    return {
        "speech": {"seed": 1, "renditions": 2, "shards": 1, "sampling_rate": 16000} | speech,
        "synthesiser": {
            "engine": "espeak",
            "voices": ["en-us", "en-us+f3", "en-gb"],
            "rates": [160, 220],
            "pitches": [30, 70],
        },
    }


def by_id(*tables: pa.Table) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for table in tables for row in table.to_pylist()}


@pytest.fixture(scope="module")
def spoken() -> pa.Table:
    return speaking.speak(table(TEXTS), config(), 0, {"workers": 1})[0]


def test_same_bytes_in_any_order(spoken: pa.Table) -> None:
    text = table(TEXTS)
    backwards = text.take(list(range(len(TEXTS)))[::-1])
    halves = [
        speaking.speak(text, config(shards=2), shard, {"workers": 2})[0] for shard in range(2)
    ]
    expected = by_id(spoken)
    assert len(expected) == 2 * len(TEXTS)
    for workers in (1, 2):
        machine = {"workers": workers}
        assert by_id(speaking.speak(text, config(), 0, machine)[0]) == expected
        assert by_id(speaking.speak(backwards, config(), 0, machine)[0]) == expected
    assert by_id(*halves) == expected
    assert [half.num_rows for half in halves] == [6, 4]


def test_order_and_names(spoken: pa.Table) -> None:
    assert spoken.schema == speech_table.SCHEMA
    assert spoken["id"].to_pylist() == [f"t{i}-r{k}" for i in range(len(TEXTS)) for k in range(2)]
    assert spoken["rendition"].to_pylist() == [0, 1] * len(TEXTS)


def test_another_seed_draws_anew(spoken: pa.Table) -> None:
    other = speaking.speak(table(TEXTS), config(seed=2), 0, {})[0]
    columns = ["speaker", "rate", "pitch"]
    assert other.select(columns).to_pylist() != spoken.select(columns).to_pylist()


def test_draws_fill_their_ranges() -> None:
    synthesiser = config()["synthesiser"]
    draws = [speaking.draw(synthesiser, 1, f"item {i}", 0) for i in range(2000)]
    voices, rates, pitches = (set(drawn) for drawn in zip(*draws, strict=True))
    assert voices == set(synthesiser["voices"])
    assert rates == set(range(160, 221)) and pitches == set(range(30, 71))


def test_members_of_an_item_sound_alike() -> None:
    text = table(["The dog runs.", "The dogs runs."], item=["pair", "pair"])
    rows = speaking.speak(text, config(renditions=3), 0, {})[0].to_pylist()
    how = [(row["speaker"], row["rate"], row["pitch"]) for row in rows]
    assert how[:3] == how[3:] and len(set(how)) == 3


def test_audio_is_flac_of_the_stated_length(spoken: pa.Table) -> None:
    for row in spoken.to_pylist():
        info = soundfile.info(io.BytesIO(row["audio"]["bytes"]))
        assert (info.format, info.subtype, info.samplerate) == ("FLAC", "PCM_16", 16000)
        assert row["duration"] == info.frames / 16000
        samples = audio.read_audio(row, None, 16000)
        assert samples.dtype == np.float32 and samples.shape == (info.frames,)
        assert 0.1 < np.abs(samples).max() < 1


def test_alignments_add_up(spoken: pa.Table) -> None:
    for row in spoken.to_pylist():
        phones, words = row["phones"], row["words"]
        assert phones[0]["start"] == 0 and phones[-1]["end"] == row["duration"]
        for phone, following in itertools.pairwise(phones):
            assert phone["end"] == following["start"]
            assert {phone["label"], following["label"]} != {"_"}
        assert all(phone["end"] > phone["start"] for phone in phones)
        assert all(word["end"] > word["start"] for word in words)
        borders = {phone["start"] for phone in phones} | {row["duration"]}
        assert {word["start"] for word in words} <= borders
        for word, following in itertools.pairwise(words):
            assert word["end"] <= following["start"]
        assert words[-1]["end"] <= row["duration"]


def test_words_are_those_of_the_text(spoken: pa.Table) -> None:
    rows = by_id(spoken)
    labels = [word["label"] for word in rows["t0-r0"]["words"]]
    assert "|".join(labels) == "Tom|and|his|dog|sat|in the|park|They|were|happy"
    labels = [word["label"] for word in rows["t1-r0"]["words"]]
    assert labels[:5] == ["Where", "is", "my", "well-known", "ball"]
    assert " ".join(labels) == "Where is my well-known ball asked Lily it cost 5"
    assert rows["t2-r0"]["text"] == "All of us will help the wolf."
    phones = [phone["label"] for phone in rows["t2-r0"]["phones"] if phone["label"] != "_"]
    assert phones.count("l") == 4  # all, will, help, wolf: none is lost, none has no length


def test_silence_is_where_the_signal_is_silent(spoken: pa.Table) -> None:
    for row in spoken.to_pylist():
        samples = audio.read_audio(row, None, 16000)
        loud: dict[bool, list[float]] = {True: [], False: []}
        for phone in row["phones"]:
            part = samples[round(phone["start"] * 16000) : round(phone["end"] * 16000)]
            if phone["end"] - phone["start"] > 0.08:
                loud[phone["label"] == "_"].append(float(np.sqrt((part**2).mean())))
        assert max(loud[True], default=0.0) < 0.2 * np.median(loud[False])


def test_phonemes_are_spoken_in_place_of_the_text() -> None:
    mnemonics = phonemes.phonemise(["little", "dog"], "en-us")
    spelt = phonemes.spell(mnemonics)
    text = table(
        ["little dog", "little dog", "blick"],
        item=["pair"] * 3,
        phonemes=[None, spelt, spelt.strip("[]")],
    )
    plain, by_phonemes, other = speaking.speak(text, config(renditions=1), 0, {})[0].to_pylist()
    assert [phone["label"] for phone in plain["phones"]] == (
        [phone["label"] for phone in by_phonemes["phones"]]
    )
    assert by_phonemes["audio"] == other["audio"]
    assert [word["label"] for word in by_phonemes["words"]] == ["little", "dog"]


def test_every_row_is_spoken_or_rejected() -> None:
    texts = ["Hello.", " \n ", "… — !", "Bye."]
    spoken, rejected = speaking.speak(table(texts), config(renditions=1), 0, {})
    assert spoken["id"].to_pylist() == ["t0-r0", "t3-r0"]
    assert rejected.to_pylist() == [
        {"id": "t1-r0", "source": "t1", "reason": "empty text"},
        {"id": "t2-r0", "source": "t2", "reason": "nothing to speak in this text"},
    ]


def test_control_characters_are_no_commands() -> None:
    texts = ["Hello little dog.", "Hello \x01300S little \x0120P dog."]
    text = table(texts, item=["same", "same"])
    clean, dirty = speaking.speak(text, config(renditions=1), 0, {})[0].to_pylist()
    assert dirty["text"] == "Hello 300S little 20P dog."
    assert dirty["duration"] > clean["duration"]


def test_a_file_is_spoken_as_its_table(tmp_path: Path) -> None:
    text = table(TEXTS, item=["a", None, "b", "a", None])  # parts of an item need not be together
    files.write_table(text, tmp_path / "text.parquet", text_table.SCHEMA)
    for shard, names in enumerate([["t0-r0", "t1-r0", "t3-r0"], ["t2-r0"], ["t4-r0"]]):
        settings = config(shards=3, renditions=1)
        spoken, rejected = speaking.speak_file(
            tmp_path / "text.parquet", settings, shard, {}, "speak"
        )
        assert spoken["id"].to_pylist() == names and not rejected.num_rows
        assert spoken.equals(speaking.speak(text, settings, shard, {})[0])


def test_of_a_file_only_the_rows_of_the_shard_are_read(tmp_path: Path) -> None:
    path, count = tmp_path / "text.parquet", 3 * files.ROW_GROUP
    files.write_table(table([f"Number {i}." for i in range(count)]), path, text_table.SCHEMA)
    settings = config(shards=count, renditions=1)
    place = text_table.SCHEMA.names.index("text")
    with pq.ParquetFile(path) as file:
        page = file.metadata.row_group(2).column(place)
    content = bytearray(path.read_bytes())
    content[page.data_page_offset + page.total_compressed_size // 2] ^= 0xFF
    path.write_bytes(content)
    spoken, _ = speaking.speak_file(path, settings, files.ROW_GROUP + 7, {}, "speak")
    assert spoken["text"].to_pylist() == [f"Number {files.ROW_GROUP + 7}."]
    with pytest.raises(ValueError, match=r"text\.parquet: damaged"):
        speaking.speak_file(path, settings, count - 1, {}, "speak")


def test_empty_shard() -> None:
    spoken, rejected = speaking.speak(table(["Hello."]), config(shards=3), 2, {})
    assert spoken.schema == speech_table.SCHEMA and not spoken.num_rows and not rejected.num_rows


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("engine", "festival", "unknown engine `festival`"),
        ("voices", ["en-us", "en-us+f33"], "unknown variant `f33`"),
        ("rates", [170, 500], "rates"),
        ("pitches", [60, 50], "pitches"),
    ],
)
def test_impossible_synthesisers_are_errors(key: str, value: Any, said: str) -> None:
    wrong = config()
    wrong["synthesiser"][key] = value
    with pytest.raises(ValueError, match=said):
        speaking.speak(table(TEXTS), wrong, 0, {})
