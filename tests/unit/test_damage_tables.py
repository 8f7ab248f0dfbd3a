"""No damage of a table is read as data, wherever in the file it is; nor values that are none."""

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slamflow import files

NAMES = ("alignments", "continuations", "downloads", "judgements", "packed", "preferences")
NAMES += ("references", "rejected", "scores", "sources", "speech", "text", "training")
NAMES += ("transcripts", "units", "voices")
NONE = 3  # the row that has no values
REPAIR = "delete it and run snakemake again"


def schema_of(name: str) -> pa.Schema:
    module = importlib.import_module(f"slamflow.tables.{name}")
    made = module.schema(("loss",)) if name == "training" else module.SCHEMA
    return made.with_metadata({"context": "1024", "agreement": "0.999900"})


def value(kind: pa.DataType, row: int) -> Any:
    """A value of a type, another one in each row; one row has none."""
    if row == NONE:
        return None
    if pa.types.is_list(kind):
        places = range(row + NONE + 1, row + NONE + 5)
        return [value(kind.value_type, place) for place in places]
    if pa.types.is_struct(kind):
        return {field.name: value(field.type, row + place) for place, field in enumerate(kind)}
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return f"text {row}".encode() if pa.types.is_binary(kind) else f"text {row}"
    if pa.types.is_boolean(kind):
        return row % 3 == 0
    return row + 0.25 if pa.types.is_floating(kind) else row


def write(path: Path, schema: pa.Schema) -> bytes:
    rows = [{field.name: value(field.type, row) for field in schema} for row in range(12)]
    files.write_table(pa.Table.from_pylist(rows, schema=schema), path, schema)
    return path.read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_byte_anywhere_is_named_or_changes_nothing(tmp_path: Path, name: str) -> None:
    """In page headers and the footer, too, which checksums of pages do not cover."""
    path, schema = tmp_path / "table.parquet", schema_of(name)
    content = write(path, schema)
    good = files.read_table(path, schema)
    assert good.schema.metadata == schema.metadata
    found, tried = 0, range(0, len(content), 5)
    for place, position in enumerate(tried):
        damaged = bytearray(content)
        damaged[position] ^= (0x10, 0x01, 0xFF)[place % 3]
        path.write_bytes(damaged)
        try:
            read = files.read_table(path, schema)
        except ValueError as error:
            assert str(error).startswith(f"{path}: ") and str(error).endswith(
                f"{REPAIR} to make it anew"
            )
            found += 1
        else:
            assert read.equals(good), position
            assert schema.metadata.items() <= read.schema.metadata.items(), position
    assert found > 0.9 * len(tried)


@pytest.mark.parametrize(("table", "name"), [("units", "units"), ("speech", "words")])
def test_lists_that_lack_entries_are_noticed(tmp_path: Path, table: str, name: str) -> None:
    """Of the last row: a page header may say that it has fewer, and checksums do not cover it."""
    path, schema = tmp_path / "table.parquet", schema_of(table)
    content, good = write(path, schema), files.read_table(path, schema, [name])
    group = pq.ParquetFile(path).metadata.row_group(0)
    lacking = 0
    for column in map(group.column, range(group.num_columns)):
        if not column.path_in_schema.startswith(f"{name}.list."):
            continue
        for position in range(column.data_page_offset, column.data_page_offset + 12):
            for bit in (1, 2, 4, 8, 16):
                damaged = bytearray(content)
                damaged[position] ^= bit
                path.write_bytes(damaged)
                try:
                    assert files.read_table(path, schema, [name]).equals(good)
                except ValueError as error:
                    lacking += f"column `{name}` lacks entries" in str(error)
    assert lacking


@pytest.mark.parametrize("cut", [0, 3, 11, 200, -1, -8, -60])
def test_a_file_cut_off_is_no_table(tmp_path: Path, cut: int) -> None:
    path, schema = tmp_path / "table.parquet", schema_of("units")
    content = write(path, schema)
    path.write_bytes(content[:cut])
    with pytest.raises(ValueError, match=rf"table\.parquet: not a readable Parquet.*{REPAIR}"):
        files.read_table(path, schema)


def test_what_is_no_file_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "table.parquet").mkdir()
    with pytest.raises(ValueError, match=r"table\.parquet: not a readable Parquet.*directory"):
        files.read_table(tmp_path / "table.parquet", schema_of("units"))


def test_tables_of_older_versions_have_no_digest_and_are_read(tmp_path: Path) -> None:
    path, schema = tmp_path / "table.parquet", schema_of("units")
    write(path, schema)
    good = files.read_table(path, schema)
    pq.write_table(good, path, write_page_checksum=True)
    assert files.read_table(path, schema).equals(good)


def write_unchecked(table: pa.Table, path: Path, schema: pa.Schema) -> None:
    pq.write_table(table, path, write_page_checksum=True)


WORDS = [{"label": "a", "start": 0.5, "end": 0.25}]
VALUES: dict[str, tuple[str, dict[str, Any], str]] = {
    "not a number": ("references", {"chosen": math.nan}, "chosen is no finite number"),
    "infinite": ("scores", {"nll": math.inf}, "nll is no finite number"),
    "negative time": ("speech", {"duration": -0.5}, "duration is negative"),
    "backwards": ("speech", {"start": 3.0, "end": 2.0}, "end is before start"),
    "word backwards": ("speech", {"words": WORDS}, "end is before start"),
    "time of a word": (
        "alignments",
        {"words": [{**WORDS[0], "end": math.nan}]},
        "end is no finite number",
    ),
    "held-out loss": (
        "training",
        {"validation": [{"name": "a", "loss": math.nan}]},
        "loss is no finite number",
    ),
}


@pytest.mark.parametrize("writer", [files.write_table, write_unchecked])
@pytest.mark.parametrize("case", VALUES)
def test_values_that_are_none_are_neither_written_nor_read(
    tmp_path: Path, case: str, writer: Callable[..., None]
) -> None:
    name, wrong, fault = VALUES[case]
    path, schema = tmp_path / "table.parquet", schema_of(name)
    write(path, schema)
    rows = files.read_table(path, schema).to_pylist()
    rows[7].update(wrong)
    named = "row 7 (text 7)" if "id" in schema.names else "row 7"
    with pytest.raises(ValueError) as caught:
        writer(pa.Table.from_pylist(rows, schema=schema), path, schema)
        files.read_table(path, schema)
    told = "cannot be written, " if writer is files.write_table else ""
    end = "" if told else f"; {REPAIR} to make it anew"
    assert str(caught.value) == f"{path}: {told}{named}: {fault}{end}"
