"""Answers to the questions of a study, from scores tables to the page."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from small_models import qwen2
from test_conventions import RIGHT, WRONG, pair, scores_file

from slamflow import files
from slamflow.lm import flops
from slamflow.report import study, study_page
from slamflow.tables import scores as scores_table
from slamflow.tables import training as training_table

ITEMS = 8
ARMS = {"cold": {"cold-s1": 1, "cold-s2": 2}, "dpo": {"dpo-s1": 1, "dpo-s2": 2}}
# how many of the first items each model has right
CORRECT = {"cold-s1": 4, "cold-s2": 6, "dpo-s1": 5, "dpo-s2": 7}
ASKED = {
    "name": "dpo",
    "about": "Does <DPO> help?",
    "arms": ["dpo", "cold"],
    "benchmarks": ["cloze"],
}
CARD = "| tokens of a pair | 50 |\n"


def scores(folder: Path, correct: dict[str, int], items: int = ITEMS) -> dict[Any, Path]:
    """Scores tables on `cloze`: each model is right on its first so many items."""
    return {
        (model, "cloze"): scores_file(
            folder / "scores" / model / "cloze.parquet",
            [
                member
                for item in range(items)
                for member in pair(
                    f"cloze-{item:02d}",
                    *(RIGHT if item < number else WRONG),
                    group="first" if item < 2 else "other",
                )
            ],
        )
        for model, number in correct.items()
    }


def trainings(folder: Path) -> dict[str, Path]:
    """Logs of trainings; a DPO's counts pairs, and the card how long they are."""
    schema = training_table.schema(("loss",))
    found = {}
    for model in CORRECT:
        path = folder / "models" / model / "training.parquet"
        steps = [
            {"step": 1, "tokens": 100, "seconds": 2.0},
            {"step": 2, "tokens": 200, "seconds": 4.0},
        ]
        files.write_table(pa.Table.from_pylist(steps, schema=schema), path, schema)
        (path.parent / "card.md").write_text(CARD)
        found[model] = path
    return found


def config(**changes: Any) -> dict:
    lineage = {model: [model, model.replace("dpo", "cold")] for model in CORRECT}
    return {
        "arms": ARMS,
        "baseline": "cold",
        "benchmarks": {"cloze": {}},
        "lineage": {model: list(dict.fromkeys(names)) for model, names in lineage.items()},
        "aligned": ["dpo-s1", "dpo-s2"],
        **changes,
    }


def answered(folder: Path, **changes: Any) -> pd.DataFrame:
    output = folder / "study" / "dpo.tsv"
    made = scores(folder, changes.pop("correct", CORRECT))
    study.answer(config(**changes), made, trainings(folder), output)
    return study.read(output).set_index("arm")


def test_values_and_differences_are_means_over_seeds(tmp_path: Path) -> None:
    table = answered(tmp_path)
    assert list(table["value"]) == ["62.50", "75.00"]  # of 4 and 6, 5 and 7 of 8
    assert list(table["by_seed"]) == ["50.00 75.00", "62.50 87.50"]
    assert list(table["difference"]) == ["", "12.50"]
    assert list(table["seeds"]) == ["2", "2"]
    assert list(table["n"]) == ["8", "8"]
    assert set(table["question"]) == {"dpo"}
    low, high = (float(table.loc["dpo", f"difference_{end}"]) for end in ("low", "high"))
    assert low < 12.5 < high


def test_seeds_are_paired_by_what_they_are_not_by_their_order(tmp_path: Path) -> None:
    """Each seed gains one item of eight, so that seeds add nothing to the difference."""
    table = answered(tmp_path)
    turned = {"cold": {"cold-s2": 2, "cold-s1": 1}, "dpo": ARMS["dpo"]}
    pd.testing.assert_frame_equal(answered(tmp_path, arms=turned), table)
    others = {"cold": {"cold-s1": 1, "cold-s2": 9}, "dpo": ARMS["dpo"]}
    apart = answered(tmp_path, arms=others)
    assert table.loc["dpo", "paired"] == "seeds and items"
    assert apart.loc["dpo", "paired"] == "items"
    assert apart.loc["dpo", "difference"] == table.loc["dpo", "difference"]

    def width(found: pd.DataFrame) -> float:
        return float(found.loc["dpo", "difference_high"]) - float(
            found.loc["dpo", "difference_low"]
        )

    assert width(apart) > 1.2 * width(table)


def test_models_of_one_seed_are_not_paired_by_it(tmp_path: Path) -> None:
    """Seeds that nobody set are all 0: they say nothing of which model belongs to which."""
    unset = {arm: dict.fromkeys(models, 0) for arm, models in ARMS.items()}
    apart = answered(tmp_path, arms=unset)
    assert apart.loc["dpo", "paired"] == "items"
    assert apart.loc["dpo", "difference"] == "12.50"


