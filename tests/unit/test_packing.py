"""Packing: nothing is lost, rows are full, held-out items stay apart."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import training_job

from slamflow import files
from slamflow.lm import packing, rows
from slamflow.tables import packed as packed_table
from slamflow.tables import units as units_table

CLUSTERS = training_job.CLUSTERS


def pack(folder: Path, documents: list[list[int]], **config: float) -> tuple[pa.Table, dict]:
    path = folder / "units.parquet"
    files.write_table(training_job.units_of(documents), path, units_table.SCHEMA)
    output = folder / "packed.parquet"
    config = {"context": 32, "held_out": 0.0, "seed": 1, **config}
    packing.pack(config, [path], CLUSTERS + 2, output)
    table = files.read_table(output, packed_table.SCHEMA)
    return table, {key.decode(): value.decode() for key, value in table.schema.metadata.items()}


def pieces(table: pa.Table) -> list[tuple[int, ...]]:
    found = []
    for tokens, borders in zip(table["tokens"], table["borders"], strict=True):
        row = tokens.as_py()
        ends = [*borders.as_py()[1:], len(row)]
        for start, end in zip(borders.as_py(), ends, strict=True):
            found.append(tuple(token for token in row[start:end] if token))
    return found


def test_every_token_is_kept_once(tmp_path: Path) -> None:
    documents = training_job.documents(60)
    table, metadata = pack(tmp_path, documents)
    expected = []
    for document in documents:
        whole = [1, *(unit + 2 for unit in document), 1]
        expected += [tuple(whole[i : i + 32]) for i in range(0, len(whole), 32)]
    assert Counter(pieces(table)) == Counter(expected)
    assert all(len(row) == 32 for row in table["tokens"])
    kept = sum(map(len, expected))
    assert float(metadata["fill"]) == pytest.approx(kept / (32 * table.num_rows))
    assert metadata["documents"] == "60"
    assert metadata["vocabulary"] == str(CLUSTERS + 2)


def test_later_pieces_have_no_start(tmp_path: Path) -> None:
    table, _ = pack(tmp_path, [list(range(20)) * 3])
    longest, middle = sorted(pieces(table), key=len, reverse=True)
    assert longest[0] == 1 and longest[1:] == tuple(u + 2 for u in (list(range(20)) * 3)[:31])
    assert middle[-1] == 1 and 1 not in middle[:-1]


def test_held_out_items_stay_apart_and_the_seed_decides(tmp_path: Path) -> None:
    documents = [[i % CLUSTERS] * (i + 1) for i in range(20)]  # told apart by their lengths
    parts = []
    for seed in (1, 1, 2):
        table, metadata = pack(tmp_path, documents, held_out=0.25, seed=seed)
        mask = table["held_out"].to_numpy(zero_copy_only=False)
        lengths = [{len(piece) for piece in pieces(table.filter(mask == part))} for part in (0, 1)]
        assert not lengths[0] & lengths[1]
        assert len(lengths[1]) == int(metadata["held_out_documents"]) == 5
        parts.append((lengths, table["tokens"].to_pylist()))
    assert parts[0] == parts[1]
    assert parts[0][0] != parts[2][0]


def test_renditions_of_one_item_are_held_out_together(tmp_path: Path) -> None:
    documents = training_job.documents(40)
    table = training_job.units_of(documents, ["a", "b"] * 20)  # two rows an item
    path = tmp_path / "units.parquet"
    files.write_table(table, path, units_table.SCHEMA)
    config = {"context": 64, "held_out": 0.1, "seed": 1}
    packing.pack(config, [path], CLUSTERS + 2, tmp_path / "packed.parquet")
    _, held_out, metadata = rows.read(tmp_path / "packed.parquet")
    assert metadata["held_out_documents"] == 4
    found = {tuple(t[t > 1] - 2) for r in range(len(held_out)) for t in split(held_out, r)}
    chosen = [i for i, document in enumerate(documents) if tuple(document) in found]
    assert len(chosen) == 4 and [i ^ 1 for i in chosen[::2]] == chosen[1::2]


def split(part: rows.Rows, row: int) -> list[np.ndarray]:
    tokens, documents = part.tokens[row], part.documents[row]
    return [tokens[documents == i] for i in range(documents.max() + 1)]


def test_best_fit_is_nearly_full_and_deterministic() -> None:
    lengths = np.random.default_rng(0).integers(1, 257, 5000).tolist()
    bins = packing.best_fit(lengths, 256)
    assert bins == packing.best_fit(lengths, 256)
    assert sorted(i for members in bins for i in members) == list(range(5000))
    assert all(sum(lengths[i] for i in members) <= 256 for members in bins)
    assert len(bins) <= 1.01 * sum(lengths) / 256 + 1
    assert packing.best_fit([3, 5, 4, 4], 8) == [[1, 0], [2, 3]]
    assert packing.best_fit([], 8) == []


def test_rows_count_what_is_predicted(tmp_path: Path) -> None:
    pack(tmp_path, [[0, 1, 2], [3, 4]], context=12)
    training, held_out, metadata = rows.read(tmp_path / "packed.parquet")
    assert len(held_out) == 0 and metadata["context"] == 12
    assert training.tokens.tolist() == [[1, 2, 3, 4, 1, 1, 5, 6, 1, 0, 0, 0]]
    assert training.targets().tolist() == [7]
    before, after = training.bigrams()
    assert list(zip(before.tolist(), after.tolist(), strict=True)) == [
        (1, 2), (2, 3), (3, 4), (4, 1), (1, 5), (5, 6), (6, 1),
    ]  # fmt: skip


def test_errors_name_file_and_row(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"units\.parquet: row 1 \(d1\) has unit 20, but .* 20;"):
        pack(tmp_path, [[1, 2], [3, CLUSTERS]])
    with pytest.raises(ValueError, match="hold no units"):
        pack(tmp_path, [[], []])
