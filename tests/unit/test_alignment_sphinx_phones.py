"""Phones that pocketsphinx hears in espeak-ng's speech, against those that espeak-ng spoke."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from slamflow import audio, files
from slamflow.alignment import aligning, sphinx_phones
from slamflow.synthesis import alignments
from slamflow.synthesis.espeak import SILENCE, Espeak
from slamflow.tables import alignments as alignments_table
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import phone_set

RATE = 16_000
TEXTS = [
    "One day a little girl named Lily found a needle.",
    "The big dog ran after the red ball, but he could not catch it!",
    "She asked her mother for a glass of water.",
    "They played together until the sun went down.",
]
Utterance = tuple[str, np.ndarray]


@pytest.fixture(scope="module")
def spoken() -> list[tuple[np.ndarray, list[dict[str, Any]]]]:
    found = []
    with Espeak() as engine:
        for text in TEXTS:
            said = engine.speak(text, "en-us+f2", 150, 50)  # it hears this voice best
            samples = said.samples.astype(np.float32) / 32768
            wave = audio.resample(samples, said.sampling_rate, RATE)
            found.append((wave, alignments.phones(said, len(wave) / RATE)))
    return found


def align(
    folder: Path, rows: Sequence[Utterance], threads: int = 1, at_most: float = 0.0
) -> dict[str, dict[str, Any]]:
    speech, output = folder / "speech.parquet", folder / "alignments.parquet"
    made = [
        {
            "id": name,
            "audio": {"bytes": audio.encode_flac(wave, RATE), "path": None},
            "sampling_rate": RATE,
            "duration": len(wave) / RATE,
        }
        for name, wave in rows
    ]
    table = pa.Table.from_pylist(made, schema=speech_table.SCHEMA)
    files.write_table(table, speech, speech_table.SCHEMA)
    machine = {"threads": threads, "rejected_at_most": at_most}
    aligning.align({"engine": "sphinx_phones"}, speech, output, machine)
    found = files.read_table(output, alignments_table.SCHEMA).to_pylist()
    assert [row["id"] for row in found] == [name for name, _ in rows]
    return {row["id"]: row for row in found}


def frames(labels: Sequence[dict[str, Any]], count: int) -> list[str | None]:
    """The phone of each 10 ms."""
    found: list[str | None] = [SILENCE] * count
    names = phone_set.phones([label["label"] for label in labels])
    for name, label in zip(names, labels, strict=True):
        first, after = round(100 * label["start"]), min(count, round(100 * label["end"]))
        found[first:after] = [name] * (after - first)
    return found


def test_phones_are_near_those_that_were_spoken(tmp_path: Path, spoken: list) -> None:
    found = align(tmp_path, [(f"u{i}", wave) for i, (wave, _) in enumerate(spoken)])
    same, chance, total = 0, 0, 0
    for row, (wave, phones) in zip(found.values(), spoken, strict=True):
        assert row["reason"] is None and row["words"] is None and -10 < row["score"] < 0
        heard, seconds = row["phones"], len(wave) / RATE
        assert heard[0]["start"] == 0 and heard[-1]["end"] == seconds
        assert all(a["end"] == b["start"] for a, b in itertools.pairwise(heard))
        assert all(phone["start"] < phone["end"] for phone in heard)
        labels = [phone["label"] for phone in heard]
        assert set(labels) <= {SILENCE, *phone_set.PHONES}
        assert (SILENCE, SILENCE) not in itertools.pairwise(labels)
        count = round(100 * seconds)
        told, said = frames(heard, count), frames(phones, count)
        same += sum(a == b for a, b in zip(told, said, strict=True))
        chance += sum(a == b for a, b in zip(told[::-1], said, strict=True))
        total += count
    assert same > 0.35 * total and same > 5 * chance


def test_nothing_before_or_beside_an_utterance_changes_it(tmp_path: Path, spoken: list) -> None:
    rows = [(f"u{i}", wave) for i, (wave, _) in enumerate(spoken)]
    rows += [("quiet", 0.01 * spoken[0][0]), ("short", spoken[0][0][:1600])]
    rows += [("loud", np.clip(9 * spoken[1][0], -1, 1)), ("void", np.zeros(8000, np.float32))]
    forwards = align(tmp_path, rows, at_most=1.0)
    assert forwards["void"]["reason"] == "cannot be decoded (digital silence)"
    assert sum(row["reason"] is None for row in forwards.values()) == len(rows) - 1
    order = np.random.default_rng(0).permutation(len(rows))
    assert align(tmp_path, [rows[i] for i in order], at_most=1.0) == forwards
    assert align(tmp_path, rows[::-1], threads=2, at_most=1.0) == forwards
    for row in (rows[0], rows[4]):
        assert align(tmp_path, [row], at_most=1.0)[row[0]] == forwards[row[0]]


def test_what_has_no_phones_counts_among_all(tmp_path: Path, spoken: list) -> None:
    wave = spoken[2][0]
    long = np.tile(wave, 1 + int(sphinx_phones.LONGEST * RATE / len(wave)))
    rows = [("good", wave), ("a sample", wave[:1]), ("long", long), ("other", wave[:RATE])]
    found = align(tmp_path, rows, at_most=0.5)
    assert [row["phones"] is None for row in found.values()] == [False, True, True, False]
    assert found["a sample"]["reason"].startswith("too short")
    assert found["long"]["reason"].startswith("too long") and found["long"]["score"] is None
    (tmp_path / "alignments.parquet").unlink()
    said = r"2 of 4 inputs are rejected, first a sample: too short .*; cut the recordings otherwise"
    with pytest.raises(ValueError, match=said):
        align(tmp_path, rows, at_most=0.4)
    assert not (tmp_path / "alignments.parquet").exists()
    assert align(tmp_path, []) == {}
