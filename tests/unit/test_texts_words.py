"""Words of a pronouncing dictionary against pseudo-words."""

from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pocket_corpora import preferred
from text_files import Tables, read, write

from slamflow.corpora.generated import known_words, lexical, pseudo_words
from slamflow.corpora.generated.english import COMMON
from slamflow.corpora.generated.pseudo_words import Phones
from slamflow.corpora.texts import lexicon, words
from slamflow.synthesis import phonemes
from slamflow.synthesis.espeak import Espeak

NAMES = ["thompson", "lisbon", "jackson", "smith", "smiths"]
ABBREVIATIONS = ["a.", "u.s.", "mr."]
USED = sorted({*COMMON, "walked", "quickly"})
TIMES = {word: (0, 2, 7, 30, 150)[number % 5] for number, word in enumerate(USED)}
HEARD = pa.table({"text": [" ".join([word] * count) for word, count in TIMES.items() if count]})
COUNTS = {word: 9_000_000 // (number + 1) for number, word in enumerate(USED)}
ALL = [*USED, *NAMES, *ABBREVIATIONS]


def config(**keys: Any) -> dict[str, Any]:
    return {
        "dictionary": "d.dict", "frequency": "f.txt", "count": 50, "seed": 1, "minimum_heard": 0,
        "accents": ["en-us"],
    } | keys  # fmt: skip


def write_files(root: Path) -> None:
    entries = [f"{word} X X" for word in ALL] + ["read(2) R EH1 D", "spain S # place"]
    write(root / "d.dict", ";;; a dictionary\n" + "\n".join(entries) + "\n")
    counts = COUNTS | dict.fromkeys([*NAMES, *ABBREVIATIONS, "spain", "unlisted"], 5000)
    write(root / "f.txt", "".join(f"{word} {count}\n" for word, count in counts.items()))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words")
    write_files(path)
    return path


@pytest.fixture(scope="module")
def made(root: Path) -> Tables:
    return read(words, root, config(), HEARD)


def phones_of(spelled: str) -> Phones:
    return tuple(spelled.removeprefix("[[").removesuffix("]]").split("|"))


@cache
def pronounced() -> dict[str, Phones]:
    with Espeak() as espeak:
        return dict(lexicon.pronounce(sorted(COUNTS), "en-us", espeak))


def test_bands_share_the_pairs_and_say_how_often_words_were_heard(made: Tables) -> None:
    rows = made[0].to_pylist()
    groups = Counter(row["group"] for row in rows[::2])
    assert groups == {"100+": 10, "20-99": 10, "5-19": 10, "1-4": 10, "0": 10}
    for word, pseudo in zip(rows[::2], rows[1::2], strict=True):
        assert (word["role"], pseudo["role"]) == ("positive", "negative")
        assert word["item"] == pseudo["item"] == f"word-{word['text']}"
        assert lexical.band(TIMES[word["text"]]) == word["group"] == pseudo["group"]
    assert len({row["text"] for row in rows}) == len(rows)


def test_pseudo_words_are_no_words_of_the_dictionary(made: Tables) -> None:
    rows = made[0].to_pylist()
    known = {known_words.sound(phones) for phones in pronounced().values()}
    for word, pseudo in zip(rows[::2], rows[1::2], strict=True):
        right, wrong = phones_of(word["phonemes"]), phones_of(pseudo["phonemes"])
        assert right == pronounced()[word["text"]]
        assert known_words.sound(wrong) not in known
        assert [pseudo_words.kind(it) for it in right] == [pseudo_words.kind(it) for it in wrong]
    assert phonemes.phonemise([rows[0]["text"]], "en-us") == [list(phones_of(rows[0]["phonemes"]))]


def test_neither_phones_nor_length_tell_in_any_band(made: Tables) -> None:
    language = pseudo_words.Language(lexical.sum_up(pronounced(), COUNTS))
    rows = made[0].to_pylist()
    scores: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    with Espeak() as espeak:
        for pair in zip(rows[::2], rows[1::2], strict=True):
            phones = [phones_of(row["phonemes"]) for row in pair]
            for band in ("all", pair[0]["group"]):
                for name, measure in (
                    ("unigram", language.unigram),
                    ("bigram", language.bigram),
                    ("length", lambda it: -phonemes.duration(it, "en-us", espeak)),
                ):
                    scores[band, name].append((measure(phones[0]), measure(phones[1])))
    for (band, _), compared in scores.items():
        room = 0.05 if band == "all" else 0.2
        assert abs(preferred(compared) - 0.5) <= room


def test_names_abbreviations_and_rare_words_are_not_asked_for() -> None:
    known = set(ALL)
    counts = COUNTS | dict.fromkeys([*NAMES, *ABBREVIATIONS, "spain", "unlisted"], 5000)
    used = lexicon.used_words(known, counts)
    assert not {*NAMES, *ABBREVIATIONS, "spain", "unlisted"} & set(used)
    assert {"walk", "walked", "quick", "quickly", "kitchen"} <= set(used)
    assert "walked" not in lexicon.used_words(known, counts | {"walked": 5, "walk": 10**9})


def test_pronunciations_do_not_depend_on_the_batch() -> None:
    listed = ["abbey", "mr", "bennett", "before", "being", "tv", "dog", "billions", "biter"]
    with Espeak() as espeak:
        together = dict(lexicon.pronounce(listed, "en-gb", espeak))
    alone = dict(zip(listed, phonemes.phonemise(listed, "en-gb"), strict=True))
    assert {"abbey", "dog", "biter"} <= set(together)
    assert all(list(phones) == alone[word] for word, phones in together.items())


def test_broken_lines_and_the_count_change_no_pair(
    tmp_path: Path, root: Path, made: Tables
) -> None:
    write(tmp_path / "d.dict", (root / "d.dict").read_bytes() + b"caf\xe9 K AE1\nlonely\n\n")
    frequency = (root / "f.txt").read_bytes() + b"dog\ncat many\n\0 5\n\xf0\x9f\x98\x80 5\n"
    write(tmp_path / "f.txt", frequency)
    found, rejected = read(words, tmp_path, config(count=10), HEARD)
    assert found.to_pylist() == [
        row
        for band in lexical.BANDS
        for row in made[0].filter(pc.equal(made[0]["group"], band)).to_pylist()[:4]
    ]
    assert Counter(set(rejected["reason"].to_pylist()) - {"no pseudo-word"}) == {
        "broken UTF-8": 1, "control characters": 1, "no count": 1, "no pronunciation": 1,
    }  # fmt: skip


def test_errors_say_what_to_do(tmp_path: Path, root: Path) -> None:
    with pytest.raises(ValueError, match="heard_in is missing"):
        read(words, root, config())
    with pytest.raises(ValueError, match=r"f\*: no such file.*`source\.frequency`"):
        write(tmp_path / "d.dict", "dog D AO1 G\n")
        read(words, tmp_path, config(frequency="f*"), HEARD)
    for name in ("f1.txt", "f2.txt"):
        write(tmp_path / name, "walk 10\nwalked 10\n")
    with pytest.raises(ValueError, match=r"f1\.txt and f2\.txt both fit `source\.frequency`"):
        read(words, tmp_path, config(frequency="f*"), HEARD)
    write(tmp_path / "d.dict", "walk W AO1 K\nwalked W AO1 K T\n")
    with pytest.raises(ValueError, match=r"only \d words of 4 phones.*lower `source\.count`"):
        read(words, tmp_path, config(frequency="f1.txt", minimum_heard=1), HEARD)
    write(tmp_path / "d.dict", "")
    with pytest.raises(ValueError, match="only 0 words"):
        read(words, tmp_path, config(frequency="f1.txt"), HEARD)
