"""`slamflow score`: how often a model finds the better of two recordings likelier."""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from slamflow.commands import options

if TYPE_CHECKING:
    import pandas as pd

TEXT = """\
Score pairs of recordings with a model. Written is a table with a row a pair, and how often the
positive one is the likelier, with its 95 % interval. Pairs are, in a folder, a table pairs.tsv
(columns positive, negative and, if there are groups, group; paths relative to it), or folders
positive/ and negative/ that hold the same names, or files as 17_correct.wav, 17_incorrect.wav."""
EXAMPLE = """\
  slamflow score --model results/models/slm-dpo --tokeniser results/tokenisers/hubert \\
      --convention zerospeech-mean pairs/ --out scores.tsv"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = options.command(commands, run, "score", TEXT, EXAMPLE)
    options.model(parser)
    options.tokeniser(parser)
    parser.add_argument("pairs", type=Path, metavar="folder", help="the pairs, or their table")
    parser.add_argument(
        "--convention",
        default="slamkit-mean",
        help="how pairs are scored, see docs/benchmarks.md (default: slamkit-mean)",
    )
    parser.add_argument(
        "--modality",
        choices=("all", "units"),
        default="all",
        help="units: of a model that knows text, too, likelihoods among units (default: all)",
    )
    options.out(parser, "the table, tab-separated (default: to the terminal)")
    options.machine(parser)


def run(args: argparse.Namespace) -> None:
    """Write the table, and say the accuracy.

    Raises:
        ValueError: there are no pairs, a model cannot be used, or no such convention suits them.
    """
    from slamflow import logs
    from slamflow.benchmarks import conventions, scoring
    from slamflow.commands import opening, pairs, recordings
    from slamflow.report import table_file

    rule = conventions.named(args.convention)
    listed, root = pairs.listed(args.pairs)
    model = opening.model(args.model)
    tokeniser = opening.tokeniser(args.tokeniser, args.hubert, model)
    machine = options.machine_of(args)
    spoken = recordings.speech(listed, root, skip=True)
    with TemporaryDirectory() as scratch:
        units = recordings.unit_table(spoken, root, tokeniser, machine, Path(scratch))
        scores = Path(scratch, "scores.parquet")
        config = {"start": rule.start, "modality": args.modality}
        scoring.score(config, model, [units], scores, machine, "scoring")
        found = conventions.read(scores)
    if args.convention not in found:
        raise ValueError(f"--convention {args.convention}: {conventions.needs(args.convention)}")
    table = _table(found[args.convention], args.convention, listed.to_pandas(), root)
    if args.out is None:
        table.to_csv(sys.stdout, sep="\t", index=False, lineterminator="\n")
    else:
        table_file.write(table, args.out)
    for result in conventions.summarise(found[args.convention], args.convention):
        value, low, high = (f"{100 * x:.1f}" for x in (result.value, result.low, result.high))
        logs.say(f"{result.group}: {value} % [{low}, {high}] of {result.items} ({args.convention})")


def _table(
    pairs: "pd.DataFrame", convention: str, listed: "pd.DataFrame", root: Path
) -> "pd.DataFrame":
    """A row a pair: item, group, its files, their scores and what it counts."""
    from slamflow.benchmarks import conventions, pairs_table

    rule = conventions.named(convention)
    table = pairs[["item", "group"]].copy()
    paths = listed[listed["reason"].isna()].pivot(index="item", columns="role", values="path")
    for role in ("positive", "negative"):
        table[role] = [str(root / path) for path in table["item"].map(paths[role])]
        table[f"score_{role}"] = conventions.score(pairs_table.member(pairs, role), rule)
    counted = conventions.outcomes(pairs, convention).set_index("item")["outcome"]
    table["outcome"] = table["item"].map(counted)
    return table
