"""`slamflow generate`: audio in, audio out with what a model says next."""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from slamflow.commands import options

TEXT = """\
Let a model continue what is said in an audio file. What is written is the beginning of the file,
as the vocoder speaks its units, and what the model says next. The same file, options and machine
give the same bytes."""
EXAMPLE = """\
  slamflow generate --model results/models/slm-dpo --tokeniser results/tokenisers/hubert \\
      --seconds 2 --seed 7 in.wav out.wav"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = options.command(commands, run, "generate", TEXT, EXAMPLE)
    options.model(parser)
    options.tokeniser(parser)
    parser.add_argument(
        "--vocoder",
        metavar="FOLDER",
        help="what speaks the units: results/vocoders/NAME, or another such one (default: the"
        " folder `vocoder` of the model, or resources/vocoder-pocket)",
    )
    given = parser.add_argument
    given("--voice", metavar="NAME", help="of a vocoder that has learnt several (default: its own)")
    given("audio", type=Path, help="what is continued; of any rate and number of channels")
    given("out", type=Path, help="gets the speech: .wav or .flac")
    for name, kind, value, text in (
        (
            "--seconds",
            options.above_zero,
            3.0,
            "how much of the file is the prompt; inf: all of it",
        ),
        ("--new-tokens", options.positive, 150, "units of the continuation at most"),
        ("--temperature", float, 0.8, "what divides the logits; 0: always the likeliest unit"),
        ("--top-k", int, 25, "only so many likeliest units are drawn; 0: all"),
        ("--top-p", float, 1.0, "only the likeliest ones of this probability together are drawn"),
        ("--penalty", float, 1.0, "makes units that have occurred less likely; 1: it does not"),
        ("--seed", int, 0, "of the random numbers"),
    ):
        given(name, type=kind, default=value, metavar="N", help=f"{text} (default {value:g})")
    given("--alone", action="store_true", help="leave out the prompt")
    options.machine(parser)


def run(args: argparse.Namespace) -> None:
    """Write the continuation.

    Raises:
        ValueError: a file or model that cannot be used, or settings that cannot be.
    """
    if args.out.suffix.lower() not in (".wav", ".flac"):
        raise ValueError(f"{args.out}: should end in .wav or .flac")
    from slamflow import logs
    from slamflow.commands import opening, speaking

    model = opening.model(args.model)
    tokeniser = opening.tokeniser(args.tokeniser, args.hubert, model)
    vocoder = speaking.folder(args.vocoder, model)
    prompt, continuation = _units(args, model, tokeniser)
    seconds = speaking.speak(
        continuation if args.alone else [*prompt, *continuation],
        vocoder,
        tokeniser.codebook,
        args.out,
        options.machine_of(args),
        args.voice,
    )
    logs.say(
        f"{args.out}: {seconds:.1f} s; the prompt has {len(prompt)} units, what follows"
        f" {len(continuation)}"
    )


def _units(args: argparse.Namespace, model: Path, tokeniser: Any) -> tuple[list[int], list[int]]:
    """The units of the prompt and of the continuation."""
    from slamflow import files
    from slamflow.commands import recordings
    from slamflow.lm import continuing
    from slamflow.tables import continuations as continuations_table

    machine = options.machine_of(args)
    sampling = {
        "seconds": None if args.seconds == float("inf") else args.seconds,
        "new_tokens": args.new_tokens,
        "temperature": args.temperature,
        "top_k": args.top_k or None,
        "top_p": args.top_p,
        "penalty": args.penalty,
        "seed": args.seed,
    }
    listed = recordings.listed([args.audio])
    spoken = recordings.speech(listed, recordings.ROOT)
    named = spoken.set_column(0, "id", [["prompt"]])  # what is drawn depends on no name
    with TemporaryDirectory() as scratch:
        units = recordings.unit_table(named, recordings.ROOT, tokeniser, machine, Path(scratch))
        output = Path(scratch, "continuations.parquet")
        continuing.continue_speech(
            sampling, model, [units], output, machine, "sampling", tokeniser.codebook
        )
        [row] = files.read_table(output, continuations_table.SCHEMA).to_pylist()
    return row["prompt"], row["continuation"]
