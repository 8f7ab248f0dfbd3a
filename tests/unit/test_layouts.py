"""Official layouts of benchmarks, in small folders made here."""

import csv
import itertools
import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from slamflow import files
from slamflow.benchmarks import conventions, pairs_table
from slamflow.corpora.listing import salmon, slamkit, storycloze, zerospeech
from slamflow.corpora.recorded import audio as recordings
from slamflow.tables import downloads as downloads_table
from slamflow.tables import scores as scores_table

RATE = 16000
Row = dict[str, Any]


def make(root: Path, names: list[str], order: int = 0) -> None:
    """A short tone under each name, made in an order drawn by a seed."""
    shuffled = list(enumerate(sorted(names)))
    random.Random(order).shuffle(shuffled)
    for number, name in shuffled:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.sin(np.arange(400 + 8 * number) * 0.3), RATE)


def listed(module: ModuleType, root: Path, config: Row, manifest: pa.Table | None = None) -> Row:
    table = module.list_files(config, root, manifest)
    return {row["id"]: row for row in table.to_pylist()}


def lexical_gold() -> Iterator[Row]:
    """Four ids in two voices; the columns and empty fields of the official file."""
    frequencies = {"7": "0", "8": "4", "9": "5", "10": "2500"}
    names = iter(f"x{letters}" for letters in map("".join, itertools.product("QaZm", repeat=2)))
    for number, frequency in frequencies.items():
        for voice in ("en-US-Wavenet-C", "en-US-Wavenet-A"):
            for correct in ("1", "0"):
                yield {
                    "id": number,
                    "filename": next(names),
                    "voice": voice,
                    "frequency": frequency if correct == "1" else "",
                    "word": f"word{number}" if correct == "1" else "",
                    "phones": "AH0 B",
                    "length": "2",
                    "correct": correct,
                }


def syntactic_gold() -> Iterator[Row]:
    """Ids repeat between subtypes."""
    for type_, subtype in (("anaphor", "gender"), ("anaphor", "number"), ("islands", "adjunct")):
        for number, correct in itertools.product("12", "10"):
            yield {
                "id": number,
                "filename": f"y{type_[0]}{subtype[0]}{number}{correct}",
                "voice": "en-US-Wavenet-B",
                "type": type_,
                "subtype": subtype,
                "transcription": f"{subtype} sentence {number}, {correct}",
                "correct": correct,
            }


def write_gold(folder: Path, rows: list[Row], columns: list[str] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "gold.csv").open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns or list(rows[0]), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def zero(task: str) -> Row:
    return {"folder": "slm21", "task": task, "split": "dev", "shards": 2}


@pytest.fixture
def lexical(tmp_path: Path) -> Path:
    rows = list(lexical_gold())
    folder = tmp_path / "slm21/lexical/dev"
    make(folder, [row["filename"] + ".wav" for row in rows])
    write_gold(folder, rows)
    return tmp_path


def test_names_in_gold_may_have_their_suffix(lexical: Path) -> None:
    plain = zerospeech.list_files(zero("lexical"), lexical)
    named = [row | {"filename": row["filename"] + ".wav"} for row in lexical_gold()]
    write_gold(lexical / "slm21/lexical/dev", named)
    assert zerospeech.list_files(zero("lexical"), lexical).equals(plain)


def test_lexical_bands_and_voices(lexical: Path) -> None:
    found = listed(zerospeech, lexical, zero("lexical"))
    assert len(found) == 16
    assert all(row["reason"] is None for row in found.values())
    bands = {row["item"]: row["group"] for row in found.values()}
    assert bands == {"7": "oov", "8": "1-5", "9": "6-20", "10": ">100"}
    for row in lexical_gold():
        mine = found[row["filename"]]
        assert mine["path"] == f"slm21/lexical/dev/{row['filename']}.wav"
        assert mine["role"] == ("positive" if row["correct"] == "1" else "negative")
        assert mine["rendition"] == (0 if row["voice"].endswith("A") else 1)
        assert mine["speaker"] == row["voice"]
        assert mine["text"] == (row["word"] or None)
        assert mine["group"] == bands[row["id"]], "a non-word is in the band of its word"
        assert mine["duration"] > 0


@pytest.mark.parametrize(
    ("frequency", "name"),
    [
        *[("", "unknown"), ("0", "oov"), ("0.5", "oov"), ("1", "1-5"), ("4.9", "1-5")],
        *[("5", "6-20"), ("19", "6-20"), ("20", "21-100"), ("99", "21-100"), ("100", ">100")],
    ],
)
def test_bands_are_those_of_the_official_evaluation(frequency: str, name: str) -> None:
    assert zerospeech.band(frequency) == name


