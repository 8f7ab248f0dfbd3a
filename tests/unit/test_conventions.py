"""Pairs, conventions and averages on small tables whose results are known by hand."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from slamflow import files
from slamflow.benchmarks import averages, conventions, pairs_table
from slamflow.tables import scores as scores_table

Member = tuple[str, int, str, str, float, int]  # item, rendition, role, group, nll, tokens


def scores_file(
    path: Path, members: list[Member], seed: int | None = 0, voices: dict[int, str] | None = None
) -> Path:
    """A scores table whose rows are shuffled; `voices` of renditions, else all have one."""
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(members))
        members = [members[index] for index in order]
    rows = [
        {
            "id": f"{item}-{role}-r{rendition}-{place}",
            "item": item,
            "role": role,
            "group": group,
            "speaker": (voices or {}).get(rendition, "en-us"),
            "rendition": rendition,
            "start": "bos",
            "nll": nll,
            "tokens": tokens,
            "first_nll": 1.0,
            "end_nll": 1.0,
        }
        for place, (item, rendition, role, group, nll, tokens) in enumerate(members)
    ]
    table = pa.Table.from_pylist(rows, schema=scores_table.SCHEMA)
    files.write_table(table, path, scores_table.SCHEMA)
    return path


def pair(
    item: str, good: tuple[float, int], bad: tuple[float, int], rendition: int = 0, group: str = ""
) -> list[Member]:
    return [
        (item, rendition, "positive", group, *good),
        (item, rendition, "negative", group, *bad),
    ]


RIGHT, WRONG = ((5.0, 10), (6.0, 10)), ((6.0, 10), (5.0, 10))


def only(results: list[averages.Result], group: str = "all") -> averages.Result:
    (found,) = [result for result in results if result.group == group]
    return found


def test_mean_and_sum_differ_where_lengths_do(tmp_path: Path) -> None:
    # the longer positive is likelier a token, the shorter negative in all
    path = scores_file(tmp_path / "s", pair("i", (10.0, 10), (9.0, 5)))
    pairs = pairs_table.read(path)
    assert only(conventions.summarise(pairs, "slamkit-mean")).value == 1.0
    assert only(conventions.summarise(pairs, "slamkit-sum")).value == 0.0


def test_ties_count_a_half_in_spite_of_rounding(tmp_path: Path) -> None:
    term = float(np.log(502))
    members = [
        member
        for place, (good, bad) in enumerate([(7, 9), (11, 13), (3, 30)])
        for member in pair(f"i{place}", (good * term, good), (bad * term, bad))
    ]
    members += pair("order", (0.1 + 0.2 + 0.3, 3), (0.3 + 0.2 + 0.1, 3))
    pairs = pairs_table.read(scores_file(tmp_path / "s", members))
    result = only(conventions.summarise(pairs, "slamkit-mean"))
    assert (result.value, result.low, result.high) == (0.5, 0.5, 0.5)


def test_fewer_units_win_with_sums_of_equal_terms(tmp_path: Path) -> None:
    members = pair("short", (2.0, 2), (3.0, 3)) + pair("long", (4.0, 4), (3.0, 3))
    pairs = pairs_table.read(scores_file(tmp_path / "s", members))
    assert conventions.outcomes(pairs, "slamkit-sum")["outcome"].tolist() == [0.0, 1.0]


def test_files_or_items_are_averaged(tmp_path: Path) -> None:
    # item a: three renditions, all right; item b: one rendition, wrong
    members = [member for r in range(3) for member in pair("a", *RIGHT, rendition=r)]
    members += pair("b", *WRONG)
    pairs = pairs_table.read(scores_file(tmp_path / "s", members))
    slamkit = only(conventions.summarise(pairs, "slamkit-mean"))
    zerospeech = only(conventions.summarise(pairs, "zerospeech-mean"))
    assert (slamkit.value, slamkit.items) == (0.75, 2)
    assert (zerospeech.value, zerospeech.items) == (0.5, 2)


def test_zerospeech_counts_each_voice_of_an_item_once(tmp_path: Path) -> None:
    """Wrong twice in one voice, right once in another: half of this item."""
    members = [*pair("a", *WRONG, 0), *pair("a", *WRONG, 1), *pair("a", *RIGHT, 2)]
    voices = {0: "low", 1: "low", 2: "high"}
    path = scores_file(tmp_path / "s.parquet", members, voices=voices)
    pairs = pairs_table.read(path)
    assert only(conventions.summarise(pairs, "zerospeech-mean")).value == 0.5
    assert only(conventions.summarise(pairs, "slamkit-mean")).value == pytest.approx(1 / 3)


def test_macro_average_and_groups(tmp_path: Path) -> None:
    members = [member for i in range(9) for member in pair(f"a{i}", *RIGHT, group="x")]
    members += pair("b", *WRONG, group="y")
    pairs = pairs_table.read(scores_file(tmp_path / "s", members))
    macro = conventions.summarise(pairs, "slamkit-mean", "macro")
    assert [(each.group, each.metric, each.value, each.items) for each in macro] == [
        ("all", "macro_accuracy", 0.5, 10),
        ("x", "accuracy", 1.0, 9),
        ("y", "accuracy", 0.0, 1),
    ]
    assert only(conventions.summarise(pairs, "slamkit-mean", "micro")).value == 0.9


def test_one_group_has_no_rows_of_its_own(tmp_path: Path) -> None:
    path = scores_file(tmp_path / "s", pair("a", *RIGHT, group="x"))
    assert len(conventions.summarise(pairs_table.read(path), "slamkit-mean")) == 1


def test_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    members = [
        member
        for i in range(40)
        for r in range(2)
        for member in pair(
            f"i{i}",
            (generator.random(), 9),
            (generator.random(), 11),
            rendition=r,
            group=f"g{i % 3}",
        )
    ]
    read = [pairs_table.read(scores_file(tmp_path / f"{seed}", members, seed)) for seed in range(3)]
    for convention in conventions.CONVENTIONS:
        first, *others = [conventions.summarise(pairs, convention, "macro") for pairs in read]
        assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (pair("a", *RIGHT) + pair("b", *RIGHT)[:1], "item `b`, rendition 0 has no negative member"),
        (pair("b", *RIGHT)[1:], "item `b`, rendition 0 has no positive member"),
        (
            pair("a", *RIGHT)[:1] + pair("a", *RIGHT, rendition=1)[1:],
            "item `a`, rendition 0 has no negative member",
        ),
        (pair("a", *RIGHT) * 2, "item `a`, rendition 0 has two (positive|negative) members"),
        ([("a", 0, "document", "", 1.0, 2)], "has the role 'document'"),
        (
            pair("a", *RIGHT, group="x") + pair("a", *RIGHT, rendition=1, group="y"),
            "item `a` lies in more than one group",
        ),
        ([], "has no utterances scored with start `bos`"),
    ],
)
def test_bad_pairs_name_item_and_file(tmp_path: Path, members: list[Member], message: str) -> None:
    path = scores_file(tmp_path / "bad.parquet", members)
    with pytest.raises(ValueError, match=r"bad\.parquet: .*" + message):
        pairs_table.read(path)


@pytest.mark.parametrize("name", ["topic-{:04d}{}", "topic-{:06d}"])
def test_couples_move_together(tmp_path: Path, name: str) -> None:
    members = []
    for place in range(60):
        couple, letter = place // 2, "ab"[place % 2]
        item = name.format(couple, letter) if "}{" in name else name.format(place)
        members += pair(item, *(RIGHT if couple % 3 else WRONG))
    path = scores_file(tmp_path / "s", members)
    alone = only(conventions.summarise(pairs_table.read(path), "slamkit-mean"))
    pairs = pairs_table.read(path, "couple")
    together = only(conventions.summarise(pairs, "slamkit-mean"))
    assert pairs.groupby("cluster").size().tolist() == [2] * 30
    assert together.items == alone.items == 60
    assert together.value == alone.value
    assert together.high - together.low > 1.2 * (alone.high - alone.low)


def test_couple_without_a_number_is_an_error(tmp_path: Path) -> None:
    path = scores_file(tmp_path / "s", pair("word", *RIGHT))
    with pytest.raises(ValueError, match="item `word` does not end in a number"):
        pairs_table.read(path, "couple")


def test_paired_difference_is_narrower_than_either(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    base, better = [], []
    for i in range(200):
        right = generator.random() < 0.55
        base += pair(f"i{i}", *(RIGHT if right else WRONG))
        better += pair(f"i{i}", *(RIGHT if right or generator.random() < 0.1 else WRONG))
    a = pairs_table.read(scores_file(tmp_path / "a", better))
    b = pairs_table.read(scores_file(tmp_path / "b", base))
    result = conventions.paired_difference(a, b, "slamkit-mean")
    values = [only(conventions.summarise(pairs, "slamkit-mean")).value for pairs in (a, b)]
    assert result.value == pytest.approx(values[0] - values[1])
    assert 0 < result.low < result.value < result.high < 0.1
    same = conventions.paired_difference(a, a, "slamkit-mean")
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_difference_of_other_items_is_an_error(tmp_path: Path) -> None:
    a = pairs_table.read(scores_file(tmp_path / "a", pair("a", *RIGHT)))
    b = pairs_table.read(scores_file(tmp_path / "b", pair("b", *RIGHT)))
    with pytest.raises(ValueError, match="not scored on the same items"):
        conventions.paired_difference(a, b, "slamkit-mean")
