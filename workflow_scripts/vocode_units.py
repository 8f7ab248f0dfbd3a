"""Speak a table of continuations."""

from slamflow import commandline, logs
from slamflow.vocoder import vocoding


def main() -> None:
    args = commandline.parser(__doc__, "vocoder", "codebook", "units", "speech").parse_args()
    with logs.capture(args.log):
        label = f"vocode_units {args.speech.parent.name}/{args.speech.stem}"
        folder = args.vocoder.parent
        vocoding.vocode_table(
            args.config, folder, args.codebook, [args.units], args.speech, args.machine, label
        )


if __name__ == "__main__":
    main()
