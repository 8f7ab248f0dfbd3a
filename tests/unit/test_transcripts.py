"""Transcripts by pocketsphinx: the bigram model, the words heard, the error rate."""

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from slamflow import audio, files
from slamflow.corpora.generated import stories
from slamflow.generation import bigrams, sphinx, transcribing
from slamflow.generation.words import word_error_rate, words
from slamflow.synthesis.espeak import Espeak
from slamflow.tables import speech as speech_table
from slamflow.tables import transcripts as transcripts_table
from slamflow.tables import voices as voices_table

STORIES = stories.generate({"count": 300, "seed": 3})["text"].to_pylist()
TOLD = [sentence for story in STORIES for sentence in re.findall(r"[^.!?]+[.!?]", story)]
SENTENCES = [f"{story.split('.')[0]}." for story in STORIES[:3]]
VOICE = ("en-us+f3", 165, 50)


def read_arpa(
    path: Path,
) -> tuple[dict[str, float], dict[str, float], dict[tuple[str, str], float]]:
    """Probabilities of words, back-off weights of words, probabilities of pairs."""
    alone, spared, pairs = {}, {}, {}
    for line in path.read_text().splitlines():
        parts = line.split("\t")
        if len(parts) == 3:
            alone[parts[1]], spared[parts[1]] = 10 ** float(parts[0]), 10 ** float(parts[2])
        elif len(parts) == 2:
            one, other = parts[1].split()
            pairs[one, other] = 10 ** float(parts[0])
    return alone, spared, pairs


def test_probabilities_sum_to_one_and_are_those_of_the_formula(tmp_path: Path) -> None:
    said = [words(text) for text in TOLD[:60]]
    bigrams.write(said, tmp_path / "words.arpa")
    alone, spared, pairs = read_arpa(tmp_path / "words.arpa")
    assert sum(alone.values()) == pytest.approx(1, abs=1e-5)
    assert alone["<s>"] < 1e-90
    for one in alone:
        if one != "</s>":
            after = [pairs.get((one, other), spared[one] * p) for other, p in alone.items()]
            assert sum(after) == pytest.approx(1, abs=1e-4), one
    counts = Counter(pair for text in said for pair in itertools.pairwise(["<s>", *text, "</s>"]))
    once, twice = (list(counts.values()).count(n) for n in (1, 2))
    discount = once / (once + 2 * twice)
    (first, second), number = counts.most_common(1)[0]
    of_first = [n for (one, _), n in counts.items() if one == first]
    share = sum(n for (_, other), n in counts.items() if other == second) / counts.total()
    wanted = (number - discount + discount * len(of_first) * share) / sum(of_first)
    assert math.isclose(pairs[first, second], wanted, rel_tol=1e-5)


def test_a_model_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no text has a word"), sphinx.language_model(["…"]):
        pass


def test_words_and_error_rate() -> None:
    assert words("“Well-known” Tom’s dog – it ran/hid, 3 times!") == (
        "well known tom's dog it ran hid 3 times".split()
    )
    # one substitution, one deletion; then two insertions
    assert word_error_rate([("A red ball.", "a rad"), ("so", "so it is")]) == pytest.approx(4 / 4)
    assert word_error_rate([("It is, so!", "it is so")]) == 0
    with pytest.raises(ValueError, match="no words"):
        word_error_rate([("", "something")])


@pytest.fixture(scope="module")
def spoken() -> tuple[list[np.ndarray], int]:
    with Espeak() as espeak:
        said = [espeak.speak(text, *VOICE) for text in SENTENCES]
    return [each.samples.astype(np.float32) / 32768 for each in said], said[0].sampling_rate


@pytest.fixture(scope="module")
def heard_by() -> Iterator[Path]:
    with sphinx.language_model(TOLD) as folder:
        yield folder


def test_speech_is_heard_alike_however_it_is_spread(
    spoken: tuple[list[np.ndarray], int], heard_by: Path
) -> None:
    waves, rate = spoken
    silence = [np.zeros(0, np.float32), np.zeros(2 * rate, np.float32)]
    heard = list(sphinx.transcribe([*silence, *waves], rate, heard_by, workers=1))
    assert heard[:2] == ["", ""]
    assert word_error_rate(zip(SENTENCES, heard[2:], strict=True)) < 0.3
    backwards = list(sphinx.transcribe([*waves[::-1], *silence], rate, heard_by, workers=2))
    assert backwards == [*heard[:1:-1], "", ""]


def test_what_the_dictionary_lacks_is_heard_as_espeak_says_it() -> None:
    text = "The zorbling went to the garden."
    with Espeak() as espeak:
        said = espeak.speak(text, *VOICE)
    with sphinx.language_model([*TOLD, *[text] * 3, "Он рад"]) as folder:
        dictionary = (folder / sphinx.DICTIONARY).read_text()
        wave = said.samples.astype(np.float32) / 32768
        heard = " ".join(sphinx.transcribe([wave], said.sampling_rate, folder))
    assert "zorbling Z " in dictionary and "рад" not in dictionary
    assert "zorbling" in heard


def test_parts_of_a_table_are_heard_together_or_apart(
    spoken: tuple[list[np.ndarray], int], tmp_path: Path
) -> None:
    waves, rate = spoken
    both = np.concatenate(waves[:2])
    rows = [
        {"id": "both", "wave": both, "prompt_end": len(waves[0]) / rate},
        {"id": "silent", "wave": np.zeros(rate, np.float32), "prompt_end": 0.5},
    ]
    for row in rows:
        row["audio"] = {"bytes": audio.encode_flac(row.pop("wave"), rate), "path": None}
        row["sampling_rate"] = rate
    voices, output = tmp_path / "v.parquet", tmp_path / "t.parquet"
    schema = voices_table.SCHEMA
    files.write_table(pa.Table.from_pylist(rows, schema=schema), voices, schema)
    told = [{"id": str(index), "text": text} for index, text in enumerate(TOLD)]
    texts, schema = tmp_path / "s.parquet", speech_table.SCHEMA
    files.write_table(pa.Table.from_pylist(told, schema=schema), texts, schema)
    found = {}
    for prompt in ("counted", "given"):
        config = {"engine": "sphinx", "prompt": prompt}
        transcribing.transcribe(config, voices, [texts], output, {"threads": 1})
        found[prompt] = files.read_table(output, transcripts_table.SCHEMA).to_pylist()
    whole, silent = found["counted"]
    assert (silent["text"], silent["prompt"], silent["engine"]) == ("", None, "sphinx")
    # no sentence of the texts goes on with another one
    assert word_error_rate([(" ".join(SENTENCES[:2]), whole["text"])]) < 0.6
    first, second = found["given"]
    assert (second["prompt"], second["text"]) == ("", "")
    parts = [(SENTENCES[0], first["prompt"]), (SENTENCES[1], first["text"])]
    assert word_error_rate(parts) < 0.3
    with pytest.raises(ValueError, match="unknown engine `ears`; known: sphinx, whisper"):
        transcribing.transcribe({"engine": "ears"}, voices, [], output, {})
