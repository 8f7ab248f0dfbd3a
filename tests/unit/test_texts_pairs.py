"""Preferences of SWAG and HellaSwag, and BLiMP's minimal pairs."""

import csv
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
from text_files import lines, read, reasons, write

from slamflow.corpora.texts import blimp, swag
from slamflow.corpora.texts.auto_bleu import auto_bleu

ENDINGS = ["drinks.", "sings a very long song.", "eats a bone.", "runs away."]


def swag_config(**keys: Any) -> dict[str, Any]:
    return {
        "file": "train.csv", "format": "swag", "rejected": "random", "maximum_auto_bleu": None,
        "seed": 1, "count": None, "minimum_words": 1, "maximum_words": 50,
    } | keys  # fmt: skip


def swag_row(number: int, label: str = "2", gold: str = "gold", **keys: str) -> dict[str, str]:
    return {
        "": str(number), "video-id": f"v{number}", "sent2": "The  dog", "gold-source": gold,
        "startphrase": "", "sent1": f"Man number {number}  sees a dog .", "label": label,
    } | {f"ending{i}": ending for i, ending in enumerate(ENDINGS)} | keys  # fmt: skip


def swag_csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def items(table: Any) -> dict[str, tuple[str, ...]]:
    """The texts of each item in the order of its rows."""
    found: dict[str, tuple[str, ...]] = {}
    for row in table.to_pylist():
        assert row["id"] == f"{row['item']}-{row['role']}"
        found[row["item"]] = (*found.get(row["item"], ()), row["text"])
    return found


def test_swag_becomes_preferences(tmp_path: Path) -> None:
    rows = [swag_row(i, gold="gen" if i == 1 else "gold") for i in range(200)]
    random.Random(1).shuffle(columns := list(rows[0]))
    write(tmp_path / "train.csv", swag_csv([{name: row[name] for name in columns} for row in rows]))
    found, rejected = read(swag, tmp_path, swag_config())
    assert found["role"].to_pylist()[:3] == ["prompt", "chosen", "rejected"]
    made = items(found)
    assert len(made) == 199 and reasons(rejected) == {"train-000001": "not gold"}
    assert made["train-000000"][:2] == ("Man number 0 sees a dog.", "The dog eats a bone.")
    drawn = [ENDINGS.index(texts[2].removeprefix("The dog ")) for texts in made.values()]
    assert all(50 <= drawn.count(wrong) <= 85 for wrong in (0, 1, 3)) and 2 not in drawn
    fewer, _ = read(swag, tmp_path, swag_config(count=3))
    assert items(fewer) == dict(list(made.items())[:3])
    assert items(read(swag, tmp_path, swag_config(seed=2))[0]) != made


def test_nearest_ending_is_that_of_the_nearest_length(tmp_path: Path) -> None:
    # of "eats a bone." 12 characters: "runs away." has 10, "drinks." 7, the song 23
    tied = {"ending0": "comes a shadow."[:14], "ending3": "runs away."}
    rows = [swag_row(i, **(tied if i % 2 else {})) for i in range(100)]
    write(tmp_path / "train.csv", swag_csv(rows))
    found, _ = read(swag, tmp_path, swag_config(rejected="nearest_length"))
    drawn = [texts[2].removeprefix("The dog ") for texts in items(found).values()]
    assert set(drawn[::2]) == {"runs away."}
    assert 15 <= drawn[1::2].count("runs away.") <= 35  # 2 characters less, or 2 more


def test_rows_that_are_no_preference_have_their_reason(tmp_path: Path) -> None:
    rows = [
        swag_row(0), swag_row(0), swag_row(1, label="x"), swag_row(2, label="4"),
        swag_row(3, sent1=""), swag_row(4, sent1="  . "), swag_row(5, ending2=" "),
        swag_row(6, **{f"ending{i}": "eats a bone." for i in range(4)}),
        swag_row(7, sent1="a b c d " * 2500), swag_row(8, sent1="nul \0 in it"),
        swag_row(9, sent1='He said, "a, b"\nand\r\nleft.'), swag_row(10, sent1="a \U0001f600 b"),
    ]  # fmt: skip
    content = swag_csv(rows).encode() + b"too,few,columns\n"
    content += swag_csv([swag_row(11, sent1="caf@ noir")]).split("\n", 1)[1].encode()
    write(tmp_path / "train.csv", content.replace(b"@", b"\xe9"))
    found, rejected = read(swag, tmp_path, swag_config())
    assert list(reasons(rejected).values()) == [
        "duplicate text", "no label", "no label", "no text (prompt)", "no text",
        "no text (chosen)", "no wrong ending", "too long (10000 words)", "control characters",
        "3 columns, not 11", "broken UTF-8",
    ]  # fmt: skip
    made = items(found)
    assert len(made) + rejected.num_rows == 14
    assert made["train-000010"][0] == 'He said, "a, b" and left.'


