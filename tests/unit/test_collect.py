"""`eval.tsv` and `comparisons.tsv` from scores tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from slamflow import files
from slamflow.report import overview, tables
from slamflow.tables import scores as scores_table

ITEMS = 60
BENCHMARKS = {
    "lexical": {"convention": "slamkit-mean", "average": "micro"},
    "syntactic": {"convention": "slamkit-mean", "average": "macro"},
    "topic": {"cluster": "couple"},
}
EXPECTED = [("length", "lexical")] + [
    (model, benchmark)
    for benchmark in ("lexical", "syntactic", "topic")
    for model in ("slm-dpo", "slm")
]
CONFIG = {
    "evaluate": [list(pair) for pair in EXPECTED],
    "benchmarks": BENCHMARKS,
    "aligned": {"slm-dpo": "slm"},
    "orders": {"length": 0},
}


def write_scores(path: Path, benchmark: str, seed: int, uniform: bool = False) -> Path:
    generator = np.random.default_rng(seed)
    rows = []
    for place in range(ITEMS):
        for rendition in range(2):
            for role in ("positive", "negative"):
                item = f"{benchmark}-{place // 2:03d}{'ab'[place % 2]}"
                tokens = 10 + (place + (role == "positive")) % 2
                nll = tokens * np.log(50) if uniform else tokens * generator.normal(3, 0.3)
                rows.append(
                    {
                        "id": f"{item}-{role}-r{rendition}",
                        "item": item,
                        "role": role,
                        "group": f"phenomenon-{place % 3}" if benchmark == "syntactic" else "",
                        "speaker": "en-us",
                        "rendition": rendition,
                        "start": "bos",
                        "nll": nll - (role == "positive") * (0 if uniform else 1.5),
                        "tokens": tokens,
                        "first_nll": 1.0,
                        "end_nll": 1.0,
                    }
                )
    table = pa.Table.from_pylist(rows, schema=scores_table.SCHEMA)
    files.write_table(table, path, scores_table.SCHEMA)
    return path


@pytest.fixture
def scores(tmp_path: Path) -> dict[tuple[str, str], Path]:
    return {
        (model, benchmark): write_scores(
            tmp_path / model / benchmark, benchmark, seed, model == "length"
        )
        for seed, (model, benchmark) in enumerate(EXPECTED)
    }


def collect(
    folder: Path, scores: dict[tuple[str, str], Path], qualities: dict[str, Path] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    tables.collect(CONFIG, scores, qualities or {}, folder / "eval.tsv", folder / "comparisons.tsv")
    return (
        pd.read_csv(folder / "eval.tsv", sep="\t"),
        pd.read_csv(folder / "comparisons.tsv", sep="\t"),
    )


def test_rows_columns_and_order(tmp_path: Path, scores: dict[tuple[str, str], Path]) -> None:
    table, _ = collect(tmp_path, scores)
    assert table.columns.tolist() == [
        "model", "benchmark", "group", "metric", "convention", "default",
        "value", "ci_low", "ci_high", "n", "chance",
    ]  # fmt: skip
    assert list(dict.fromkeys(zip(table["model"], table["benchmark"], strict=True))) == EXPECTED
    one = table[(table["model"] == "slm") & (table["benchmark"] == "syntactic")]
    assert one["group"].tolist()[:4] == ["all", *(f"phenomenon-{i}" for i in range(3))]
    assert one["metric"].tolist()[:2] == ["macro_accuracy", "accuracy"]
    assert one["n"].tolist()[:4] == [60, 20, 20, 20]
    assert one["convention"].iloc[0] == "slamkit-mean"
    assert one["default"].tolist() == [True] * 4 + [False] * 12
    assert (table["ci_low"] <= table["value"]).all()
    assert (table["value"] <= table["ci_high"]).all()
    assert (table["chance"] == 50).all()


def test_length_is_summed_by_default(tmp_path: Path, scores: dict[tuple[str, str], Path]) -> None:
    table, _ = collect(tmp_path, scores)
    length = table[table["model"] == "length"].set_index("convention")
    assert length.index[length["default"]].tolist() == ["slamkit-sum"]
    # the positive is the longer one in half of the items
    assert length.loc["slamkit-sum", "value"] == 50.0
    assert length.loc["slamkit-sum", "ci_low"] < 50.0
    mean = length.loc["slamkit-mean", ["value", "ci_low", "ci_high"]]
    assert mean.tolist() == [50.0, 50.0, 50.0]


def test_aligned_against_its_base(tmp_path: Path, scores: dict[tuple[str, str], Path]) -> None:
    table, compared = collect(tmp_path, scores)
    assert set(zip(compared["model"], compared["against"], strict=True)) == {("slm-dpo", "slm")}
    assert compared["benchmark"].unique().tolist() == ["lexical", "syntactic", "topic"]
    whole = table[table["group"] == "all"].set_index(["model", "benchmark", "convention"])["value"]
    for row in compared.to_dict("records"):
        key = (row["benchmark"], row["convention"])
        difference = whole["slm-dpo", *key] - whole["slm", *key]
        assert row["difference"] == pytest.approx(difference, abs=0.11)
        assert row["ci_low"] <= row["difference"] <= row["ci_high"]


def test_all_trained_models_are_compared_by_the_default(
    tmp_path: Path, scores: dict[tuple[str, str], Path]
) -> None:
    for seed, model in enumerate(("published", "blank")):
        scores[model, "lexical"] = write_scores(tmp_path / model, "lexical", 20 + seed)
    evaluate = [*CONFIG["evaluate"], ["published", "lexical"], ["blank", "lexical"]]
    config = {**CONFIG, "evaluate": evaluate, "untrained": ["blank"]}
    summary = tables.collect(config, scores, {}, tmp_path / "e", tmp_path / "c")
    assert "published - " not in summary and " - published" not in summary
    compared = pd.read_csv(tmp_path / "c", sep="\t")
    assert compared.columns.tolist() == [
        "model", "against", "benchmark", "group", "metric", "convention",
        "difference", "ci_low", "ci_high", "p", "n",
    ]  # fmt: skip
    others = compared[compared["against"] == "published"]
    assert others["model"].tolist() == ["slm-dpo", "slm"]
    assert others["convention"].tolist() == ["slamkit-mean"] * 2
    assert others["n"].tolist() == [60, 60]
    assert not {"length", "blank"} & {*compared["model"], *compared["against"]}
    assert (compared["against"] == "slm").sum() == len(compared) - 2
    table = pd.read_csv(tmp_path / "e", sep="\t").set_index(["model", "benchmark"])
    rows = table[(table["group"] == "all") & table["default"]]
    for row in others.to_dict("records"):
        difference = rows["value"][row["model"], "lexical"] - rows["value"]["published", "lexical"]
        assert row["difference"] == pytest.approx(difference, abs=0.11)
        # 0 is outside of the interval about where p is below 5 %
        assert (row["p"] < 0.03) <= (row["ci_low"] > 0 or row["ci_high"] < 0) <= (row["p"] < 0.08)


def test_only_what_is_to_be_compared_is(
    tmp_path: Path, scores: dict[tuple[str, str], Path]
) -> None:
    """Models of a study's questions have their rows, but are no pairs."""
    added = [["published", "lexical"], ["asked", "lexical"]]
    for seed, (model, benchmark) in enumerate(added):
        scores[model, benchmark] = write_scores(tmp_path / model, benchmark, 20 + seed)
    evaluate = [*CONFIG["evaluate"], *added]
    config = {**CONFIG, "evaluate": evaluate, "compared": evaluate[:-1]}
    tables.collect(config, scores, {}, tmp_path / "e", tmp_path / "c")
    compared = pd.read_csv(tmp_path / "c", sep="\t")
    assert "asked" in set(pd.read_csv(tmp_path / "e", sep="\t")["model"])
    assert "asked" not in {*compared["model"], *compared["against"]}
    assert (compared["against"] == "published").sum() == 2