def test_the_average_and_the_convention_are_those_of_the_benchmark(tmp_path: Path) -> None:
    macro = answered(tmp_path, benchmarks={"cloze": {"average": "macro"}})
    # the first two items are a group: 1 and (2 or 4) / 6 of cold, 1 and (3 or 5) / 6 of dpo
    assert list(macro["value"]) == ["75.00", "83.33"]
    assert set(macro["metric"]) == {"macro_accuracy"}
    summed = answered(tmp_path, benchmarks={"cloze": {"convention": "slamkit-sum"}})
    assert set(summed["convention"]) == {"slamkit-sum"}
    with pytest.raises(ValueError, match=r"cold-s1/cloze\.parquet: does not suit .*start: eos"):
        answered(tmp_path, benchmarks={"cloze": {"convention": "slm-scaling"}})


def test_what_is_spent_includes_what_models_start_from(tmp_path: Path) -> None:
    table = answered(tmp_path)
    assert list(table["tokens"]) == ["200", str(200 + 200 * 50)]
    assert list(table["seconds"]) == ["4.0", "8.0"]
    assert list(table["flop"]) == ["", ""]  # no weights, no parameters
    model = qwen2(12, 0.1)
    for name in CORRECT:
        model.save_pretrained(tmp_path / "models" / name)
    products = flops.products(model)
    flop = [float(each) for each in answered(tmp_path)["flop"]]
    assert flop == pytest.approx([6 * products * 200, 6 * products * 10_200], rel=1e-3)


def test_other_items_are_refused(tmp_path: Path) -> None:
    made = scores(tmp_path, CORRECT) | scores(tmp_path, {"dpo-s1": 5, "dpo-s2": 7}, items=7)
    with pytest.raises(ValueError, match=r"dpo-s2/cloze\.parquet: not of the same items as"):
        study.answer(config(), made, trainings(tmp_path), tmp_path / "dpo.tsv")
    assert not (tmp_path / "dpo.tsv").exists()


def test_answers_are_collected_in_order(tmp_path: Path) -> None:
    answered(tmp_path)
    second = tmp_path / "study" / "again.tsv"
    second.write_text((tmp_path / "study" / "dpo.tsv").read_text().replace("dpo\t", "again\t"))
    study.collect([second, tmp_path / "study" / "dpo.tsv"], tmp_path / "study.tsv")
    assert list(study.read(tmp_path / "study.tsv")["question"]) == ["again"] * 2 + ["dpo"] * 2
    second.write_text("model\tvalue\n")
    with pytest.raises(ValueError, match=r"again\.tsv: has not the columns of answers"):
        study.collect([second], tmp_path / "study.tsv")


def test_the_page_says_what_the_table_says(tmp_path: Path) -> None:
    table = answered(tmp_path).reset_index()
    page = tmp_path / "study.html"
    study_page.draw([ASKED], tmp_path / "study" / "dpo.tsv", page)
    text = page.read_text()
    assert "Does &lt;DPO&gt; help?" in text and "<DPO>" not in text
    low, high = (float(table["difference_" + end].iloc[1]) for end in ("low", "high"))
    assert f"dpo changes cloze by 12.5 [{low:.1f}, {high:.1f}] points." in " ".join(text.split())
    assert text.index(">dpo</text>") < text.index(">cold</text>")  # the order that is asked for
    assert text.count("<svg") == 1 and not re.search(r"(src|href)=\"(?!#)", text)
    for value in ("50.00 75.00", "62.50 87.50", "0.01"):  # seeds, and a hundredth of a million
        assert value in text
    with pytest.raises(ValueError, match="lacks the answer of dpo, cloze, long"):
        asked = ASKED | {"arms": ["cold", "dpo", "long"]}
        study_page.draw([asked], tmp_path / "study" / "dpo.tsv", page)
    assert page.read_text() == text


def test_intervals_of_differences_are_inside_their_panels(tmp_path: Path) -> None:
    table = answered(tmp_path)
    table.loc["dpo", ["difference_low", "difference_high"]] = ["-1.00", "70.00"]
    rows = table.reset_index()
    rows = rows.assign(**{key: pd.to_numeric(rows[key]) for key in study_page.NUMBERS})
    assert study_page._span(rows) >= 70


def test_a_panel_names_all_conventions(tmp_path: Path) -> None:
    """One arm may know text, so that it is asked among units alone."""
    made = scores(tmp_path, CORRECT)
    for model in ARMS["dpo"]:
        path = made[model, "cloze"]
        read = files.read_table(path, scores_table.SCHEMA)
        units = pa.array(["units"] * len(read), read["modality"].type)
        place = read.column_names.index("modality")
        files.write_table(read.set_column(place, "modality", units), path, scores_table.SCHEMA)
    output = tmp_path / "study" / "dpo.tsv"
    study.answer(config(), made, trainings(tmp_path), output)
    named = study.read(output).set_index("arm")["convention"]
    assert named["dpo"] == "slamkit-mean among units" and named["cold"] == "slamkit-mean"
    study_page.draw([ASKED], output, tmp_path / "study.html")
    text = " ".join((tmp_path / "study.html").read_text().split())
    assert "8 items, slamkit-mean among units and slamkit-mean." in text


def test_the_page_is_the_same_every_time(tmp_path: Path) -> None:
    answered(tmp_path)
    for name in ("one", "two"):
        study_page.draw([ASKED], tmp_path / "study" / "dpo.tsv", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
