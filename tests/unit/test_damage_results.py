"""Damage to tables of results, to packed rows and to downloads."""

import resource
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import small_report
import speech_tables

from slamflow import files
from slamflow.corpora.listing import audio as listing
from slamflow.corpora.recorded import audio as recordings
from slamflow.lm import rows
from slamflow.report import run_config, table_file, tables
from slamflow.tables import downloads as downloads_table
from slamflow.tables import packed as packed_table

TSV: dict[str, tuple[str, str, str]] = {
    "a letter in a number": ("\t61.2\t", "\t6l.2\t", "line 3: value is no number"),
    "no number": ("\t320\t50\n", "\tnan\t50\n", "line 2: n is no number"),
    "a lost tab": ("cloze\tall\taccuracy", "cloze all\taccuracy", "line 2: has not 11 fields"),
    "ends": ("\t57.9\t64.1", "\t67.9\t64.1", "line 3: ci_low is above ci_high"),
    "a column": ("\tconvention\t", "\tconvension\t", "has no column `convention`"),
    "one field too many": ("\t50\n", "\t50\t1\n", "line 2: has not 11 fields"),
    "no text": ("tiny", "t\udc80ny", "is no table"),
    "empty": ("", "", "is no table"),
}


@pytest.mark.parametrize("case", TSV)
def test_tables_of_results(tmp_path: Path, case: str) -> None:
    old, new, told = TSV[case]
    small_report.tables_of(tmp_path, small_report.SCORES, [])
    path = tmp_path / "eval.tsv"
    text = path.read_text()
    assert table_file.read(path, tables.COLUMNS)["value"].tolist()[1] == "61.2"
    changed = text.replace(old, new, 1) if old else ""
    assert changed != text
    path.write_bytes(changed.encode(errors="surrogateescape"))
    with pytest.raises(ValueError) as caught:
        table_file.read(path, tables.COLUMNS)
    line = str(caught.value)
    assert line.startswith(f"{path}: {told}") and "\n" not in line and "delete it" in line


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"tokens": [[1, 2, 3]]}, "row group 0: has rows of other than 4 tokens"),
        ({"tokens": [[1, 2, 3, 22]]}, "or ids beyond 21"),
        ({"borders": [[0, 4]]}, "row group 0"),
        ({"held_out": [True]}, "has no training rows"),
        ({"tokens": [], "borders": [], "held_out": [], "corpus": []}, "has no training rows"),
    ],
    ids=["short", "id", "border", "held out", "none"],
)
def test_packed_rows_that_contradict_their_metadata(
    tmp_path: Path, wrong: dict[str, Any], told: str
) -> None:
    facts = {"context": "4", "vocabulary": "22", "units": "20"}
    schema = packed_table.SCHEMA.with_metadata(facts)
    columns = {"tokens": [[1, 2, 3, 4]], "borders": [[0]], "held_out": [False], "corpus": [None]}
    table = pa.table({**columns, **wrong}, schema=packed_table.SCHEMA)
    files.write_table(table, tmp_path / "p.parquet", schema)
    with pytest.raises(ValueError, match=rf"p\.parquet: .*{told}"):
        rows.read(tmp_path / "p.parquet")
    files.write_table(table, tmp_path / "p.parquet", packed_table.SCHEMA)
    with pytest.raises(ValueError, match=r"p\.parquet: its metadata lack the number `context`"):
        rows.read(tmp_path / "p.parquet")


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"a: [1", "cannot be read"), (b"a\xff: 1", "cannot be read"), (b"- a", "holds no keys")],
)
def test_the_config_of_the_last_run(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "run_config.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"run_config\.yaml: {told}.*the next run writes it anew"):
        run_config.read(path)


def test_a_recording_is_not_left_out_because_too_many_files_are_open(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    path = tmp_path / "own" / "a.flac"
    path.write_bytes(speech_tables.table(1)["audio"][0].as_py()["bytes"])
    config = {"folder": "own", "shards": 1, "minimum": 0.0, "maximum": None, "segments": "vad"}
    sources = listing.list_files(config, tmp_path, None)
    assert len(recordings.cut(config, sources, 0, tmp_path, "cut_audio x")[0]) == 1
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match=r"Too many open files: '.*a\.flac'"):
            recordings.cut(config, sources, 0, tmp_path, "cut_audio x")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_recording_of_a_download_that_is_no_longer_what_was_fetched(tmp_path: Path) -> None:
    name = "downloads/spoken/a.flac"
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_bytes(speech_tables.table(1)["audio"][0].as_py()["bytes"])
    path, digest = tmp_path / name, files.sha256(tmp_path / name)
    fetched = {"path": [name], "bytes": [path.stat().st_size], "sha256": [digest]}
    manifest = pa.table(fetched, schema=downloads_table.SCHEMA)
    config = {"folder": "downloads/spoken", "shards": 1, "minimum": 0.0, "maximum": None}
    listed = listing.list_files(config, tmp_path, manifest)
    config["segments"] = "vad"
    assert len(recordings.cut(config, listed, 0, tmp_path, "cut_audio x")[0]) == 1
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    for changed in (content, content[:-3]):
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"a\.flac: damaged \(its SHA-256 is not that of the"):
            recordings.cut(config, listed, 0, tmp_path, "cut_audio x")
