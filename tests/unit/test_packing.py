"""Packing: nothing is lost, rows are full, held-out items stay apart."""

import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pytest
import training_job

from slamflow import files
from slamflow.lm import packing, rows
from slamflow.tables import packed as packed_table
from slamflow.tables import units as units_table

CLUSTERS = training_job.CLUSTERS


def pack(folder: Path, documents: list[list[int]], **config: float | str) -> tuple[pa.Table, dict]:
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


def corpus(folder: Path, name: str, parts: list[list[list[int]]], items: str = "") -> list[Path]:
    """The units tables of a corpus, a shard a part; ids count on from shard to shard."""
    paths, first = [], 0
    for shard, documents in enumerate(parts):
        path = folder / name / f"{shard:04}.parquet"
        names = [f"{items or name}-{first + i}" for i in range(len(documents))]
        table = training_job.units_of(documents)
        for column in ("id", "item"):
            index = table.schema.get_field_index(column)
            table = table.set_column(index, column, pa.array(names))
        files.write_table(table, path, units_table.SCHEMA)
        paths.append(path)
        first += len(documents)
    return paths


def drawn(count: int, longest: int, seed: int) -> list[list[int]]:
    """Documents of which no two are alike."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, longest, count)
    return [[i % 20, i // 20 % 20, i // 400, *rng.integers(20, size=n).tolist()]
            for i, n in enumerate(lengths)]  # fmt: skip


@pytest.mark.parametrize("cut", ["longer", "all"])
@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_packed(tmp_path: Path, cut: str, seed: int) -> None:
    """Every token once or as often as its corpus says; borders, corpora and fill are right."""
    rng = np.random.default_rng(seed)
    context = int(rng.integers(16, 200))
    contents = {name: drawn(int(rng.integers(1, 90)), 150, seed) for name in ("b", "a", "c")}
    contents["c"].append([])  # nothing was heard
    epochs = {"a": 1, "b": 2, "c": 3}
    paths = [p for name, docs in contents.items() for p in corpus(tmp_path, name, [docs])]
    config = {"context": context, "held_out": 0.1, "seed": seed, "cut": cut}
    config["shares"] = {name: {"epochs": times} for name, times in epochs.items()}
    output = tmp_path / "packed.parquet"
    line = packing.pack(config, paths, CLUSTERS + 2, output)
    table = files.read_table(output, packed_table.SCHEMA)
    metadata = {key.decode(): float(value) for key, value in table.schema.metadata.items()}
    assert metadata["units"] == CLUSTERS and metadata["documents"] == sum(
        len([d for d in docs if d]) for docs in contents.values()
    )
    whole = {
        name: [(1, *(unit + 2 for unit in document), 1) for document in documents if document]
        for name, documents in contents.items()
    }
    held_out, tokens = {}, Counter()
    for mask in (True, False):
        part = table.filter(pa.compute.equal(table["held_out"], mask))
        names = part["corpus"].to_pylist()
        assert (None in names) != mask or not names
        for name, documents in whole.items():
            rows_of = part.filter(pa.array([n == name for n in names])) if mask else part
            found = Counter(token for piece in pieces(rows_of) for token in piece)
            if mask:
                starts = [p for p in pieces(rows_of) if p[0] == 1 and len(p) > 1]
                held_out[name] = {d for d in documents if any(d[: len(s)] == s for s in starts)}
                assert found == Counter(token for d in held_out[name] for token in d)
                count = max(1, round(0.1 * len(documents))) if len(documents) > 1 else 0
                assert len(held_out[name]) == count
            else:
                kept = [d for d in documents if d not in held_out[name]]
                expected = Counter(token for document in kept for token in document)
                for token, number in expected.items():
                    tokens[token] += number * epochs[name]
                assert metadata[f"tokens {name}"] == epochs[name] * sum(map(len, kept))
        if not mask:
            assert found == tokens
    if cut == "longer":
        got = Counter(pieces(table.filter(pa.compute.invert(table["held_out"]))))
        for name, documents in whole.items():
            for document in set(documents) - held_out[name]:
                for i in range(0, len(document), context):
                    got[document[i : i + context]] -= epochs[name]
        assert not any(got.values())
    else:
        training = table.filter(pa.compute.invert(table["held_out"]))
        empty = sum(0 in row.as_py() for row in training["tokens"])
        assert empty <= 1  # the last of all rows
    for row, borders in zip(table["tokens"].to_pylist(), table["borders"].to_pylist(), strict=True):
        used = [token for token in row if token]
        assert row == used + [0] * (context - len(used))  # padding is at the end
        assert borders[0] == 0 and borders == sorted(set(borders)) and borders[-1] < len(used)
        assert {i for i in range(1, len(used)) if used[i - 1] == used[i] == 1} <= set(borders)
    real = sum(token != 0 for row in table["tokens"].to_pylist() for token in row)
    assert metadata["fill"] == pytest.approx(real / (context * table.num_rows))
    assert f"{metadata['fill']:.1%} full" in line


def test_listing_and_shards_change_nothing(tmp_path: Path) -> None:
    contents = {"one": drawn(60, 90, 1), "two": drawn(40, 60, 2)}
    config = {"context": 64, "held_out": 0.1, "seed": 3}
    config["shares"] = {"two": {"epochs": 1.5}}
    made = []
    for number, cuts in enumerate(([], [20, 30], [20, 30])):
        folder = tmp_path / str(number)
        paths = []
        for name, documents in contents.items():
            bounds = [0, *cuts, len(documents)]
            parts = [documents[a:b] for a, b in pairwise(bounds)]
            paths += corpus(folder, name, parts)
        listed = paths[::-1] if number == 2 else paths
        packing.pack(config, listed, CLUSTERS + 2, folder / "packed.parquet")
        made.append((folder / "packed.parquet").read_bytes())
    assert made[0] == made[1] == made[2]


def test_a_corpus_added_does_not_change_what_is_drawn_of_another(tmp_path: Path) -> None:
    config = {"context": 400, "seed": 3, "shares": {"two": {"epochs": 0.5}}}
    paths = {
        name: corpus(tmp_path, name, [drawn(40, 60, n)]) for n, name in ((1, "one"), (2, "two"))
    }
    used = []
    for names in (["two"], ["one", "two"]):
        packing.pack(config, [p for n in names for p in paths[n]], CLUSTERS + 2, tmp_path / "out")
        used.append(set(pieces(files.read_table(tmp_path / "out", packed_table.SCHEMA))))
    others = {(1, *(u + 2 for u in document), 1) for document in drawn(40, 60, 1)}
    assert used[0] and used[1] - others == used[0] - others


def test_rows_of_a_slam_like_mixture_are_full() -> None:
    """As many speech pieces of 15 to 30 s as stories of 50 s and sentences as in LibriSpeech."""
    rng = np.random.default_rng(0)
    seconds = [
        rng.uniform(15, 30, 20_000),
        rng.normal(50, 12, 20_000).clip(10, 110),
        np.where(
            rng.random(20_000) < 0.75,
            rng.normal(14.3, 1.8, 20_000).clip(8, 35),
            rng.gamma(3, 2.6, 20_000).clip(1.3, 17),
        ),
    ]
    lengths = (np.concatenate(seconds) * 19.5).astype(int) + 2
    whole, rest = int((lengths // 1024).sum()), lengths % 1024
    bins = packing.best_fit(rest[rest > 0], 1024)
    assert lengths.sum() / 1024 / (whole + len(bins)) > 0.99


def test_a_million_documents_are_packed_in_seconds() -> None:
    lengths = (np.random.default_rng(0).uniform(15, 30, 1_000_000) * 19.5).astype(int) + 2
    begin = time.process_time()
    bins = packing.best_fit(lengths, 1024)
    assert time.process_time() - begin < 10
    assert sum(map(len, bins)) == len(lengths)


def test_unknown_cut(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="packing: cut is 'none' and must be one of longer, all"):
        pack(tmp_path, [[1, 2]], cut="none")


def test_errors_name_file_and_row(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"units\.parquet: row 1 \(d1\) has unit 20, but .* 20;"):
        pack(tmp_path, [[1, 2], [3, CLUSTERS]])
    with pytest.raises(ValueError, match="hold no units"):
        pack(tmp_path, [[], []])
