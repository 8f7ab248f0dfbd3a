"""How much of a corpus may be left out before its stage fails."""

from pathlib import Path

import pyarrow as pa

from slamflow import logs

SHOWN = 5  # rejected inputs that a log names


def check(kept: int, rejected: pa.Table, at_most: float, output: Path) -> None:
    """Say what was left out, and fail if it is too much of all.

    Args:
        kept: utterances that were not.
        rejected: a table of the rejected schema.
        at_most: the share that may be rejected.
        output: the table of the utterances that were kept, for the message.

    Raises:
        ValueError: a larger share is rejected, or nothing is left.
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
