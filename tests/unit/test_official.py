"""Official sets, from folders to rows of eval.tsv: listed, cut, tokenised, scored, averaged."""

import csv
import importlib
import itertools
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from slamflow import files
from slamflow.benchmarks import ngram_scoring
from slamflow.corpora.recorded import audio as recordings
from slamflow.lm import ngram, packing
from slamflow.report import tables
from slamflow.tables import scores as scores_table
from slamflow.tables import sources as sources_table
from slamflow.tables import speech as speech_table
from slamflow.tokeniser import kmeans, units

RATE, CLUSTERS = 16_000, 12
FREQUENCIES = {"1": "0", "2": "3", "3": "5", "4": "70", "5": "100", "6": "0", "7": "9"}
BANDS = {"1": "oov", "2": "1-5", "3": "6-20", "4": "21-100", "5": ">100", "6": "oov", "7": "6-20"}
TYPES = (("anaphor_agreement", "gender"), ("anaphor_agreement", "number"), ("island", "adjunct"))
PARTS = ("bg_alignment", "gender_consistency")
Member = dict[str, tuple[str, str, str]]  # by the file's name: item, voice, group

SETS: dict[str, dict[str, Any]] = {
    "swuggy": {"kind": "zerospeech", "folder": "slm21", "task": "lexical", "split": "dev"},
    "sblimp": {"kind": "zerospeech", "folder": "slm21", "task": "syntactic", "split": "test"},
    "storycloze": {"kind": "storycloze", "folder": "tSC"},
    # the same layout where the speakers are many
    "storycloze-multi": {"kind": "storycloze", "folder": "tSC-multi"},
    "salmon": {"kind": "salmon", "folder": "salmon", "parts": list(PARTS)},
}
METRICS = {
    "swuggy": {"convention": "zerospeech-mean"},
    "sblimp": {"convention": "slm-scaling", "average": "macro"},
    "storycloze": {},
    "storycloze-multi": {"convention": "slm-scaling-cloze"},
    "salmon": {"convention": "salmon-mean"},
}


def record(path: Path, rng: np.random.Generator) -> None:
    """Some tones one behind the other, about half a second."""
    tones = rng.choice([200, 330, 470, 900, 1500], size=rng.integers(3, 6))
    time = np.arange(RATE // 8) / RATE
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.concatenate([0.3 * np.sin(2 * np.pi * f * time) for f in tones]), RATE)


