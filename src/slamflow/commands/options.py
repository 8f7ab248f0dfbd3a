"""Options that several commands have; nothing heavy is imported for them."""

import argparse
from pathlib import Path
from typing import Any

HUB = """\
Where a FOLDER is asked for, a repository of a Hugging Face hub does as well: user/name, or
user/name@revision. It is fetched into the cache of the hub's library."""


def command(commands: Any, run: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    """A command's parser; `text` is its help, whose first sentence the list of commands shows."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text.partition(".")[0],
        description=text,
        epilog=f"{HUB}\n\nexample:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def model(parser: argparse.ArgumentParser) -> None:
    """`--model`."""
    parser.add_argument(
        "--model", required=True, metavar="FOLDER", help="results/models/NAME, or another such one"
    )


def tokeniser(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """`--tokeniser` and `--hubert`."""
    default = "" if required else " (default: the folder `tokeniser` of the model)"
    parser.add_argument(
        "--tokeniser",
        required=required,
        metavar="FOLDER",
        help=f"results/tokenisers/NAME, or another such one{default}",
    )
    parser.add_argument(
        "--hubert",
        metavar="FOLDER",
        help="the HuBERT that the tokeniser was fitted on (default: it is looked for beside the"
        " tokeniser, in results/huberts and in resources, and on the hub if the config names it)",
    )


def machine(parser: argparse.ArgumentParser) -> None:
    """`--device` and `--threads`."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto: a GPU if there is one (default)",
    )
    parser.add_argument(
        "--threads", type=positive, metavar="N", help="of the processor (default: all)"
    )


def positive(text: str) -> int:
    """A whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def above_zero(text: str) -> float:
    """A number above 0, infinity too."""
    number = float(text)
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def machine_of(args: argparse.Namespace) -> dict[str, Any]:
    """The machine settings that stages take."""
    return {"device": args.device, "threads": args.threads}


def out(parser: argparse.ArgumentParser, what: str) -> None:
    """`--out`."""
    parser.add_argument("--out", type=Path, metavar="PATH", help=what)