def test_csv_without_a_column_or_with_an_open_quote_is_an_error(tmp_path: Path) -> None:
    rows = [swag_row(0)]
    del rows[0]["gold-source"], rows[0]["label"]
    write(tmp_path / "train.csv", swag_csv(rows))
    with pytest.raises(ValueError, match=r"train\.csv: has no column gold-source, label"):
        read(swag, tmp_path, swag_config())
    write(tmp_path / "train.csv", swag_csv([swag_row(0), swag_row(1)]) + '1,"open')
    with pytest.raises(ValueError, match=r"train\.csv: line 4: .*mend the quotes"):
        read(swag, tmp_path, swag_config())
    write(tmp_path / "train.csv", "")
    with pytest.raises(ValueError, match="has no column sent1, sent2"):
        read(swag, tmp_path, swag_config())


def hellaswag_row(number: int, **keys: Any) -> dict[str, Any]:
    return {
        "ctx_a": f"Man {number} sees a dog.", "ctx_b": "the dog", "endings": ENDINGS, "label": 2,
        "activity_label": "Dogs",
    } | keys  # fmt: skip


def test_hellaswag_becomes_preferences(tmp_path: Path) -> None:
    how_to = "[header] How to sleep [title] Close your eyes. [step] Do so at night."
    rows = [
        hellaswag_row(0), hellaswag_row(1, label="1", ctx_b=None),
        hellaswag_row(2, ctx_a=how_to, ctx_b=""), hellaswag_row(3, label=""),
        hellaswag_row(4, label=None), hellaswag_row(5, endings=None),
        hellaswag_row(6, endings=["drinks.", None]), hellaswag_row(7, ctx_a=["a", "list"]),
        hellaswag_row(8, ctx_a="half \ud83d emoji"), 7, None, [],
    ]  # fmt: skip
    broken = '{"ctx_a": "cut\n' + "[" * 100_000 + "\n\n"
    write(tmp_path / "val.jsonl", lines(rows) + broken + lines([hellaswag_row(14, label=True)]))
    source = swag_config(file="val.jsonl", format="hellaswag")
    found, rejected = read(swag, tmp_path, source)
    made = items(found)
    assert made["val-000000"][:2] == ("Man 0 sees a dog.", "the dog eats a bone.")
    assert made["val-000001"][1] == "sings a very long song."
    assert made["val-000002"][0] == "How to sleep. Close your eyes. Do so at night."
    assert set(found["group"].to_pylist()) == {"Dogs"}
    assert list(reasons(rejected).values()) == [
        "no label", "no label", "no endings", "no text", "no text", "broken UTF-8",
        *["no JSON object"] * 5, "no label",
    ]  # fmt: skip


def test_auto_bleu_is_the_share_of_repeated_bigrams(tmp_path: Path) -> None:
    assert auto_bleu("the dog sees the dog") == 2 / 4
    assert auto_bleu("It ran. It ran.") == 4 / 5  # It ran, ran ., . It, It ran, ran .
    assert auto_bleu("one two three") == auto_bleu("one") == auto_bleu("") == 0
    # 10 bigrams, 3 of them "a b": exactly the limit, which is kept
    kept = swag_row(0, sent1="a b c a b d a b", sent2="x", ending2="y z")
    left_out = swag_row(1, sent1="a b c a b d a b", sent2="a", ending2="b z")
    write(tmp_path / "train.csv", swag_csv([kept, left_out]))
    found, rejected = read(swag, tmp_path, swag_config(maximum_auto_bleu=0.3))
    assert len(items(found)) == 1
    assert reasons(rejected) == {"train-000001": "repetitive (auto-BLEU 0.40)"}


def blimp_config(**keys: Any) -> dict[str, Any]:
    return {
        "file": "blimp.zip", "members": "data/*.jsonl", "group": "paradigm", "per_paradigm": None,
        "seed": 1, "count": None,
    } | keys  # fmt: skip