def test_same_bytes_twice(tmp_path: Path, scores: dict[tuple[str, str], Path]) -> None:
    collect(tmp_path / "1", scores)
    collect(tmp_path / "2", dict(reversed(scores.items())))
    for name in ("eval.tsv", "comparisons.tsv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_quality_of_units(tmp_path: Path, scores: dict[tuple[str, str], Path]) -> None:
    numbers: dict[str, float | None] = {
        "pnmi": 0.71234,
        "phone_purity": 0.65,
        "cluster_purity": 0.1,
    }
    intervals = {name: [0.1 + place, 0.2 + place] for place, name in enumerate(numbers)}
    abx = {
        "within": {"error": 0.0712, "interval": [0.06, 0.08]},
        "across": {"error": 0.1, "interval": [0.09, 0.11]},
    }
    part = {
        **numbers,
        "units_a_second": 13.37,
        "with_silence": numbers,
        "intervals": intervals,
        "abx": {"units": abx},
    }
    quality = {"tokeniser": part, "mfcc": part, "frames": 9000, "utterances": 300}
    path = tmp_path / "quality.json"
    path.write_text(json.dumps(quality))
    table, _ = collect(tmp_path, scores, {"hubert": path})
    rows = table[table["benchmark"] == "units:hubert"]
    assert rows["model"].tolist() == ["hubert"] * 9 + ["mfcc"] * 9
    assert rows["metric"].tolist()[:4] == [*numbers, "units_a_second"]
    assert rows["metric"].tolist()[4:9] == ["abx_within", "abx_across", *numbers]
    assert rows["value"].tolist()[:6] == [0.712, 0.65, 0.1, 13.4, 0.071, 0.1]
    assert rows["default"].tolist()[:9] == [True] * 6 + [False] * 3
    measured = rows[rows["metric"].isin([*numbers, "abx_within", "abx_across"]) & rows["default"]]
    assert measured["ci_low"].tolist()[:5] == [0.1, 1.1, 2.1, 0.06, 0.09]
    assert measured["ci_high"].tolist()[:5] == [0.2, 1.2, 2.2, 0.08, 0.11]
    assert rows.drop(measured.index)[["ci_low", "ci_high"]].isna().all(axis=None)
    assert rows["chance"].isna().all()
    assert (rows["n"] == 300).all()
    # speech of one speaker
    alone = {"units": {**abx, "across": {"error": None, "interval": None}}}
    path.write_text(json.dumps({**quality, "tokeniser": {**part, "abx": alone}}))
    table, _ = collect(tmp_path, scores, {"hubert": path})
    rows = table[(table["benchmark"] == "units:hubert") & (table["model"] == "hubert")]
    assert "abx_within" in rows["metric"].tolist() and "abx_across" not in rows["metric"].tolist()
    # speech whose phones are not known
    nothing = {"error": None, "interval": None}
    unknown = {
        **part,
        **dict.fromkeys(numbers),
        "with_silence": dict.fromkeys(numbers),
        "intervals": dict.fromkeys(numbers),
        "abx": {"units": {"within": nothing, "across": nothing}},
    }
    path.write_text(json.dumps({**quality, "tokeniser": unknown, "mfcc": unknown}))
    table, _ = collect(tmp_path, scores, {"hubert": path})
    rows = table[table["benchmark"] == "units:hubert"]
    assert rows["metric"].tolist() == ["units_a_second"] * 2
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"quality\.json: lacks tokeniser\.pnmi"):
        collect(tmp_path, scores, {"hubert": path})


