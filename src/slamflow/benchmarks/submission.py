"""Files for the official evaluation of ZeroSpeech 2021: a line `<filename> <score>` a file.

The evaluation wants one score for each file of gold.csv, in any order, the higher the likelier
(Nguyen and others, 2020, "The Zero Resource Speech Benchmark 2021").
"""

from pathlib import Path

from slamflow import files
from slamflow.benchmarks import conventions, pairs_table


def write(config: dict, scores: Path, output: Path) -> None:
    """Write the submission of a model for one task and split.

    Args:
        config: `convention`: how files are scored.
        scores: the scores table; its ids are the names of the files without their suffix.
        output: `{lexical,syntactic}/{dev,test}.txt`.

    Raises:
        ValueError: no such convention, scores that do not suit it, a file without its partner, or
            a name that would be two words.
    """
    rule = conventions.named(config["convention"])
    pairs_table.read(scores, start=rule.start)  # nothing is missing
    rows = pairs_table.rows(scores, rule.start).sort_values("id")
    broken = rows[rows["id"].str.contains(r"\s")]
    if len(broken):
        raise ValueError(
            f"{scores}: the id `{broken.iloc[0]['id']}` has a space, which a submission cannot"
            " have; it is no file of ZeroSpeech"
        )
    found = conventions.score(rows, rule)
    with files.replacing(output) as temporary:
        temporary.write_text(
            "".join(f"{name} {value!r}\n" for name, value in zip(rows["id"], found, strict=True)),
            encoding="utf-8",
        )