def blimp_row(paradigm: str, number: int, **keys: Any) -> dict[str, Any]:
    return {
        "sentence_good": f"{paradigm} {number} is right.", "UID": paradigm, "pairID": str(number),
        "sentence_bad": f"{paradigm} {number} are right.", "field": "syntax",
        "linguistics_term": f"{paradigm[0]}_term",
    } | keys  # fmt: skip


def zip_rows(path: Path, rows: list[dict[str, Any]], seed: int) -> None:
    """Write rows to two members of a zip in an order drawn by `seed`."""
    random.Random(seed).shuffle(rows)
    with zipfile.ZipFile(path, "w") as made:
        for name, part in (("y", rows[::2]), ("x", rows[1::2])):
            made.writestr(f"data/{name}.jsonl", lines(part))


def test_pairs_do_not_depend_on_the_order_of_files_and_lines(tmp_path: Path) -> None:
    rows = [blimp_row(paradigm, i) for paradigm in ("aa", "ab", "cc") for i in range(30)]
    made = []
    for seed in (1, 2):
        zip_rows(tmp_path / "blimp.zip", rows, seed)
        made.append(read(blimp, tmp_path, blimp_config(per_paradigm=7))[0])
    assert made[0].equals(made[1])
    found = made[0].to_pylist()
    assert [row["role"] for row in found[:2]] == ["positive", "negative"]
    assert found[0]["text"].endswith("is right.") and found[1]["text"].endswith("are right.")
    assert {row["id"] for row in found} == {
        f"{row['item']}-{role}" for row in found for role in ("positive", "negative")
    }
    groups = [row["group"] for row in found]
    assert {name: groups.count(name) for name in groups} == {"aa": 14, "ab": 14, "cc": 14}
    # a paradigm's draw is its own; the first of more are these
    zip_rows(tmp_path / "blimp.zip", [row for row in rows if row["UID"] == "ab"], 3)
    alone = read(blimp, tmp_path, blimp_config(per_paradigm=7))[0].to_pylist()
    assert alone == found[14:28]
    other = read(blimp, tmp_path, blimp_config(per_paradigm=7, seed=2))[0].to_pylist()
    assert {row["item"] for row in other} != {row["item"] for row in alone}


def test_terms_group_paradigms(tmp_path: Path) -> None:
    terms = ("s-selection", "argument_structure", "binding")
    rows = [blimp_row(f"p{i}", 0, linguistics_term=term) for i, term in enumerate(terms)]
    zip_rows(tmp_path / "blimp.zip", rows, 1)
    found, _ = read(blimp, tmp_path, blimp_config(group="term"))
    assert found["group"].to_pylist()[::2] == ["argument_structure"] * 2 + ["binding"]


def test_lines_that_are_no_pair_have_their_reason(tmp_path: Path) -> None:
    good = blimp_row("aa", 0)
    bad = [
        blimp_row("aa", 1, sentence_bad="aa 1 is  right ."), blimp_row("aa", 2, sentence_good=None),
        blimp_row("aa", 3, UID=None), {"sentence_good": "Is right."}, blimp_row("aa", 0),
        blimp_row("aa", 4, **{key: good[key] for key in ("sentence_good", "sentence_bad")}),
        blimp_row("aa", 5, sentence_bad="\0"), blimp_row("\ud800", 6),
    ]  # fmt: skip
    content = lines([good, *bad]).encode() + b'{"UID": "caf\xe9"}\n{]\n'
    write(tmp_path / "pairs.jsonl", content)
    source = blimp_config(file="pairs.jsonl", members=None)
    few = read(blimp, tmp_path, source | {"per_paradigm": 1})[1]
    assert not len(few), "what was not drawn is no input"
    write(tmp_path / "broken.jsonl", "no JSON\n")
    broken = blimp_config(file="broken.jsonl", members=None, per_paradigm=1)
    with pytest.raises(
        ValueError, match=r"broken\.jsonl: .*all 1 are left out, first broken-000000"
    ):
        read(blimp, tmp_path, broken)
    found, rejected = read(blimp, tmp_path, source)
    assert found["item"].to_pylist() == ["aa-0", "aa-0"]
    assert sorted(rejected["reason"].to_pylist()) == sorted(
        [
            "identical sentences", "no text", "no UID", "no UID", "duplicate id", "duplicate text",
            "control characters", "broken UTF-8", "no pairID", "no JSON object",
        ]
    )  # fmt: skip
    write(tmp_path / "pairs.jsonl", json.dumps({"a": 1}))
    with pytest.raises(ValueError, match=r"pairs\.jsonl: nothing .* first pairs-000000: no UID"):
        read(blimp, tmp_path, source)
