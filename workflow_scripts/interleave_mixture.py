"""Pack speech, text, and documents in which both take turns into full training rows."""

from slamflow import commandline, logs
from slamflow.lm import interleaving


def main() -> None:
    several = ("units", "text", "speech", "alignments")
    parser = commandline.parser(__doc__, "codebook", "tokenizer", "packed", several=several)
    args = parser.parse_args()
    with logs.capture(args.log):
        made = interleaving.pack(
            args.config,
            args.units,
            args.text,
            args.speech,
            args.alignments,
            args.codebook,
            args.tokenizer,
            args.packed,
        )
        logs.say(f"interleave_mixture {args.packed.stem}: {made}")


if __name__ == "__main__":
    main()