def test_voices_of_an_item_are_averaged_before_items(lexical: Path, tmp_path: Path) -> None:
    rows = zerospeech.list_files(zero("lexical"), lexical).to_pylist()
    better = {("7", 0), ("8", 0), ("8", 1)}  # (item, rendition) in which the word is likelier
    scored = [
        {name: row[name] for name in ("id", "item", "role", "group", "speaker", "rendition")}
        | {"start": "bos", "tokens": 10, "first_nll": 1.0, "end_nll": 1.0}
        | {"nll": 5.0 if row["role"] == "positive" and (row["item"], row["rendition"]) in better
           else 9.0 if row["role"] == "positive" else 7.0}
        for row in rows
    ]  # fmt: skip
    table = pa.Table.from_pylist(scored, scores_table.SCHEMA)
    files.write_table(table, tmp_path / "scores.parquet", scores_table.SCHEMA)
    pairs = pairs_table.read(tmp_path / "scores.parquet")
    results = {it.group: it for it in conventions.summarise(pairs, "zerospeech-sum")}
    assert results["all"].value == pytest.approx((0.5 + 1 + 0 + 0) / 4)
    assert (results["oov"].value, results["1-5"].value, results["6-20"].value) == (0.5, 1.0, 0.0)
    assert results["all"].items == 4


def test_syntactic_ids_repeat_between_subtypes(tmp_path: Path) -> None:
    rows = list(syntactic_gold())
    folder = tmp_path / "slm21/syntactic/dev"
    make(folder, [row["filename"] + ".wav" for row in rows])
    write_gold(folder, rows, ["correct", "transcription", "subtype", "filename", "voice", "type",
                              "id"])  # fmt: skip
    found = listed(zerospeech, tmp_path, zero("syntactic"))
    assert len({row["item"] for row in found.values()}) == 6
    assert {row["group"] for row in found.values()} == {"anaphor", "islands"}
    assert found["yan11"]["item"] == "anaphor/number/1"
    assert found["yan11"]["text"] == "number sentence 1, 1"
    assert all(row["reason"] is None for row in found.values())


def test_gold_and_files_that_do_not_fit_have_reasons(lexical: Path) -> None:
    folder = lexical / "slm21/lexical/dev"
    rows = list(lexical_gold())
    (folder / f"{rows[0]['filename']}.wav").unlink()
    soundfile.write(folder / "stray.wav", np.zeros(400), RATE)
    twice = [*rows, {**rows[4], "filename": rows[6]["filename"]}]
    write_gold(folder, twice)
    table = zerospeech.list_files(zero("lexical"), lexical)
    reasons = {(row["id"], row["reason"]) for row in table.to_pylist() if row["reason"]}
    assert table.num_rows == len(twice) + 1
    assert (rows[0]["filename"], "no such file") in reasons
    assert (rows[1]["filename"], "no partner") in reasons
    assert ("stray", "not in gold.csv") in reasons
    assert (rows[6]["filename"], f"duplicate id (2 files are {rows[6]['filename']})") in reasons
    assert len(reasons) == 5  # and the partner of the file that is named twice


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drop": "voice"}, r"gold\.csv: has no column `voice`; take the gold\.csv"),
        ({"correct": "yes"}, r"gold\.csv: row 3: .*correct is 'yes', which should be 0 or 1"),
        ({"frequency": "many", "correct": "1"}, r"gold\.csv: row 3: frequency is 'many'"),
        ({"frequency": "-1", "correct": "1"}, r"gold\.csv: row 3: frequency is '-1'"),
        ({"filename": ""}, r"gold\.csv: row 3: filename is ''"),
        ({"missing": True}, r"gold\.csv: no such file; take the gold\.csv of sLM21-dataset"),
        ({"bytes": b"id,filename\n\xff\xfe,3\n"}, r"gold\.csv: not readable as CSV"),
        ({"bytes": b""}, r"gold\.csv: not readable as CSV"),
    ],
)
def test_a_broken_gold_names_itself_the_row_and_the_repair(
    lexical: Path, change: Mapping[str, Any], message: str
) -> None:
    path = lexical / "slm21/lexical/dev/gold.csv"
    rows = list(lexical_gold())
    rows[3] |= {key: value for key, value in change.items() if key in rows[3]}
    write_gold(path.parent, rows, [name for name in rows[0] if name != change.get("drop")])
    if "bytes" in change:
        path.write_bytes(change["bytes"])
    if "missing" in change:
        path.unlink()
    with pytest.raises(ValueError, match=message):
        zerospeech.list_files(zero("lexical"), lexical)


def cloze(root: Path) -> Row:
    return {"folder": "tSC", "positive": "correct", "negative": "incorrect", "shards": 1}


