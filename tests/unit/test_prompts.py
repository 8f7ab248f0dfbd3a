"""Where prompts end, and their terms in scores."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from slamflow import files
from slamflow.benchmarks import ngram_scoring, prompts
from slamflow.lm import ngram, rows
from slamflow.tables import packed as packed_table
from slamflow.tables import scores as scores_table
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table


def speech_file(path: Path, texts: dict[str, str | None], offset: float = 0.0) -> Path:
    """Utterances `<item>+` and `<item>-` whose every word takes 0.4 s; None: words not known."""
    table = []
    for key, text in texts.items():
        words = None if text is None else [
            {"label": word, "start": offset + 0.4 * place, "end": offset + 0.4 * place + 0.4}
            for place, word in enumerate(text.split())
        ]  # fmt: skip
        role = "positive" if key.endswith("+") else "negative"
        table.append({"id": key, "item": key[:-1], "role": role, "rendition": 0, "words": words})
    found = pa.Table.from_pylist(table, speech_table.SCHEMA)
    files.write_table(found, path, speech_table.SCHEMA)
    return path


def test_the_first_word_that_differs(tmp_path: Path) -> None:
    texts: dict[str, str | None] = {
        "a+": "the dog ran home", "a-": "the dog sang",
        "b+": "dogs bark", "b-": "cats bark",
        "c+": "one two", "c-": "one two three",
        "d+": "known", "d-": None,
        "e+": "alone",
    }  # fmt: skip
    # members of one item may lie in different files
    parts = [
        speech_file(tmp_path / "1", {key: texts[key] for key in texts if key.endswith("+")}),
        speech_file(tmp_path / "2", {key: texts[key] for key in texts if key.endswith("-")}, 0.1),
    ]
    found = prompts.boundaries(parts)
    expected = {"a+": 0.8, "a-": 0.9, "b+": 0.0, "b-": 0.1, "c+": 0.8, "c-": 0.9}
    assert found == pytest.approx(expected)
    assert prompts.boundaries(parts[::-1]) == found
    assert prompts.boundaries([]) == {}


@pytest.mark.parametrize(
    ("seconds", "units"), [(0.0, 0), (0.03, 0), (0.08, 1), (0.17, 1), (0.2, 2), (0.4, 3), (9.0, 3)]
)
def test_units_that_end_before(seconds: float, units: int) -> None:
    durations = np.array([2, 3, 5], np.uint16)  # frames of 40 ms
    assert prompts.units_before(seconds, durations, 0.4) == units


def test_many_frames_do_not_overflow() -> None:
    assert prompts.units_before(5_000.0, np.full(3, 60_000, np.uint16), 7_200.0) == 2


@pytest.mark.parametrize("start", ["bos", "none"])
def test_terms_of_the_prompt(tmp_path: Path, start: str) -> None:
    """Of units of 80 ms, words of 0.4 s: five units a word."""
    generator = np.random.default_rng(0)
    model = tmp_path / "bigram"
    model.mkdir()
    tokens = [1, *generator.integers(2, 12, size=62).tolist(), 1]
    packed = pa.table({"tokens": [tokens], "borders": [[0]], "held_out": [False], "corpus": [None]},
                      schema=packed_table.SCHEMA)  # fmt: skip
    schema = packed_table.SCHEMA.with_metadata(
        {"context": str(len(tokens)), "vocabulary": "12", "fill": "1.0"}
    )
    path = tmp_path / "packed.parquet"
    files.write_table(packed.replace_schema_metadata(schema.metadata), path, schema)
    ngram.count({"order": 2}, path, model)
    speech = speech_file(
        tmp_path / "s", {"a+": "the dog ran", "a-": "the dog", "b+": "no", "b-": "a"}
    )
    units = {"a+": 15, "a-": 10, "b+": 5, "b-": 5}
    spoken = {key: generator.integers(10, size=size).tolist() for key, size in units.items()}
    columns = {
        "id": list(spoken), "item": [key[0] for key in spoken],
        "role": ["positive", "negative"] * 2, "group": [""] * 4, "rendition": [0] * 4,
        "speaker": ["f"] * 4, "duration": [0.08 * size for size in units.values()],
        "units": list(spoken.values()), "durations": [[2] * size for size in units.values()],
    }  # fmt: skip
    table = pa.table(columns, schema=units_table.SCHEMA)
    timed = units_table.schema("float32", 1.0)
    files.write_table(table.replace_schema_metadata(timed.metadata), tmp_path / "u", timed)
    files.write_table(table, tmp_path / "phones", units_table.SCHEMA)  # their frames lack silence
    config = {"start": start}
    ngram_scoring.score(config, model, [tmp_path / "u"], tmp_path / "o", {}, [speech])
    probabilities = ngram.estimate(rows.read(path)[0], 12, 2)
    for row in files.read_table(tmp_path / "o", scores_table.SCHEMA).to_pylist():
        heard = ([1] if start == "bos" else []) + [unit + 2 for unit in spoken[row["id"]]] + [1]
        terms = -np.log([probabilities[pair] for pair in itertools.pairwise(heard)])
        prompt = {"a+": 10, "a-": 10, "b+": 0, "b-": 0}[row["id"]]
        prompt = prompt if start == "bos" else max(0, prompt - 1)
        assert row["start"] == ("<S>" if start == "bos" else "none")
        assert (row["prompt_tokens"], row["tokens"]) == (prompt, len(terms))
        assert row["prompt_nll"] == pytest.approx(terms[:prompt].sum())
        assert row["nll"] == pytest.approx(terms.sum())
        assert row["first_nll"] == (pytest.approx(terms[0]) if start == "bos" else None)
    ngram_scoring.score(config, model, [tmp_path / "phones"], tmp_path / "p", {}, [speech])
    found = files.read_table(tmp_path / "p", scores_table.SCHEMA)
    assert found["prompt_nll"].null_count == found["prompt_tokens"].null_count == 4
