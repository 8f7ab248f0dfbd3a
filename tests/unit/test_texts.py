"""Documents of text files, plain and zipped."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from text_files import read, reasons, write

from slamflow import files
from slamflow.corpora.listing import text as listing
from slamflow.corpora.texts import inputs, outputs, text
from slamflow.tables import downloads as downloads_table
from slamflow.tables import rejected as rejected_table
from slamflow.tables import sources as sources_table
from slamflow.tables import text as text_table
from slamflow.tables.gathered import Gathered

ROOT = Path(__file__).resolve().parents[2]


def config(form: str = "lines", **keys: Any) -> dict[str, Any]:
    return {
        "kind": "text", "folder": ".", "file": "text.txt", "format": form, "count": None,
        "minimum_words": 2, "maximum_words": 6,
    } | keys  # fmt: skip


def texts(table: pa.Table) -> dict[str, str]:
    return dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("paragraphs", "A  dog\nran.\n\n \nNo\n\nIt sat.\n\nA dog ran.\n\n\n"
                       "a b c d e f g\n\nThe end"),
        ("endoftext", "A dog\n\nran.\n<|endoftext|>\nNo<|endoftext|>It sat.\n<|endoftext|>\n"
                      "A dog ran.<|endoftext|>a b c d e f g\n<|endoftext|>\nThe end\n"),
        ("lines", "\ufeffA dog ran.\nNo\n\nIt sat.\r\nA dog ran.\na b c d e f g\nThe end"),
    ],
)  # fmt: skip
def test_documents_of_each_format(tmp_path: Path, form: str, content: str) -> None:
    write(tmp_path / "text.txt", content)
    found, rejected = read(text, tmp_path, config(form))
    wanted = {"text-000000": "A dog ran.", "text-000002": "It sat.", "text-000005": "The end"}
    assert texts(found) == wanted
    assert all(row["role"] == "document" and row["item"] == row["id"] for row in found.to_pylist())
    assert reasons(rejected) == {
        "text-000001": "too short (1 word)",
        "text-000003": "duplicate text",
        "text-000004": "too long (7 words)",
    }
    longer = config(form, count=2, maximum_words=7, minimum_words=3)
    found, rejected = read(text, tmp_path, longer)
    assert found["id"].to_pylist() == ["text-000000", "text-000004"]
    assert rejected.num_rows == 3  # what comes after the last that counts is not looked at


def test_a_flaw_rejects_its_document_and_no_other(tmp_path: Path) -> None:
    documents = [
        b"a good one", b"caf\xe9 noir", b"nul \0 here", b"\xf0\x9f\x98\x80 \xf0\x9f\x98\x80",
        b"smile \xf0\x9f\x98\x80 now", b"* * *", b"cut \xf0\x9f", b"word " * 10_000, b"last one",
    ]  # fmt: skip
    write(tmp_path / "text.txt", b"\n\n".join(documents))
    found, rejected = read(text, tmp_path, config("paragraphs"))
    assert list(texts(found).values()) == ["a good one", "smile \U0001f600 now", "last one"]
    assert list(reasons(rejected).values()) == [
        "broken UTF-8", "control characters", "no text", "no text", "broken UTF-8",
        "too long (10000 words)",
    ]  # fmt: skip
    assert set(rejected["source"].to_pylist()) == {"text.txt"}


def test_several_files_are_read_in_order_and_their_ids_differ(tmp_path: Path) -> None:
    for name in ("b/one.txt", "a/two.txt", "a/one.txt", "c/three.csv"):
        write(tmp_path / "set" / name, f"the text of {name}\n")
    found, _ = read(text, tmp_path, config(folder="set", file="*/*.txt"))
    assert list(texts(found)) == ["a/one-000000", "a/two-000000", "b/one-000000"]
    found, _ = read(text, tmp_path, config(folder="set", file="a/*"))
    assert list(texts(found)) == ["one-000000", "two-000000"]


def test_listing_takes_digests_from_the_download(tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt", "left-over.txt"):
        write(tmp_path / "downloads/set" / name, f"the text of {name}\n")
    source = config(folder="downloads/set", file="*.txt")
    manifest = pa.Table.from_pylist(
        [
            {"path": f"downloads/set/{name}.txt", "bytes": 20, "sha256": name}
            for name in ("two", "one")
        ],
        downloads_table.SCHEMA,
    )
    listed = listing.list_files(source, tmp_path, manifest).to_pylist()
    assert [(row["path"][-7:], row["sha256"]) for row in listed] == [
        ("one.txt", "one"), ("two.txt", "two"),
    ]  # fmt: skip
    alone = listing.list_files(source, tmp_path, None).to_pylist()
    digest = hashlib.sha256(b"the text of left-over.txt\n").hexdigest()
    assert len(alone) == 3 and alone[0]["sha256"] == digest
    assert all(row["shard"] == 0 and row["duration"] is None for row in alone)


def test_files_that_are_missing_or_changed_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"text\.txt: no such file.*`source\.file`"):
        listing.list_files(config(), tmp_path, None)
    with pytest.raises(ValueError, match="set `data_root`"):
        listing.list_files(config(), tmp_path / "absent", None)
    path = write(tmp_path / "text.txt", "a dog\n")
    listed = listing.list_files(config(), tmp_path, None)
    path.write_text("a cat\n")
    left_out = Gathered(rejected_table.SCHEMA)
    with pytest.raises(ValueError, match=r"text\.txt: has changed.*version"):
        list(text.read(config(), listed, tmp_path, left_out))
    path.unlink()
    with pytest.raises(ValueError, match=r"text\.txt: no such file"):
        list(text.read(config(), listed, tmp_path, left_out))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b" \n\n\t\n", "it is empty"),
        (b"dog\n", r"all 1 are left out, first text-000000: too short \(1 word\)"),
        (b"x" * (inputs.LONGEST + 1), "is it text"),
        (b"x y\n" * (inputs.LONGEST // 4 + 1), "mend `source.format`"),
    ],
    ids=["empty", "blank", "short", "line", "document"],
)
def test_files_without_documents_are_errors(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path / "text.txt", content)
    with pytest.raises(ValueError, match=message):
        read(text, tmp_path, config("paragraphs"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "texts.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("data/b.txt", "second of two\n" + "".join(f"line {i}\n" for i in range(999)))
        made.writestr("data/a.txt", b"first of two\ncaf\xe9 noir\n")
        made.writestr("readme.md", "not this one\n")
    return path


def test_files_in_a_zip_are_read_where_they_are(archive: Path) -> None:
    source = config(file="texts.zip", members="data/*.txt")
    found, rejected = read(text, archive.parent, source)
    assert list(texts(found))[:2] == ["a-000000", "b-000000"] and len(found) == 1001
    assert rejected["source"].to_pylist() == ["texts.zip/data/a.txt"]
    assert [path.name for path in archive.parent.iterdir()] == ["texts.zip"]


def test_bad_zips_are_one_clear_error(archive: Path) -> None:
    source = config(file="texts.zip", members="data/*.txt")
    with pytest.raises(ValueError, match=r"texts\.zip: holds no file that matches nothing"):
        read(text, archive.parent, source | {"members": "nothing*"})
    with pytest.raises(ValueError, match=r"texts\.zip: is a zip; say in `source.members`"):
        read(text, archive.parent, source | {"members": None})
    whole = archive.read_bytes()
    write(archive, whole[:60] + bytes(len(whole[60:400])) + whole[400:])
    with pytest.raises(ValueError, match=r"texts\.zip/data/.*: cannot be unpacked"):
        read(text, archive.parent, source)
    write(archive, whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"texts\.zip: is no zip"):
        read(text, archive.parent, source)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("data/a.txt", bytes(50_000_000))
    with pytest.raises(ValueError, match=r"texts\.zip: would swell to 50000000 bytes"):
        read(text, archive.parent, source)


def test_documents_are_written_while_they_are_read(tmp_path: Path) -> None:
    whole = 2 * files.ROW_GROUP
    lines = [f"number {i}" for i in range(whole + 1)]
    write(tmp_path / "text.txt", "\n".join([*lines, "x" * inputs.LONGEST]))
    left_out = Gathered(rejected_table.SCHEMA)
    items = text.read(config(), listing.list_files(config(), tmp_path, None), tmp_path, left_out)
    tables: list[pa.Table] = []
    with pytest.raises(ValueError, match="is it text"):
        outputs.write(items, tables.append)
    assert [len(table) for table in tables] == [files.ROW_GROUP] * 2
    assert pa.concat_tables(tables)["text"].to_pylist() == lines[:whole]


def test_few_large_documents_are_written_before_many_are_read() -> None:
    rows = [[("a", "a", "document", "", "x" * (outputs.LARGE // 8), None)]] * 20
    sizes: list[int] = []
    assert outputs.write(rows, lambda table: sizes.append(len(table))) == 20
    assert sizes == [9, 9, 2]


def run_script(
    root: Path, at_most: float, *options: str, **keys: Any
) -> subprocess.CompletedProcess[str]:
    """Run read_text.py, with options of Python's own."""
    source = config(**keys)
    table = listing.list_files(source, root, None)
    files.write_table(table, root / "sources.parquet", sources_table.SCHEMA)
    command = [sys.executable, *options, str(ROOT / "workflow_scripts" / "read_text.py")]
    for name in ("sources", "text", "rejected"):
        command += [f"--{name}", str(root / f"{name}.parquet")]
    machine = {"data_root": str(root), "rejected_at_most": at_most}
    command += ["--config", json.dumps(source), "--machine", json.dumps(machine)]
    command += ["--log", str(root / "logs/text.log")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_script_writes_both_tables_or_says_that_too_much_is_rejected(tmp_path: Path) -> None:
    write(tmp_path / "text.txt", b"a dog ran\ncaf\xe9 noir\nit sat\n")
    failed = run_script(tmp_path, 0.3)
    assert failed.returncode == 1 and not (tmp_path / "text.parquet").exists()
    assert "1 of 3 inputs are rejected, first text.txt: broken UTF-8" in failed.stderr
    copy = files.read_table(tmp_path / "logs/text.rejected.parquet", rejected_table.SCHEMA)
    assert reasons(copy) == {"text-000001": "broken UTF-8"}
    assert run_script(tmp_path, 0.34).returncode == 0
    assert files.read_table(tmp_path / "text.parquet", text_table.SCHEMA).num_rows == 2
    rejected = files.read_table(tmp_path / "rejected.parquet", rejected_table.SCHEMA)
    assert reasons(rejected) == {"text-000001": "broken UTF-8"}


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    measured = (  # what wait4 says of a child is at least its parent's
        "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__');"
        "print(open('/proc/self/status').read())"
    )
    peaks = []
    for count in (100, 100_000):
        with (tmp_path / "text.txt").open("w") as stream:
            stream.writelines(f"{i} {'word ' * 150}\n" for i in range(count))  # 75 MB at last
        done = run_script(tmp_path, 0.1, "-c", measured, maximum_words=None)
        peaks.append(int(done.stdout.split("VmHWM:")[1].split()[0]))  # kB
    assert peaks[1] - peaks[0] < 80_000
    assert (
        files.read_table(tmp_path / "text.parquet", text_table.SCHEMA, ["id"]).num_rows == 100_000
    )
