"""Nothing vanishes: what is left out is counted, and too much of it fails."""

from pathlib import Path

import pyarrow as pa
import pytest

from slamflow import rejections
from slamflow.tables import rejected as rejected_table
from slamflow.tables import speech as speech_table


def speech(*rows: tuple[str, int, str]) -> pa.Table:
    """Utterances of (item, rendition, role)."""
    named = [
        {"id": f"{item}-{role}-r{rendition}", "item": item, "rendition": rendition, "role": role}
        for item, rendition, role in rows
    ]
    return pa.Table.from_pylist(named, speech_table.SCHEMA)


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


def test_nothing_is_lost_where_all_are_complete_or_nothing_is_there() -> None:
    for given in (speech(), speech(("a", 0, "document")), speech(("a", 0, "positive"), ("a", 0, "negative"))):  # noqa: E501  # fmt: skip
        kept, lost = rejections.complete(given, rejected())
        assert kept.equals(given)
        assert len(lost) == 0


def test_the_share_that_may_be_rejected_is_the_last_that_passes(tmp_path: Path) -> None:
    path = tmp_path / "speech.parquet"
    rejections.check(9, rejected("silent"), 0.1, path)
    rejections.check(0, rejected(), 0.0, path)
    with pytest.raises(
        ValueError, match=r"speech\.parquet: 1 of 9 inputs are rejected, first"
    ) as it:
        rejections.check(8, rejected("silent"), 0.1, path)
    assert "x0.wav: silent" in str(it.value)
    assert "`rejected_at_most` above 0.1" in str(it.value)
