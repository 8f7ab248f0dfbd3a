"""Large mixtures: what is held in memory of a token, and tables that are read in parts."""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slamflow import files
from slamflow.lm import documents, packing, rows
from slamflow.tables import packed as packed_table
from slamflow.tables import units as units_table

UNITS, CONTEXT = 100, 1024
PEAK = """
import json, resource, sys
from pathlib import Path
from slamflow.lm import ngram, rows

peaks = []
for folder in map(Path, sys.argv[1:]):
    training, held_out, metadata = rows.read(folder / "packed.parquet")
    training.targets(), ngram.estimate(training, int(metadata["vocabulary"]), 2)
    del training, held_out
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print(json.dumps(peaks))
"""


def units_file(path: Path, count: int, length: int, seed: int = 0) -> Path:
    """`count` documents of `length` units."""
    drawn = np.random.default_rng(seed).integers(UNITS, size=count * length)
    bounds = pa.array(np.arange(count + 1) * length, pa.int32())
    units = pa.ListArray.from_arrays(bounds, pa.array(drawn, pa.uint16()))
    names = [f"{seed}-{i}" for i in range(count)]
    table = {"id": names, "item": names, "role": [""] * count, "group": [""] * count}
    table |= {"rendition": [0] * count, "speaker": [""] * count, "duration": [0.0] * count}
    table |= {"units": units, "durations": units}
    files.write_table(pa.table(table, schema=units_table.SCHEMA), path, units_table.SCHEMA)
    return path


def packed_file(path: Path, count: int) -> None:
    """`count` rows of three documents each; one in a hundred is held out."""
    rng = np.random.default_rng(0)
    metadata = {"context": str(CONTEXT), "vocabulary": str(UNITS + 2), "fill": "1.0"}
    schema = packed_table.SCHEMA.with_metadata(metadata)
    with files.writing_table(path, schema) as append:
        for first in range(0, count, files.ROW_GROUP):
            size = min(files.ROW_GROUP, count - first)
            tokens = rng.integers(1, UNITS + 2, size * CONTEXT, dtype=np.uint32)
            borders = np.tile(np.array([0, 100, 700], np.uint32), size)
            out = np.arange(size) % 100 == 99
            columns = {
                "tokens": lists(tokens, CONTEXT),
                "borders": lists(borders, 3),
                "held_out": out,
                "corpus": [("a" if each else None) for each in out],
            }
            append(pa.table(columns, schema=schema))


def lists(values: np.ndarray, size: int) -> pa.ListArray:
    bounds = np.arange(0, len(values) + 1, size)
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), pa.array(values))


def test_rows_in_memory_take_two_bytes_a_token(tmp_path: Path) -> None:
    counts = {tmp_path / "few": 4 * files.ROW_GROUP, tmp_path / "many": 12 * files.ROW_GROUP}
    for folder, count in counts.items():
        packed_file(folder / "packed.parquet", count)
    command = [sys.executable, "-c", PEAK, *map(str, counts)]
    few, many = json.loads(subprocess.check_output(command, text=True))  # bytes, at most till then
    assert (many - few) / (8 * files.ROW_GROUP * CONTEXT) < 2.5


def test_documents_are_joined_without_a_second_copy(tmp_path: Path) -> None:
    paths = [units_file(tmp_path / f"{shard:04}.parquet", 100, 5000, shard) for shard in range(16)]
    tracemalloc.start()
    found = documents.read(paths, UNITS, UNITS + 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * found.tokens.nbytes
    assert found.tokens.dtype == np.uint16 and len(found.tokens) == 16 * 100 * 5002
    for shard in (0, 7, 15):
        tokens = found.tokens[found.offsets[100 * shard] : found.offsets[100 * (shard + 1)]]
        alone = documents.read([paths[shard]], UNITS, UNITS + 2)
        np.testing.assert_array_equal(tokens, alone.tokens)
        assert found.items[100 * shard : 100 * (shard + 1)] == alone.items


def test_a_row_group_is_read_at_a_time(tmp_path: Path) -> None:
    """Training and held-out rows are told apart, each with its own documents, in their order."""
    path = tmp_path / "packed.parquet"
    packed_file(path, files.ROW_GROUP + 250)
    table = files.read_table(path, packed_table.SCHEMA)
    training, held_out, _ = rows.read(path)
    wanted = np.array(table["tokens"].combine_chunks().flatten()).reshape(-1, CONTEXT)
    out = table["held_out"].to_numpy()
    assert len(held_out) == len(held_out.corpora) == 40 + 2
    np.testing.assert_array_equal(training.tokens, wanted[~out])
    np.testing.assert_array_equal(held_out.tokens, wanted[out])
    index = np.repeat([0, 1, 2], [100, 600, 324])
    for part in (training, held_out):
        np.testing.assert_array_equal(part.documents[np.array([0, 5])], np.tile(index, (2, 1)))
        np.testing.assert_array_equal(part.documents[len(part) - 1], index)
        assert (part.targets() == CONTEXT - 3).all()
    portions = list(training.portions())
    made = [training.bigrams(portion) for portion in portions]
    assert len(portions) > 1
    before, after = (np.concatenate(found) for found in zip(*made, strict=True))
    np.testing.assert_array_equal([before, after], training.bigrams())


def test_row_groups_of_long_rows_are_small(tmp_path: Path) -> None:
    context, count = 1 << 20, packed_table.GROUP // (1 << 20) + 2
    units = units_file(tmp_path / "all" / "0000.parquet", count, 600_000)
    packing.pack({"context": context}, [units], UNITS + 2, tmp_path / "packed.parquet")
    with pq.ParquetFile(tmp_path / "packed.parquet") as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [packed_table.GROUP // context, 2]
    training = rows.read(tmp_path / "packed.parquet")[0]
    assert training.targets().tolist() == [600_001] * count


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "packed.parquet"
    packed_file(path, 300)
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)
    with pytest.raises(ValueError, match=r"packed\.parquet: damaged \(.*; delete it and run snake"):
        rows.read(path)