def test_storycloze_pairs_by_number(tmp_path: Path) -> None:
    names = [f"{n}_{tag}" for n in range(40) for tag in ("correct", "incorrect")]
    make(tmp_path / "tSC", [f"{name}.wav" for name in names])
    for name in names[:-1]:
        (tmp_path / f"tSC/{name}.txt").write_bytes(f"\ufeffA story.\n{name} 🙂".encode())
    (tmp_path / "tSC/README.txt").write_text("how it was made")
    found = listed(storycloze, tmp_path, cloze(tmp_path))
    assert len(found) == 80
    assert all(row["reason"] is None for row in found.values())
    for row in found.values():
        number, tag = row["id"].split("_")
        assert row["item"] == number
        assert row["role"] == {"correct": "positive", "incorrect": "negative"}[tag]
    assert found["3_correct"]["text"] == "A story. 3_correct 🙂"
    assert found["39_incorrect"]["text"] is None


def test_storycloze_reasons(tmp_path: Path) -> None:
    make(tmp_path / "tSC", ["0_correct.wav", "1_correct.wav", "01_correct.wav", "1_incorrect.wav",
                            "2_right.wav", "three_correct.wav", "4_correct.wav"])  # fmt: skip
    (tmp_path / "tSC/4_incorrect.txt").write_text("was never spoken")
    found = listed(storycloze, tmp_path, cloze(tmp_path))
    assert {name: row["reason"] for name, row in found.items()} == {
        "0_correct": "no partner",
        "1_correct": "duplicate id (2 positive of 1)",
        "01_correct": "duplicate id (2 positive of 1)",
        "1_incorrect": "no partner",
        "2_right": "unreadable name (not <number>_correct|incorrect.wav)",
        "three_correct": "unreadable name (not <number>_correct|incorrect.wav)",
        "4_correct": "no partner",
        "4_incorrect": "no such file",
    }
    other = cloze(tmp_path) | {"positive": "right", "negative": "correct"}
    assert listed(storycloze, tmp_path, other)["2_right"]["role"] == "positive"


def test_storycloze_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tSC: does not exist; set `data_root` or mend"):
        storycloze.list_files(cloze(tmp_path), tmp_path)
    (tmp_path / "tSC").mkdir()
    with pytest.raises(ValueError, match=r"tSC: holds no \*\.wav files; mend `source\.folder`"):
        storycloze.list_files(cloze(tmp_path), tmp_path)
    with pytest.raises(ValueError, match="the same tag"):
        storycloze.list_files(cloze(tmp_path) | {"negative": "correct"}, tmp_path)


def test_salmon_parts(tmp_path: Path) -> None:
    names = [
        f"{part}/sample_{i}_{j}.wav" for part in salmon.PARTS for i in range(3) for j in range(2)
    ]
    make(tmp_path / "salmon", [*names, "rir_consistency/odd.wav", "other/sample_0_0.wav"])
    found = listed(salmon, tmp_path, {"folder": "salmon", "shards": 1})
    assert len(found) == len(names) + 1
    assert found["rir_consistency/odd"]["reason"].startswith("unreadable name")
    assert found["gender_consistency/sample_2_0"] | {"bytes": 0, "duration": 0} == {
        "path": "salmon/gender_consistency/sample_2_0.wav", "bytes": 0, "sha256": None,
        "duration": 0, "shard": 0, "id": "gender_consistency/sample_2_0",
        "item": "gender_consistency/2", "role": "positive", "group": "gender_consistency",
        "rendition": 0, "speaker": None, "text": None, "reason": None,
    }  # fmt: skip
    for path in (tmp_path / "salmon/bg_alignment").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="salmon/bg_alignment: no such part of SALMon; mend"):
        salmon.list_files({"folder": "salmon"}, tmp_path)
    few = {"folder": "salmon", "parts": ["rir_consistency", "gender_consistency"]}
    assert salmon.list_files(few, tmp_path).num_rows == 13
    with pytest.raises(ValueError, match=r"source\.parts: loudness must be one of bg_alignment"):
        salmon.list_files({"folder": "salmon", "parts": ["loudness"]}, tmp_path)


def test_slamkit_layouts(tmp_path: Path) -> None:
    for folder, sign in (("swuggy_inter/a", "_"), ("swuggy_inter/b", "_"), ("swuggy_oov/a", "_")):
        make(tmp_path / "w" / folder, [f"{n}{sign}{t}.wav" for n in range(2)
                                       for t in ("correct", "incorrect")])  # fmt: skip
    found = listed(slamkit, tmp_path, {"folder": "w", "layout": "swuggy"})
    assert all(row["reason"] is None for row in found.values())
    assert {row["group"] for row in found.values()} == {"swuggy_inter", "swuggy_oov"}
    assert len({row["item"] for row in found.values()}) == 6
    assert found["swuggy_inter/b/1_incorrect"]["item"] == "swuggy_inter/b/1"
    named = ["5+good_he.wav", "5+bad_she.wav", "6+good_it.wav", "7.wav", "x+good_he.wav"]
    make(tmp_path / "s/binding", named)
    config = {"folder": "s", "layout": "sblimp", "positive": "good_.*", "negative": "bad_.*"}
    found = listed(slamkit, tmp_path, config)
    assert {name.split("/")[1]: row["reason"] and row["reason"][:10] for name, row in
            found.items()} == {"5+good_he": None, "5+bad_she": None, "6+good_it": "no partner",
                               "7": "unreadable", "x+good_he": "unreadable"}  # fmt: skip
    assert found["binding/5+bad_she"]["role"] == "negative"
    with pytest.raises(ValueError, match=r"holds no \*\.wav files"):
        slamkit.list_files({"folder": "none", "layout": "swuggy"}, _empty(tmp_path / "none"))


