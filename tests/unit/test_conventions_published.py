"""Conventions against the published definitions, written out over the terms of every token."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from slamflow import files
from slamflow.benchmarks import conventions
from slamflow.corpora.listing import zerospeech
from slamflow.tables import scores as scores_table

Row = dict[str, Any]
VOICES = ("A", "B", "C")
PROMPT = 2  # tokens


def spoken(groups: tuple[str, ...], voices: tuple[str, ...] = VOICES[:1]) -> list[Row]:
    """Files of pairs and the −ln p of their tokens, the end token's last; a fifth of them tie.

    The later a group, the more pairs it has, and the more of them are right.
    """
    generator, found = np.random.default_rng(len(groups)), []
    for place, group in enumerate(groups):
        for number in range(15 + 3 * place):
            for rendition, voice in enumerate(voices[: 1 + number % len(voices)]):
                lengths = generator.integers(4, 9, size=2)
                terms = [generator.normal(3, 1, size=length) for length in lengths]
                terms[0] -= 0.2 * place
                if number % 5 == 3:
                    terms[1] = terms[0].copy()
                for role, each in zip(("positive", "negative"), terms, strict=True):
                    found.append(
                        {
                            "id": f"{group}-{number}-{voice}-{role}",
                            "item": f"{group}/{number}",
                            "role": role,
                            "group": group,
                            "speaker": voice,
                            "rendition": rendition,
                            "terms": each,
                        }
                    )
    return found


def table(path: Path, rows: list[Row], start: str, prompt: int | None = None) -> Path:
    """The scores table of files; without a start token, their first terms are not there."""
    scored = []
    for row in rows:
        terms = row["terms"][1:] if start == "none" else row["terms"]
        scored.append(
            {name: value for name, value in row.items() if name != "terms"}
            | {"start": start, "nll": terms.sum(), "tokens": len(terms), "end_nll": terms[-1]}
            | {"first_nll": None if start == "none" else terms[0]}
            | {
                "prompt_nll": None if prompt is None else terms[:prompt].sum(),
                "prompt_tokens": prompt,
            }
        )
    found = pa.Table.from_pylist(scored, scores_table.SCHEMA)
    files.write_table(found, path, scores_table.SCHEMA)
    return path


def results(path: Path, convention: str, average: str = "micro") -> dict[str, float]:
    pairs = conventions.read(path)[convention]
    return {it.group: it.value for it in conventions.summarise(pairs, convention, average)}


def pairs(rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    for good, bad in zip(rows[::2], rows[1::2], strict=True):
        assert (good["item"], good["speaker"]) == (bad["item"], bad["speaker"])
        yield good, bad


def wins(good: float, bad: float, tie: float) -> float:
    return 1.0 if good > bad else tie if good == bad else 0.0


def by(key: str, rows: list[Row], score: Callable[[Row], float], tie: float) -> dict[str, list]:
    """What each file's pair counts, by the item or group."""
    found = defaultdict(list)
    for good, bad in pairs(rows):
        found[good[key]].append(wins(score(good), score(bad), tie))
    return found


@pytest.mark.parametrize(("convention", "whole"), [("slamkit-mean", fmean), ("slamkit-sum", sum)])
def test_slamkit(tmp_path: Path, convention: str, whole: Callable[..., float]) -> None:
    """Every file of a pair by itself; all tokens after <S>, the last <S> too."""
    rows = spoken(("",), VOICES)
    outcomes = [wins(-whole(good["terms"]), -whole(bad["terms"]), 0.5) for good, bad in pairs(rows)]
    found = results(table(tmp_path / "s", rows, "<S>"), convention)
    assert found == {"all": pytest.approx(fmean(outcomes))}
    assert 0.5 in outcomes and 0 < fmean(outcomes) < 1


@pytest.mark.parametrize(
    ("convention", "whole"), [("zerospeech-mean", fmean), ("zerospeech-sum", sum)]
)
def test_zerospeech_official(tmp_path: Path, convention: str, whole: Callable[..., float]) -> None:
    """Mean over the voices of an id, then over ids: of all, and of each type or band."""
    bands = tuple(name for _, name in zerospeech.BANDS)
    rows = spoken(bands, VOICES)
    items = by("item", rows, lambda row: -whole(row["terms"]), 0.5)
    means = {item: fmean(values) for item, values in items.items()}
    found = results(table(tmp_path / "s", rows, "bos"), convention)
    assert found.pop("all") == pytest.approx(fmean(means.values()))
    heard = [value for item, value in means.items() if not item.startswith("oov/")]
    assert found.pop("in-vocabulary") == pytest.approx(fmean(heard))
    assert found == {
        band: pytest.approx(fmean(v for item, v in means.items() if item.startswith(f"{band}/")))
        for band in bands
    }


