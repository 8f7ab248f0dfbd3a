"""What neural voices share: where texts are split, what their words are, where models come from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_voices
import torch
from safetensors.torch import load_file
from transformers import VitsModel

from slamflow import pretrained
from slamflow.synthesis import splitting
from slamflow.synthesis.espeak import Espeak
from slamflow.synthesis.spelling import Speller


@pytest.fixture(scope="module")
def speller() -> Iterator[Speller]:
    with Espeak() as espeak:
        yield Speller(espeak)


def test_texts_are_split_at_sentences() -> None:
    text = "Mr. Smith met Dr. Lee. He was 3.5 ft tall! “Really?” asked Lily, e.g. twice."
    assert splitting.split(text, 100) == [
        "Mr. Smith met Dr. Lee.",
        "He was 3.5 ft tall!",
        "“Really?” asked Lily, e.g. twice.",
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("one two, three four five", ["one two,", "three four", "five"]),
        ("one two three four", ["one two", "three four"]),
        ("abcdefghijklmno pq", ["abcdefghijk", "lmno pq"]),
        ("a", ["a"]),
        ("", []),
        (" ", []),
    ],
)
def test_long_sentences_are_split_at_commas_then_at_blanks(text: str, parts: list[str]) -> None:
    assert splitting.split(text, 11) == parts


def test_no_word_is_lost_and_no_part_is_too_long() -> None:
    words = [f"word{i}{',' * (i % 7 == 0)}{'.' * (i % 31 == 0)}" for i in range(10_000)]
    parts = splitting.split(" ".join(words), 60)
    assert " ".join(parts).split() == words
    assert max(map(len, parts)) <= 60 and min(map(len, parts)) > 5


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("Hello, cat!", "HH AH0 L OW1 , K AE1 T !"),
        ("It’s well-known…", "IH1 T S W EH1 L N OW1 N ."),
        ("Mr. Smith", "M IH1 S T ER0 S M IH1 TH"),
        ("“Cat” — (ran)?", "K AE1 T , R AE1 N ?"),
        ("250", "T UW1 HH AH1 N D R IH0 D F IH1 F T IY0"),
        ("blick snorty", "B L IH1 K S N AO1 R T IY0"),  # in no dictionary
        ("blickiest", "B L IH1 K IY0 IH0 S T"),  # no Y between the vowels
        ("blickering", "B L IH1 K ER0 IH0 NG"),
        ("swalterbot", "S W AO1 L T ER0 B AA2 T"),
        ("— … 😀 !", ""),
    ],
)
def test_words_as_arpabet(speller: Speller, text: str, spelt: str) -> None:
    assert " ".join(phone for _, phones in speller.spell(text) for phone in phones) == spelt


def test_espeak_and_cmudict_mostly_agree(speller: Speller) -> None:
    """Else a word that CMUdict lacks would sound as if of another language."""
    words = "button strawberry thing measure oil joyful church yellow queen zebra vision power four"
    words += " fire cure near fair hurry bird father caught moon book mouth shape judge world"
    alike = 0
    for word in words.split():
        by_dictionary = speller.dictionary.pop(word)
        ((_, by_espeak),) = speller.spell(word)
        speller.dictionary[word] = by_dictionary
        assert set(by_espeak) <= set(small_voices.ARPABET.split()), (word, by_espeak)
        plain = [[phone.rstrip("012") for phone in phones] for phones in by_dictionary]
        alike += [phone.rstrip("012") for phone in by_espeak] in plain
    assert alike > 0.7 * len(words.split())


def folder_of(**changes: Any) -> dict[str, Any]:
    return {"engine": "vits", "model": "somebody/nothing", "revision": None} | changes


def test_a_hub_id_is_found_in_the_cache(tmp_path: Path, monkeypatch: Any) -> None:
    """In the hub's own layout, by its own client, which is told to stay offline."""
    commit = "a" * 40
    cache = tmp_path / "hub" / "models--somebody--voice"
    small_voices.vits(cache / "snapshots" / commit)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    machine = {"data_root": str(tmp_path)}
    for revision in (None, commit):
        block = folder_of(model="somebody/voice", revision=revision)
        assert pretrained.fetch(block, machine) == cache / "snapshots" / commit
    said = (
        r"model `somebody/voice` \(revision bbbb.*add it to `downloads` and write `download: <name"
    )
    with pytest.raises(ValueError, match=said):
        pretrained.fetch(folder_of(model="somebody/voice", revision="b" * 40), machine)


def test_a_folder_below_the_data_comes_first(tmp_path: Path, monkeypatch: Any) -> None:
    """Then one as it is; what is a download's and is not there is not asked of the hub."""
    monkeypatch.chdir(tmp_path)
    machine, block = {"data_root": "data"}, folder_of(model="downloads/voice")
    with pytest.raises(ValueError, match=r"^data/downloads/voice: is no folder; run snakemake"):
        pretrained.fetch(block, machine)
    for place in ("downloads/voice", "data/downloads/voice"):
        Path(place).mkdir(parents=True)
        assert pretrained.fetch(block, machine) == Path(place)
    assert pretrained.fetch(block, {}) == Path("downloads/voice")
    whole = str(tmp_path / "downloads")
    assert pretrained.fetch(folder_of(model=whole), machine) == Path(whole)


def test_models_are_safetensors_of_the_right_kind(tmp_path: Path) -> None:
    folder = small_voices.vits(tmp_path / "vits")
    assert not pretrained.load(VitsModel, folder, "cpu").training
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"vits: cannot be opened as a VitsModel .*safetensors"):
        pretrained.load(VitsModel, folder, "cpu")
    other = small_voices.fastspeech2(tmp_path / "other")
    with pytest.raises(ValueError, match=r"other: "):
        pretrained.load(VitsModel, other, "cpu")