def write_gold(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "gold.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Member]]:
    """The folders, and what their makers say of each right file and its partner."""
    root, rng = tmp_path_factory.mktemp("official"), np.random.default_rng(0)
    found: dict[str, Member] = {name: {} for name in SETS}
    lexical, syntactic = [], []
    for number, voice, correct in itertools.product(FREQUENCIES, ("A", "B"), "10"):
        name = f"w{number}{voice}{correct}"
        row = {"id": number, "filename": name, "voice": voice, "word": "w", "correct": correct}
        lexical.append(row | {"frequency": FREQUENCIES[number] if correct == "1" else ""})
        found["swuggy"][name] = (number, voice, BANDS[number])
    for (kind, subtype), number, correct in itertools.product(TYPES, "12", "10"):
        name = f"s{kind}{subtype}{number}{correct}"
        row = {"id": number, "filename": name, "voice": "A", "type": kind, "subtype": subtype}
        syntactic.append(row | {"transcription": "a b", "correct": correct})
        found["sblimp"][name] = (f"{subtype}{number}", "A", kind)
    for task, rows in (("lexical/dev", lexical), ("syntactic/test", syntactic)):
        for row in rows:
            record(root / f"slm21/{task}/{row['filename']}.wav", rng)
        write_gold(root / "slm21" / task, rows)
    for name, story, tag in itertools.product(
        ("storycloze", "storycloze-multi"), range(9), ("correct", "incorrect")
    ):
        record(root / f"{SETS[name]['folder']}/{story}_{tag}.wav", rng)
        found[name][f"{story}_{tag}"] = (str(story), "", "")
    for part, sample, member in itertools.product(PARTS, range(7), (0, 1)):
        record(root / f"salmon/{part}/sample_{sample}_{member}.wav", rng)
        found["salmon"][f"{part}/sample_{sample}_{member}"] = (f"{part}{sample}", "", part)
    return root, found


@pytest.fixture(scope="module")
def scored(official: tuple[Path, dict[str, Member]]) -> tuple[Path, dict[str, Path]]:
    """eval.tsv of a bigram model, and the scores behind it."""
    root, machine = official[0], {"data_root": str(official[0]), "device": "cpu", "threads": 1}
    spoken: dict[str, list[Path]] = {}
    for name, source in SETS.items():
        config = {"shards": 2, "positive": None, "negative": None, **source}
        module = importlib.import_module(f"slamflow.corpora.listing.{source['kind']}")
        listed = module.list_files(config, root)
        files.write_table(listed, root / name / "sources.parquet", sources_table.SCHEMA)
        for shard in range(2):
            reading = {"folder": source["folder"], "minimum": 0.1, "maximum": None}
            speech, rejected = recordings.cut(reading, listed, shard, root, name)
            assert len(rejected) == 0
            spoken.setdefault(name, []).append(root / f"speech/{name}/{shard:04d}.parquet")
            files.write_table(speech, spoken[name][-1], speech_table.SCHEMA)
    fitting = {"features": "mfcc", "clusters": CLUSTERS, "frames": 2000, "seed": 1}
    every = [path for paths in spoken.values() for path in paths]
    kmeans.fit(fitting, None, every, root / "kmeans.safetensors", machine)
    heard: dict[str, list[Path]] = {}
    for name, path in [(name, path) for name, paths in spoken.items() for path in paths]:
        heard.setdefault(name, []).append(root / f"units/{name}/{path.name}")
        units.extract({}, root / "kmeans.safetensors", None, path, heard[name][-1], machine)
    packed, model = root / "packed.parquet", root / "bigram"
    packing.pack({"context": 64}, heard["swuggy"] + heard["salmon"], CLUSTERS + 2, packed)
    model.mkdir()
    ngram.count({"order": 2}, packed, model)
    scores = {}
    for name, paths in heard.items():
        scores[name] = root / f"scores/{name}.parquet"
        start = {"start": "none" if name == "salmon" else "bos"}
        ngram_scoring.score(start, model, paths, scores[name], machine)
    config = {"evaluate": [["bigram", name] for name in SETS], "benchmarks": METRICS}
    keyed = {("bigram", name): path for name, path in scores.items()}
    tables.collect(config, keyed, {}, root / "eval.tsv", root / "comparisons.tsv")
    return root / "eval.tsv", scores


def expected(name: str, path: Path, said: Member) -> dict[str, tuple[float, int]]:
    """Percent and items by group, of what the makers say of the files."""
    score: dict[tuple[str, str, str], dict[bool, float]] = defaultdict(dict)
    for row in files.read_table(path, scores_table.SCHEMA).to_pylist():
        nll, tokens = row["nll"], row["tokens"]
        if name in ("sblimp", "storycloze-multi", "salmon"):  # without the end token
            nll, tokens = nll - row["end_nll"], tokens - 1
        right = row["id"].endswith(("1", "_correct")) if name != "salmon" else row["id"][-1] == "0"
        score[said[row["id"]]][right] = -nll / tokens
    tie = 0.0 if name == "storycloze-multi" else 0.5
    voices = defaultdict(list)
    for (item, _, group), pair in score.items():
        alike = pair[True] == pytest.approx(pair[False], rel=1e-9)
        voices[item, group].append(tie if alike else float(pair[True] > pair[False]))
    groups = defaultdict(list)
    for (_, group), outcomes in voices.items():
        groups[group].append(fmean(outcomes))
    every = [value for values in groups.values() for value in values]
    whole = fmean(map(fmean, groups.values())) if name == "sblimp" else fmean(every)
    found = {"all": (100 * whole, len(every))}
    if name == "swuggy":
        heard = [v for group, values in groups.items() for v in values if group != "oov"]
        found["in-vocabulary"] = (100 * fmean(heard), len(heard))
    if len(groups) > 1:
        found |= {group: (100 * fmean(values), len(values)) for group, values in groups.items()}
    return found


@pytest.mark.parametrize("name", SETS)
def test_rows_of_all_groups(
    name: str,
    official: tuple[Path, dict[str, Member]],
    scored: tuple[Path, dict[str, Path]],
) -> None:
    table = pd.read_csv(scored[0], sep="\t")
    rows = table[(table["benchmark"] == name) & table["default"]].set_index("group")
    wanted = expected(name, scored[1][name], official[1][name])
    assert set(rows.index) == set(wanted)
    for group, (value, items) in wanted.items():
        assert rows.loc[group, "value"] == pytest.approx(value, abs=0.06)
        assert rows.loc[group, "n"] == items
        assert rows.loc[group, "metric"] == (
            "macro_accuracy" if (name, group) == ("sblimp", "all") else "accuracy"
        )
    assert set(rows["convention"]) == {METRICS[name].get("convention", "slamkit-mean")}
    assert len({value for value, _ in wanted.values()}) > 1 or len(wanted) == 1
