"""Artefacts are whole or not there, and none is believed without its schema."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slamflow import files

SCHEMA = pa.schema([("id", pa.string()), ("units", pa.list_(pa.uint16())), ("count", pa.int64())])


def table(rows: int = 3) -> pa.Table:
    return pa.table(
        {
            "id": [f"row-{i}" for i in range(rows)],
            "units": [list(range(i % 7)) for i in range(rows)],
            "count": list(range(rows)),
        },
        schema=SCHEMA,
    )


def test_replacing_renames_on_success_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with files.replacing(path) as temporary:
        temporary.write_text("one")
        assert not path.exists() and temporary.parent == path.parent
    with pytest.raises(ZeroDivisionError), files.replacing(path) as temporary:
        temporary.write_text("two")
        raise ZeroDivisionError
    assert path.read_text() == "one"
    with files.replacing(path) as temporary:
        temporary.write_text("three")
    assert path.read_text() == "three"
    assert list(path.parent.iterdir()) == [path]


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from slamflow import files\n"
        "with files.replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    (killed,) = set(tmp_path.iterdir()) - {path}
    living = tmp_path / killed.name.replace(killed.name.split(".")[-2], str(os.getppid()))
    elsewhere, forgotten = tmp_path / ".file.other.1.tmp", tmp_path / ".file.other.2.tmp"
    for temporary in (living, elsewhere, forgotten):
        temporary.touch()
    os.utime(forgotten, (0, 0))
    with files.replacing(path) as temporary:
        temporary.write_text("new")
    assert set(tmp_path.iterdir()) == {path, living, elsewhere}


def test_hosts_of_one_domain_keep_each_other_s_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, uname = tmp_path / "file", list(os.uname())
    written = []
    for host in ("a.cluster.example", "b.cluster.example", "example"):
        uname[1] = host
        monkeypatch.setattr(os, "uname", lambda: os.uname_result(uname))
        with files.replacing(path) as temporary:
            temporary.touch()
            written.append(temporary.with_name(temporary.name.replace(f"{os.getpid()}", "9999999")))
        written[-1].touch()
    assert set(tmp_path.iterdir()) == {path, *written}
    with files.replacing(path) as temporary:
        temporary.touch()
    assert set(tmp_path.iterdir()) == {path, *written[:2]}


@pytest.mark.parametrize("rows", [0, 3, 10_000])
def test_tables_come_back_as_they_were(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "table.parquet"
    files.write_table(table(rows), path, SCHEMA)
    assert files.read_table(path, SCHEMA).equals(table(rows))
    assert files.read_table(path, SCHEMA, ["count", "id"]).column_names == ["count", "id"]


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        files.write_table(table(), tmp_path / name, SCHEMA)
    assert files.sha256(tmp_path / "a") == files.sha256(tmp_path / "b")


def test_columns_are_put_in_order_and_widened_and_others_left_out(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    loose = pa.table({"more": ["x"], "count": [1], "units": [[1, 2]], "id": ["a"]})
    files.write_table(loose, path, SCHEMA)
    assert files.read_table(path, SCHEMA).schema.names == SCHEMA.names


def test_a_table_in_parts_gives_the_file_of_the_whole(tmp_path: Path) -> None:
    whole = table(2 * files.ROW_GROUP + 5)
    files.write_table(whole, tmp_path / "whole", SCHEMA)
    with files.writing_table(tmp_path / "parts", SCHEMA) as write:
        for first in range(0, len(whole), files.ROW_GROUP):
            write(whole.slice(first, files.ROW_GROUP))
        assert not (tmp_path / "parts").exists()
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    with pytest.raises(ZeroDivisionError), files.writing_table(tmp_path / "no", SCHEMA) as write:
        write(whole)
        raise ZeroDivisionError
    assert {path.name for path in tmp_path.iterdir()} == {"parts", "whole"}


def test_rows_are_read_in_order(tmp_path: Path) -> None:
    path, whole = tmp_path / "table.parquet", table(3 * files.ROW_GROUP + 5)
    files.write_table(whole, path, SCHEMA)
    last = 3 * files.ROW_GROUP + 1
    for chosen in ([], [3, 8, last], range(len(whole))):
        rows = np.zeros(len(whole), bool)
        rows[list(chosen)] = True
        found = files.read_table(path, SCHEMA, ["count", "id"], pa.array(rows))
        assert found.equals(whole.select(["count", "id"]).filter(pa.array(rows)))


@pytest.mark.parametrize(
    "wrong",
    [
        pa.table({"id": ["a"], "count": [1]}),
        pa.table({"id": ["a"], "units": [[70_000]], "count": [1]}),
        pa.table({"id": ["a"], "units": [[1]], "count": ["one"]}),
    ],
    ids=["no units", "too large", "no number"],
)
def test_a_table_that_does_not_fit_is_not_written(tmp_path: Path, wrong: pa.Table) -> None:
    path = tmp_path / "table.parquet"
    with pytest.raises(ValueError, match=r"table\.parquet: cannot be written"):
        files.write_table(wrong, path, SCHEMA)
    assert not list(tmp_path.iterdir())


def test_reading_names_the_file_and_the_repair(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    with pytest.raises(FileNotFoundError, match=r"table\.parquet: no such file"):
        files.read_table(path, SCHEMA)
    path.write_text("id\tunits\n")
    with pytest.raises(ValueError, match=r"table\.parquet: not a readable Parquet.*snakemake"):
        files.read_table(path, SCHEMA)
    pq.write_table(table().drop_columns(["units"]), path)
    with pytest.raises(ValueError, match=r"table\.parquet: has no column `units`"):
        files.read_table(path, SCHEMA)
    pq.write_table(table().cast(SCHEMA.set(2, pa.field("count", pa.int32()))), path)
    with pytest.raises(ValueError, match=r"column `count` is int32 and should be int64"):
        files.read_table(path, SCHEMA)
    assert files.read_table(path, SCHEMA, ["id"]).num_rows == 3


def test_no_damage_is_read_as_data(tmp_path: Path) -> None:
    """One flipped byte anywhere in the pages is found, or changes nothing."""
    path = tmp_path / "table.parquet"
    good = table(500)
    files.write_table(good, path, SCHEMA)
    content = path.read_bytes()
    pages = pq.ParquetFile(path).metadata.row_group(0)
    end = max(
        pages.column(i).data_page_offset + pages.column(i).total_compressed_size
        for i in range(pages.num_columns)
    )
    found = 0
    for position in range(4, min(end, len(content)), 29):
        damaged = bytearray(content)
        damaged[position] ^= 0x40
        path.write_bytes(damaged)
        try:
            assert files.read_table(path, SCHEMA).equals(good)
        except ValueError as error:
            assert "table.parquet" in str(error)
            found += 1
    assert found > 10
    path.write_bytes(content[:-100])
    with pytest.raises(ValueError, match=r"table\.parquet"):
        files.read_table(path, SCHEMA)


def test_json_is_sorted_and_knows_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "quality.json"
    files.write_json({"b": "é", "a": [1.5]}, path)
    assert path.read_text(encoding="utf-8") == '{\n  "a": [\n    1.5\n  ],\n  "b": "é"\n}\n'
    with pytest.raises(ValueError):
        files.write_json({"a": float("nan")}, path)
    assert "é" in path.read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == [path]


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    assert files.sha256(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()