def _empty(folder: Path) -> Path:
    folder.mkdir()
    return folder.parent


def _layouts(root: Path, order: int) -> dict[str, pa.Table]:
    """All four layouts, made on disk in an order of their own."""
    rows = list(lexical_gold())
    random.Random(order).shuffle(rows)
    make(root / "slm21/lexical/dev", [row["filename"] + ".wav" for row in rows], order)
    write_gold(root / "slm21/lexical/dev", rows)
    tags = ("correct", "incorrect")
    make(root / "tSC", [f"{n}_{tag}.wav" for n in range(20) for tag in tags] + ["7.wav"], order)
    make(root / "salmon", [f"{part}/sample_{i}_{j}.wav" for part in salmon.PARTS[:2]
                           for i in range(9) for j in range(2)], order)  # fmt: skip
    make(root / "w", [f"swuggy_oov/{n}_{tag}.wav" for n in range(20) for tag in tags], order)
    return {
        "zerospeech": zerospeech.list_files(zero("lexical"), root),
        "storycloze": storycloze.list_files(cloze(root) | {"shards": 3}, root),
        "salmon": salmon.list_files({"folder": "salmon", "parts": salmon.PARTS[:2]}, root),
        "slamkit": slamkit.list_files({"folder": "w", "layout": "swuggy", "shards": 4}, root),
    }


def test_the_order_on_disk_does_not_matter(tmp_path: Path) -> None:
    first = _layouts(tmp_path / "0", 0)
    for order in (1, 2, 3):
        again = _layouts(tmp_path / str(order), order)
        for name, table in first.items():
            assert again[name].equals(table), name


def test_a_manifest_is_believed_and_the_folder_not_looked_through(tmp_path: Path) -> None:
    names = [f"{n}_{tag}.wav" for n in range(3) for tag in ("correct", "incorrect")]
    make(tmp_path / "downloads/cloze/tSC", [*names, "9_correct.wav"])
    rows = [
        {"path": f"downloads/cloze/tSC/{name}", "bytes": 100 + n, "sha256": f"{n:064x}"}
        for n, name in enumerate(names)
    ]
    rows.append({"path": "downloads/cloze/tSC2/0_correct.wav", "bytes": 1, "sha256": "0" * 64})
    manifest = pa.Table.from_pylist(rows, downloads_table.SCHEMA)
    config = cloze(tmp_path) | {"folder": "downloads/cloze/tSC"}
    found = listed(storycloze, tmp_path, config, manifest)
    assert sorted(found) == sorted(name.removesuffix(".wav") for name in names)
    assert re.fullmatch("0{63}4", found["2_correct"]["sha256"])
    assert found["2_correct"]["bytes"] == 104


def test_what_is_listed_is_cut_as_it_is(lexical: Path) -> None:
    (lexical / "slm21/lexical/dev/stray.wav").write_bytes(b"none")
    keys = zero("lexical") | {"minimum": 0.0, "maximum": None, "segments": "vad"}
    sources = zerospeech.list_files(keys, lexical)
    parts = [recordings.cut(keys, sources, shard, lexical, "cut") for shard in (0, 1)]
    kept = [row for speech, _ in parts for row in speech.to_pylist()]
    rejected = [row for _, left_out in parts for row in left_out.to_pylist()]
    assert [(row["id"], row["reason"]) for row in rejected] == [("stray", "not in gold.csv")]
    listed_rows = {row["id"]: row for row in sources.to_pylist()}
    assert len(kept) == 16
    for row in kept:
        for name in ("item", "role", "group", "rendition", "speaker", "text"):
            assert row[name] == listed_rows[row["id"]][name], name


def test_an_item_lies_in_one_shard(lexical: Path) -> None:
    rows = listed(zerospeech, lexical, zero("lexical") | {"shards": 3}).values()
    shards: dict[str, set[int]] = {}
    for row in rows:
        shards.setdefault(row["item"], set()).add(row["shard"])
    assert all(len(found) == 1 for found in shards.values())
    assert set.union(*shards.values()) == {0, 1, 2}
