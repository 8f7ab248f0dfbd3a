"""Text as units: whole, reproducible, and what a language model can be made of."""

import random
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from slamflow import files
from slamflow.benchmarks import ngram_scoring
from slamflow.corpora.generated import stories
from slamflow.lm import ngram, packing
from slamflow.tables import scores as scores_table
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import bpe, codebook, runs

ROOT = Path(__file__).parents[2]
VOCABULARY = 400
STORIES = stories.generate({"content": "stories", "count": 200, "seed": 1})["text"].to_pylist()


def write(path: Path, texts: Sequence[str | None], **columns: Sequence[str]) -> Path:
    """A speech table that holds texts, and what else is given."""
    ids = [f"t{i}" for i in range(len(texts))]
    plain = {"role": ["document"] * len(ids), "group": [""] * len(ids), "item": ids}
    numbers = {"rendition": [0] * len(ids), "duration": [1.5] * len(ids)}
    given = {"id": ids, "text": texts, "speaker": ["a"] * len(ids), **plain, **numbers, **columns}
    rows = pa.table(
        {field.name: pa.array(given.get(field.name, [None] * len(ids)), field.type)
         for field in speech_table.SCHEMA}
    )  # fmt: skip
    files.write_table(rows, path, speech_table.SCHEMA)
    return path


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BPE of stories."""
    folder = tmp_path_factory.mktemp("bpe")
    bpe.train({"vocabulary": VOCABULARY}, [write(folder / "s.parquet", STORIES)],
              folder / "tokenizer.json", {"threads": 1})  # fmt: skip
    return folder / "tokenizer.json"


def extract(learnt: Path, speech: Path) -> pa.Table:
    output = speech.with_suffix(".units")
    bpe.extract(learnt, speech, output)
    return files.read_table(output, units_table.SCHEMA)


def any_texts(count: int) -> list[str]:
    """Strings of the characters of all planes, of words, and of both."""
    drawn = random.Random(0)
    planes = [(0x20, 0x7F), (0x20, 0x530), (0x3040, 0x9FFF), (0x1F300, 0x1FAFF), (0x0, 0x10FFFF)]
    texts = []
    for _ in range(count):
        first, last = drawn.choice(planes)
        codes = (drawn.randint(first, last) for _ in range(drawn.randint(1, 60)))
        texts.append("".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000))
    return [text for text in texts if text.strip()]


def test_every_text_comes_back(learnt: Path, tmp_path: Path) -> None:
    texts = [
        "Lily ran.", "  two spaces, at each end  ", "\ttab\n\nand lines\r\n", "no\u00a0break",
        "Ġ <S>", "<|endoftext|>", "\u0000", "ﬁ", "cafe\u0301", "café", "日本語を話す",
        "🤷🏽\u200d♀️ 👩\u200d👩\u200d👧", "a" * 5000, "ha " * 3000, *any_texts(500), *STORIES,
    ]  # fmt: skip
    opened = bpe.load(learnt)
    table = extract(learnt, write(tmp_path / "s.parquet", texts))
    units = table["units"].to_pylist()
    assert [opened.decode(row) for row in units] == [unicodedata.normalize("NFC", t) for t in texts]
    assert max(map(max, units)) < VOCABULARY


def test_rows_of_units_are_those_of_the_speech(learnt: Path, tmp_path: Path) -> None:
    roles, groups = ["positive", "negative"] * 2, ["x", "x", "y", "y"]
    texts = ["ha ha ha", "ha", "he says ha", "ha he"]
    path = write(tmp_path / "s.parquet", texts, role=roles, group=groups, speaker=list("abcd"))
    table, speech = extract(learnt, path), files.read_table(path, speech_table.SCHEMA)
    for name in runs.COPIED:
        assert table[name].equals(speech[name])
    assert table["durations"].null_count == len(table)
    thrice, once, said, first = table["units"].to_pylist()
    assert thrice == once * 3  # equal words in a row are no repeats of a frame
    assert said[-len(once) :] == first[: len(once)] == once  # wherever a word stands


def test_neither_order_nor_threads_nor_repeats_change_a_byte(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.parquet", STORIES)
    one = write(tmp_path / "one.parquet", STORIES[100:][::-1])
    two = write(tmp_path / "two.parquet", [*STORIES[:100], *STORIES[50:150]])
    made = []
    for threads, speech in ((1, [whole]), (2, [whole]), (5, [one, two]), (3, [two, one, one])):
        output = tmp_path / str(threads) / "tokenizer.json"
        script = [sys.executable, str(ROOT / "workflow_scripts/train_bpe.py")]
        options = ["--config", f'{{"vocabulary": {VOCABULARY}}}', "--tokenizer", str(output)]
        machine = ["--machine", f'{{"threads": {threads}}}', "--speech", *map(str, speech)]
        subprocess.run([*script, *options, *machine], check=True, capture_output=True)
        made.append(output.read_bytes())
    assert len(set(made)) == 1


def test_the_vocabulary_is_what_was_asked_for(learnt: Path, tmp_path: Path) -> None:
    assert codebook.size(learnt) == bpe.load(learnt).get_vocab_size() == VOCABULARY
    speech, output = write(tmp_path / "s.parquet", ["hello"] * 9), tmp_path / "tokenizer.json"
    # the bytes, and five pairs: the space is one of six letters
    line = r"tokenizer\.json: 1 different texts give 261 entries, not 262; lower `bpe\.vocabulary`"
    with pytest.raises(ValueError, match=line):
        bpe.train({"vocabulary": 262}, [speech], output, {})
    assert [path.name for path in tmp_path.iterdir()] == ["s.parquet"]
    bpe.train({"vocabulary": 261}, [speech], output, {})
    assert codebook.size(output) == 261
    assert [len(units) for units in bpe.encode(bpe.load(output), ["hello", "hell"])] == [1, 2]


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_speech_without_text(learnt: Path, tmp_path: Path, text: str | None) -> None:
    speech, output = write(tmp_path / "s.parquet", ["a", text]), tmp_path / "out"
    line = r"s\.parquet: row 1 \(t1\) has no text; features: bpe needs corpora whose text is known"
    with pytest.raises(ValueError, match=line):
        bpe.train({"vocabulary": 260}, [speech], output, {})
    with pytest.raises(ValueError, match=line):
        bpe.extract(learnt, speech, output)
    assert not output.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"phones": ["a"]}', '{"model": {"type": "BPE"}}'])
def test_a_file_that_is_no_tokenizer(content: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    for read in (codebook.size, bpe.load):
        with pytest.raises(ValueError, match=r"tokenizer\.json: is no tokenizer\.json.*delete it"):
            read(path)


def test_a_model_of_text_knows_the_order_of_words(learnt: Path, tmp_path: Path) -> None:
    """Packed, counted and scored as units of speech are."""
    documents = tmp_path / "stories.parquet"
    bpe.extract(learnt, write(tmp_path / "s.parquet", STORIES), documents)
    packed, model = tmp_path / "packed.parquet", tmp_path / "model"
    packing.pack({"context": 256}, [documents], codebook.size(learnt) + 2, packed)
    ngram.count({"order": 2}, packed, model)
    told = stories.generate({"content": "stories", "count": 100, "seed": 2})["text"].to_pylist()
    drawn, both = random.Random(0), []
    for words in map(str.split, told):
        both += [" ".join(words), " ".join(drawn.sample(words, len(words)))]
    items, scores = tmp_path / "pairs.parquet", tmp_path / "scores.parquet"
    bpe.extract(learnt, write(tmp_path / "p.parquet", both), items)
    ngram_scoring.score({}, model, [items], scores, {})
    rows = files.read_table(scores, scores_table.SCHEMA)
    nll = np.divide(rows["nll"].to_numpy(), rows["tokens"].to_numpy()).reshape(-1, 2)
    assert (nll[:, 0] < nll[:, 1]).mean() > 0.95