def test_slm_scaling_sblimp(tmp_path: Path) -> None:
    """EOS first, not scored as the last; mean; voices, pairs, phenomena, the mean of those."""
    phenomena = ("anaphor", "binding", "islands")
    rows = spoken(phenomena, VOICES)
    items = by("item", rows, lambda row: -fmean(row["terms"][:-1]), 0.5)
    by_phenomenon = defaultdict(list)
    for item, values in items.items():
        by_phenomenon[item.split("/")[0]].append(fmean(values))
    expected = {name: pytest.approx(fmean(values)) for name, values in by_phenomenon.items()}
    macro = fmean(fmean(values) for values in by_phenomenon.values())
    found = results(table(tmp_path / "s", rows, "eos"), "slm-scaling", "macro")
    assert found == {"all": pytest.approx(macro), **expected}
    assert macro != pytest.approx(fmean(map(fmean, items.values()))), "micro would be the same"


def test_slm_scaling_storycloze(tmp_path: Path) -> None:
    """The same score; a tie counts as wrong."""
    rows = spoken(("",))
    outcomes = [
        wins(-fmean(good["terms"][:-1]), -fmean(bad["terms"][:-1]), 0.0)
        for good, bad in pairs(rows)
    ]
    path = table(tmp_path / "s", rows, "<S>")
    assert results(path, "slm-scaling-cloze") == {"all": pytest.approx(fmean(outcomes))}
    assert results(path, "slm-scaling")["all"] > fmean(outcomes)


@pytest.mark.parametrize(("convention", "whole"), [("salmon-mean", fmean), ("salmon-sum", sum)])
def test_salmon(tmp_path: Path, convention: str, whole: Callable[..., float]) -> None:
    """No start token: the second unit is predicted from the first; no end token."""
    rows = spoken(("bg_alignment", "gender_consistency"))
    parts = by("group", rows, lambda row: -whole(row["terms"][1:-1]), 0.5)
    found = results(table(tmp_path / "s", rows, "none"), convention)
    found.pop("all")
    assert found == {part: pytest.approx(fmean(values)) for part, values in parts.items()}


@pytest.mark.parametrize(
    ("convention", "whole"), [("conditional-mean", fmean), ("conditional-sum", sum)]
)
def test_conditional_on_the_prompt(
    tmp_path: Path, convention: str, whole: Callable[..., float]
) -> None:
    rows = spoken(("",), VOICES)
    outcomes = [
        wins(-whole(good["terms"][PROMPT:]), -whole(bad["terms"][PROMPT:]), 0.5)
        for good, bad in pairs(rows)
    ]
    path = table(tmp_path / "s", rows, "<S>", PROMPT)
    assert results(path, convention) == {"all": pytest.approx(fmean(outcomes))}


def test_a_table_has_the_conventions_that_it_has_the_terms_for(tmp_path: Path) -> None:
    rows = spoken(("",))
    every = set(conventions.CONVENTIONS)
    conditional = {"conditional-mean", "conditional-sum"}
    salmon = {"salmon-mean", "salmon-sum"}
    scaling = {"slm-scaling", "slm-scaling-cloze"}
    for start, prompt, expected in (
        ("<S>", None, every - conditional - salmon),
        ("<S>", PROMPT, every - salmon),
        ("<S>", 0, every - conditional - salmon),
        ("bos", None, every - conditional - salmon - scaling),
        ("eos", PROMPT, scaling),
        ("none", PROMPT, salmon),
    ):
        path = table(tmp_path / f"{start}{prompt}", rows, start, prompt)
        assert set(conventions.read(path)) == expected


def test_a_prompt_unknown_of_one_file_leaves_conditional_scores_out(tmp_path: Path) -> None:
    rows = spoken(("",))
    found = files.read_table(table(tmp_path / "s", rows, "<S>", 2), scores_table.SCHEMA).to_pylist()
    found[3] |= {"prompt_nll": None, "prompt_tokens": None}
    mended = pa.Table.from_pylist(found, scores_table.SCHEMA)
    files.write_table(mended, tmp_path / "t", scores_table.SCHEMA)
    assert "conditional-mean" not in conventions.read(tmp_path / "t")


def test_unknown_convention_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="convention is 'best' and must be one of slamkit-mean"):
        conventions.needs("best")
