"""What is left out of a corpus: members without a partner, and how much is too much."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from slamflow import files, logs
from slamflow.tables import rejected as rejected_table

SHOWN = 5  # rejected inputs that a log names
KINDS = 20  # reasons that it counts
MEMBERS = {"positive": 2, "negative": 2, "prompt": 3, "chosen": 3, "rejected": 3}


def complete(speech: pa.Table, rejected: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Move members of pairs and preferences that lost a partner to the rejected ones.

    A member may be in several pieces; one of them is enough.

    Args:
        speech: a table of the speech schema; all members of an item are in it or in `rejected`.
        rejected: a table of the rejected schema.

    Returns:
        Both tables; documents stay as they are.
    """
    roles = list(MEMBERS)
    wanted = pa.array([MEMBERS[role] for role in roles], pa.int64())
    place = pa.array(range(len(speech)), pa.int64())
    keys = speech.select(["item", "rendition", "role"]).append_column("place", place)
    members = keys.append_column(
        "wanted", wanted.take(pc.index_in(speech["role"], pa.array(roles)))
    )
    members = members.filter(pc.is_valid(members["wanted"]))
    there = members.group_by(["item", "rendition"]).aggregate([("role", "count_distinct")])
    members = members.join(there, ["item", "rendition"])
    alone = members.filter(pc.less(members["role_count_distinct"], members["wanted"]))["place"]
    if not len(alone):  # the audio need not be copied
        return speech, rejected
    lost = pc.is_in(place, alone.combine_chunks())
    left = speech.filter(lost)
    reasons = pa.array(["no partner"] * len(left), pa.string())
    rows = pa.table([left["id"], _recording(left), reasons], schema=rejected_table.SCHEMA)
    return speech.filter(pc.invert(lost)), pa.concat_tables([rejected, rows])


def check(
    kept: int,
    rejected: pa.Table,
    at_most: float,
    output: Path,
    log: Path | None,
    cut: pa.Table | None = None,
    repair: str = "mend them and raise `source.version`",
) -> None:
    """Say what was left out, and fail if it is too much of all.

    Of text, the share is of what was read, which ends with `count`. Of recordings, the share of
    files of which nothing is kept must not be larger, either: a file that cannot be read is one
    input, and one that can is many.

    Args:
        kept: utterances, or items of a text, that were not left out.
        rejected: a table of the rejected schema.
        at_most: the share that may be rejected.
        output: the table of what was kept, for the message.
        log: of the job, or None. Snakemake deletes the outputs of a job that fails; so `rejected`
            is then written beside the log, too.
        cut: the speech table, where it is cut from recordings.
        repair: what to do about it, for the message.

    Raises:
        ValueError: a larger share is rejected.
    """
    logs.info(f"{kept} utterances, {rejected.num_rows} rejected")
    kinds = pc.replace_substring_regex(rejected["reason"], r"(?s)( \(|: ).*", "").value_counts()
    for kind in sorted(kinds.to_pylist(), key=lambda it: -it["counts"])[:KINDS]:
        logs.info(f"{kind['counts']} times: {kind['values']}")
    for row in rejected.slice(0, SHOWN).to_pylist():
        logs.info(f"rejected {row['id']} ({row['source']}): {row['reason']}")
    copy = log.with_suffix(".rejected.parquet") if log else None
    if copy:
        copy.unlink(missing_ok=True)
    shares = {"inputs": (rejected, rejected.num_rows, kept + rejected.num_rows)}
    if cut is not None:
        shares["files"] = _lost_files(cut, rejected)
    for what, (rows, lost, total) in shares.items():
        if lost <= at_most * total:
            continue
        if copy:
            files.write_table(rejected, copy, rejected_table.SCHEMA)
        first = rows.slice(0, 1).to_pylist()[0]
        raise ValueError(
            f"{output}: {lost} of {total} {what} are rejected, first"
            f" {first['source'] or first['id']}: {first['reason']}"
            f"{f' (all are in {copy})' if copy else ''}; {repair}, or raise"
            f" `rejected_at_most` above {at_most:g}"
        )


def _lost_files(speech: pa.Table, rejected: pa.Table) -> tuple[pa.Table, int, int]:
    """The rejected parts of files of which nothing is kept, how many files these are, and all."""
    kept = pc.unique(_file(_recording(speech)))
    lost = rejected.filter(pc.invert(pc.is_in(_file(rejected["source"]), kept)))
    count = pc.count_distinct(_file(lost["source"])).as_py()
    return lost, count, count + len(kept)


def _recording(speech: pa.Table) -> pa.ChunkedArray:
    """What each utterance is cut from; its id where it is cut from nothing."""
    return pc.coalesce(pc.struct_field(speech["audio"], "path"), speech["id"])


def _file(sources: pa.ChunkedArray) -> pa.ChunkedArray:
    """The file of each source, which may be a row of a Parquet file."""
    return pc.replace_substring_regex(sources, r"(?s)^(.+\.parquet)#.+/\d+$", r"\1")
