"""Interleaving: all words once, in order, as text or as the units of their times."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from slamflow import files
from slamflow.lm import interleaving, rows, spans, spoken_words
from slamflow.lm.vocabulary import BOUNDARY, UNITS, Interleaved
from slamflow.tables import alignments as alignments_table
from slamflow.tables import packed as packed_table
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import bpe, codebook, encoder, runs

RATE = 25.0  # Hz
CENTRE = 0.02  # s, of the first frame
# MFCC; the pocket HuBERT, whose first frame sees 119 ms; the same with zeros before each wave
WINDOWS = {"mfcc": (640, 0), "pocket": (1905, 0), "padded": (1905, 800)}
CLUSTERS = 30
POISSON = {"draw": "poisson", "span": 4, "share": 0.3}
WORD = {"draw": "word", "switch": 0.2}
NAMES = (
    "Ann said she could not see the red bird on “that” tree, but Théo could; did he? No!".split()
)


class Corpus:
    """The tables of a spoken corpus; every word lasts 0.1 to 0.5 s, with pauses between some."""

    def __init__(self, folder: Path, name: str, count: int, seed: int, known: bool = True) -> None:
        rng = np.random.default_rng(seed)
        self.speech, self.units, self.alignments, self.text = (
            folder / part / name / "0000.parquet" for part in ("speech", "units", "align", "text")
        )
        self.utterances: dict[str, dict[str, Any]] = {}
        spoken, heard = [], []
        for number in range(count):
            tokens = [str(word) for word in rng.choice(NAMES, rng.integers(5, 40))]
            starts = np.cumsum(rng.uniform(0.1, 0.5, len(tokens) + 1))
            pauses = rng.uniform(0, 0.08, len(tokens)) * (rng.random(len(tokens)) < 0.3)
            words = [
                {"label": token.strip("“”,;?!"), "start": float(start), "end": float(end - pause)}
                for token, start, end, pause in zip(
                    tokens, starts[:-1], starts[1:], pauses, strict=True
                )
            ]
            frames = rng.integers(CLUSTERS, size=int(np.ceil((starts[-1] + 0.3) * RATE)) + 1)
            frames = np.repeat(frames, rng.integers(1, 4, len(frames)))[: len(frames)]
            ids = {"id": f"{name}-{number}", "item": f"item-{number}", "role": "document"}
            row = {**ids, "group": "", "rendition": 0, "duration": len(frames) / RATE}
            spoken.append({**row, "text": " ".join(tokens), "words": words if known else None})
            units, durations = runs.runs(frames.astype(np.int64))
            heard.append({**row, "units": units, "durations": durations})
            self.utterances[ids["id"]] = {"words": words, "tokens": tokens, "frames": frames}
        aligned = [{"id": r["id"], "words": self.utterances[r["id"]]["words"]} for r in spoken]
        for rows_, path, schema in (
            (spoken, self.speech, speech_table.SCHEMA),
            (heard, self.units, units_table.SCHEMA),
            (aligned, self.alignments, alignments_table.SCHEMA),
        ):
            files.write_table(pa.Table.from_pylist(rows_, schema=schema), path, schema)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interleaving")


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return Corpus(folder, "stories", 60, 1)


@pytest.fixture(scope="module")
def tokenizer(folder: Path, corpus: Corpus) -> Tokenizer:
    bpe.train({"vocabulary": 280}, [corpus.speech], folder / "tokenizer.json", {})
    bpe.extract(folder / "tokenizer.json", corpus.speech, corpus.text)
    centroids = np.random.default_rng(0).normal(size=(CLUSTERS, 2))
    origin = codebook.Origin("mfcc", 0, CLUSTERS, 2, RATE, "", 10, 0, centre=CENTRE)
    codebook.write(centroids, origin, folder / "kmeans.safetensors")
    return bpe.load(folder / "tokenizer.json")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("span", [1, 10])
def test_poisson_spans_cover_their_share(share: float, span: int) -> None:
    rng, covered, words = np.random.default_rng(0), 0, 0
    config = {"draw": "poisson", "span": span, "share": share}
    for count in rng.integers(1, 120, 600).tolist():
        speech = spans.draw(config, count, rng)
        assert len(speech) == count and abs(speech.sum() - share * count) < 1
        found = spans.runs(speech)
        assert [a for _, a, _ in found] == [0, *(b for _, _, b in found[:-1])]
        assert found[-1][2] == count and all(a < b for _, a, b in found)
        assert all(one[0] != other[0] for one, other in pairwise(found))
        covered += int(speech.sum())
        words += count
    assert covered / words == pytest.approx(share, abs=0.01)


def test_spans_are_as_long_as_asked_for_and_anywhere() -> None:
    """Poisson's mean and variance, but for each document's last span, which the share ends."""
    rng = np.random.default_rng(1)
    drawn = [
        spans.draw({"draw": "poisson", "span": 10, "share": 0.3}, 3000, rng) for _ in range(20)
    ]
    lengths = [b - a for speech in drawn for spoken, a, b in spans.runs(speech) if spoken]
    assert np.mean(lengths) == pytest.approx(10, rel=0.03)
    assert np.var(lengths) == pytest.approx(10, rel=0.15)
    places = np.mean([speech.reshape(10, 300).mean(1) for speech in drawn], axis=0)
    np.testing.assert_allclose(places, 0.3, atol=0.06)


def test_words_change_with_their_probability() -> None:
    rng = np.random.default_rng(2)
    drawn = [spans.draw({"draw": "word", "switch": 0.2}, 400, rng) for _ in range(100)]
    changes = np.mean([speech[1:] != speech[:-1] for speech in drawn])
    assert changes == pytest.approx(0.2, abs=0.01)
    assert np.mean([speech[0] for speech in drawn]) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("config", [POISSON, WORD], ids=["poisson", "word"])
def test_documents_give_back_words_and_units(
    corpus: Corpus, tokenizer: Tokenizer, config: dict, window: str
) -> None:
    samples, padding = WINDOWS[window]
    opened = encoder.Encoder(None, 0, 0.0, hop=640, window=samples, padding=padding)
    ids = Interleaved(CLUSTERS, tokenizer.get_vocab_size())
    assert ids.size == CLUSTERS + tokenizer.get_vocab_size() + 4
    words = spoken_words.read(corpus.speech)
    times = opened.frame_rate, float(opened.centres(1)[0])
    made = interleaving.read(config, corpus.units, words, tokenizer, ids, *times, seed=1)
    assert len(made) == len(corpus.utterances)
    spoken = total = 0
    for number, utterance in enumerate(corpus.utterances.values()):
        centres = opened.centres(len(utterance["frames"]))
        tokens = made.tokens[made.offsets[number] : made.offsets[number + 1]].astype(int).tolist()
        assert tokens[0] == tokens[-1] == BOUNDARY and BOUNDARY not in tokens[1:-1]
        marks = [i for i, token in enumerate(tokens) if token >= ids.to_speech]
        assert marks[0] == 1
        place, left = 0, list(utterance["words"])
        for begin, end in zip(marks, [*marks[1:], len(tokens) - 1], strict=True):
            assert tokens[begin] != tokens[marks[marks.index(begin) - 1]] or begin == marks[0]
            inside = tokens[begin + 1 : end]
            if tokens[begin] == ids.to_text:
                assert all(ids.text <= token < ids.to_speech for token in inside)
                said = tokenizer.decode([token - ids.text for token in inside]).split()
                assert said == utterance["tokens"][place : place + len(said)]
                place, left = place + len(said), left[len(said) :]
            else:
                assert tokens[begin] == ids.to_speech
                heard = [token - UNITS for token in inside]
                ends = range(1, len(left) + 1)
                fits = [n for n in ends if plainly(utterance, centres, left[:n]) == heard]
                assert fits, (begin, heard)
                taken = next_text(tokens, end, ids, tokenizer, utterance["tokens"], place, fits)
                spoken += taken
                place, left = place + taken, left[taken:]
        assert place == len(utterance["tokens"])
        total += place
    assert spoken / total == pytest.approx(0.3 if config is POISSON else 0.5, abs=0.1)


def plainly(utterance: dict, centres: np.ndarray, words: list[dict]) -> list[int]:
    """The units from the first word's beginning to the last one's end, frame by frame."""
    found: list[int] = []
    for centre, unit in zip(centres, utterance["frames"].tolist(), strict=True):
        inside = words[0]["start"] <= centre < words[-1]["end"]
        if inside and (not found or found[-1] != unit):
            found.append(unit)
    return found


def next_text(
    tokens: list[int],
    end: int,
    ids: Interleaved,
    tokenizer: Tokenizer,
    words: list[str],
    place: int,
    fits: list[int],
) -> int:
    """How many words a span of speech has: the text behind it goes on after them."""
    behind = tokens[end + 1 :]
    if not behind:
        return len(words) - place
    text = []
    for token in behind:
        if not ids.text <= token < ids.to_speech:
            break
        text.append(token - ids.text)
    said = tokenizer.decode(text).split()
    going_on = [n for n in fits if words[place + n : place + n + len(said)] == said]
    return going_on[0]


def test_short_words_have_a_unit() -> None:
    frames = np.array([5, 5, 6, 7, 7, 8])
    heard = lambda *times: interleaving.within(frames, *times, RATE, CENTRE).tolist()  # noqa: E731
    assert heard(0.0, 0.24) == [5, 6, 7, 8]
    assert heard(0.02, 0.02) == [5] and heard(0.085, 0.095) == [6]  # no frame's centre is inside
    assert heard(0.06, 0.10) == [5] and heard(0.061, 0.101) == [6]
    assert heard(0.23, 0.5) == [8] and heard(0.9, 1.0) == [8]  # past the last frame
    late = lambda *times: interleaving.within(frames, *times, RATE, 0.0595).tolist()  # noqa: E731
    assert late(0.0, 0.05) == [5] and late(0.0, 0.13) == [5]  # before the first frame's centre
    assert late(0.06, 0.13) == [5] and late(0.1, 0.18) == [6, 7]


def test_words_as_the_text_has_them() -> None:
    assert spoken_words.spelled(["Oh", "in the"], "“Oh”, in the!") == ["“Oh”,", "in the!"]
    assert spoken_words.spelled(["Oh", "well"], "Oh – well") == ["Oh", "well"]  # a dash is no word


def pack(folder: Path, corpora: list[Corpus], **config: Any) -> tuple[pa.Table, dict[str, float]]:
    output = folder / "packed.parquet"
    config = {"context": 128, "seed": 1, "interleaving": POISSON, **config}
    interleaving.pack(
        config,
        [one.units for one in corpora],
        [one.text for one in corpora if one.text.exists()],
        [one.speech for one in corpora],
        [],
        folder / "kmeans.safetensors",
        folder / "tokenizer.json",
        output,
    )
    table = files.read_table(output, packed_table.SCHEMA)
    return table, {key.decode(): float(value) for key, value in table.schema.metadata.items()}


@pytest.mark.parametrize("balance", [[1, 1, 1], [2, 1, 3], [1, 0, 1]])
def test_kinds_are_balanced(
    folder: Path, corpus: Corpus, tokenizer: Tokenizer, balance: list[int]
) -> None:
    _, facts = pack(folder, [corpus], interleaving={**POISSON, "balance": balance})
    ids = Interleaved(CLUSTERS, tokenizer.get_vocab_size())
    assert facts["vocabulary"] == ids.size and facts["units"] == CLUSTERS
    tokens = [facts[f"tokens stories:{kind}"] for kind in interleaving.KINDS]
    one = max(n / weight for n, weight in zip(tokens, balance, strict=True) if weight)
    np.testing.assert_allclose(tokens, np.array(balance) * one, rtol=0.05)
    training, held_out, _ = rows.read(folder / "packed.parquet")
    assert not len(held_out) and (training.tokens >= ids.to_speech).any()
    counts = np.bincount(training.tokens.ravel(), minlength=ids.size)
    assert len(counts) == ids.size and sum(tokens) == counts[1:].sum()


def test_the_codebook_says_when_frames_are(
    folder: Path, corpus: Corpus, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    centroids, origin = codebook.read(folder / "kmeans.safetensors")
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    ids = Interleaved(CLUSTERS, tokenizer.get_vocab_size())
    words = spoken_words.read(corpus.speech)
    packed = {}
    for centre in (CENTRE, 0.0595):
        codebook.write(centroids, replace(origin, centre=centre), tmp_path / "kmeans.safetensors")
        table, _ = pack(tmp_path, [corpus], context=1024)
        documents = [
            tuple(filter(None, document))
            for row, borders in zip(table["tokens"], table["borders"], strict=True)
            for document in np.split(np.array(row.as_py()), borders.as_py()[1:])
        ]
        packed[centre] = {d for d in documents if d[1] >= ids.to_speech}
        made = interleaving.read(POISSON, corpus.units, words, tokenizer, ids, RATE, centre, seed=1)
        read = {tuple(t.tolist()) for t in np.split(made.tokens, made.offsets[1:-1])}
        assert packed[centre] and packed[centre] <= read
    assert packed[CENTRE] != packed[0.0595]


def test_kinds_of_an_item_are_held_out_together(
    folder: Path, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    table, _ = pack(folder, [corpus], held_out=0.1, context=1024)
    part = table.filter(table["held_out"])
    assert set(part["corpus"].to_pylist()) == {f"stories:{kind}" for kind in interleaving.KINDS}
    count = dict.fromkeys(set(part["corpus"].to_pylist()), 0)
    for name, borders in zip(part["corpus"].to_pylist(), part["borders"].to_pylist(), strict=True):
        count[name] += len(borders)
    assert set(count.values()) == {6}


def test_order_and_other_corpora_change_nothing(
    folder: Path, corpus: Corpus, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    other = Corpus(folder, "more", 10, 2)
    ids = Interleaved(CLUSTERS, tokenizer.get_vocab_size())
    words = spoken_words.read(corpus.speech)
    table = files.read_table(corpus.units, units_table.SCHEMA)
    backwards = tmp_path / "stories" / "0000.parquet"
    files.write_table(table.take(list(range(len(table)))[::-1]), backwards, units_table.SCHEMA)
    one, reverse = (
        interleaving.read(POISSON, path, words, tokenizer, ids, RATE, CENTRE, 1)
        for path in (corpus.units, backwards)
    )
    assert [t.tolist() for t in np.split(one.tokens, one.offsets[1:-1])] == [
        t.tolist() for t in np.split(reverse.tokens, reverse.offsets[1:-1])
    ][::-1]
    different = interleaving.read(POISSON, corpus.units, words, tokenizer, ids, RATE, CENTRE, 2)
    assert one.tokens.tolist() != different.tokens.tolist()
    first = pack(folder, [corpus, other])[0]
    assert first.equals(pack(folder, [other, corpus])[0])


def test_words_of_alignments(folder: Path, tokenizer: Tokenizer) -> None:
    unaligned = Corpus(folder, "recorded", 5, 3, known=False)
    assert spoken_words.read(unaligned.speech) == {}
    words = spoken_words.read(unaligned.speech, unaligned.alignments)
    assert [w.labels for w in words.values()] == [
        u["tokens"] for u in unaligned.utterances.values()
    ]


def test_impossible_mixtures(folder: Path, corpus: Corpus, tokenizer: Tokenizer) -> None:
    unaligned = Corpus(folder, "bare", 5, 4, known=False)
    with pytest.raises(ValueError, match="there are no documents of text to balance"):
        pack(folder, [unaligned])
    with pytest.raises(ValueError, match="shares: storeys is none of the mixture's corpora"):
        pack(folder, [corpus], shares={"storeys": {"epochs": 1}})
    with pytest.raises(ValueError, match="interleaving: draw is 'span' and none of poisson, word"):
        pack(folder, [corpus], interleaving={"draw": "span"})
    words = spoken_words.read(corpus.speech)
    ids = Interleaved(CLUSTERS, 280)
    with pytest.raises(
        ValueError, match=r"0000\.parquet: row 0 \(stories-0\) lasts .* every frame"
    ):
        interleaving.read(POISSON, corpus.units, words, tokenizer, ids, 50.0, CENTRE, 1)
