"""pocketsphinx's alignments of espeak-ng's speech, which knows the true times of its words."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pocketsphinx
import pyarrow as pa
import pytest

from slamflow import audio, files
from slamflow.alignment import aligning, sphinx
from slamflow.synthesis import alignments, arpabet, phonemes
from slamflow.synthesis.espeak import SILENCE, Espeak
from slamflow.tables import alignments as alignments_table
from slamflow.tables import speech as speech_table

RATE = 16_000
TEXTS = [
    "One day a little girl named Lily found a needle.",
    "The big dog ran after the red ball, but he could not catch it!",
    "She asked her mother for a glass of water.",
    "Tom and Sue went to the well-known zoo with Zorblatt.",
    "It has 42 windows and 3 doors.",
    "They played together until the sun went down.",
]


def wave_of(engine: Espeak, text: str) -> tuple[np.ndarray, list[dict[str, Any]]]:
    spoken = engine.speak(text, "en-us", 150, 50)
    samples = spoken.samples.astype(np.float32) / 32768
    wave = audio.resample(samples, spoken.sampling_rate, RATE)
    return wave, alignments.words(spoken, text, text, len(wave) / RATE)


@pytest.fixture(scope="module")
def spoken() -> list[tuple[str, np.ndarray, list[dict[str, Any]]]]:
    with Espeak() as engine:
        return [(text, *wave_of(engine, text)) for text in TEXTS]


def table(rows: Sequence[tuple[str, str | None, np.ndarray]]) -> pa.Table:
    made = [
        {
            "id": name,
            "text": text,
            "audio": {"bytes": audio.encode_flac(wave, RATE), "path": None},
            "sampling_rate": RATE,
            "duration": len(wave) / RATE,
        }
        for name, text, wave in rows
    ]
    return pa.Table.from_pylist(made, schema=speech_table.SCHEMA)


def align(
    folder: Path,
    rows: Sequence[tuple[str, str | None, np.ndarray]],
    threads: int = 1,
    at_most: float = 1.0,
    **config: Any,
) -> dict[str, dict[str, Any]]:
    speech, output = folder / "speech.parquet", folder / "alignments.parquet"
    files.write_table(table(rows), speech, speech_table.SCHEMA)
    machine = {"threads": threads, "rejected_at_most": at_most}
    aligning.align({"engine": "sphinx", **config}, speech, output, machine)
    found = files.read_table(output, alignments_table.SCHEMA).to_pylist()
    assert [row["id"] for row in found] == [name for name, *_ in rows]
    return {row["id"]: row for row in found}


def test_words_are_where_they_were_spoken(tmp_path: Path, spoken: list) -> None:
    rows = [(f"u{i}", text, wave) for i, (text, wave, _) in enumerate(spoken)]
    found = align(tmp_path, rows)
    errors = []
    for (name, text, wave), (*_, words) in zip(rows, spoken, strict=True):
        row = found[name]
        assert row["reason"] is None and -6 < row["score"] < 0
        labels = [word["label"] for word in row["words"]]
        assert labels == [token.strip(".,!") for token in text.split()]
        times = [time for word in row["words"] for time in (word["start"], word["end"])]
        assert times == sorted(times) and times[-1] <= len(wave) / RATE
        phones = row["phones"]
        assert phones[0]["start"] == 0 and phones[-1]["end"] == len(wave) / RATE
        assert all(a["end"] == b["start"] for a, b in itertools.pairwise(phones))
        starts = {word["start"] for word in row["words"]}
        assert starts <= {phone["start"] for phone in phones}
        if len(words) == len(labels):  # the engine speaks "in the" as one
            errors += [abs(w["start"] - t["start"]) for w, t in zip(row["words"], words)]  # noqa: B905
    assert len(errors) >= 30
    assert np.median(errors) < 0.03 and np.quantile(errors, 0.9) < 0.12


def test_phones_are_those_of_the_dictionary(tmp_path: Path, spoken: list) -> None:
    found = align(tmp_path, [("u", TEXTS[2], spoken[2][1])])["u"]["phones"]
    heard = " ".join(phone["label"] for phone in found if phone["label"] != SILENCE)
    assert heard.startswith("SH IY AE S") and "M AH DH ER" in heard and "W AO T ER" in heard


def test_nothing_before_or_beside_an_utterance_changes_it(tmp_path: Path, spoken: list) -> None:
    rows = [(f"u{i}", text, wave) for i, (text, wave, _) in enumerate(spoken)]
    rows.append(("quiet", TEXTS[0], 0.01 * spoken[0][1]))
    rows.append(("joined", "the Zorblatt-zoo", spoken[3][1]))
    rows.append(("hopeless", TEXTS[1], spoken[0][1][:5000]))
    forwards = align(tmp_path, rows)
    assert forwards == align(tmp_path, rows[::-1], threads=2)
    for row in (rows[0], rows[4], rows[6], rows[7]):
        assert align(tmp_path, [row])[row[0]] == forwards[row[0]]


def test_hopeless_utterances_have_a_reason(tmp_path: Path, spoken: list) -> None:
    text, wave, _ = spoken[0]
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    cases: dict[str, tuple[str | None, np.ndarray, str]] = {
        "null": (None, wave, "no text"),
        "empty": ("", wave, "no text"),
        "blank": (" \t\n", wave, "no text"),
        "marks": ("… — !?", wave, "nothing to align"),
        "emoji": ("😀 🎉", wave, "nothing to align"),
        "10,000 words": ("dog " * 10_000, wave, "text longer than the audio"),
        "0.1 s": (text, wave[:1600], "text longer than the audio"),
        "a sample": ("dog", wave[:1], "text longer than the audio"),
        "long": (text, np.tile(wave, 25), "too long"),
        "foreign": ("мир 你好", wave, "words not in the dictionary: мир"),
        "one foreign word": ("a Радар", wave, "words not in the dictionary: Радар"),
        "digits": ("123,456,789 " * 9, wave, "text longer than the audio"),
        "a long word": ("9" * 2000, wave, "text longer than the audio"),
        "a longer word": ("la" * 2000, wave, "text longer than the audio"),
    }
    rows = [(name, said, heard) for name, (said, heard, _) in cases.items()]
    rows += [("good", text, wave), ("other", TEXTS[1], wave), ("noise", "hello world", noise)]
    found = align(tmp_path, rows, least_score=-5.0)
    for name, (*_, reason) in cases.items():
        assert found[name]["words"] is None and found[name]["score"] is None
        assert found[name]["reason"].startswith(reason), found[name]["reason"]
    assert found["good"]["reason"] is None
    assert found["other"]["reason"].startswith(("text does not fit", "cannot be aligned"))


def test_pronunciations_of_espeak_are_near_the_dictionarys() -> None:
    decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL")
    words = (
        "water people little father morning young church judge vision sing the boy house".split()
    )
    words += "happy button fire there here poor go cat bottle thing zoo about wonderful".split()
    words += "covering wallpaper rainiest".split()
    same = 0
    for word, mnemonics in zip(words, phonemes.phonemise(words, arpabet.VOICE), strict=True):
        found = sphinx.pronounced(mnemonics)
        assert found is not None, (word, mnemonics)
        known = [decoder.lookup_word(name) for name in (word, f"{word}(2)", f"{word}(3)")]
        same += " ".join(found) in known
    assert same > 0.7 * len(words)
    assert sphinx.pronounced(["q"]) is None and sphinx.pronounced([";"]) == []
    covering = sphinx.pronounced(["k", "'V", "v", "3", "r-", "I", "N"])
    assert covering == "K AH V ER IH NG".split()


def test_too_many_unaligned_utterances_are_an_error(tmp_path: Path, spoken: list) -> None:
    """Those without a text are no failures; but if none has a text, that is one."""
    text, wave, _ = spoken[2]
    rows = [("a", text, wave), ("b", text, wave[:1600]), ("c", None, wave), ("d", " ", wave)]
    found = align(tmp_path, rows, at_most=0.5)
    assert [row["reason"] is None for row in found.values()] == [True, False, False, False]
    (tmp_path / "alignments.parquet").unlink()
    said = r"alignments\.parquet: 1 of 2 inputs are rejected, first b: text longer than the audio"
    with pytest.raises(ValueError, match=said):
        align(tmp_path, rows, at_most=0.4)
    with pytest.raises(ValueError, match=r"speech\.parquet: none of its 2 .*`source\.transcripts`"):
        align(tmp_path, rows[2:])
    assert not (tmp_path / "alignments.parquet").exists()
    assert align(tmp_path, []) == {}


def test_unknown_engine(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown engine `mfa`; known: ctc, sphinx"):
        aligning.align({"engine": "mfa"}, tmp_path / "s", tmp_path / "a", {})
