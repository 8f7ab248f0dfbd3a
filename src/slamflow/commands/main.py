"""The command `slamflow`: what one does with a trained model, without a workflow."""

import argparse
import os
import sys
from collections.abc import Sequence

from slamflow import logs
from slamflow.commands import generate, score, tokenise, upload

COMMANDS = (generate, score, tokenise, upload)
EXAMPLES = """\
examples:
  slamflow generate --model results/models/slm-dpo --tokeniser results/tokenisers/hubert \\
      in.wav out.wav
  slamflow score --model user/name pairs/
  slamflow tokenise --tokeniser results/tokenisers/hubert *.wav --out units.tsv
  slamflow upload --model results/models/slm-dpo --tokeniser results/tokenisers/hubert \\
      --repository user/name

Models are made by the workflow: snakemake --cores all results/eval.tsv"""


def parser() -> argparse.ArgumentParser:
    """The options of all commands."""
    made = argparse.ArgumentParser(
        prog="slamflow",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        command.add(commands)
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status.

    That is 0, 2 after a user's error, which is one line on stderr, or 130 after an interruption.
    """
    args = parser().parse_args(arguments)
    try:
        args.run(args)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        line = logs.plain(f"slamflow {args.command}: error: {logs.describe(error)}")
        print(line, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
