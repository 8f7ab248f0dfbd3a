"""Nothing vanishes: what is left out is counted, and too much of it fails."""

from pathlib import Path

import pyarrow as pa
import pytest

from slamflow import files, rejections
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table


def speech(*rows: tuple[str, int, str]) -> pa.Table:
    """Utterances of (item, rendition, role)."""
    named = [
        {"id": f"{item}-{role}-r{rendition}", "item": item, "rendition": rendition, "role": role}
        for item, rendition, role in rows
    ]
    return pa.Table.from_pylist(named, speech_table.SCHEMA)


def recorded(*paths: str) -> pa.Table:
    """Utterances that are cut from files."""
    rows = [{"id": f"u{i}", "audio": {"path": path}} for i, path in enumerate(paths)]
    return pa.Table.from_pylist(rows, speech_table.SCHEMA)


def rejected(*reasons: str) -> pa.Table:
    rows = [{"id": f"x{i}", "source": f"x{i}.wav", "reason": it} for i, it in enumerate(reasons)]
    return pa.Table.from_pylist(rows, rejected_table.SCHEMA)


def test_a_member_without_its_partner_is_rejected_and_all_others_stay_in_order() -> None:
    given = speech(
        ("b", 0, "positive"), ("b", 1, "negative"), ("b", 0, "negative"), ("s", 0, "document"),
        ("p", 0, "prompt"), ("p", 0, "chosen"), ("q", 0, "rejected"), ("q", 0, "prompt"),
        ("q", 0, "chosen"), ("s", 0, "document"),
    )  # fmt: skip
    kept, lost = rejections.complete(given, rejected("silent", "empty"))
    assert kept["id"].to_pylist() == [
        "b-positive-r0", "b-negative-r0", "s-document-r0", "q-rejected-r0", "q-prompt-r0",
        "q-chosen-r0", "s-document-r0",
    ]  # fmt: skip
    assert lost["id"].to_pylist() == ["x0", "x1", "b-negative-r1", "p-prompt-r0", "p-chosen-r0"]
    assert lost["reason"].to_pylist() == ["silent", "empty", *["no partner"] * 3]


def test_pieces_of_one_member_are_no_pair() -> None:
    given = speech(
        ("a", 0, "positive"), ("a", 0, "positive"), ("b", 0, "positive"), ("b", 0, "positive"),
        ("b", 0, "negative"), ("c", 0, "prompt"), ("c", 0, "prompt"), ("c", 0, "chosen"),
    )  # fmt: skip
    kept, lost = rejections.complete(given, rejected())
    assert kept["item"].to_pylist() == ["b"] * 3
    assert lost["id"].to_pylist() == [
        *["a-positive-r0"] * 2, *["c-prompt-r0"] * 2, "c-chosen-r0",
    ]  # fmt: skip


def test_a_lost_member_is_said_to_come_from_its_file() -> None:
    row = speech(("a", 0, "positive")).to_pylist()[0] | {"audio": {"path": "set/a.flac"}}
    _, lost = rejections.complete(pa.Table.from_pylist([row], speech_table.SCHEMA), rejected())
    assert lost.to_pylist() == [
        {"id": "a-positive-r0", "source": "set/a.flac", "reason": "no partner"}
    ]


def test_nothing_is_lost_where_all_are_complete_or_nothing_is_there() -> None:
    for given in (speech(), speech(("a", 0, "document")), speech(("a", 0, "positive"), ("a", 0, "negative"))):  # noqa: E501  # fmt: skip
        kept, lost = rejections.complete(given, rejected())
        assert kept.equals(given)
        assert len(lost) == 0


def test_the_share_that_may_be_rejected_is_the_last_that_passes(tmp_path: Path) -> None:
    path = tmp_path / "speech.parquet"
    rejections.check(9, rejected("silent"), 0.1, path, None)
    rejections.check(0, rejected(), 0.0, path, None)
    with pytest.raises(
        ValueError, match=r"speech\.parquet: 1 of 9 inputs are rejected, first"
    ) as it:
        rejections.check(8, rejected("silent"), 0.1, path, None)
    assert "x0.wav: silent" in str(it.value)
    assert "`rejected_at_most` above 0.1" in str(it.value)


def test_what_was_rejected_stays_beside_the_log_of_a_job_that_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    left_out = rejected("too short (0.2 s)", "silent", "too short (0.3 s)", "synthesis failed: x")
    log, copy = tmp_path / "logs/set/0.log", tmp_path / "logs/set/0.rejected.parquet"
    with pytest.raises(
        ValueError, match=r"4 of 13 inputs .*all are in .*/set/0\.rejected\.parquet"
    ):
        rejections.check(9, left_out, 0.1, tmp_path / "speech.parquet", log)
    assert files.read_table(copy, rejected_table.SCHEMA).equals(left_out)
    said = capfd.readouterr().err
    for line in ("2 times: too short\n", "1 times: silent\n", "1 times: synthesis failed\n"):
        assert line in said
    rejections.check(9, left_out, 0.5, tmp_path / "speech.parquet", log)
    assert not copy.exists()  # it would be taken for that of this run


def test_a_file_that_cannot_be_read_weighs_as_much_as_one_that_gives_many_utterances(
    tmp_path: Path,
) -> None:
    path = tmp_path / "speech.parquet"
    kept = recorded(*(f"{i % 8}.flac" for i in range(400)))
    lost = rejected("cannot be decoded", "no speech found")
    rejections.check(400, lost, 0.1, path, None)
    with pytest.raises(ValueError, match=r"2 of 10 files are rejected, first x0\.wav: cannot"):
        rejections.check(400, lost, 0.1, path, None, kept)
    rejections.check(400, lost, 0.2, path, None, kept)


def test_a_file_is_not_lost_while_a_part_of_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "speech.parquet"
    left_out = pa.Table.from_pylist(
        [
            {"id": "a-p1", "source": "a.flac", "reason": "silent"},
            {"id": "b-2", "source": "b.parquet#audio/2", "reason": "no partner"},
        ],
        rejected_table.SCHEMA,
    )
    kept = recorded("a.flac", "b.parquet#audio/0", "b.parquet#audio/1", "c.flac")
    rejections.check(4, left_out, 0.34, path, None, kept)
    with pytest.raises(ValueError, match="2 of 6 inputs are rejected"):
        rejections.check(4, left_out, 0.3, path, None, kept)
    gone = recorded("a.flac", *["c.flac"] * 10)
    with pytest.raises(ValueError, match=r"1 of 3 files are rejected, first b\.parquet#audio/2"):
        rejections.check(11, left_out, 0.3, path, None, gone)
