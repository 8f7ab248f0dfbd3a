"""Which files a corpus of recordings is made of."""

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile

from slamflow import files
from slamflow.corpora.listing import audio, sources
from slamflow.tables import downloads as downloads_table
from slamflow.tables import sources as sources_table

RATE = 8000
SECONDS = {"20/1/20-1-0": 3.0, "20/1/20-1-1": 0.5, "3/2/3-2-0": 5.0, "100/9/100-9-0": 9.0}


def write(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(np.arange(round(seconds * RATE)) * 0.3), RATE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, seconds in SECONDS.items():
        write(tmp_path / f"speech/{name}.flac", seconds)
    (tmp_path / "speech/3/2/none.flac").write_text("no audio")
    (tmp_path / "speech/notes.txt").write_text("left out")
    return tmp_path


def listed(root: Path, manifest: pa.Table | None = None, **keys: Any) -> list[dict[str, Any]]:
    config = {"kind": "audio", "folder": "speech", "pattern": None, "shards": 2} | keys
    table = audio.list_files(config, root, manifest)
    files.write_table(table, root / "sources.parquet", sources_table.SCHEMA)
    return table.to_pylist()


def test_files_are_sorted_and_shards_balanced(root: Path) -> None:
    rows = listed(root, speaker=r"^(\d+)/\d+/[^/]+$")  # below the folder
    paths = [row["path"] for row in rows]
    assert paths == sorted(paths)
    found = {row["id"]: row for row in rows}
    assert set(found) == {*SECONDS, "3/2/none"}
    for name, seconds in SECONDS.items():
        row = found[name]
        assert row["duration"] == seconds and row["item"] == name and row["sha256"] is None
        assert row["path"] == f"speech/{name}.flac"
        assert row["bytes"] == (root / row["path"]).stat().st_size
        assert row["speaker"] == name.split("/")[0]
    assert found["3/2/none"]["duration"] is None and found["3/2/none"]["reason"] is None
    loads = [sum(row["duration"] or 0 for row in rows if row["shard"] == s) for s in (0, 1)]
    assert sorted(loads) == [8.5, 9.0]


def test_a_path_without_a_speaker_has_a_reason_and_the_others_are_listed(root: Path) -> None:
    (root / "speech/strange.flac").write_bytes((root / "speech/3/2/3-2-0.flac").read_bytes())
    rows = {row["id"]: row for row in listed(root, speaker=r"(\d+)/\d+/[^/]+$|strange")}
    strange = rows.pop("strange")
    assert (strange["speaker"], strange["reason"]) == (None, "speaker pattern finds no group")
    assert set(rows) == {*SECONDS, "3/2/none"}
    assert all(row["speaker"] and row["reason"] is None for row in rows.values())
    rows = {row["id"]: row for row in listed(root, speaker=r"(\d+)/\d+/[^/]+$")}
    assert rows["strange"]["reason"] == "speaker pattern finds no group"


def test_the_order_on_disk_makes_no_difference(root: Path) -> None:
    rows = [{"path": f"speech/{name}.flac", "id": name} for name in SECONDS]
    wanted = sources.table(rows, root, 3, None)
    for seed in range(5):
        random.Random(seed).shuffle(rows)
        assert sources.table(iter(rows), root, 3, None).equals(wanted)


def test_members_of_an_item_are_in_one_shard(root: Path) -> None:
    for index in range(40):
        write(root / f"pairs/{index}.wav", 0.1 + 0.05 * (index % 7))
    rows = [
        {"path": f"pairs/{index}.wav", "id": str(index), "item": f"i{index % 20}"}
        for index in range(40)
    ]
    found = sources.table(rows, root, 4, None).to_pylist()
    assert len({(row["item"], row["shard"]) for row in found}) == 20
    loads = [sum(row["duration"] for row in found if row["shard"] == s) for s in range(4)]
    assert max(loads) - min(loads) < 0.5


def test_every_format_is_found_by_its_suffix(tmp_path: Path) -> None:
    samples = 0.1 * np.sin(np.arange(48_000))
    for suffix, form in {"wav": None, "FLAC": "FLAC", "mp3": "MP3", "ogg": "OGG"}.items():
        (tmp_path / "speech").mkdir(exist_ok=True)
        path = tmp_path / f"speech/as {suffix}.{suffix}"
        soundfile.write(path, samples, 48_000, format=form)
    soundfile.write(tmp_path / "speech/o.opus", samples, 48_000, format="OGG", subtype="OPUS")
    rows = listed(tmp_path)
    assert len(rows) == 5
    assert all(row["duration"] == pytest.approx(1.0, abs=0.01) for row in rows)


def test_a_header_that_does_not_know_the_length_gives_none(root: Path) -> None:
    path = root / "speech/3/2/3-2-0.flac"
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # 36 bits: how many samples there are; 0 is unknown
    content[22:26] = bytes(4)
    path.write_bytes(content)
    assert {row["id"]: row["duration"] for row in listed(root)}["3/2/3-2-0"] is None


def test_patterns_are_globs_below_the_folder(root: Path) -> None:
    def ids(pattern: str) -> set[str]:
        return {row["id"] for row in listed(root, pattern=pattern)}

    assert ids("**/*.flac") == {*SECONDS, "3/2/none"}
    assert ids("20/**/*.flac") == {"20/1/20-1-0", "20/1/20-1-1"}
    assert ids("*/*/*-0.flac") == {"20/1/20-1-0", "3/2/3-2-0", "100/9/100-9-0"}
    with pytest.raises(ValueError, match=r"no file matches \*\.ogg; mend `source\.pattern`"):
        ids("*.ogg")


def test_sizes_and_digests_come_from_the_manifest(root: Path) -> None:
    names = ["speech/20/1/20-1-0.flac", "speech/3/2/3-2-0.flac", "speech/gone.flac", "other/a.flac"]
    columns = {"path": names, "bytes": [7, 8, 9, 10], "sha256": ["a", "b", "c", "d"]}
    manifest = pa.table(columns, downloads_table.SCHEMA)
    rows = {row["path"]: row for row in listed(root, manifest)}
    assert set(rows) == set(names[:3])  # the folder is not walked
    assert [rows[name]["bytes"] for name in names[:3]] == [7, 8, 9]
    assert [rows[name]["sha256"] for name in names[:3]] == ["a", "b", "c"]
    assert rows[names[0]]["duration"] == 3.0
    assert rows["speech/gone.flac"]["reason"].startswith("no such file")


def test_files_of_one_id_are_together_and_one_is_kept(root: Path) -> None:
    for index in range(6):
        write(root / f"speech/3/2/3-2-{index}.wav", 1.0)
    rows = {Path(row["path"]).name: row for row in listed(root, shards=4)}
    first, second = rows["3-2-0.flac"], rows["3-2-0.wav"]
    assert first["reason"] is None and second["reason"] == "duplicate id"
    assert first["shard"] == second["shard"]
    assert sum(row["reason"] is not None for row in rows.values()) == 1


def test_strange_names_are_kept_or_given_a_reason(tmp_path: Path) -> None:
    for name in ("new\nline", 'it\'s "so"', "📢 ünï", "two.dots", " "):
        write(tmp_path / "speech" / f"{name}.flac", 1.0)
    folder = os.fsencode(tmp_path / "speech")
    for name in (b"caf\xe9.flac", b"\xff/\xfe.flac"):
        target = os.path.join(folder, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.link(tmp_path / "speech/two.dots.flac", target)
    os.mkfifo(tmp_path / "speech/pipe.wav")
    (tmp_path / "speech/broken.wav").symlink_to("nowhere")
    rows = {row["id"]: row for row in listed(tmp_path)}
    kept = {name for name, row in rows.items() if row["reason"] is None}
    assert kept == {"new\nline", 'it\'s "so"', "📢 ünï", "two.dots", " "}
    assert all(rows[name]["duration"] == 1.0 for name in kept)
    assert rows[r"caf\xe9"]["reason"] == rows[r"\xff/\xfe"]["reason"] == "path is not UTF-8"
    assert rows["pipe"]["reason"] == "no such file (not a regular file)"
    assert rows["broken"]["reason"].startswith("no such file")


def test_links_are_followed_but_not_for_ever(root: Path) -> None:
    write(root / "elsewhere/a.flac", 1.0)
    (root / "speech/linked").symlink_to(root / "elsewhere")
    (root / "speech/3/back").symlink_to(root / "speech")
    ids = {row["id"] for row in listed(root)}
    assert ids == {*SECONDS, "3/2/none", "linked/a"}


def test_librispeech_transcripts(root: Path) -> None:
    (root / "speech/20/1/20-1.trans.txt").write_text("20-1-0 A DOG  RAN\n20-1-1\n20-1-7 GONE\n")
    (root / "speech/3/2/3-2.trans.txt").write_text("3-2-0 É\n")
    texts = {row["id"]: row["text"] for row in listed(root, transcripts="**/*.trans.txt")}
    given = {"20/1/20-1-0": "A DOG  RAN", "3/2/3-2-0": "É"}
    assert texts == dict.fromkeys([*SECONDS, "3/2/none"]) | given
    (root / "speech/3/2/3-2.trans.txt").write_bytes(b"3-2-0 \xe9\n")
    with pytest.raises(ValueError, match=r"3-2\.trans\.txt: cannot be read"):
        listed(root, transcripts="**/*.trans.txt")


def test_tables_of_transcripts(root: Path) -> None:
    write(root / "speech/4/2/3-2-0.flac", 1.0)
    (root / "speech/by_path.csv").write_text(
        'text,path\n"He said ""no"", and\nleft",20/1/20-1-0.flac\n'
        "Two,3/2/3-2-0.flac\n,3/2/none.flac\n"
    )
    rows = {row["id"]: row["text"] for row in listed(root, transcripts="*.csv")}
    assert rows["20/1/20-1-0"] == 'He said "no", and\nleft' and rows["3/2/3-2-0"] == "Two"
    assert rows["4/2/3-2-0"] is None and rows["3/2/none"] is None
    (root / "speech/by_id.tsv").write_text('utt_id\tn\ttext\n20-1-0\t1\t"No\n3-2-0\t2\twhich?\n')
    rows = {row["id"]: row["text"] for row in listed(root, transcripts="*.tsv")}
    assert rows["20/1/20-1-0"] == '"No'
    assert rows["3/2/3-2-0"] is None and rows["4/2/3-2-0"] is None  # two files have that name


@pytest.mark.parametrize(
    ("column", "key", "found"),
    [
        ("path", "b/001.wav", None),
        ("path", "a/001.wav", "SAID"),
        ("path", "001.wav", "SAID"),
        ("id", "b/001", None),
        ("id", "001", "SAID"),
    ],
)
def test_a_transcript_that_names_a_folder_means_that_folder(
    tmp_path: Path, column: str, key: str, found: str | None
) -> None:
    write(tmp_path / "speech/a/001.wav", 1.0)
    (tmp_path / "speech/texts.csv").write_text(f"{column},text\n{key},SAID\n")
    (row,) = listed(tmp_path, transcripts="*.csv")
    assert (row["id"], row["text"]) == ("a/001", found)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("utt_id\tsaid\na\tb\n", r"texts\.tsv: has no column `text` among utt_id, said"),
        ("name\ttext\na\tb\n", r"texts\.tsv: has none of the columns path, id, utt_id"),
        ("id\ttext\na\tb\tc\n", r"texts\.tsv: cannot be read"),
        ("", r"texts\.tsv: cannot be read"),
    ],
)
def test_wrong_transcripts_are_errors(root: Path, content: str, message: str) -> None:
    (root / "speech/texts.tsv").write_text(content)
    with pytest.raises(ValueError, match=message):
        listed(root, transcripts="*.tsv")


def test_missing_data_name_the_path_and_the_key(root: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere: does not exist.*`source\.folder`"):
        listed(root, folder="nowhere")
    with pytest.raises(ValueError, match=r"absent: no such folder; set `data_root`"):
        audio.list_files({"folder": "speech"}, root / "absent")
    with pytest.raises(ValueError, match="not a folder"):
        listed(root, folder="speech/notes.txt")
    with pytest.raises(ValueError, match=r"no file matches \*\.txtx; mend `source\.transcripts`"):
        listed(root, transcripts="*.txtx")
