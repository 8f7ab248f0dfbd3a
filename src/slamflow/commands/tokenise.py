"""`slamflow tokenise`: audio to units."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unicodedata import category

from slamflow import logs
from slamflow.commands import options

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = """\
Turn audio into units. Repeats are removed; how many frames each unit lasts stands beside it. Audio
is of any rate and number of channels: .wav, .flac, .ogg, .opus, .mp3."""
EXAMPLE = "  slamflow tokenise --tokeniser results/tokenisers/hubert talks/ --out talks.jsonl"
SUFFIXES = (".tsv", ".jsonl", ".parquet")


def add(commands: Any) -> None:
    """Add the command."""
    parser = options.command(commands, run, "tokenise", TEXT, EXAMPLE)
    options.tokeniser(parser, required=True)
    parser.add_argument(
        "audio", nargs="+", type=Path, help="files, or folders with such below them"
    )
    options.out(
        parser,
        "a table by its suffix: .tsv, .jsonl, or .parquet, a units table as the workflow has it"
        " (default: tab-separated, to the terminal)",
    )
    options.machine(parser)


def run(args: argparse.Namespace) -> None:
    """Write the units of all files.

    Raises:
        ValueError: a file cannot be read, or there is no such tokeniser.
    """
    if args.out and args.out.suffix not in SUFFIXES:
        raise ValueError(f"--out: {args.out} should end in {', '.join(SUFFIXES)}")
    from slamflow import files
    from slamflow.commands import opening, recordings
    from slamflow.tables import units as units_table

    spoken = recordings.speech(recordings.listed(args.audio), recordings.ROOT)
    tokeniser = opening.tokeniser(args.tokeniser, args.hubert)
    machine = options.machine_of(args)
    with TemporaryDirectory() as scratch:
        path = recordings.unit_table(spoken, recordings.ROOT, tokeniser, machine, Path(scratch))
        table = files.read_table(path, units_table.SCHEMA)
    if args.out is None:
        sys.stdout.writelines(_lines(table, ".tsv"))
    elif args.out.suffix == ".parquet":
        files.write_table(table, args.out, table.schema)
    else:
        with files.replacing(args.out) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(_lines(table, args.out.suffix))


def _lines(table: "pa.Table", suffix: str) -> Iterator[str]:
    """file, seconds, units and durations of each utterance."""
    columns = ("id", "duration", "units", "durations")
    names = ("file", "seconds", "units", "durations")
    if suffix == ".tsv":
        yield "\t".join(names) + "\n"
    for row in table.select(columns).to_pylist():
        values = dict(zip(names, row.values(), strict=True))
        if suffix == ".jsonl":
            yield json.dumps(values, ensure_ascii=False) + "\n"
            continue
        lists = (" ".join(map(str, values[name])) for name in names[2:])
        name = values["file"]
        if any(category(each) == "Cc" for each in name):  # tabs and ends of lines end a field
            name = logs.plain(name).replace("\n", "\\n")
        yield "\t".join([name, f"{values['seconds']:.6g}", *lists]) + "\n"
