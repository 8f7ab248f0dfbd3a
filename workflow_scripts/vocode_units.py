"""Turn a table of units, or of continuations, into speech."""

from slamflow import commandline, logs
from slamflow.vocoder import vocoding


def main() -> None:
    parser = commandline.parser(__doc__, "vocoder", "codebook", "units", "speech")
    args = parser.parse_args()
    with logs.capture(args.log):
        label = f"vocode_units {args.speech.parent.name}/{args.speech.stem}"
        folder = args.vocoder.parent
        vocoding.vocode_table(
            args.config, folder, args.codebook, args.units, args.speech, args.machine, label
        )


if __name__ == "__main__":
    main()
