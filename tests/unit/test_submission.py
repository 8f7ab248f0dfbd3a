"""Submissions, read as the official evaluation of ZeroSpeech 2021 reads them."""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow as pa
import pytest

from slamflow import files
from slamflow.benchmarks import conventions, submission
from slamflow.tables import scores as scores_table


def official(gold: Path, submitted: Path) -> float:
    """The rules of the evaluation: two words a line, the files of gold.csv and no others, numbers.

    Then pairs by id and voice, 1 or ½ or 0 each; the mean over voices, then over ids.
    """
    rows = {row["filename"]: row for row in csv.DictReader(gold.open())}
    found: dict[str, float] = {}
    for line in submitted.read_text(encoding="utf-8").splitlines():
        name, score = line.split(" ")
        assert name not in found
        found[name] = float(score)
    assert found.keys() == rows.keys()
    pairs: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for name, row in rows.items():
        pairs[row["id"], row["voice"]][row["correct"]] = found[name]
    items = defaultdict(list)
    for (item, _), pair in pairs.items():
        equal, better = pair["1"] == pair["0"], pair["1"] > pair["0"]
        items[item].append(0.5 * equal + better)
    return fmean(map(fmean, items.values()))


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Path, Path]:
    """gold.csv and the scores table of 30 ids in one to three voices; some pairs tie."""
    generator = np.random.default_rng(0)
    rows, gold = [], []
    for item in range(30):
        for rendition, voice in enumerate("ABC"[: 1 + item % 3]):
            nll, tokens = generator.normal(30, 3, size=2), generator.integers(8, 12, size=2)
            if generator.random() < 0.2:
                nll[1], tokens[1] = nll[0], tokens[0]
            for role, (correct, loss, count) in enumerate(zip("10", nll, tokens, strict=True)):
                name = f"x{generator.integers(2**40):011x}"
                gold.append([item, name, voice, 5, "word", "w", 1, correct])
                rows.append(
                    {"id": name, "item": str(item), "role": ("positive", "negative")[role],
                     "group": "6-20", "speaker": voice, "rendition": rendition, "start": "<S>",
                     "nll": loss, "tokens": count, "first_nll": 1.0, "end_nll": 1.0}
                )  # fmt: skip
    order = generator.permutation(len(rows))
    table = pa.Table.from_pylist([rows[place] for place in order], scores_table.SCHEMA)
    files.write_table(table, tmp_path / "scores.parquet", scores_table.SCHEMA)
    with (tmp_path / "gold.csv").open("w", newline="") as stream:
        names = ("id", "filename", "voice", "frequency", "word", "phones", "length", "correct")
        csv.writer(stream).writerows([names, *gold])
    return tmp_path / "gold.csv", tmp_path / "scores.parquet"


@pytest.mark.parametrize("convention", ["zerospeech-mean", "zerospeech-sum"])
def test_the_official_score_is_ours(
    scored: tuple[Path, Path], tmp_path: Path, convention: str
) -> None:
    gold, scores = scored
    output = tmp_path / "lexical" / "dev.txt"
    submission.write({"convention": convention}, scores, output)
    pairs = conventions.read(scores)[convention]
    ours = conventions.summarise(pairs, convention)[0].value
    assert official(gold, output) == pytest.approx(ours, abs=1e-12)
    assert 0.3 < ours < 0.7
    lines = output.read_text().splitlines()
    assert lines == sorted(lines)


def test_what_has_no_partner_is_not_submitted(scored: tuple[Path, Path], tmp_path: Path) -> None:
    table = files.read_table(scored[1], scores_table.SCHEMA)
    files.write_table(table.slice(1), scored[1], scores_table.SCHEMA)
    with pytest.raises(
        ValueError, match=r"scores\.parquet: item `.*`, rendition 0 has no (posi|nega)tive"
    ):
        submission.write({"convention": "zerospeech-mean"}, scored[1], tmp_path / "dev.txt")
    assert not (tmp_path / "dev.txt").exists()


def test_names_of_two_words_are_refused(scored: tuple[Path, Path], tmp_path: Path) -> None:
    rows = files.read_table(scored[1], scores_table.SCHEMA).to_pylist()
    rows[4]["id"] = "two words"
    table = pa.Table.from_pylist(rows, scores_table.SCHEMA)
    files.write_table(table, scored[1], scores_table.SCHEMA)
    with pytest.raises(ValueError, match="the id `two words` has a space"):
        submission.write({"convention": "zerospeech-mean"}, scored[1], tmp_path / "dev.txt")
