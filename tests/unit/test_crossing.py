"""Context and ending of two kinds, against a plain computation of one member at a time."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import small_models
import torch
from tokenizers import Tokenizer
from transformers import Qwen2ForCausalLM

from slamflow import files
from slamflow.benchmarks import conventions, crossing, scoring
from slamflow.lm.vocabulary import Interleaved
from slamflow.report import tables
from slamflow.tables import alignments as alignments_table
from slamflow.tables import scores as scores_table
from slamflow.tables import speech as speech_table
from slamflow.tables import units as units_table
from slamflow.tokeniser import bpe, codebook, runs

RATE, CENTRE = 25.0, 0.02  # Hz, s
WORD = 10  # frames
CLUSTERS = 12
TEXTS = {
    "a": ("The dog ran, and it barked.", "The dog ran, and nobody heard a thing."),
    "b": ("No cat sleeps here", "no cat swims"),
    "c": ("It rained all day. We stayed in.", "It rained all day. We swam home."),
}
KINDS = [("text", "units"), ("units", "text"), ("text", "text")]


class Spoken:
    """Tables of pairs, whose every word takes 0.4 s after 0.2 s of silence, and a model."""

    def __init__(self, folder: Path, texts: dict[str, tuple[str, str]] = TEXTS) -> None:
        self.folder, generator = folder, np.random.default_rng(0)
        rows, aligned, self.frames = [], [], {}
        for item, both in texts.items():
            for role, text in zip(("positive", "negative"), both, strict=True):
                size, key = len(text.split()), f"{item}-{role}"
                frames = generator.integers(CLUSTERS, size=5 + WORD * size)
                self.frames[key] = frames = np.repeat(frames, 2)[: len(frames)]
                words = [
                    {"label": word.strip(",."), "start": 0.2 + 0.4 * n, "end": 0.6 + 0.4 * n}
                    for n, word in enumerate(text.split())
                ]
                units, durations = runs.runs(frames)
                row = {"id": key, "item": item, "role": role, "group": "", "rendition": 0}
                row |= {"text": text, "speaker": "f", "duration": len(frames) / RATE}
                rows.append(row | {"units": units, "durations": durations, "words": words})
                aligned.append({"id": key, "words": words})
        self.speech, self.units = folder / "s/0000.parquet", folder / "u/0000.parquet"
        self.aligned = folder / "a/0000.parquet"
        for path, found, schema in (
            (self.speech, rows, speech_table.SCHEMA),
            (self.units, rows, units_table.schema("float32", 1.0)),
            (self.aligned, aligned, alignments_table.SCHEMA),
        ):
            table = pa.Table.from_pylist(found, schema).replace_schema_metadata(schema.metadata)
            files.write_table(table, path, schema)
        self.tokenizer, self.centroids = folder / "tokenizer.json", folder / "kmeans.safetensors"
        bpe.train({"vocabulary": 270}, [self.speech], self.tokenizer, {})
        origin = codebook.Origin("mfcc", 0, CLUSTERS, 2, RATE, "", 10, 0, centre=CENTRE)
        codebook.write(generator.normal(size=(CLUSTERS, 2)), origin, self.centroids)
        self.ids = Interleaved(CLUSTERS, 270)
        network = small_models.qwen2(self.ids.size, 0.3, units=CLUSTERS)
        network.save_pretrained(folder / "model")

    def score(self, context: str, ending: str, alignments: bool = False) -> Path:
        output = self.folder / f"{context}-{ending}.parquet"
        crossing.score(
            {"context": context, "ending": ending},
            self.folder / "model",
            [self.units],
            [self.speech],
            [self.aligned] if alignments else [],
            self.centroids,
            self.tokenizer,
            output,
            {"device": "cpu"},
        )
        return output


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Spoken:
    return Spoken(tmp_path_factory.mktemp("crossing"))


def heard(frames: np.ndarray, first: int, after: int) -> list[int]:
    """The units of the words `first` to `after`, repeats as one; unit i is id i + 2."""
    inside = [
        int(unit)
        for place, unit in enumerate(frames)
        if 0.2 + 0.4 * first <= CENTRE + place / RATE < 0.2 + 0.4 * after
    ]
    return [unit + 2 for unit, _ in itertools.groupby(inside)]


def plainly(spoken: Spoken, key: str, kinds: tuple[str, str]) -> tuple[list[int], list[int]]:
    """The tokens of context and ending."""
    item, role = key.split("-")
    both = [text.split() for text in TEXTS[item]]
    bare = [[word.strip(",.").lower() for word in text] for text in both]
    shared = next(place for place in itertools.count() if bare[0][place] != bare[1][place])
    words = both[role == "negative"]
    opened, parts = Tokenizer.from_file(str(spoken.tokenizer)), []
    for kind, first, after in zip(kinds, (0, shared), (shared, len(words)), strict=True):
        if kind == "units":
            tokens = [spoken.ids.to_speech, *heard(spoken.frames[key], first, after)]
        else:
            entries = opened.encode(" ".join(words[first:after])).ids
            tokens = [spoken.ids.to_text, *(entry + spoken.ids.text for entry in entries)]
        parts.append(tokens[1:] if kinds[0] == kinds[1] else tokens)
    return parts[0], parts[1]


@pytest.mark.parametrize("kinds", KINDS, ids="-".join)
def test_same_as_one_at_a_time_in_float64(spoken: Spoken, kinds: tuple[str, str]) -> None:
    path = spoken.score(*kinds)
    network = Qwen2ForCausalLM.from_pretrained(spoken.folder / "model").double().eval()
    rows = files.read_table(path, scores_table.SCHEMA).to_pylist()
    assert [row["id"] for row in rows] == list(spoken.frames)
    for row in rows:
        context, ending = plainly(spoken, row["id"], kinds)
        tokens = torch.tensor([[1, *context, *ending, 1]])
        with torch.no_grad():
            chances = network(tokens).logits[0].log_softmax(-1)
        terms = np.array([-chances[at, token].item() for at, token in enumerate(tokens[0, 1:])])
        prompt = len(context) + (kinds[0] != kinds[1])  # the marker of the ending is given
        assert row["modality"] == ("text" if kinds[0] == kinds[1] else " to ".join(kinds))
        assert (row["tokens"], row["prompt_tokens"]) == (len(terms), prompt)
        assert row["nll"] == pytest.approx(terms.sum(), rel=1e-5)
        assert row["prompt_nll"] == pytest.approx(terms[:prompt].sum(), rel=1e-5)
        assert row["end_nll"] == pytest.approx(terms[-1], rel=1e-4, abs=1e-5)


def test_terms_of_heard_prompts_in_float64(spoken: Spoken) -> None:
    """What is given, where all is heard: the units that end before the first word of its own."""
    output, model = spoken.folder / "heard.parquet", spoken.folder / "model"
    paths = ([spoken.units], output, {"device": "cpu"})
    scoring.score({}, model, *paths, "x", [spoken.speech])
    assert "conditional-mean" in conventions.read(output)
    network = Qwen2ForCausalLM.from_pretrained(model).double().eval()
    begins = {"a": 0.2 + 0.4 * 4, "b": 0.2 + 0.4 * 2, "c": 0.2 + 0.4 * 5}  # s
    for row in files.read_table(output, scores_table.SCHEMA).to_pylist():
        spans = [
            (unit, len(list(frames)))
            for unit, frames in itertools.groupby(spoken.frames[row["id"]])
        ]
        ends = np.cumsum([length for _, length in spans]) / RATE
        prompt = int((ends <= begins[row["item"]] + 0.5 / RATE).sum())
        tokens = torch.tensor([[1, *(int(unit) + 2 for unit, _ in spans), 1]])
        with torch.no_grad():
            chances = network(tokens).logits[0].log_softmax(-1)
        terms = np.array([-chances[at, token].item() for at, token in enumerate(tokens[0, 1:])])
        assert (row["tokens"], row["prompt_tokens"]) == (len(terms), prompt)
        assert 0 < prompt < len(terms) - 1
        assert row["prompt_nll"] == pytest.approx(terms[:prompt].sum(), rel=1e-5)
        assert row["nll"] == pytest.approx(terms.sum(), rel=1e-5)


def test_words_of_alignments_are_those_of_the_speech(spoken: Spoken, tmp_path: Path) -> None:
    wanted = files.read_table(spoken.score("text", "units"), scores_table.SCHEMA)
    table = files.read_table(spoken.speech, speech_table.SCHEMA)
    unknown = table.set_column(
        table.column_names.index("words"), "words", pa.nulls(len(table), speech_table.LABELS)
    )
    try:
        files.write_table(unknown, spoken.speech, speech_table.SCHEMA)
        found = files.read_table(spoken.score("text", "units", True), scores_table.SCHEMA)
        assert found.equals(wanted)
        with pytest.raises(
            ValueError, match=r"0000\.parquet: row 0 \(`a-positive`\): the words of"
        ):
            spoken.score("text", "units")
    finally:
        files.write_table(table, spoken.speech, speech_table.SCHEMA)


def test_rows_of_the_result_table(spoken: Spoken, tmp_path: Path) -> None:
    """Of context as text, the ending's probability alone decides: the context is the same."""
    path = spoken.score("text", "units")
    pairs = conventions.read(path)
    assert {"slamkit-mean", "conditional-mean", "conditional-sum"} <= pairs.keys()
    sums = [
        conventions.outcomes(pairs["slamkit-sum"], f"{it}-sum") for it in ("slamkit", "conditional")
    ]
    assert sums[0].equals(sums[1])
    config = {"evaluate": [["m", "b"]], "benchmarks": {"b": {"convention": "conditional-mean"}}}
    tables.collect(config, {("m", "b"): path}, {}, tmp_path / "eval.tsv", tmp_path / "c.tsv")
    first = (tmp_path / "eval.tsv").read_text().splitlines()[1].split("\t")
    assert first[:6] == ["m", "b", "all", "accuracy", "conditional-mean text to units", "true"]
    assert first[9:] == ["3", "50"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ("dogs bark", "cats bark"),
            "item `x`, rendition 0: its members begin with different words",
        ),
        (("dogs bark", "dogs bark loudly"), "item `x`, rendition 0: its members have not both"),
    ],
)
def test_items_without_context_or_ending(
    spoken: Spoken, tmp_path: Path, texts: tuple[str, str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Spoken(tmp_path, TEXTS | {"x": texts}).score("text", "units")


def test_a_model_of_other_ids(spoken: Spoken, tmp_path: Path) -> None:
    other = Spoken(tmp_path)
    small_models.qwen2(CLUSTERS + 2, 0.3).save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match="model: has 14 ids, and with 12 units and 270 entries"):
        other.score("text", "units")
    with pytest.raises(ValueError, match="context and ending are units and units"):
        spoken.score("units", "units")