def test_leaks_are_named(tmp_path: Path, scores: dict[tuple[str, str], Path]) -> None:
    collect(tmp_path, scores)
    table = pd.read_csv(tmp_path / "eval.tsv", sep="\t", dtype=str)
    assert overview.leaks(table, CONFIG) == []
    (warning, *_) = overview.leaks(table, {**CONFIG, "untrained": ["slm"]})
    assert warning.startswith("warning: slm scores ")
    assert "on syntactic, outside 45–55 %" in warning


def test_summary_shows_one_number_a_cell(
    tmp_path: Path, scores: dict[tuple[str, str], Path]
) -> None:
    outputs = (tmp_path / "eval.tsv", tmp_path / "comparisons.tsv")
    summary = tables.collect(CONFIG, scores, {}, *outputs)
    accuracies, differences = (block.splitlines() for block in summary.split("\n\n"))
    assert accuracies[1].split() == ["lexical", "syntactic", "topic"]
    models = [line.split()[0] for line in accuracies[2:]]
    assert models == ["length", "slm-dpo", "slm", "chance", "items"]
    assert accuracies[2].split() == ["length", "50.0", *accuracies[2].split()[2:]]
    assert len(accuracies[2].split()) == 4  # it met one benchmark
    assert accuracies[-2].split() == ["chance", "50", "50", "50"]
    assert [line.split(" [")[0].rsplit(" ", 1)[0].strip() for line in differences[2:]] == [
        "slm-dpo - slm"
    ]


def test_missing_scores_are_named(tmp_path: Path, scores: dict[tuple[str, str], Path]) -> None:
    del scores["slm", "topic"]
    with pytest.raises(ValueError, match="no scores of model slm on benchmark topic"):
        collect(tmp_path, scores)


def test_a_convention_that_the_scores_do_not_suit(
    tmp_path: Path, scores: dict[tuple[str, str], Path]
) -> None:
    outputs = (tmp_path / "eval.tsv", tmp_path / "comparisons.tsv")
    config = {**CONFIG, "benchmarks": {**BENCHMARKS, "topic": {"convention": "salmon-mean"}}}
    message = (
        r"benchmark topic: the scores of slm-dpo do not suit the convention 'salmon-mean': it needs"
        r" `scoring: {start: none}`; or choose one of slamkit-mean"
    )
    with pytest.raises(ValueError, match=message):
        tables.collect(config, scores, {}, *outputs)
    assert not outputs[0].exists()


def test_likelihoods_among_units_are_another_convention(
    tmp_path: Path, scores: dict[tuple[str, str], Path]
) -> None:
    for model in ("slm", "slm-dpo"):
        path = scores[model, "topic"]
        rows = files.read_table(path, scores_table.SCHEMA).to_pylist()
        masked = [row | {"modality": "units", "start": "<S>"} for row in rows]
        table = pa.Table.from_pylist(masked, scores_table.SCHEMA)
        files.write_table(table, path, scores_table.SCHEMA)
    table, compared = collect(tmp_path, scores)
    rows = table[table["benchmark"] == "topic"]
    assert rows["convention"].str.endswith(" among units").all()
    assert rows["convention"].iloc[0] == "slamkit-mean among units" and rows["default"].iloc[0]
    assert "slm-scaling among units" in rows["convention"].tolist()
    assert compared["convention"].str.endswith(" among units").sum() == 6
    assert not table.loc[table["benchmark"] != "topic", "convention"].str.contains("among").any()
