"""What is left out of a corpus: members without a partner, and how much is too much."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from slamflow import logs
from slamflow.tables import rejected as rejected_table

SHOWN = 5  # rejected inputs that a log names
MEMBERS = {"positive": 2, "negative": 2, "prompt": 3, "chosen": 3, "rejected": 3}


def complete(speech: pa.Table, rejected: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Move members of pairs and preferences that lost a partner to the rejected ones.

    Args:
        speech: a table of the speech schema; all members of an item are in it or in `rejected`.
        rejected: a table of the rejected schema.

    Returns:
        Both tables; documents stay as they are.
    """
    roles = list(MEMBERS)
    wanted = pa.array([MEMBERS[role] for role in roles], pa.int64())
    place = pa.array(range(len(speech)), pa.int64())
    keys = speech.select(["item", "rendition"]).append_column("place", place)
    members = keys.append_column(
        "wanted", wanted.take(pc.index_in(speech["role"], pa.array(roles)))
    )
    members = members.filter(pc.is_valid(members["wanted"]))
    there = members.group_by(["item", "rendition"]).aggregate([("place", "count")])
    members = members.join(there, ["item", "rendition"])
    alone = members.filter(pc.less(members["place_count"], members["wanted"]))["place"]
    if not len(alone):  # the audio need not be copied
        return speech, rejected
    lost = pc.is_in(place, alone.combine_chunks())
    left = speech.filter(lost)["id"]
    rows = pa.table(
        [left, left, pa.array(["no partner"] * len(left), pa.string())],
        schema=rejected_table.SCHEMA,
    )
    return speech.filter(pc.invert(lost)), pa.concat_tables([rejected, rows])


def check(kept: int, rejected: pa.Table, at_most: float, output: Path) -> None:
    """Say what was left out, and fail if it is too much of all.

    Args:
        kept: utterances that were not.
        rejected: a table of the rejected schema.
        at_most: the share that may be rejected.
        output: the table of the utterances that were kept, for the message.

    Raises:
        ValueError: a larger share is rejected.
    """
    left_out = rejected.num_rows
    logs.info(f"{kept} utterances, {left_out} rejected")
    for row in rejected.slice(0, SHOWN).to_pylist():
        logs.info(f"rejected {row['id']} ({row['source']}): {row['reason']}")
    if left_out <= at_most * (kept + left_out):
        return
    first = rejected.slice(0, 1).to_pylist()[0]
    raise ValueError(
        f"{output}: {left_out} of {kept + left_out} inputs are rejected, first"
        f" {first['source'] or first['id']}: {first['reason']}; mend them, or raise"
        f" `rejected_at_most` above {at_most:g}"
    )
